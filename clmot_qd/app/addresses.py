"""Where the page is served: found out, and tried, before anything is loaded."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import suppress
from dataclasses import dataclass

from clmot_qd.errors import InputError

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
FIRST_PORT, TRIED_PORTS = 7860, 100


@dataclass(frozen=True)
class Address:
    """Where to listen.

    Attributes:
        host: An address in numbers, as an URL spells it: IPv6 in brackets.
        port: A port that was free.
        names: Names under which the page may be asked for, in lower case; empty: any, as others can reach it.
    """

    host: str
    port: int
    names: tuple[str, ...]


def find_address(host: str, port: int | None) -> Address:
    """Resolve a host, and find a free port.

    Args:
        host: Name or address; IPv6 with brackets or without.
        port: None: the first free one from 7860 on.

    Raises:
        InputError: The host is unknown or not of this computer, or the port is taken or not allowed.
    """
    name = host.strip().strip("[]")
    try:
        places = socket.getaddrinfo(name or "?", port or FIRST_PORT, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise InputError(f"--host {host}: no such name or address; 127.0.0.1 is this computer") from None
    # Of the addresses that "localhost" has, the one that everything understands.
    family, *_, found = sorted(places, key=lambda place: place[0] != socket.AF_INET)[0]
    number = str(found[0])
    chosen = _try(host, number, family, port) if port else _first_free(host, number, family)
    shown = f"[{number}]" if family == socket.AF_INET6 else number
    names = {*LOOPBACK_NAMES, shown, name.lower()} if is_loopback(number) else set()
    return Address(shown, chosen, tuple(sorted(names)))


def is_loopback(number: str) -> bool:
    """Whether only this computer can reach an address in numbers."""
    with suppress(ValueError):
        return ipaddress.ip_address(number.strip("[]")).is_loopback
    return False


def _first_free(host: str, number: str, family: int) -> int:
    for port in range(FIRST_PORT, FIRST_PORT + TRIED_PORTS):
        if _bound(number, family, port) != errno.EADDRINUSE:
            return _try(host, number, family, port)
    raise InputError(f"the ports {FIRST_PORT} to {FIRST_PORT + TRIED_PORTS - 1} are all in use: choose one with --port")


def _try(host: str, number: str, family: int, port: int) -> int:
    problem = _bound(number, family, port)
    if problem == errno.EADDRINUSE:
        raise InputError(f"port {port} is in use: choose another with --port")
    if problem == errno.EACCES:
        raise InputError(f"port {port} is reserved for the system: choose one from 1024 on with --port")
    if problem is not None:
        raise InputError(f"--host {host}: is no address of this computer")
    return port


def _bound(number: str, family: int, port: int) -> int | None:
    """Listen there for a moment; the number of the error if that does not go, -1 if it has none."""
    try:
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((number, port))
            trial.listen(1)
    except OSError as error:
        return error.errno or -1
    return None
