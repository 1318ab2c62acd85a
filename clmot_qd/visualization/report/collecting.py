"""From what a user asks for to the runs that the page shows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clmot_qd.errors import InputError, one_line
from clmot_qd.files import check_writable
from clmot_qd.visualization.report.facts import config_facts
from clmot_qd.visualization.report.history import History, read_history
from clmot_qd.visualization.report.page import Limits, ReportRun, check_packages, write_report
from clmot_qd.visualization.report.run_folder import RunFolder, find_run
from clmot_qd.visualization.report.tracked import Tracked

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


def make_report(request: Request, say: Callable[[str], None] | None = None) -> Path:
    """Collect everything and write the page.

    Args:
        request: See there.
        say: Is given a line now and then; None prints it to standard error.

    Raises:
        InputError: Something is missing or does not fit together. What a run lacks, but the page can do without, is
            noted on the page.
    """
    say = _print if say is None else say
    _check(request)
    out = _output(request)
    check_writable(out)
    check_packages()
    folders = [find_run(path) for path in request.runs]
    names = _names(request, folders)
    runs = []
    for place, name in enumerate(names):
        say(f"{name} ({place + 1} of {len(names)})")
        runs.append(_collect(request, place, name, folders[place] if folders else None, say))
    say("making the page")
    limits = Limits(switches=request.max_switches, timelines=request.max_timelines)
    return write_report(runs, out, request.title, limits)


def _print(line: str) -> None:
    print(line, file=sys.stderr)


def _check(request: Request) -> None:
    if not request.count:
        raise InputError("nothing to report on: give a RUN_DIR, or result files and their ground truth (--pred, --gt)")
    if request.pred and not request.runs and request.gt is None:
        raise InputError("--pred: without a RUN_DIR the ground truth must be named, too (--gt)")
    for name in ("gt", "images", "detector", "protocol", "classes"):
        if getattr(request, name) is not None and not request.pred:
            raise InputError(
                f"--{name}: belongs to result files; name them (--pred), or change the run (--cfg-options)"
            )
    for name in ("names", "config", "checkpoint", "cache", "pred"):
        entries = getattr(request, name)
        if entries is not None and len(entries) != request.count:
            raise InputError(f"--{name}: {len(entries)} given for {request.count} runs; give one for each")
    for name, least in (("max_frames", 1), ("max_switches", 0), ("max_timelines", 0)):
        number = getattr(request, name)
        if number is not None and number < least:
            raise InputError(f"--{name.replace('_', '-')}: {number}; give {least} or more")


def _output(request: Request) -> Path:
    out = Path(request.out or (Path(request.runs[0]) / "report.html" if request.runs else "report.html"))
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out}: the page is written as .html; change the name")
    if request.out is None and request.runs and not Path(request.runs[0]).is_dir():
        raise InputError(f"{request.runs[0]}: no such folder; give the work_dir of a training")
    return out


def _names(request: Request, folders: Sequence[RunFolder]) -> list[str]:
    """What the runs are called, each differently."""
    names = list(
        request.names or [folder.name for folder in folders] or [Path(path).name for path in request.pred or ()]
    )
    if len(set(names)) < len(names):
        names = [f"{place}. {name}" for place, name in enumerate(names, start=1)]
    return names


def _collect(
    request: Request, place: int, name: str, folder: RunFolder | None, say: Callable[[str], None]
) -> ReportRun:
    run = ReportRun(name)

    def note(line: str) -> None:
        run.notes.append(line)
        say(f"note: {name}: {line}")

    if folder is None:
        run.facts = [("Tracks", str((request.pred or ())[place])), ("Ground truth", str(request.gt))]
        run.tracked = _from_files(request, place, {})
        return run
    config = request.own("config", place) or (str(folder.config) if folder.config else None)
    loaded = _load(request, config)
    run.history = _history(folder, note)
    run.facts = _facts(folder, run.history, request.own("checkpoint", place), config, loaded)
    if not request.no_tracks:
        with _or_note(run, note, _is_asked_for(request, place)):
            run.tracked = _tracked(request, place, folder, config, loaded, note)
    if run.history is None and run.tracked is None:
        raise InputError(f"{folder.path}: nothing to show. {' '.join(run.notes)}")
    return run


def _history(folder: RunFolder, note: Callable[[str], None]) -> History | None:
    if not folder.logs:
        note("No training curves: there is no */vis_data/scalars.json in the folder of the run.")
        return None
    return read_history(folder.logs)


def _load(request: Request, config: str | None) -> Mapping[str, Any]:
    if config is None:
        return {}
    from clmot_qd.apis.running import load_config, parse_options

    return load_config(config, parse_options(list(request.cfg_options)))


def _facts(
    folder: RunFolder, history: History | None, checkpoint: str | None, config: str | None, loaded: Mapping[str, Any]
) -> list[tuple[str, str]]:
    facts = [("Folder", str(folder.path)), ("Configuration", Path(config).stem if config else "none")]
    weights = checkpoint or (folder.checkpoint.name if folder.checkpoint else "none yet")
    facts.append(("Checkpoint", str(weights)))
    if folder.started():
        facts.append(("Training started", folder.started()))
    if history is not None:
        epoch = "" if history.last_epoch is None else f"epoch {history.last_epoch}, "
        resumed = "".join(f", resumed before iteration {start}" for start in history.starts)
        facts.append(("Logged", f"until {epoch}iteration {history.last_iteration}{resumed}"))
    return facts + (config_facts(loaded) if loaded else [])


def _is_asked_for(request: Request, place: int) -> bool:
    """Whether tracks were asked for by an option, so that it is a mistake if they cannot be had."""
    return any(request.own(name, place) is not None for name in ("config", "checkpoint", "cache", "pred"))


@contextmanager
def _or_note(run: ReportRun, note: Callable[[str], None], asked_for: bool) -> Iterator[None]:
    """Show the curves alone where tracks cannot be had, unless they were asked for or there are no curves."""
    try:
        yield
    except InputError as error:
        if asked_for or run.history is None:
            raise
        note(f"No tracks, timelines and embeddings: {one_line(error)}")


def _tracked(
    request: Request,
    place: int,
    folder: RunFolder,
    config: str | None,
    loaded: Mapping[str, Any],
    note: Callable[[str], None],
) -> Tracked | None:
    if request.pred:
        return _from_files(request, place, loaded)
    if config is None:
        note("No tracks: there is no configuration (*.py) in the folder of the run; name it (--config).")
        return None
    checkpoint = request.own("checkpoint", place) or (str(folder.checkpoint) if folder.checkpoint else None)
    cache = request.own("cache", place)
    if checkpoint is None and cache is None:
        note("No tracks yet: there is no checkpoint (*.pth) in the folder of the run.")
        return None
    from clmot_qd.apis.running import parse_options
    from clmot_qd.visualization.report.measuring import CACHE, ModelSource, track_run

    source = ModelSource(
        config=config,
        checkpoint=checkpoint,
        cache=folder.path / CACHE,
        options=parse_options(list(request.cfg_options)),
        detections=None if cache is None else Path(cache),
        embeddings=not request.no_embeddings,
        max_frames=request.max_frames,
    )
    return track_run(source, _bar, note)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    from clmot_qd.apis.progress import frame_bar

    _print(what)
    with frame_bar() as tell:
        yield tell


def _from_files(request: Request, place: int, config: Mapping[str, Any]) -> Tracked:
    """Read tracks from files; what options leave open is as the run's own test evaluator has it."""
    from clmot_qd.visualization.report.result_folders import read_tracked

    evaluator: Mapping[str, Any] = {}
    images = request.images
    if config and request.gt is None:
        from clmot_qd.apis.running import track_evaluator
        from clmot_qd.visualization.report.measuring import image_root

        evaluator = track_evaluator(config)
        images = images or image_root(config["test_dataloader"]["dataset"])
    if request.gt is None and not evaluator:
        raise InputError("--pred: the run has no configuration that names a ground truth; name it (--gt)")
    asked = request.protocol is not None or request.classes is not None
    return read_tracked(
        request.gt or evaluator["ann_file"],
        (request.pred or ())[place],
        images,
        detector=request.detector,
        protocol=request.protocol or evaluator.get("protocol", "mot"),
        classes=request.classes or (None if asked else evaluator.get("classes")),
        distractors=None if asked else evaluator.get("distractors"),
        max_frames=request.max_frames,
    )
