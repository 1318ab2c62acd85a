"""Frames read ahead of their use, by a thread."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from queue import Empty, Full, Queue
from typing import TypeVar

Item = TypeVar("Item")

POLL_SECONDS = 0.1
JOIN_SECONDS = 5.0
_END = object()


def read_ahead(items: Iterable[Item], depth: int) -> Generator[Item]:
    """Yield ``items`` in their order while a thread fetches up to ``depth`` of the following ones.

    What the iterable raises is raised here, after the items before it. When the generator is closed early, the thread
    ends and the iterable is closed, in the thread, so that files and cameras are released.

    Args:
        items: Iterated in the thread.
        depth: At least 1.
    """
    queue: Queue[tuple[object, BaseException | None]] = Queue(depth)
    stop = threading.Event()
    reader = threading.Thread(target=_fill, args=(items, queue, stop), name="read_ahead", daemon=True)
    reader.start()
    try:
        while True:
            item, error = queue.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        _drain(queue)
        reader.join(JOIN_SECONDS)  # a camera that gives no frame may take longer; the thread is a daemon


def _fill(items: Iterable[object], queue: Queue, stop: threading.Event) -> None:
    """The thread: put (item, None), and at the end (_END, None) or (_END, error)."""
    iterator = iter(items)
    error: BaseException | None = None
    try:
        while not stop.is_set():
            item = next(iterator, _END)
            if item is _END or not _put(queue, (item, None), stop):
                break
    except BaseException as raised:  # of any kind: the consumer raises it
        error = raised
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
    _put(queue, (_END, error), stop)


def _put(queue: Queue, entry: object, stop: threading.Event) -> bool:
    """Wait for room; False where nobody reads any more."""
    while not stop.is_set():
        try:
            queue.put(entry, timeout=POLL_SECONDS)
            return True
        except Full:
            continue
    return False


def _drain(queue: Queue) -> None:
    """Let go of the frames that nobody will use."""
    while True:
        try:
            queue.get_nowait()
        except Empty:
            return
