"""Where the tracks of a run come from: its model, detections that are there already, or result files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clmot_qd.errors import InputError
from clmot_qd.names import PictureRoot
from clmot_qd.visualization.report.request import Request
from clmot_qd.visualization.report.run_folder import RunFolder
from clmot_qd.visualization.report.tracked import Tracked


def tracks_of_run(
    request: Request,
    place: int,
    folder: RunFolder,
    config: str | None,
    loaded: Mapping[str, Any],
    note: Callable[[str], None],
) -> Tracked | None:
    """Return the tracks of a run, scored; None where it has none, which is noted.

    Args:
        request: What is asked for.
        place: Number of the run.
        folder: Its folder.
        config: Its configuration; None: there is none.
        loaded: What that says; empty: it cannot be loaded, which has been noted.
        note: Is told what the page cannot show, and why.

    Raises:
        InputError: They cannot be had, or not be scored.
    """
    if request.pred:
        return tracks_of_files(request, place, loaded)
    if config is None:
        note("No tracks: there is no configuration (*.py) in the folder of the run; name it (--config).")
        return None
    if not loaded:
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
    return track_run(source, _bar, note, _print)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    from clmot_qd.apis.progress import frame_bar

    _print(what)
    with frame_bar() as tell:
        yield tell


def _print(line: str) -> None:
    print(line, file=sys.stderr)


def tracks_of_files(request: Request, place: int, config: Mapping[str, Any]) -> Tracked:
    """Read tracks from files; what options leave open is as the run's own test evaluator has it.

    Raises:
        InputError: A file is missing or malformed, or there is nothing to score.
    """
    from clmot_qd.visualization.report.result_folders import read_tracked

    evaluator: Mapping[str, Any] = {}
    images: str | PictureRoot | None = request.images
    if config:
        from clmot_qd.apis.running import track_evaluator

        evaluator = track_evaluator(config)
    if request.gt is None and not evaluator:
        raise InputError("--pred: the run has no configuration that names a ground truth; name it (--gt)")
    if request.gt is None and images is None:
        from clmot_qd.visualization.report.measuring import image_root

        images = image_root(config["test_dataloader"]["dataset"])
    return read_tracked(
        request.gt or evaluator["ann_file"],
        (request.pred or ())[place],
        images,
        detector=request.detector,
        protocol=request.protocol,
        classes=request.classes,
        evaluator=evaluator,
        max_frames=request.max_frames,
    )
