"""The two public packages that compute the metrics, each called on the same :class:`ScoringInput`.

Percentages are 0 to 100 (MOTA may be negative), the rest are counts. The packages agree on the definitions but for
two details: an object counts as mostly tracked from 80 % of its life on in py-motmetrics, above 80 % in trackeval; and
py-motmetrics keeps an object with its last partner as long as both overlap enough, also across frames in which the
object was missed, trackeval only from one frame to the next.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from clmot_qd.errors import InputError
from clmot_qd.evaluation.scoring_input import ScoringInput

OVERALL = "OVERALL"
#: Metric -> value. Floats are percentages, integers are counts.
Scores = dict[str, float]
#: Sequence, or OVERALL -> scores.
SequenceScores = dict[str, Scores]

_TRACKEVAL_FRACTIONS = {
    "HOTA": ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA"),
    "CLEAR": ("MOTA", "MOTP"),
    "Identity": ("IDF1", "IDP", "IDR"),
}
_TRACKEVAL_COUNTS = {"IDSW": "IDSW", "FP": "CLR_FP", "FN": "CLR_FN", "MT": "MT", "ML": "ML", "Frag": "Frag"}
_MOTMETRICS_COUNTS = {
    "IDSW": "num_switches",
    "FP": "num_false_positives",
    "FN": "num_misses",
    "MT": "mostly_tracked",
    "ML": "mostly_lost",
}


def score_trackeval(inputs: Mapping[str, ScoringInput], iou_thr: float) -> SequenceScores:
    """Compute HOTA, CLEAR and Identity with trackeval.

    HOTA and its parts are means over the IoU thresholds 0.05, 0.10 ... 0.95; the others use ``iou_thr``. OVERALL is
    trackeval's ``combine_sequences``.
    """
    from trackeval.metrics import CLEAR, HOTA, Identity

    config = {"THRESHOLD": iou_thr, "PRINT_CONFIG": False}
    metrics = {"HOTA": HOTA(), "CLEAR": CLEAR(dict(config)), "Identity": Identity(dict(config))}
    results = {
        family: {name: metric.eval_sequence(_as_trackeval(name, data)) for name, data in inputs.items()}
        for family, metric in metrics.items()
    }
    for family, metric in metrics.items():
        results[family][OVERALL] = metric.combine_sequences(results[family])
    return {
        name: _from_trackeval({family: rows[name] for family, rows in results.items()}) for name in [*inputs, OVERALL]
    }


def _as_trackeval(name: str, data: ScoringInput) -> dict[str, Any]:
    return {
        "seq": name,
        "num_timesteps": len(data.frames),
        "num_gt_ids": data.num_truth_ids,
        "num_tracker_ids": data.num_track_ids,
        "num_gt_dets": sum(map(len, data.truth_ids)),
        "num_tracker_dets": sum(map(len, data.track_ids)),
        "gt_ids": data.truth_ids,
        "tracker_ids": data.track_ids,
        "similarity_scores": data.similarity,
    }


def _from_trackeval(results: Mapping[str, Mapping[str, Any]]) -> Scores:
    percentages = {
        key: 100 * float(np.mean(results[family][key])) for family, keys in _TRACKEVAL_FRACTIONS.items() for key in keys
    }
    return percentages | {key: int(results["CLEAR"][field]) for key, field in _TRACKEVAL_COUNTS.items()}


def score_motmetrics(inputs: Mapping[str, ScoringInput], iou_thr: float) -> SequenceScores:
    """Compute CLEAR and Identity with py-motmetrics.

    Its MOTP is a mean distance; here it is 100 * (1 - distance), the mean IoU of the matches in percent. Values that
    are not defined (no true box, no match) are NaN. OVERALL is that of its ``compute_many``.
    """
    import motmetrics

    accumulators = [_accumulate(data, iou_thr) for data in inputs.values()]
    columns = ["mota", "motp", "idf1", "num_detections", *_MOTMETRICS_COUNTS.values()]
    summary = motmetrics.metrics.create().compute_many(
        accumulators, metrics=columns, names=list(inputs), generate_overall=True
    )
    rows = {name: dict(zip(summary.columns, values)) for name, values in zip(summary.index, summary.to_numpy(float))}
    rows[OVERALL]["motp"] = _overall_distance([rows[name] for name in inputs])
    return {name: _from_motmetrics(row) for name, row in rows.items()}


def _accumulate(data: ScoringInput, iou_thr: float) -> Any:
    """Feed one sequence to an accumulator; pairs below the threshold are NaN, which motmetrics never matches."""
    import motmetrics

    accumulator = motmetrics.MOTAccumulator()
    for frame, truth_ids, track_ids, iou in zip(data.frames.tolist(), data.truth_ids, data.track_ids, data.similarity):
        accumulator.update(truth_ids, track_ids, np.where(iou < iou_thr, np.nan, 1 - iou), frameid=frame)
    return accumulator


def _overall_distance(rows: Sequence[Mapping[str, float]]) -> float:
    """Return the mean distance over all matches; motmetrics' own gives NaN as soon as one sequence has no match."""
    matches = np.array([row["num_detections"] for row in rows])
    distances = np.array([row["motp"] for row in rows])
    return float(np.nansum(distances * matches) / matches.sum()) if matches.sum() else np.nan


def _from_motmetrics(row: Mapping[str, float]) -> Scores:
    fractions = {"MOTA": row["mota"], "MOTP": 1 - row["motp"], "IDF1": row["idf1"]}
    percentages = {key: 100 * value if np.isfinite(value) else np.nan for key, value in fractions.items()}
    return percentages | {key: int(row[field]) for key, field in _MOTMETRICS_COUNTS.items()}


BACKENDS: Mapping[str, Callable[[Mapping[str, ScoringInput], float], SequenceScores]] = {
    "trackeval": score_trackeval,
    "motmetrics": score_motmetrics,
}


def require_backends(names: Sequence[str]) -> None:
    """Check that the backends are known and can be imported, before hours of testing and not after.

    Raises:
        InputError: One is not.
    """
    if not names:
        raise InputError(f"backends is empty; choose from {', '.join(BACKENDS)}")
    for name in names:
        if name not in BACKENDS:
            raise InputError(f"backends: {name!r} is unknown; choose from {', '.join(BACKENDS)}")
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise InputError(f"backends: {name} cannot be imported ({error}); run: pip install {name}") from error
