"""The progress bar of commands that work frame by frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def frame_bar() -> Iterator[Callable[[int, int | None], None]]:
    """Show frames done on standard error; the block calls what it is given with (frames done, frames in all).

    The number in all is None where it is not known. Without rich (a machine that only runs exported models) nothing is
    shown.
    """
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        yield lambda done, total: None
        return

    columns = (TextColumn("frames"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[rate]}"), console=Console(stderr=True)) as bar:
        task = bar.add_task("frames", total=None, rate="")
        started = time.perf_counter()

        def show(done: int, total: int | None) -> None:
            rate = done / max(time.perf_counter() - started, 1e-9)
            bar.update(task, completed=done, total=total, rate=f"{rate:.1f}/s" if done else "")

        yield show
