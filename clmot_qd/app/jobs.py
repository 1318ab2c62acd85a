"""A queue of jobs: some run, the others wait; each can be watched and cancelled."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from clmot_qd.errors import InputError, one_line

logger = logging.getLogger(__name__)

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SERVERS = (*_FULL, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)


class State(Enum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Cancelled(Exception):
    """Raised inside a job that was cancelled."""


@dataclass(frozen=True)
class Progress:
    """How far a job has come.

    Attributes:
        step: What it is doing.
        done, total: Frames; the total may not be known.
        rate: Frames per second; 0 before the first.
        seconds_left: None where it cannot be told.
    """

    step: str = ""
    done: int = 0
    total: int | None = None
    rate: float = 0.0
    seconds_left: float | None = None


@dataclass(eq=False)
class Job:
    """One piece of work.

    Attributes:
        state: Where it stands.
        progress: How far it has come.
        result: What the work returned.
        error: What a visitor is told of a failure, one line.
    """

    work: Callable[[Job], Any]
    clock: Callable[[], float] = time.monotonic
    state: State = State.WAITING
    progress: Progress = field(default_factory=Progress)
    result: Any = None
    error: str = ""
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _finished: threading.Event = field(default_factory=threading.Event)
    _started: float | None = None
    _future: Future[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self._finished.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has ended, at most so long; returns whether it has."""
        return self._finished.wait(seconds)

    def cancel(self) -> None:
        """Ask it to stop: at once if it waits, at its next report if it runs."""
        self._cancelled.set()
        if self._future is not None and self._future.cancel():  # it waited, and nobody will run it any more
            self.state = State.CANCELLED
            self._finished.set()

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._cancelled.is_set()

    def step(self, name: str) -> None:
        """Say what happens now; the work calls it.

        Raises:
            Cancelled: Somebody asked for it.
        """
        self._started = None
        self.progress = Progress(name)
        self.check()

    def report(self, done: int, total: int | None) -> None:
        """Say how many frames are done; the work calls it after each.

        Raises:
            Cancelled: Somebody asked for it.
        """
        now = self.clock()
        if self._started is None:
            self._started = now
        seconds = now - self._started
        # The first frame is the clock's start: it also pays for what is set up once.
        rate = (done - 1) / seconds if done > 1 and seconds > 0 else 0.0
        left = None if total is None or not rate else max(total - done, 0) / rate
        self.progress = Progress(self.progress.step, done, total, rate, left)
        self.check()

    def check(self) -> None:
        """Stop here if somebody asked for it.

        Raises:
            Cancelled: Somebody did.
        """
        if self._cancelled.is_set():
            raise Cancelled

    def run(self) -> None:
        """Do the work; whatever it raises ends in ``state`` and ``error``."""
        try:
            self.check()
            self.state = State.RUNNING
            self.result = self.work(self)
            self.state = State.DONE
        except Cancelled:
            self.state = State.CANCELLED
        except Exception as error:
            self.error = told(error)
            self.state = State.FAILED
        finally:
            self._finished.set()


def is_servers_matter(error: BaseException | None) -> bool:
    """Whether an error is about the server's disk and files; what damaged uploads set off often is an OSError, too."""
    return isinstance(error, OSError) and error.errno in _SERVERS


def told(error: Exception) -> str:
    """What a visitor reads of an error, one line; what is not a visitor's matter goes into the log whole."""
    if isinstance(error, InputError):
        return " ".join(one_line(error).split())
    logger.error("a job failed", exc_info=error)
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return "the server has not enough memory for this video: scale it down or try another model"
    if isinstance(error, OSError) and error.errno in _FULL:
        return "the server's disk is full: try again later"
    return f"something went wrong in the server ({type(error).__name__}); its log has the details"


class JobQueue:
    """Runs jobs, some at a time, in the order they came.

    Args:
        workers: Jobs that run at a time.
        max_waiting: Jobs that may wait besides.
    """

    def __init__(self, workers: int = 1, max_waiting: int = 8) -> None:
        for name, value, least in (("concurrency", workers, 1), ("max-waiting", max_waiting, 0)):
            if value < least:
                raise InputError(f"--{name} {value}: must be at least {least}")
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="clmot_qd-job")
        self._most = workers + max_waiting
        self._jobs: list[Job] = []
        self._lock = threading.Lock()

    def submit(self, work: Callable[[Job], Any]) -> Job:
        """Put work into the queue.

        Raises:
            InputError: Too many wait already.
        """
        job = Job(work)
        with self._lock:
            self._jobs = [other for other in self._jobs if not other.ended]
            if len(self._jobs) >= self._most:
                raise InputError(f"{len(self._jobs)} videos are being tracked or wait already: try again later")
            self._jobs.append(job)
            job._future = self._pool.submit(job.run)
        return job

    def ahead(self, job: Job) -> int:
        """How many jobs come before this one, those that run among them."""
        with self._lock:
            before = self._jobs[: self._jobs.index(job)] if job in self._jobs else []
        return sum(not other.ended and not other.cancelled for other in before)

    def cancel_all(self) -> None:
        """Cancel everything, without waiting for what runs."""
        with self._lock:
            for job in self._jobs:
                job.cancel()

    def close(self) -> None:
        """Cancel everything and wait for what runs."""
        self.cancel_all()
        self._pool.shutdown(wait=True)
