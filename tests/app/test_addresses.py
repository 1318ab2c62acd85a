"""Where the page can be served."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from clmot_qd.app import addresses
from clmot_qd.app.addresses import find_address
from clmot_qd.errors import InputError


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        yield server.getsockname()[1]


@pytest.fixture
def free() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "number", "name"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1", "localhost"),
        ("LocalHost", "127.0.0.1", "localhost"),
        ("127.1", "127.0.0.1", "127.1"),
        ("127.0.0.2", "127.0.0.2", "127.0.0.2"),
    ],
)
def test_addresses_of_this_computer_have_their_names(host: str, number: str, name: str, free: int) -> None:
    found = find_address(host, free)
    assert (found.host, found.port) == (number, free)
    assert {"localhost", "127.0.0.1", "[::1]", name} <= set(found.names)


def test_an_address_that_others_reach_has_any_name(free: int) -> None:
    assert find_address("0.0.0.0", free).names == ()


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6_is_written_in_brackets(host: str, free: int) -> None:
    try:
        with socket.socket(socket.AF_INET6) as server:
            server.bind(("::1", 0))
    except OSError:
        pytest.skip("this computer has no IPv6")
    assert find_address(host, free).host == "[::1]"


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("no.such.host.invalid", r"--host no\.such\.host\.invalid: no such name"),
        ("a" * 70 + ".org", "no such name"),
        ("", "no such name"),
        ("192.0.2.7", r"--host 192\.0\.2\.7: is no address of this computer"),
    ],
)
def test_a_host_that_is_none_is_told(host: str, message: str, free: int) -> None:
    with pytest.raises(InputError, match=message):
        find_address(host, free)


def test_a_port_that_is_taken_is_told_and_passed_over(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=f"port {taken} is in use: choose another with --port"):
        find_address("127.0.0.1", taken)
    monkeypatch.setattr(addresses, "FIRST_PORT", taken)
    assert taken < find_address("127.0.0.1", None).port < taken + 100
    monkeypatch.setattr(addresses, "TRIED_PORTS", 1)
    with pytest.raises(InputError, match="are all in use"):
        find_address("127.0.0.1", None)
