"""From what a user asks for to the runs that the page shows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clmot_qd.errors import InputError, one_line
from clmot_qd.files import check_writable
from clmot_qd.visualization.report.facts import config_facts
from clmot_qd.visualization.report.figures import has_curves
from clmot_qd.visualization.report.history import History, read_history
from clmot_qd.visualization.report.page import Limits, ReportRun, check_packages, write_report
from clmot_qd.visualization.report.request import Request as Request
from clmot_qd.visualization.report.request import check_request, output_of
from clmot_qd.visualization.report.run_folder import RunFolder, find_run
from clmot_qd.visualization.report.sources import tracks_of_files, tracks_of_run
from clmot_qd.visualization.report.tracked import Tracked


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
    check_request(request)
    out = output_of(request)
    check_writable(out)
    check_packages()
    folders = [find_run(path) for path in request.runs]
    names = _names(request, folders)
    runs = []
    for place, name in enumerate(names):
        say(f"{name} ({place + 1} of {len(names)})")
        runs.append(_collect(request, place, name, folders[place] if folders else None, say))
    if all(run.history is None and run.tracked is None for run in runs):
        where = ", ".join(str(folder.path) for folder in folders) or "the result files"
        raise InputError(f"{where}: nothing to show. {' '.join(note for run in runs for note in run.notes)}")
    say("making the page")
    limits = Limits(switches=request.max_switches, timelines=request.max_timelines)
    return write_report(runs, out, request.title, limits)


def _print(line: str) -> None:
    print(line, file=sys.stderr)


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
        run.tracked = _scored(tracks_of_files(request, place, {}))
        return run
    config = request.own("config", place) or (str(folder.config) if folder.config else None)
    loaded = _load(request, place, config, note)
    run.history = _history(folder, note)
    run.facts = _facts(folder, run.history, request.own("checkpoint", place), config, loaded)
    if not request.no_tracks:
        must = _is_asked_for(request, place) or (run.history is None and request.count == 1)
        with _or_note(must, note):
            run.tracked = _scored(tracks_of_run(request, place, folder, config, loaded, note))
    return run


def _scored(tracked: Tracked | None) -> Tracked | None:
    """Score tracks now, where a failure can still be noted.

    Raises:
        InputError: They cannot be scored.
    """
    if tracked is not None:
        _ = tracked.scores, tracked.timelines
    return tracked


def _history(folder: RunFolder, note: Callable[[str], None]) -> History | None:
    if not folder.logs:
        note("No training curves: there is no */vis_data/scalars.json in the folder of the run.")
        return None
    history = read_history(folder.logs)
    if not has_curves(history):
        note("No training curves: */vis_data/scalars.json has no losses, learning rate or scores yet.")
        return None
    return history


def _load(request: Request, place: int, config: str | None, note: Callable[[str], None]) -> Mapping[str, Any]:
    """Return what the configuration says; empty where it cannot be loaded and was not asked for."""
    if config is None:
        return {}
    from clmot_qd.apis.running import load_config, parse_options

    options = parse_options(list(request.cfg_options))
    try:
        return load_config(config, options)
    except InputError as error:
        if any(request.own(name, place) is not None for name in ("config", "checkpoint", "cache")):
            raise
        note(f"No settings, and no tracks by the model: {one_line(error)}")
        return {}


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
def _or_note(must: bool, note: Callable[[str], None]) -> Iterator[None]:
    """Show the rest of the page where tracks cannot be had, unless they must be."""
    try:
        yield
    except InputError as error:
        if must:
            raise
        note(f"No tracks, timelines and embeddings: {one_line(error)}")
