"""A thread that can be waited for, whatever interrupts the wait."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


class EndingThread(threading.Thread):
    """A daemon that says for sure whether it has ended: Ctrl-C in a ``join`` leaves a living thread called dead.

    Args:
        name: Of the thread.
        function: What it does.
    """

    def __init__(self, name: str, function: Callable[[], object]) -> None:
        super().__init__(name=name, target=function, daemon=True)
        self._ended = threading.Event()
        self._process = os.getpid()

    def run(self) -> None:
        """Do the work."""
        try:
            super().run()
        finally:
            self._ended.set()

    def has_ended(self, seconds: float | None = 0.0) -> bool:
        """Whether it has, or does within so many seconds; None waits for it.

        A process that was forked off has no threads of the one before, and would wait for ever.
        """
        return os.getpid() != self._process or self._ended.wait(seconds)
