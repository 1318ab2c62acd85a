"""Scoring tracks against ground truth, without any model: the core behind the metric and the commands."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clmot_qd.datasets.mot_text import MotTable, PathLike, make_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation.backends import BACKENDS, OVERALL, Scores, SequenceScores, require_backends
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.evaluation.scoring_input import check_tracks, prepare
from clmot_qd.files import write_text

CLASS_AVERAGE = "CLASS AVERAGE"
_TABLE_COLUMNS = ("HOTA", "DetA", "AssA", "LocA", "MOTA", "MOTP", "IDF1", "IDSW", "FP", "FN", "MT", "ML", "Frag")


@dataclass(frozen=True)
class TrackScores:
    """All numbers of one evaluation: ``by_backend[backend][class][sequence or OVERALL][metric]``.

    Percentages are 0 to 100; counts are integers; what is not defined is NaN.
    """

    by_backend: Mapping[str, Mapping[str, SequenceScores]]

    def overall(self, backend: str, class_name: str | None = None) -> Scores:
        """Return the scores over all sequences of one class, or of the average of the classes.

        The average is the mean of the percentages and the sum of the counts over the classes that occur in the ground
        truth or in the predictions.
        """
        classes = self.by_backend[backend]
        if class_name is not None:
            return classes[class_name][OVERALL]
        rows = [rows[OVERALL] for rows in classes.values()]
        return _average([row for row in rows if not _is_absent(row)] or rows)

    def flat(self) -> dict[str, float]:
        """Return the overall scores for a logger.

        The first backend's keys are ``HOTA``, ``MOTA`` ..., those of the others have its name in front:
        ``motmetrics/MOTA``. With several classes these are the class average, and ``car/HOTA`` stands beside them.
        """
        result: dict[str, float] = {}
        for index, (backend, classes) in enumerate(self.by_backend.items()):
            front = "" if index == 0 else f"{backend}/"
            result |= {f"{front}{key}": value for key, value in self.overall(backend).items()}
            if len(classes) > 1:
                for name, rows in classes.items():
                    result |= {f"{front}{name}/{key}": value for key, value in rows[OVERALL].items()}
        return result

    def tables(self) -> str:
        """Lay out one table per backend and class, with a row per sequence and one for all."""
        parts = []
        for backend, classes in self.by_backend.items():
            parts += [_table(f"{backend}: {name}", rows) for name, rows in classes.items()]
            if len(classes) > 1:
                rows = {name: rows[OVERALL] for name, rows in classes.items()}
                parts.append(_table(f"{backend}: classes", rows | {CLASS_AVERAGE: self.overall(backend)}))
        return "\n\n".join(parts)

    def write_json(self, path: PathLike) -> None:
        """Write everything, down to the sequences; what is not defined becomes null."""
        write_text(path, json.dumps(_without_nan(self.by_backend), indent=2) + "\n")


def evaluate_tracks(
    truth: GroundTruth,
    tracks: Mapping[str, MotTable],
    classes: Sequence[str] = ("pedestrian",),
    distractors: Sequence[str] | None = None,
    backends: Sequence[str] = ("trackeval", "motmetrics"),
    iou_thr: float = 0.5,
    progress: Callable[[str], None] = lambda line: None,
) -> TrackScores:
    """Score predicted tracks.

    Args:
        truth: What is true; see :func:`~clmot_qd.evaluation.ground_truth.read_cocovid` and ``read_mot_root``.
        tracks: Sequence -> predictions. A sequence that is not in here was tracked without any result. The class of a
            prediction is a number of ``truth.categories``; -1 is right as long as one class is scored.
        classes: Names of the classes to score, each by itself.
        distractors: Names of the classes on which predictions are neither right nor wrong; None takes
            :data:`~clmot_qd.evaluation.ground_truth.MOT_DISTRACTORS`, as MOT16 and MOT17 do; an empty list takes none.
        backends: ``"trackeval"`` (HOTA, CLEAR, Identity) and ``"motmetrics"`` (CLEAR, Identity).
        iou_thr: Least IoU of a match, in (0, 1]; HOTA has its own series of thresholds.
        progress: Is given one line per sequence.

    Raises:
        InputError: Unknown class, sequence or backend; a frame that the sequence does not have; an identity twice in
            a frame.
    """
    if not 0 < iou_thr <= 1:
        raise InputError(f"iou_thr is {iou_thr}; it must be greater than 0 and at most 1")
    require_backends(backends)
    _check(truth, tracks, classes)
    numbers, removing = truth.class_numbers(classes), truth.distractor_numbers(distractors)
    inputs: dict[str, dict] = {name: {} for name in classes}
    for index, (sequence, true) in enumerate(truth.sequences.items(), start=1):
        progress(f"scoring {sequence} ({index} of {len(truth.sequences)})")
        found = tracks.get(sequence, _NO_TRACKS)
        for name, number in zip(classes, numbers):
            of_class = found.select(np.isin(found.class_ids, (number, -1)))
            others = [other for other in removing if other != number]
            inputs[name][sequence] = prepare(true, of_class, number, others, iou_thr)
    return TrackScores(
        {backend: {name: BACKENDS[backend](inputs[name], iou_thr) for name in classes} for backend in backends}
    )


_NO_TRACKS = make_table(np.empty(0), np.empty(0), np.empty((0, 4)))


def _check(truth: GroundTruth, tracks: Mapping[str, MotTable], classes: Sequence[str]) -> None:
    truth.require_scorable(classes)
    for sequence, found in tracks.items():
        if sequence not in truth.sequences:
            raise InputError(f"{truth.source}: no sequence {sequence!r}; it has {', '.join(truth.sequences)}")
        if len(classes) > 1 and (found.class_ids == -1).any():
            raise InputError(f"{sequence}: predictions without a class cannot be scored for {', '.join(classes)}")
        check_tracks(sequence, truth.sequences[sequence], found)


def _is_absent(row: Scores) -> bool:
    """Whether a class neither occurs nor is predicted: then nothing was missed, found or wrong."""
    return row["FN"] == row["FP"] == row["MT"] == row["ML"] == 0


def _average(rows: Sequence[Scores]) -> Scores:
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {key: sum(column) if isinstance(column[0], int) else _mean(column) for key, column in columns.items()}


def _mean(values: Sequence[float]) -> float:
    """Mean of those that are defined."""
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _table(title: str, rows: Mapping[str, Scores]) -> str:
    columns = [column for column in _TABLE_COLUMNS if column in next(iter(rows.values()))]
    width = max(len(title), *map(len, rows))
    lines = [f"{title:<{width}}" + "".join(f"{column:>8}" for column in columns)]
    for name, row in rows.items():
        lines.append(f"{name:<{width}}" + "".join(_cell(row[column]) for column in columns))
    return "\n".join(lines)


def _cell(value: float) -> str:
    if isinstance(value, int):
        return f"{value:>8}"
    return f"{'-':>8}" if math.isnan(value) else f"{value:>8.2f}"


def _without_nan(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _without_nan(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
