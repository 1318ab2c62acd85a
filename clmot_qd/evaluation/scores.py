"""The numbers of an evaluation, and their forms: tables, a flat dictionary for a logger, JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.evaluation.backends import OVERALL, Counts, Scores, SequenceScores
from clmot_qd.files import write_json

#: Mean over the classes that occur.
CLASS_AVERAGE = "CLASS-AVERAGE"
#: Mean over all classes, with 0 for those that do not occur: mHOTA, mMOTA, mIDF1.
CLASS_MEAN = "CLASS-MEAN"
#: The counts of all classes added up.
DETECTION_AVERAGE = "DETECTION-AVERAGE"
#: Labels disregarded: all objects are one class.
CLASS_AGNOSTIC = "CLASS-AGNOSTIC"

_COUNT_COLUMNS = ("IDSW", "FP", "FN", "MT", "ML", "Frag", "CutOff")
_MASK_NAMES = {"MOTA": "MOTSA", "MOTP": "MOTSP", "sMOTA": "sMOTSA"}
_CLEAR_COLUMNS = ("MOTA", "MOTP", "sMOTSA", "MOTSA", "MOTSP")
_TABLE_COLUMNS = ("HOTA", "DetA", "AssA", "LocA", *_CLEAR_COLUMNS, "IDF1", *_COUNT_COLUMNS)
_LOGGED = (*_TABLE_COLUMNS, "DetRe", "DetPr", "AssRe", "AssPr", "IDP", "IDR")
_MEANS = ("HOTA", "MOTA", "MOTSA", "MOTSP", "IDF1")

Rows = Mapping[str, SequenceScores]


@dataclass(frozen=True)
class TrackScores:
    """All numbers of one evaluation: ``by_backend[backend][class][sequence or OVERALL][metric]``.

    Percentages are 0 to 100; counts are integers; what is not defined is NaN.

    Args:
        by_backend: The classes that were asked for.
        combined: The same for what is made of several classes; empty if there is only one. CLASS-AGNOSTIC has its
            sequences, the others (CLASS-MEAN, DETECTION-AVERAGE, super-categories) have OVERALL alone.
        levels: Easier level -> its scores, of protocols that have levels.
        counts: What the backends counted, in the form of ``by_backend``; CLASS-AGNOSTIC and super-categories included.
    """

    by_backend: Mapping[str, Rows]
    combined: Mapping[str, Rows] = field(default_factory=dict)
    levels: Mapping[str, TrackScores] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, Mapping[str, Counts]]] = field(default_factory=dict, repr=False, compare=False)

    def overall(self, backend: str, class_name: str | None = None) -> Scores:
        """Return the scores over all sequences of one class (or combined row), or of the average of the classes.

        The average is the mean of the percentages and the sum of the counts over the classes that occur in the ground
        truth or in the predictions.
        """
        classes = self.by_backend[backend]
        if class_name is not None:
            return (dict(classes) | dict(self.combined.get(backend, {})))[class_name][OVERALL]
        rows = [rows[OVERALL] for rows in classes.values()]
        return _average([row for row in rows if not _is_absent(row)] or rows)

    def flat(self) -> dict[str, float]:
        """Return the most important overall scores for a logger.

        The first backend's keys are ``HOTA``, ``MOTA`` ..., those of the others have its name in front:
        ``motmetrics/MOTA``. With several classes these are the class average; ``car/HOTA``, ``HUMAN/HOTA``,
        ``CLASS-AGNOSTIC/HOTA`` stand beside them, and ``mHOTA``, ``mMOTA``, ``mIDF1`` are the mean over all classes; of
        masks also ``mMOTSA`` and ``mMOTSP``. Easier levels have their name in front of everything: ``LEVEL_1/MOTA``.
        """
        result: dict[str, float] = {}
        for index, (backend, classes) in enumerate(self.by_backend.items()):
            front = "" if index == 0 else f"{backend}/"
            result |= _logged(front, self.overall(backend))
            if len(classes) > 1:
                rows = dict(classes) | dict(self.combined[backend])
                mean = rows.pop(CLASS_MEAN)[OVERALL]
                result |= {f"{front}m{key}": mean[key] for key in _MEANS if key in mean}
                for name, scores in rows.items():
                    result |= _logged(f"{front}{name}/", scores[OVERALL])
        for level, easier in self.levels.items():
            result |= {f"{level}/{key}": value for key, value in easier.flat().items()}
        return result

    def tables(self, level: str = "") -> str:
        """Lay out one table per backend and class, with a row per sequence and one for all."""
        parts = []
        for backend, classes in self.by_backend.items():
            front = f"{backend}{level}"
            parts += [_table(f"{front}: {name}", rows) for name, rows in classes.items()]
            if len(classes) > 1:
                combined = self.combined[backend]
                parts.append(_table(f"{front}: {CLASS_AGNOSTIC}", combined[CLASS_AGNOSTIC]))
                rows = {name: rows[OVERALL] for name, rows in classes.items()}
                rows |= {CLASS_AVERAGE: self.overall(backend)}
                rows |= {name: rows[OVERALL] for name, rows in combined.items()}
                parts.append(_table(f"{front}: classes", rows))
        parts += [scores.tables(f" {name}") for name, scores in self.levels.items()]
        return "\n\n".join(parts)

    def write_json(self, path: PathLike) -> None:
        """Write everything, down to the sequences; what is not defined becomes null."""
        write_json(path, self._as_dict())

    def _as_dict(self) -> dict[str, Any]:
        rows = {name: dict(classes) | dict(self.combined.get(name, {})) for name, classes in self.by_backend.items()}
        return rows | {level: scores._as_dict() for level, scores in self.levels.items()}


def named_for(iou_type: str, row: Scores) -> Scores:
    """Return scores under the names that they have for boxes or for masks: MOTSA in place of MOTA, and so on."""
    return {_MASK_NAMES.get(key, key): value for key, value in row.items()} if iou_type == "segm" else row


def _logged(front: str, row: Scores) -> dict[str, float]:
    return {f"{front}{key}": row[key] for key in _LOGGED if key in row}


def _is_absent(row: Scores) -> bool:
    """Whether a class neither occurs nor is predicted: then nothing was missed, found or wrong."""
    return row["FN"] == row["FP"] == row["TP"] == 0


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
