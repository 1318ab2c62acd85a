"""CLEAR and Identity by py-motmetrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clmot_qd.datasets.mot_text import BoolArray, FloatArray
from clmot_qd.evaluation.matching import match_frames
from clmot_qd.evaluation.scoring_input import ScoringInput

_CLEAR = {
    "IDSW": "num_switches",
    "TP": "num_detections",
    "FP": "num_false_positives",
    "FN": "num_misses",
    "MT": "mostly_tracked",
    "ML": "mostly_lost",
    "GT_Dets": "num_objects",
}
_IDENTITY = {"IDTP": "idtp", "IDFP": "idfp", "IDFN": "idfn"}
_DISTANCE = "sum of distances"


class MotmetricsBackend:
    """Counts by an accumulator of py-motmetrics; metrics are the fractions of the counts that it documents.

    Its MOTP is a mean distance; here it is 100 * (1 - distance), the mean IoU of the matches in percent. Values that
    are not defined (no true box, no match) are NaN. Counts of sequences add up to those of its ``compute_many``.

    Args:
        keep_pairs: Whether an object stays with its last partner across frames in which it was missed, as the package
            does by itself. Otherwise CLEAR counts those pairs that the MOTChallenge's rule matches
            (:func:`~clmot_qd.evaluation.matching.match_frames`); Identity has no such rule.
    """

    package = "motmetrics"

    def __init__(self, keep_pairs: bool) -> None:
        self.keep_pairs = keep_pairs

    def count(self, name: str, data: ScoringInput) -> dict[str, float]:
        """Return the counts of one sequence."""
        import motmetrics

        events = _events(data.without_hard_misses(), self.keep_pairs)
        wanted = [*_CLEAR.values(), "motp", *_IDENTITY.values()]
        found = motmetrics.metrics.create().compute(events, metrics=wanted, return_dataframe=False)
        counts = {key: float(found[source]) for key, source in (_CLEAR | _IDENTITY).items()}
        return counts | {_DISTANCE: float(found["motp"]) * counts["TP"] if counts["TP"] else 0.0}

    def pool(self, parts: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Add up counts."""
        return {key: sum(part[key] for part in parts.values()) for key in (*_CLEAR, *_IDENTITY, _DISTANCE)}

    def mean(self, parts: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Return the mean of the percentages, 0 where they are not defined, and the sums of the counts."""
        return mean_of_defined_or_zero([self.scores(part) for part in parts.values()])

    def scores(self, counts: Mapping[str, float]) -> dict[str, float]:
        """Return the metrics."""
        wrong = counts["FN"] + counts["FP"] + counts["IDSW"]
        identities = 2 * counts["IDTP"] + counts["IDFP"] + counts["IDFN"]
        percentages = {
            "MOTA": 100 - percent(wrong, counts["GT_Dets"]),
            "MOTP": 100 - percent(counts[_DISTANCE], counts["TP"]),
            "IDF1": percent(2 * counts["IDTP"], identities),
        }
        return percentages | {key: int(counts[key]) for key in (*_CLEAR, *_IDENTITY)}


def mean_of_defined_or_zero(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of the floats, with 0 for NaN, and the sums of the integers."""
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {
        key: sum(column) if isinstance(column[0], int) else float(np.mean(np.nan_to_num(column)))
        for key, column in columns.items()
    }


def percent(part: float, whole: float) -> float:
    """Return 100 * part / whole; NaN if there is no whole."""
    return 100 * part / whole if whole else np.nan


def _events(data: ScoringInput, keep_pairs: bool) -> Any:
    """Feed one sequence to an accumulator and return its events; it never matches a distance of NaN.

    If it must not choose, it is given the pairs alone that the MOTChallenge's rule matches. Identity looks at all pairs
    that overlap enough; those that are not matched are put to the events afterwards.
    """
    import motmetrics
    import pandas

    distances = [np.where(iou < data.iou_thr, np.nan, 1 - iou) for iou in data.similarity]
    given = distances if keep_pairs else _matched_only(data)
    accumulator = motmetrics.MOTAccumulator()
    for frame, truth_ids, track_ids, distance in zip(data.frames.tolist(), data.truth_ids, data.track_ids, given):
        accumulator.update(truth_ids, track_ids, distance, frameid=frame)
    others = _raw_events(data, [np.isfinite(whole) & np.isnan(part) for whole, part in zip(distances, given)])
    return pandas.concat([accumulator.events, others]) if len(others) else accumulator.events


def _matched_only(data: ScoringInput) -> list[FloatArray]:
    """Return the distances of the pairs that the MOTChallenge's rule matches, and NaN for all others."""
    result = [np.full_like(iou, np.nan) for iou in data.similarity]
    pairs = match_frames(data.truth_ids, data.track_ids, data.similarity, data.iou_thr)
    for distance, iou, (rows, columns) in zip(result, data.similarity, pairs):
        distance[rows, columns] = 1 - iou[rows, columns]
    return result


def _raw_events(data: ScoringInput, chosen: list[BoolArray]) -> Any:
    """Return events of the kind that says "these two overlap" for the chosen pairs of each frame. chosen: (g, p)."""
    import motmetrics

    places = [np.nonzero(mask) for mask in chosen]
    frames = np.repeat(data.frames, np.array([len(rows) for rows, _ in places], dtype=np.int64))
    truth_ids = _join([ids[rows] for ids, (rows, _) in zip(data.truth_ids, places)])
    track_ids = _join([ids[columns] for ids, (_, columns) in zip(data.track_ids, places)])
    distances = _join([1 - iou[mask] for iou, mask in zip(data.similarity, chosen)])
    numbers = -1 - np.arange(len(frames))  # those of the accumulator count from 0
    return motmetrics.MOTAccumulator.new_event_dataframe_with_data(
        {"FrameId": frames, "Event": numbers},
        {"Type": ["RAW"] * len(frames), "OId": truth_ids, "HId": track_ids, "D": distances},
    )


def _join(parts: Sequence[NDArray]) -> NDArray:
    return np.concatenate(parts) if parts else np.empty(0)
