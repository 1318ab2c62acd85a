"""MOTA and MOTP as Waymo's tool counts them: pairs stay until they break, easy objects must be found, best cut-off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from clmot_qd.datasets.mot_text import BoolArray, FloatArray, IntArray
from clmot_qd.evaluation.backend_motmetrics import mean_of_defined_or_zero, percent
from clmot_qd.evaluation.matching import best_pairs
from clmot_qd.evaluation.scoring_input import ScoringInput

#: Scores of which the one with the highest MOTA counts; predictions below it are as if they were not there.
CUT_OFFS = tuple(index / 10 for index in range(11))

Tally = dict[str, float]


class WaymoBackend:
    """CLEAR by the rules of Waymo's ``compute_tracking_metrics``.

    What differs from the MOTChallenge: an object stays with its partner also across frames in which it was missed; a
    prediction that goes over from an object that is gone counts as a mismatch too; a hard object that is found counts
    as an object and as a match; and of several score cut-offs the one with the highest MOTA is reported (``CutOff``).

    MOTP is 100 * (1 - Waymo's MOTP), the mean IoU of the matches. What deviates: cut-offs are 0, 0.1 ... 1 where
    Waymo may take quantiles of the scores; a MOTA below 0 is reported as it is, where Waymo writes 0.
    """

    package = "scipy"

    def count(self, name: str, data: ScoringInput) -> dict[float, Tally]:
        """Return cut-off -> counts of one sequence."""
        return {cut_off: _count(data, cut_off) for cut_off in CUT_OFFS}

    def pool(self, parts: Mapping[str, Mapping[float, Tally]]) -> dict[float, Tally]:
        """Add up counts, cut-off by cut-off."""
        return {
            cut_off: {key: sum(part[cut_off][key] for part in parts.values()) for key in _EMPTY} for cut_off in CUT_OFFS
        }

    def mean(self, parts: Mapping[str, Mapping[float, Tally]]) -> dict[str, float]:
        """Return the mean over the classes, 0 where a metric is not defined: ALL_NS of Waymo's leaderboard."""
        return mean_of_defined_or_zero([self.scores(part) for part in parts.values()])

    def scores(self, counts: Mapping[float, Tally]) -> dict[str, float]:
        """Return the metrics at the lowest of the cut-offs with the highest MOTA."""
        rows = [_metrics(tally) | {"CutOff": cut_off} for cut_off, tally in counts.items()]
        return max(rows, key=lambda row: np.nan_to_num(row["MOTA"], nan=-np.inf))


_EMPTY: Tally = {"IDSW": 0, "TP": 0, "FP": 0, "FN": 0, "GT_Dets": 0, "distance": 0.0}


def _metrics(tally: Tally) -> dict[str, float]:
    wrong = tally["FN"] + tally["FP"] + tally["IDSW"]
    percentages = {
        "MOTA": 100 - percent(wrong, tally["GT_Dets"]),
        "MOTP": 100 - percent(tally["distance"], tally["TP"]),
    }
    return percentages | {key: int(value) for key, value in tally.items() if key != "distance"}


@dataclass
class _Partners:
    """Who has been matched with whom, one to one, and how often that broke."""

    of_object: dict[int, int] = field(default_factory=dict)
    of_track: dict[int, int] = field(default_factory=dict)
    mismatches: int = 0

    def kept(self, objects: Sequence[int], tracks: Sequence[int], possible: BoolArray) -> list[tuple[int, int]]:
        """Return rows and columns of the pairs that still hold. possible: (g, p)."""
        column_of = {track: column for column, track in enumerate(tracks)}
        columns = [column_of.get(self.of_object.get(number, -1)) for number in objects]
        return [(row, column) for row, column in enumerate(columns) if column is not None and possible[row, column]]

    def update(self, matched: Mapping[int, int], objects: Sequence[int]) -> None:
        """Count what changed with object -> track in this frame, and remember it."""
        present = set(objects)
        gone = []
        for number, track in matched.items():
            self.mismatches += self.of_object.get(number, track) != track
            owner = self.of_track.get(track)
            if owner is not None and owner not in matched:
                gone.append(owner)
                self.mismatches += owner not in present
        self.of_object |= matched
        for owner in gone:
            del self.of_object[owner]
        self.of_track = {track: number for number, track in self.of_object.items()}


def _count(data: ScoringInput, cut_off: float) -> Tally:
    partners, tally = _Partners(), dict(_EMPTY)
    hard = data.hard or [np.zeros(len(ids), dtype=bool) for ids in data.truth_ids]
    for ids, track_ids, scores, iou, is_hard in zip(
        data.truth_ids, data.track_ids, data.track_scores, data.similarity, hard
    ):
        above = scores >= cut_off
        objects, tracks = ids.tolist(), track_ids[above].tolist()
        rows, columns = _match(partners, objects, tracks, iou[:, above], data.iou_thr)
        partners.update({objects[row]: tracks[column] for row, column in zip(rows, columns)}, objects)
        missed = np.delete(~is_hard, rows).sum()
        tally["TP"] += len(rows)
        tally["FP"] += len(tracks) - len(rows)
        tally["FN"] += missed
        tally["GT_Dets"] += missed + len(rows)
        tally["distance"] += float((1 - iou[:, above][rows, columns]).sum())
    return tally | {"IDSW": partners.mismatches}


def _match(
    partners: _Partners, objects: Sequence[int], tracks: Sequence[int], iou: FloatArray, iou_thr: float
) -> tuple[IntArray, IntArray]:
    """Return rows and columns of the pairs: first those that still hold, then the largest sum of IoUs. iou: (g, p)."""
    kept = np.array(partners.kept(objects, tracks, iou >= iou_thr), dtype=np.int64).reshape(-1, 2)
    free = np.where(iou < iou_thr, 0.0, iou)
    free[kept[:, 0]] = 0.0
    free[:, kept[:, 1]] = 0.0
    rows, columns = best_pairs(free, iou_thr)
    return np.concatenate([kept[:, 0], rows]), np.concatenate([kept[:, 1], columns])
