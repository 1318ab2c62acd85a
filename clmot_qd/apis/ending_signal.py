"""The end of tracking that a user asks for: by Ctrl-C, or by SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def ends_on_signal(opened: Any) -> Iterator[threading.Event]:
    """Let the first Ctrl-C or SIGTERM end a live source; others, and the second one, stop by an exception."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in before.items() if handler is not None}  # None: not of Python
    # Python's own way with SIGTERM ends the process on the spot, with temporary files left behind.
    at_once = {number: _leave if handler is signal.SIG_DFL else handler for number, handler in before.items()}

    def end(number: int, frame: Any) -> None:
        _handle(at_once)
        stopped.set()
        opened.stop()

    _handle(dict.fromkeys(before, end) if getattr(opened, "is_live", False) else at_once)
    try:
        yield stopped
    finally:
        _handle(before)


def _handle(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _leave(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)
