"""Frames read ahead by a thread: order, bound, errors, and an early end that releases the source."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from clmot_qd.apis import prefetch
from clmot_qd.apis.prefetch import map_ahead, read_ahead, work_ahead


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read_ahead"]


def wait_for(condition: object, seconds: float = 60.0) -> bool:
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


# ------------------------------------------------------------------------------------------------- iterables that break
class NotBeginning:
    def __iter__(self) -> Iterator[int]:
        raise OSError("no camera")


class NotClosing:
    """An iterator of one item whose end fails."""

    def __init__(self) -> None:
        self._items = iter([1])

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        return next(self._items)

    def close(self) -> None:
        raise OSError("no camera")


@pytest.mark.parametrize(("items", "before"), [(NotBeginning(), []), (NotClosing(), [1])])
def test_an_iterable_that_cannot_begin_or_close_is_told(items: Iterator[int], before: list[int]) -> None:
    found: list[int] = []
    with pytest.raises(OSError, match="no camera"):
        found.extend(read_ahead(items, 2))
    assert found == before


# ------------------------------------------------------------------------------------------ a function, an early end
def test_items_are_worked_on_in_the_thread() -> None:
    names = list(work_ahead(range(3), lambda number: (number, threading.current_thread().name), 1))
    assert names == [(number, "read_ahead") for number in range(3)]
    with pytest.raises(ZeroDivisionError):
        list(work_ahead([1, 0], lambda number: 1 / number, 1))


def test_closing_waits_for_the_function_but_not_for_ever_for_an_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "JOIN_SECONDS", 0.05)
    began, begun, done = threading.Event(), [], []

    def slow(number: int) -> int:
        if number:
            begun.append(number)
            began.set()
            time.sleep(0.4)
            done.append(number)
        return number

    items = work_ahead(range(9), slow, 1)
    assert next(items) == 0
    began.wait()
    items.close()
    assert done
    assert done == begun, "what was at work was waited for"


def test_a_source_that_stalls_does_not_keep_the_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two readers, one behind the other, as a session has them: the stop of the outer reaches the inner."""
    monkeypatch.setattr(prefetch, "JOIN_SECONDS", 0.2)
    never: queue.Queue[int] = queue.Queue()
    made: list[object] = []

    def stalling() -> Iterator[int]:
        yield from range(3)
        yield never.get()

    items = work_ahead(map_ahead(stalling(), str, 4), lambda item: made.append(item) or item, 1)
    assert [next(items) for _ in range(3)] == [(0, "0"), (1, "1"), (2, "2")]
    closing = threading.Thread(target=items.close, daemon=True)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()
    assert wait_for(lambda: len(readers()) == 1), "the one that the source holds"
    assert len(made) == 3
    never.put(0)
    assert wait_for(lambda: not readers())


LEFT_OPEN = r"""
import threading, time
from clmot_qd.apis.prefetch import map_ahead, work_ahead
inside = threading.Event()
def network(item):
    if item[0]:
        print(f"begun {item[0]}\n", end="", flush=True)  # at once: the main thread prints, too
        inside.set()
        time.sleep(0.3)
        print(f"done {item[0]}\n", end="", flush=True)
    return item
items = work_ahead(map_ahead(range(100), str, 4), network, 1)
print(f"{next(items)}\n", end="", flush=True)
inside.wait()
"""


def test_a_program_that_leaves_a_stream_open_ends_when_the_item_at_work_is_done() -> None:
    """Taken down in the middle of torch's work, the interpreter aborts."""
    done = subprocess.run([sys.executable, "-c", LEFT_OPEN], capture_output=True, text=True, timeout=180)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    numbers = {word: [line.split()[1] for line in lines if line.startswith(word)] for word in ("begun", "done")}
    assert numbers["begun"] == numbers["done"]
    assert 1 <= len(numbers["done"]) < 20, "and no more than the one at work"


FORKED = """
import os, sys, threading, time
from clmot_qd.apis.prefetch import work_ahead
from clmot_qd.apis.write_behind import WriteBehind
at_work, go_on = threading.Event(), threading.Event()
def work(item):
    if item:
        at_work.set()
        go_on.wait()
    return item
def leave():
    with WriteBehind(work, 1) as behind:
        behind.put(2)
        if os.fork() == 0:
            sys.exit(0)
        print(os.waitstatus_to_exitcode(os.wait()[1]))
        go_on.set()
items = work_ahead(range(9), work, 1)
next(items)
at_work.wait()
leave()
items.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_process_that_was_forked_off_does_not_wait_for_threads_it_does_not_have() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        capture_output=True,
        text=True,
        timeout=180,
        start_new_session=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
