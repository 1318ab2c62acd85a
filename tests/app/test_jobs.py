"""The queue: order, progress, cancelling, errors."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clmot_qd.app.jobs import Job, JobQueue, Progress, State
from clmot_qd.app.status import message, status_of, table_of, told_progress, told_seconds
from clmot_qd.app.tracking import Outcome, TrackRow
from clmot_qd.errors import InputError


@pytest.fixture
def queue() -> Iterator[JobQueue]:
    queue = JobQueue(workers=1, max_waiting=2)
    yield queue
    queue.close()


class Gate:
    """Work that runs until it is let go, reporting all the time."""

    def __init__(self) -> None:
        self.started, self.open = threading.Event(), threading.Event()

    def __call__(self, job: Job) -> str:
        self.started.set()
        while not self.open.wait(0.005):
            job.report(1, 2)
        return "done"


def test_jobs_run_in_their_order_and_the_next_ones_wait(queue: JobQueue) -> None:
    gate, order = Gate(), []
    first = queue.submit(gate)
    second, third = (queue.submit(lambda job, n=n: order.append(n)) for n in (2, 3))
    assert gate.started.wait(60)
    assert [first.state, second.state, third.state] == [State.RUNNING, State.WAITING, State.WAITING]
    assert [queue.ahead(job) for job in (first, second, third)] == [0, 1, 2]
    with pytest.raises(InputError, match="3 videos are being tracked or wait already"):
        queue.submit(gate)
    second.cancel()
    assert second.ended  # at once, and its place is free
    assert second.state is State.CANCELLED
    assert queue.ahead(third) == 1
    fourth = queue.submit(lambda job: 4)
    gate.open.set()
    assert fourth.wait(60)
    assert third.wait(60)
    assert first.result == "done"
    assert [first.state, second.state, third.state] == [State.DONE, State.CANCELLED, State.DONE]
    assert order == [3]
    assert queue.submit(lambda job: 7).wait(60)


def test_two_workers_run_two_jobs_at_a_time() -> None:
    queue, gates = JobQueue(workers=2), (Gate(), Gate())
    jobs = [queue.submit(gate) for gate in gates]
    assert all(gate.started.wait(60) for gate in gates)
    assert [job.state for job in jobs] == 2 * [State.RUNNING]
    for gate in gates:
        gate.open.set()
    queue.close()


def test_a_running_job_stops_at_its_next_report(queue: JobQueue) -> None:
    gate = Gate()
    job = queue.submit(gate)
    assert gate.started.wait(60)
    job.cancel()
    assert job.wait(60)
    assert job.state is State.CANCELLED
    assert job.error == ""


def test_closing_cancels_what_runs_and_what_waits() -> None:
    queue, gate = JobQueue(), Gate()
    jobs = [queue.submit(gate), queue.submit(lambda job: None)]
    assert gate.started.wait(60)
    queue.close()
    assert [job.state for job in jobs] == 2 * [State.CANCELLED]


def raises(error: Exception) -> Callable[[Job], Any]:
    def work(job: Job) -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "text", "logged"),
    [
        (InputError("clip.mp4: holds\nno frame"), "clip.mp4: holds no frame", False),
        (OSError(errno.ENOSPC, "No space left"), "the server's disk is full", True),
        (MemoryError(), "not enough memory", True),
        (RuntimeError("CUDA out of memory. Tried"), "not enough memory", True),
        (ZeroDivisionError("secret /home/me"), "something went wrong in the server (ZeroDivisionError)", True),
    ],
)
def test_an_error_is_one_line_and_the_queue_goes_on(
    queue: JobQueue, caplog: pytest.LogCaptureFixture, error: Exception, text: str, logged: bool
) -> None:
    with caplog.at_level(logging.ERROR):
        job = queue.submit(raises(error))
        assert job.wait(60)
    assert job.state is State.FAILED
    assert text in job.error
    assert "\n" not in job.error
    assert "secret" not in job.error
    assert bool(caplog.records) == logged
    assert queue.submit(lambda job: 7).wait(60)


def test_rate_and_time_left_are_those_of_a_stopwatch() -> None:
    times = iter([10.0, 10.5, 11.0, 12.0])
    job = Job(lambda job: None, clock=lambda: next(times))
    job.step("Tracking")
    job.report(1, 9)
    assert job.progress == Progress("Tracking", 1, 9, 0.0, None)
    job.report(2, 9)
    assert (job.progress.rate, job.progress.seconds_left) == (2.0, 3.5)
    job.report(3, None)
    assert (job.progress.rate, job.progress.seconds_left) == (2.0, None)
    job.report(10, 9)
    assert (job.progress.rate, job.progress.seconds_left) == (4.5, 0.0)


def test_each_step_has_its_own_stopwatch() -> None:
    times = iter([10.0, 11.0, 50.0, 51.0])
    job = Job(lambda job: None, clock=lambda: next(times))
    for step in ("Reading", "Tracking"):
        job.step(step)
        assert job.progress == Progress(step)
        job.report(1, 9)
        job.report(2, 9)
        assert job.progress == Progress(step, 2, 9, 1.0, 7.0)


@pytest.mark.parametrize(("workers", "waiting", "message"), [(0, 1, "--concurrency 0"), (1, -1, "--max-waiting -1")])
def test_a_queue_of_nothing_is_refused(workers: int, waiting: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        JobQueue(workers, waiting)


# ---- what the page says ------------------------------------------------------------------------------------------


def test_what_the_page_says_of_each_state() -> None:
    job = Job(lambda job: None)
    assert "Waiting: 2 videos before this one" in status_of(job, 2)
    assert "Waiting: 1 video before this one" in status_of(job, 1)
    assert "Waiting: starting" in status_of(job, 0)
    job.state, job.progress = State.RUNNING, Progress("Tracking", 12, 40, 8.25, 3.4)
    assert "Tracking: frame 12 of 40, 8.2 frames/s, about 3 s left" in status_of(job, 0)
    assert '<progress max="40" value="12">' in status_of(job, 0)
    job.cancel()
    assert "Cancelling" in status_of(job, 0)


def test_the_outcome_is_counted() -> None:
    def ended(rows: tuple) -> str:
        job = Job(lambda job: None)
        job.work = lambda job: Outcome(None, 8, rows)
        job.run()
        return status_of(job, 0)

    row = TrackRow(1, "car", 1, 8, 8, 0.5)
    assert "Done: 2 tracks in 8 frames." in ended((row, row))
    assert "Done: 1 track in 8 frames." in ended((row,))
    assert "nothing was tracked in 8 frames." in ended(())
    for said, cut in ((None, False), (9, False), (25, True), (8, False), (0, False)):
        assert Outcome(None, 8, (), 10.0, said).is_cut_off is cut
    job = Job(lambda job: Outcome(None, 7, (row,), 25.0, 25))
    job.run()
    assert "Done: 1 track in 7 frames; the file says 25 and seems cut off." in status_of(job, 0)


def test_the_table_tells_frames_and_seconds() -> None:
    outcome = Outcome(None, 30, (TrackRow(4, "car", 1, 26, 20, 0.5),), rate=10.0)
    assert table_of(outcome) == [[4, "car", 1, 26, 0.0, 2.5, 20, 0.5]]


def test_text_is_escaped() -> None:
    assert "<b>" not in message("<b>bold</b>", "error")
    assert 'role="alert"' in message("x", "error")


def test_progress_without_a_length_and_before_the_first_frame() -> None:
    assert told_progress(Progress("Loading the model")) == "Loading the model ..."
    assert told_progress(Progress("Tracking", 12, None, 8.0)) == "Tracking: frame 12, 8.0 frames/s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (3780, "1 h 3 min")]
)
def test_times_are_told_in_words(seconds: float, text: str) -> None:
    assert told_seconds(seconds) == text
