"""What a user asks for, and whether it fits together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clmot_qd.errors import InputError
from clmot_qd.visualization.report.page import Limits

OWN = "-"
"""In a list of files, one per run: the one that the run's folder has."""


@dataclass(frozen=True)
class Request:
    """What the page shall show; the arguments of the command ``report`` (tools/report.py) by their names.

    Lists (``names``, ``config``, ``checkpoint``, ``cache``, ``pred``) have an entry for each run.
    """

    runs: Sequence[str] = ()
    out: str | None = None
    names: Sequence[str] | None = None
    title: str = ""
    config: Sequence[str] | None = None
    checkpoint: Sequence[str] | None = None
    cfg_options: Sequence[str] = ()
    cache: Sequence[str] | None = None
    no_embeddings: bool = False
    no_tracks: bool = False
    pred: Sequence[str] | None = None
    gt: str | None = None
    images: str | None = None
    detector: str | None = None
    protocol: str | None = None
    classes: Sequence[str] | None = None
    max_frames: int | None = None
    max_switches: int = Limits.switches
    max_timelines: int = Limits.timelines

    @property
    def count(self) -> int:
        """How many runs there are: folders, or else result files."""
        return len(self.runs or self.pred or ())

    def own(self, name: str, place: int) -> str | None:
        """Return the entry of a list for a run; None where the run's own file is meant."""
        entries = getattr(self, name)
        return None if entries is None or entries[place] == OWN else entries[place]


def check_request(request: Request) -> None:
    """Check that the options fit together.

    Raises:
        InputError: They do not.
    """
    if not request.count:
        raise InputError("nothing to report on: give a RUN_DIR, or result files and their ground truth (--pred, --gt)")
    if request.pred and not request.runs and request.gt is None:
        raise InputError("--pred: without a RUN_DIR the ground truth must be named, too (--gt)")
    for name in ("gt", "images", "detector", "protocol", "classes"):
        if getattr(request, name) is not None and not request.pred:
            raise InputError(
                f"--{name}: belongs to result files; name them (--pred), or change the run (--cfg-options)"
            )
    for one, two in (("no_tracks", "pred"), ("no_tracks", "checkpoint"), ("no_tracks", "cache"), ("pred", "cache")):
        if getattr(request, one) and getattr(request, two):
            raise InputError(f"{_option(one)} and {_option(two)} contradict each other; leave one out")
    for name in ("names", "config", "checkpoint", "cache", "pred"):
        entries = getattr(request, name)
        if entries is not None and len(entries) != request.count:
            raise InputError(f"--{name}: {len(entries)} given for {request.count} runs; give one for each")
    for name, least in (("max_frames", 1), ("max_switches", 0), ("max_timelines", 0)):
        number = getattr(request, name)
        if number is not None and number < least:
            raise InputError(f"{_option(name)}: {number}; give {least} or more")


def output_of(request: Request) -> Path:
    """Return where the page is written.

    Raises:
        InputError: It has no name of a page, or there is no run's folder to write it into.
    """
    out = Path(request.out or (Path(request.runs[0]) / "report.html" if request.runs else "report.html"))
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out}: the page is written as .html; change the name")
    if request.out is None and request.runs and not Path(request.runs[0]).is_dir():
        raise InputError(f"{request.runs[0]}: no such folder; give the work_dir of a training")
    return out


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
