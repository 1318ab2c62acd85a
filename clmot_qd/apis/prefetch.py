"""Frames read, and worked on, ahead of their use, by threads."""

from __future__ import annotations

import atexit
import functools
import threading
import weakref
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from queue import Empty, Full, Queue
from typing import TypeVar

from clmot_qd.apis.ending_thread import EndingThread

Item = TypeVar("Item")
Made = TypeVar("Made")

POLL_SECONDS = 0.1
JOIN_SECONDS = 5.0
EXIT_SECONDS = 1.0
_END = object()


def read_ahead(items: Iterable[Item], depth: int) -> Generator[Item]:
    """Yield ``items`` in their order while a thread fetches up to ``depth`` of the following ones.

    What the iterable raises is raised here, after the items before it. When the generator is closed early, the thread
    ends and the iterable is closed, in the thread, so that files and cameras are released.

    Args:
        items: Iterated in the thread.
        depth: At least 1.
    """
    return work_ahead(items, lambda item: item, depth)


def work_ahead(items: Iterable[Item], function: Callable[[Item], Made], depth: int) -> Generator[Made]:
    """Yield what ``function`` makes of each item, as :func:`read_ahead` does; one thread fetches and calls.

    Closing waits ``JOIN_SECONDS`` for an item, which a stalled camera may never give, but for the function to its end.
    So does the end of the program: a thread that is inside torch then aborts it.

    Args:
        items: Iterated in the thread; another reader's items end when this generator is closed.
        function: Called in the thread.
        depth: At least 1.
    """
    reader = _Reader(items, function, depth)
    _end_readers_at_exit()
    reader.start()
    try:
        while True:
            item, error = reader.wait()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item  # type: ignore[misc]
    finally:
        reader.end(JOIN_SECONDS)


def map_ahead(
    items: Iterable[Item], function: Callable[[Item], Made], depth: int, workers: int = 1
) -> Generator[tuple[Item, Made]]:
    """Yield each item with what ``function`` makes of it, in order; threads do both for up to ``depth`` items ahead.

    What the iterable or the function raises is raised here, after the items before it.

    Args:
        items: Iterated in a thread, see :func:`read_ahead`.
        function: Called in further threads.
        depth: At least 1.
        workers: Number of those threads.
    """
    with (
        ThreadPoolExecutor(workers, thread_name_prefix="map_ahead") as pool,
        closing(read_ahead(_handed_over(items, function, pool), depth)) as begun,
    ):
        for item, made in begun:
            yield item, made.result()


def _handed_over(
    items: Iterable[Item], function: Callable[[Item], Made], pool: ThreadPoolExecutor
) -> Generator[tuple[Item, Future[Made]]]:
    iterator = iter(items)
    try:
        for item in iterator:
            yield item, pool.submit(function, item)
    finally:
        _close(iterator)


class _Reader(EndingThread):
    """The thread: puts (item, None) into a queue, and at the end (_END, None) or (_END, error)."""

    def __init__(self, items: Iterable[object], function: Callable[..., object], depth: int) -> None:
        super().__init__("read_ahead", self._read)  # a daemon: a source that gives no frame must not keep the program
        self._items, self._function = items, function
        self._queue: Queue[tuple[object, BaseException | None]] = Queue(depth)
        self._stop_asked = threading.Event()
        self._at_work = threading.Event()

    def _read(self) -> None:
        error: BaseException | None = None
        try:
            self._fill()
        except BaseException as raised:  # of any kind: the consumer raises it
            error = raised
        finally:
            self._put((_END, error))

    def wait(self) -> tuple[object, BaseException | None]:
        """The next entry; the end where the consumer is itself a reader whose consumer has gone."""
        consumer = threading.current_thread()
        while not (isinstance(consumer, _Reader) and consumer._stop_asked.is_set()):
            with suppress(Empty):
                return self._queue.get(timeout=POLL_SECONDS)
        return _END, None

    def ask_to_stop(self) -> None:
        self._stop_asked.set()

    def end(self, seconds: float) -> None:
        """Stop, and wait so long for an item that is on its way, but for the function to its end."""
        if self.has_ended():
            return  # nor may a forked process touch what its parent's thread may have held
        self.ask_to_stop()
        with suppress(Empty):  # let go of the frames that nobody will use
            while True:
                self._queue.get_nowait()
        self.has_ended(seconds)
        while self._at_work.is_set():
            self.has_ended(POLL_SECONDS)
        if self.has_ended():
            self.join()  # nothing is left to be interrupted

    def _fill(self) -> None:
        iterator = iter(self._items)
        try:
            while not self._stop_asked.is_set():
                item = next(iterator, _END)
                if item is _END or not self._put((self._made(item), None)):
                    return
        finally:
            _close(iterator)

    def _made(self, item: object) -> object:
        self._at_work.set()
        try:
            # The item may be what was left of a batch when the consumer went.
            return None if self._stop_asked.is_set() else self._function(item)
        finally:
            self._at_work.clear()

    def _put(self, entry: tuple[object, BaseException | None]) -> bool:
        """Wait for room; False where nobody reads any more."""
        while not self._stop_asked.is_set():
            with suppress(Full):
                self._queue.put(entry, timeout=POLL_SECONDS)
                return True
        return False

    def start(self) -> None:
        _readers.add(self)
        super().start()


_readers: weakref.WeakSet[_Reader] = weakref.WeakSet()


@functools.cache
def _end_readers_at_exit() -> None:
    """Have the threads of generators that nobody closed ended before the interpreter is taken down."""
    atexit.register(_end_readers)


def _end_readers() -> None:
    readers = [reader for reader in list(_readers) if not reader.has_ended()]
    for reader in readers:
        reader.ask_to_stop()
    for reader in readers:
        ended = False
        while not ended:
            with suppress(KeyboardInterrupt):  # one more cannot end the program sooner, only abort it
                reader.end(EXIT_SECONDS)
                ended = True


def _close(iterator: object) -> None:
    close = getattr(iterator, "close", None)
    if close is not None:
        close()
