"""Masks that share no pixel, which MOTS files and BDD100K's bitmasks ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .rle import RleMasks


@dataclass(frozen=True, eq=False)
class Disjoint:
    """Masks of one picture after :func:`make_disjoint`.

    Attributes:
        masks: As many as before, no two of which share a pixel; some may be empty now.
        trimmed: (n,) bool, those that lost pixels to another one.
    """

    masks: RleMasks
    trimmed: npt.NDArray[np.bool_]


def make_disjoint(masks: RleMasks, scores: npt.NDArray[np.floating]) -> Disjoint:
    """Give every pixel of one picture to the mask of the highest score; of equal scores, to the first one.

    Masks that share no pixel with another one keep every bit.

    Args:
        masks: n masks of one picture.
        scores: (n,).
    """
    unchanged = Disjoint(masks, np.zeros(len(masks), dtype=bool))
    if len(masks) < 2 or int(masks.areas().sum()) == int(masks.union().areas()[0]):
        return unchanged
    order = np.argsort(-np.asarray(scores), kind="stable")
    crops = masks.crops()
    taken = np.zeros(masks.size, dtype=bool)
    counts = masks.counts.copy()
    trimmed = np.zeros(len(masks), dtype=bool)
    for row in order.tolist():
        mine, (left, top) = crops[row]
        there = taken[top : top + mine.shape[0], left : left + mine.shape[1]]
        if (mine & there).any():
            trimmed[row] = True
            counts[row] = RleMasks.of_crops([mine & ~there], [(left, top)], masks.size).counts[0]
        there |= mine
    return Disjoint(RleMasks(masks.size, counts), trimmed)


def make_frames_disjoint(
    frames: npt.NDArray[np.integer], masks: RleMasks, scores: npt.NDArray[np.floating]
) -> Disjoint:
    """Do what :func:`make_disjoint` does in each picture of a video.

    Args:
        frames: (n,) number of the picture of each mask, in any order.
        masks: n masks.
        scores: (n,).
    """
    counts, trimmed = masks.counts.copy(), np.zeros(len(masks), dtype=bool)
    order = np.argsort(frames, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(frames[order])) + 1):
        parts = make_disjoint(masks[rows], scores[rows])
        counts[rows], trimmed[rows] = parts.masks.counts, parts.trimmed
    return Disjoint(RleMasks(masks.size, counts), trimmed)
