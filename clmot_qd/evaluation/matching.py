"""Who is matched with whom, frame by frame: the rule behind MOTA."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from clmot_qd.datasets.mot_text import FloatArray, IntArray

EPSILON = float(np.finfo(float).eps)
# More than any sum of IoUs in a frame: keeping a pair goes before everything else.
_KEEP = 1000.0

Pairs = tuple[IntArray, IntArray]
_NO_PAIRS: Pairs = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def best_pairs(similarity: FloatArray, iou_thr: float, kept: FloatArray | float = 0.0) -> Pairs:
    """Match one to one with the largest sum of similarity + ``kept``, none below the threshold: (g, p) -> 2 (m,)."""
    worth = np.where(similarity < iou_thr - EPSILON, 0.0, similarity + kept)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    good = worth[rows, columns] > EPSILON
    return rows[good], columns[good]


def match_frames(
    truth_ids: Sequence[IntArray], track_ids: Sequence[IntArray], similarity: Sequence[FloatArray], iou_thr: float
) -> Iterator[Pairs]:
    """Match the frames of a sequence as the MOTChallenge does: first keep pairs, then the largest sum of IoUs.

    A pair is kept from the frame before only: an object that was missed for a frame is free again. Frames without true
    or without predicted boxes are passed over; "the frame before" is the last one that has both.

    Args:
        truth_ids: One (g,) for each frame.
        track_ids: One (p,) for each frame, 0 or greater.
        similarity: One (g, p) for each frame.
        iou_thr: Least IoU of a pair.

    Yields:
        Rows (m,) and columns (m,) of the pairs of each frame.
    """
    partner: dict[int, int] = {}
    for true, found, iou in zip(truth_ids, track_ids, similarity):
        if not len(true) or not len(found):
            yield _NO_PAIRS
            continue
        before = np.array([partner.get(identity, -1) for identity in true.tolist()])
        rows, columns = best_pairs(iou, iou_thr, _KEEP * (before[:, None] == found))
        partner = dict(zip(true[rows].tolist(), found[columns].tolist()))
        yield rows, columns
