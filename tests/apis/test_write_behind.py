"""Work handed to a thread: order, errors, what is dropped; freed memory that is kept."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from clmot_qd.apis.prefetch import map_ahead
from clmot_qd.apis.write_behind import WriteBehind


def threads_named(name: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(name)]


def test_all_calls_are_made_in_order_by_the_time_it_is_left() -> None:
    seen: list[tuple[int, str]] = []

    def slow(number: int, word: str) -> None:
        time.sleep(0.01)
        assert threading.current_thread() is not threading.main_thread()
        seen.append((number, word))

    with WriteBehind(slow, depth=2) as behind:
        for number in range(7):
            behind.put(number, "x")
    assert seen == [(number, "x") for number in range(7)]
    assert threads_named("write_behind") == []


def test_an_error_is_raised_by_a_later_put_and_no_call_follows() -> None:
    seen: list[int] = []

    def failing(number: int) -> None:
        seen.append(number)
        if number == 2:
            time.sleep(0.05)  # others wait by then
            raise ZeroDivisionError

    def use() -> None:
        with WriteBehind(failing, depth=4) as behind:
            for number in range(1000):
                behind.put(number)
                time.sleep(0.001)

    with pytest.raises(ZeroDivisionError):
        use()
    assert seen == [0, 1, 2]


def test_an_error_in_the_last_call_is_raised_on_leaving() -> None:
    def failing() -> None:
        time.sleep(0.05)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), WriteBehind(failing, depth=1) as behind:
        behind.put()


def test_left_by_an_exception_it_drops_what_waits() -> None:
    seen: list[int] = []
    began = threading.Event()

    def slow(number: int) -> None:
        began.set()
        assert behind._dropping.wait(60)
        seen.append(number)

    behind = WriteBehind(slow, depth=8)

    def use() -> None:
        with behind:
            for number in range(8):
                behind.put(number)
            began.wait()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()
    assert seen == [0]
    assert threads_named("write_behind") == []


# ------------------------------------------------------------------------------------------------------- working ahead
@pytest.mark.parametrize("workers", [1, 4])
def test_items_come_in_order_with_what_was_made_of_them(workers: int) -> None:
    def square(number: int) -> int:
        time.sleep(0.01 * (number % 3))
        return number**2

    assert list(map_ahead(range(20), square, 5, workers)) == [(number, number**2) for number in range(20)]
    assert threads_named("map_ahead") == []


def test_an_error_of_the_function_comes_after_the_items_before_it() -> None:
    def inverse(number: int) -> float:
        return 1 / (number - 3)

    seen: list[int] = []
    with pytest.raises(ZeroDivisionError):
        seen.extend(number for number, _ in map_ahead(range(9), inverse, 4, 2))
    assert seen == [0, 1, 2]


def test_no_more_than_depth_items_are_taken_ahead() -> None:
    taken: list[int] = []

    def counting() -> object:
        for number in range(100):
            taken.append(number)
            yield number

    pairs = map_ahead(counting(), str, 3, 2)
    next(pairs)
    time.sleep(0.2)
    assert len(taken) <= 1 + 3 + 1, "one given out, three waiting, one in the reader's hand"
    pairs.close()
    assert threads_named("map_ahead") == threads_named("read_ahead") == []


# ------------------------------------------------------------------------------------------------------- freed memory
FAULTS = """
import resource, sys
import numpy as np
from clmot_qd.allocation import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
for _ in range(20):
    np.ones(60_000_000, np.uint8)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's setting")
def test_freed_memory_is_kept() -> None:
    """Twenty times sixty megabytes are new pages each time, or the same ones."""
    faults = {}
    for how in ("keep", "plain"):
        done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
        kept, faults[how] = done.stdout.split()
        if kept == "False":
            pytest.skip("another C library than glibc")
    assert int(faults["keep"]) < int(faults["plain"]) / 2
