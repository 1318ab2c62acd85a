"""Frames read ahead by a thread: order, bound, errors, and an early end that releases the source."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from clmot_qd.apis.prefetch import read_ahead


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read_ahead"]


def wait_for(condition: object, seconds: float = 5.0) -> bool:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


def test_all_items_come_in_order() -> None:
    assert list(read_ahead(range(100), 3)) == list(range(100))
    assert list(read_ahead([], 1)) == []
    assert list(read_ahead([None, 1, None], 1)) == [None, 1, None]
    assert wait_for(lambda: not readers())


def test_reading_is_ahead_and_bounded() -> None:
    taken = []

    def noting() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    items = read_ahead(noting(), 4)
    assert next(items) == 0
    assert wait_for(lambda: len(taken) >= 5), "four wait in the queue"
    time.sleep(0.3)
    assert len(taken) <= 6, "one in the consumer's hands, four in the queue, one in the reader's"
    items.close()


def test_an_error_comes_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield from range(5)
        raise KeyError("five")

    found: list[int] = []
    with pytest.raises(KeyError, match="five"):
        found.extend(read_ahead(failing(), 2))
    assert found == [0, 1, 2, 3, 4]
    assert wait_for(lambda: not readers())


def test_an_early_end_stops_the_thread_and_closes_the_source_in_it() -> None:
    closed = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(threading.current_thread().name)

    items = read_ahead(endless(), 2)
    next(items)
    assert readers()
    items.close()
    assert closed == ["read_ahead"]
    assert not readers()


def test_an_error_of_the_consumer_ends_the_reading_too() -> None:
    def consume() -> None:
        for _ in read_ahead(range(10**9), 2):
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        consume()
    assert wait_for(lambda: not readers())


def test_an_error_while_the_queue_is_full_is_not_lost() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("late")

    items = read_ahead(failing(), 1)
    time.sleep(0.3)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="late"):
        next(items)
