"""The progress bar of the commands."""

from __future__ import annotations

from collections.abc import Iterable

from clmot_qd.datasets.converters.source import Frame


def progress_bar(frames: Iterable[Frame], total: int | None) -> Iterable[Frame]:
    """Give the frames and show on standard error, where that is a terminal, how many there have been."""
    from rich.console import Console
    from rich.progress import track

    return track(frames, "converting", total=total, console=Console(stderr=True), transient=True)
