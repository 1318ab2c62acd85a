"""Work handed to a thread, in order, while the caller goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from queue import Queue
from types import TracebackType
from typing import Any

from clmot_qd.apis.ending_thread import EndingThread

POLL_SECONDS = 0.1

logger = logging.getLogger(__name__)


class WriteBehind(AbstractContextManager):
    """Calls ``function`` in a thread, once for each :meth:`put`, in their order.

    Left well, all calls have been made. Left by an exception, the call at work is finished and the others are dropped.
    What the function raises is raised in the caller's thread, by the next :meth:`put` or by leaving; no further call
    is made then.

    Args:
        function: Runs in the thread alone.
        depth: Calls that may wait; :meth:`put` waits for room.
    """

    def __init__(self, function: Callable[..., object], depth: int) -> None:
        self._function = function
        self._queue: Queue[tuple[Any, ...] | None] = Queue(depth)
        self._dropping = threading.Event()
        self._error: BaseException | None = None
        self._thread = EndingThread("write_behind", self._work)

    def __enter__(self) -> WriteBehind:
        """Start the thread."""
        self._thread.start()
        return self

    def put(self, *entry: Any) -> None:
        """Let the function be called with these arguments."""
        self._raise_error()
        self._queue.put(entry)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the thread's end."""
        if kind is not None:
            self._dropping.set()
        try:
            if not self._thread.has_ended():
                self._queue.put(None)
            self._thread.has_ended(None)
        except BaseException:  # Ctrl-C while it was waited
            self._dropping.set()
            self._end_thread()
            raise
        self._thread.join()
        if kind is None:
            self._raise_error()

    def _end_thread(self) -> None:
        """Wait for the call at work, since what it works on is closed next; the second interruption gives it up."""
        told = False
        while not self._thread.has_ended():
            try:
                if not self._queue.full():
                    self._queue.put(None)
                self._thread.has_ended(POLL_SECONDS)
            except BaseException:
                if told:
                    raise
                told = True
                logger.warning("waiting for the file that is being written; Ctrl-C once more gives it up")

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            if self._error is not None or self._dropping.is_set():
                continue
            try:
                self._function(*entry)
            except BaseException as error:  # of any kind: the caller raises it
                self._error = error
