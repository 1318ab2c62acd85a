"""Fixtures shared by the whole suite."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from locations import REPOSITORY

# A shell that starts the suite with "&" makes it deaf to Ctrl-C, and so would be everything that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real sequences that lie beside a developer's checkout; absent on a user's machine."""
    path = REPOSITORY.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the real sequences are not beside this checkout (their licence forbids shipping them)")
    return path


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Small recorded files that ship with the tests; tests/data/README.md names their origin."""
    return REPOSITORY / "tests" / "data"
