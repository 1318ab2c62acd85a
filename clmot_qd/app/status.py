"""What the page says of a job, as HTML with everything escaped."""

from __future__ import annotations

from html import escape

from clmot_qd.app.jobs import Job, Progress, State
from clmot_qd.app.tracking import Outcome

EMPTY = (
    "Choose a video, then press Track. The tracked video, a table of its tracks and the files to download come here."
)


def status_of(job: Job, ahead: int) -> str:
    """How a job stands. ``ahead``: jobs that come before it."""
    if job.state is State.FAILED:
        return message(job.error, "error")
    if job.cancelled:
        return message("Cancelled." if job.ended else "Cancelling ...", "cancelled")
    if job.state is State.WAITING:
        before = f"{ahead} video{'s' if ahead > 1 else ''} before this one" if ahead else "starting"
        return message(f"Waiting: {before}", "waiting", bar="<progress></progress>")
    if job.state is State.DONE:
        return message(_told_outcome(job.result), "done")
    return message(told_progress(job.progress), "running", bar=_bar(job.progress))


def table_of(outcome: Outcome) -> list[list[int | float | str]]:
    """The rows of the page's table: id, class, first and last frame, the same in seconds, frames, score."""

    def seconds(frame: int) -> float:
        return round((frame - 1) / outcome.rate, 2)

    return [
        [row.id, row.class_name, row.first, row.last, seconds(row.first), seconds(row.last), row.length, row.score]
        for row in outcome.rows
    ]


def message(text: str, state: str, bar: str = "") -> str:
    """One line for the page; ``text`` is escaped, ``bar`` is HTML."""
    role = "alert" if state == "error" else "status"
    shown = f"Error: {text}" if state == "error" else text
    return f'<div class="cq-box cq-{state}" role="{role}" data-state="{state}"><p>{escape(shown)}</p>{bar}</div>'


def told_progress(progress: Progress) -> str:
    """``Tracking: frame 12 of 40, 8.3 frames/s, about 4 s left``."""
    if not progress.done:
        return f"{progress.step or 'Starting'} ..."
    total = f" of {progress.total}" if progress.total else ""
    parts = [f"{progress.step}: frame {progress.done}{total}"]
    if progress.rate:
        parts.append(f"{progress.rate:.1f} frames/s")
    if progress.seconds_left is not None:
        parts.append(f"about {told_seconds(progress.seconds_left)} left")
    return ", ".join(parts)


def told_seconds(seconds: float) -> str:
    """``4 s``, ``2 min 5 s`` or ``1 h 3 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _bar(progress: Progress) -> str:
    """A bar; one that only says "busy" where no length is known."""
    if not progress.done or not progress.total:
        return "<progress></progress>"
    return f'<progress max="{progress.total}" value="{min(progress.done, progress.total)}"></progress>'


def _told_outcome(outcome: Outcome) -> str:
    count = len(outcome.rows)
    cut = f"; the file says {outcome.said_frames} and seems cut off" if outcome.is_cut_off else ""
    if not count:
        return f"Done: nothing was tracked in {outcome.frames} frames{cut}. A lower score threshold finds more."
    return f"Done: {count} track{'s' if count > 1 else ''} in {outcome.frames} frames{cut}."
