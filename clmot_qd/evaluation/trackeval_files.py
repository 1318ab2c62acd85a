"""Results in the files that TrackEval's own scripts write, for tools that read those."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError
from clmot_qd.evaluation.backend_trackeval import Fields, TrackevalBackend, families
from clmot_qd.evaluation.backends import OVERALL
from clmot_qd.evaluation.scores import CLASS_AGNOSTIC, DETECTION_AVERAGE, TrackScores
from clmot_qd.names import as_cell, path_below

# What TrackEval calls OVERALL, and its rows over several classes.
_COMBINED = "COMBINED_SEQ"
_CLASS_AVERAGED = "cls_comb_cls_av"
_ROWS = {DETECTION_AVERAGE: "cls_comb_det_av", CLASS_AGNOSTIC: "class_agnostic"}


def write_trackeval_files(scores: TrackScores, folder: PathLike) -> None:
    """Write ``CLASS_summary.txt`` and ``CLASS_detailed.csv`` as TrackEval does, per level in a folder of its own.

    ``class_agnostic`` is one that TrackEval does not have; ``cls_comb_cls_av`` and ``cls_comb_det_av`` are its names
    for the mean over all classes and for all counts added up.

    Raises:
        InputError: TrackEval is not among the backends.
    """
    if "trackeval" not in scores.counts:
        raise InputError(f"{folder}: TrackEval's files can be written if trackeval is one of the backends; add it")
    for row, parts in _named_rows(scores).items():
        named = {_COMBINED if place == OVERALL else as_cell(place): part for place, part in parts.items()}
        _write(Path(folder), row, named)
    for level, easier in scores.levels.items():
        write_trackeval_files(easier, Path(folder) / level)


def _named_rows(scores: TrackScores) -> dict[str, Mapping[str, Fields]]:
    rows = scores.counts["trackeval"]
    named = {_ROWS.get(row, row): parts for row, parts in rows.items()}
    classes = scores.by_backend["trackeval"]
    if len(classes) > 1:
        mean = TrackevalBackend().mean_fields({name: rows[name][OVERALL] for name in classes})
        named[_CLASS_AVERAGED] = {OVERALL: mean}
    return named


def _write(folder: Path, row: str, parts: Mapping[str, Fields]) -> None:
    from trackeval import utils

    tables = [(metric, {place: part[family] for place, part in parts.items()}) for family, metric in families().items()]
    path_below(folder, row, "_detailed.csv")  # a class may have any name
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".trackeval.", dir=folder) as unfinished:
        utils.write_summary_results([metric.summary_results(table) for metric, table in tables], row, unfinished)
        utils.write_detailed_results([metric.detailed_results(table) for metric, table in tables], row, unfinished)
        for path in Path(unfinished).iterdir():
            path.replace(folder / path.name)
