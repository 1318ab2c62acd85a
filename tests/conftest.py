"""Fixtures shared by the whole suite."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from locations import REPOSITORY

# A shell that starts the suite with "&" makes it deaf to Ctrl-C, and so would be everything that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same few examples in every run; `--hypothesis-profile thorough` draws many new ones, and says from which seed.
# No time limits: what a case takes is up to who else works on the machine.
_UNTIMED = dict(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("default", derandomize=True, max_examples=10, **_UNTIMED)
settings.register_profile("thorough", max_examples=250, print_blob=True, **_UNTIMED)
settings.load_profile("default")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed of a thorough run, before hypothesis and the processes of pytest-xdist look for one."""
    if getattr(config.option, "hypothesis_profile", None) == "thorough" and config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = random.randrange(2**32)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say how to draw the same examples again."""
    if getattr(config.option, "hypothesis_profile", None) is None:
        return None
    seed = config.option.hypothesis_seed
    return f"properties: --hypothesis-profile {config.option.hypothesis_profile} --hypothesis-seed {seed}"


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
