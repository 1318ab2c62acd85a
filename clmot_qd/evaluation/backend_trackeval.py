"""HOTA, CLEAR and Identity by trackeval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clmot_qd.evaluation.scoring_input import ScoringInput

# Family of metrics -> field -> field.
Fields = dict[str, dict[str, Any]]

_FRACTIONS = {
    "HOTA": ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "OWTA"),
    "CLEAR": ("MOTA", "MOTP", "MODA", "sMOTA", "CLR_Re", "CLR_Pr"),
    "Identity": ("IDF1", "IDP", "IDR"),
}
_COUNTS = {
    "CLEAR": {"IDSW": "IDSW", "TP": "CLR_TP", "FP": "CLR_FP", "FN": "CLR_FN"}
    | {key: key for key in ("MT", "PT", "ML", "Frag")},
    "Identity": {"IDTP": "IDTP", "IDFP": "IDFP", "IDFN": "IDFN"},
    "Count": {"Dets": "Dets", "GT_Dets": "GT_Dets", "IDs": "IDs", "GT_IDs": "GT_IDs"},
}


class TrackevalBackend:
    """Metrics by trackeval's own classes.

    HOTA and its parts are means over the IoU thresholds 0.05, 0.10 ... 0.95; the others use ``ScoringInput.iou_thr``.
    """

    package = "trackeval"

    def count(self, name: str, data: ScoringInput) -> Fields:
        """Return trackeval's results of one sequence."""
        given = _as_trackeval(name, data.without_hard_misses())
        return {family: metric.eval_sequence(given) for family, metric in families(data.iou_thr).items()}

    def pool(self, parts: Mapping[str, Fields]) -> Fields:
        """Add sequences up by ``combine_sequences``; classes too: ``combine_classes_det_averaged`` is the same sum."""
        return self._combine(parts, "combine_sequences")

    def mean_fields(self, parts: Mapping[str, Fields]) -> Fields:
        """Return ``combine_classes_class_averaged``, empty classes included."""
        return self._combine(parts, "combine_classes_class_averaged")

    def mean(self, parts: Mapping[str, Fields]) -> dict[str, float]:
        """Return the mean over the classes; trackeval gives those that do not occur 0, but LocA 100."""
        return self.scores(self.mean_fields(parts))

    def scores(self, counts: Fields) -> dict[str, float]:
        """Return the metrics."""
        percentages = {
            key: 100 * float(np.mean(counts[family][key])) for family, keys in _FRACTIONS.items() for key in keys
        }
        return percentages | {
            key: int(counts[family][source]) for family, keys in _COUNTS.items() for key, source in keys.items()
        }

    @staticmethod
    def _combine(parts: Mapping[str, Fields], method: str) -> Fields:
        return {
            family: getattr(metric, method)({name: part[family] for name, part in parts.items()})
            for family, metric in families().items()
        }


def families(iou_thr: float = 0.5) -> dict[str, Any]:
    """Return trackeval's metrics in the order in which its own scripts print them."""
    from trackeval.metrics import CLEAR, HOTA, Count, Identity

    config = {"THRESHOLD": iou_thr, "PRINT_CONFIG": False}
    return {"HOTA": HOTA(), "CLEAR": CLEAR(dict(config)), "Identity": Identity(dict(config)), "Count": Count()}


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
