"""The collector is off inside, and as it was outside."""

from __future__ import annotations

import gc

import pytest

from clmot_qd.garbage import collection_paused


@pytest.fixture(autouse=True)
def on_afterwards():
    yield
    gc.enable()


def test_off_inside_and_on_again_outside() -> None:
    with collection_paused():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="mistake"), collection_paused():
        raise ValueError("mistake")
    assert gc.isenabled()


def test_who_switched_it_off_before_finds_it_off() -> None:
    with collection_paused():
        with collection_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    gc.disable()
    with collection_paused():
        pass
    assert not gc.isenabled()
