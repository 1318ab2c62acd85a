"""The numbers of track mAP, and their forms: tables, a flat dictionary for a logger, JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clmot_qd.datasets.mot_text import FloatArray, PathLike
from clmot_qd.files import write_json

#: IoU thresholds 0.5, 0.55 ... 0.95; the positions of 0.5 and 0.75.
_AT_50, _AT_75 = 0, 5
_ALL = "all"
_MANY_CLASSES = 40  # more of them are not printed class by class


@dataclass(frozen=True)
class TrackMapScores:
    """Average precision and recall, as fractions at the ten IoU thresholds 0.5, 0.55 ... 0.95; -1 is not defined.

    The fields are trackeval's: ``AP_all``, ``AP_area_s`` (mean area of the track up to 32 x 32 pixels), ``_m`` (96 x
    96), ``_l``, ``AP_time_s`` (up to 3 annotated frames), ``_m`` (10), ``_l``, and the same with ``AR``.

    Args:
        by_class: Class -> field -> (10,).
        overall: Field -> (10,), the mean over the classes for which it is defined.
    """

    by_class: Mapping[str, Mapping[str, FloatArray]]
    overall: Mapping[str, FloatArray]

    def flat(self) -> dict[str, float]:
        """Return the overall percentages for a logger; what is not defined is NaN.

        ``AP`` is the mean over the thresholds, ``AP50`` and ``AP75`` are at one of them, ``AP50_75`` is the mean of
        these two (the AP of TAO's own tables). ``AP_area_s`` ..., ``AR_time_l`` are means over the thresholds.
        """
        return _row(self.overall)

    def class_rows(self) -> dict[str, dict[str, float]]:
        """Return the same for each class."""
        return {name: _row(fields) for name, fields in self.by_class.items()}

    def tables(self) -> str:
        """Lay out one row for each class, unless there are very many, and one for their mean."""
        rows = self.class_rows() if len(self.by_class) <= _MANY_CLASSES else {}
        rows[f"MEAN OF {len(self.by_class)}"] = self.flat()
        title = "track mAP"
        width = max(len(title), *map(len, rows))
        columns = [key for key in self.flat() if not key.startswith("AR_")]
        lines = [f"{title:<{width}}" + "".join(f"{column:>{_width(column)}}" for column in columns)]
        for name, row in rows.items():
            lines.append(f"{name:<{width}}" + "".join(_cell(row[column], _width(column)) for column in columns))
        return "\n".join(lines)

    def write_json(self, path: PathLike) -> None:
        """Write everything; what is not defined becomes null."""
        write_json(path, {"track_map": {"overall": self.flat(), "classes": self.class_rows()}})


def _row(fields: Mapping[str, FloatArray]) -> dict[str, float]:
    precision = fields[f"AP_{_ALL}"]
    row = {"AP": _percent(precision), "AP50": _percent(precision[_AT_50]), "AP75": _percent(precision[_AT_75])}
    row["AP50_75"] = _percent(precision[[_AT_50, _AT_75]])
    row["AR"] = _percent(fields[f"AR_{_ALL}"])
    return row | {key: _percent(values) for key, values in fields.items() if not key.endswith(_ALL)}


def _percent(values: FloatArray) -> float:
    """Return the mean in percent; trackeval marks what is not defined by -1, at all thresholds alike."""
    return 100 * float(np.mean(values)) if np.min(values) >= 0 else math.nan


def _cell(value: float, width: int) -> str:
    return f"{'-':>{width}}" if math.isnan(value) else f"{value:>{width}.2f}"


def _width(column: str) -> int:
    return max(8, len(column) + 2)
