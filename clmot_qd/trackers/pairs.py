"""The few pairs of two sets that are worth comparing, as lists; of hundreds of boxes in a frame hardly any touch.

Legend:

    n, m        rows of the first and of the second set
    p           pairs, each once, in no particular order
    rows, cols  (p,) int64, where the two of each pair stand in their sets
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Up to so many pairs of a set are looked at in one matrix: sorting would cost more than it saves.
FEW_PAIRS = 4096
# Matrices are filled in parts of about so many entries, which stay in the processor's cache.
_PART = 1 << 16
# A sweep that leaves more than this share of all pairs is slower than looking at all of them.
_WORTHWHILE_SHARE = 1 / 16


class Pairs(NamedTuple):
    """A sparse (n, m) matrix of comparisons; what the pairs left out would have is up to who made it.

    Attributes:
        rows: (p,) int64.
        cols: (p,) int64.
        values: (p,) cost, distance or overlap of each pair.
    """

    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray

    def where(self, kept: np.ndarray) -> Pairs:
        """Return the pairs of a mask (p,) bool."""
        return self if kept.all() else Pairs(self.rows[kept], self.cols[kept], self.values[kept])


def touching_pairs(boxes_a: np.ndarray, boxes_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the boxes that share more than an edge. (n, 4), (m, 4) as (x1, y1, x2, y2) -> rows, cols.

    Boxes without width or height touch what they lie inside of, so an interval is compared with a point in the same
    way. Sorted by their left edges, the boxes that can touch another in x are neighbours.
    """
    if len(boxes_a) * len(boxes_b) <= FEW_PAIRS:
        rows, cols = np.nonzero(_touch(boxes_a.T[:, :, None], boxes_b.T))
        return rows, cols
    order = np.argsort(boxes_b[:, 0])
    edges = boxes_b[order].T
    # To the left of `first` every box ends before this one begins, from `last` on every box begins after its end.
    first = np.searchsorted(np.maximum.accumulate(edges[2]), boxes_a[:, 0], side="right")
    last = np.searchsorted(edges[0], boxes_a[:, 2])
    counts = np.maximum(last - first, 0)
    if counts.sum() > _WORTHWHILE_SHARE * len(boxes_a) * len(boxes_b):
        return _touching_in_parts(boxes_a, boxes_b)
    rows, place = expand_ranges(first, counts)
    touch = _touch(boxes_a.T[:, rows], edges[:, place])
    return rows[touch], order[place[touch]]


def expand_ranges(first: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write out ranges. (n,), (n,) -> (p,) number of the range, (p,) ``first, first + 1, ...`` of each."""
    rows = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    return rows, np.arange(len(rows)) + (first - before)[rows]


def parts(rows: int, cols: int) -> list[slice]:
    """Cut the rows of a (rows, cols) matrix into parts that stay in the processor's cache."""
    step = max(1, _PART // max(cols, 1))
    return [slice(start, start + step) for start in range(0, rows, step)]


def _touching_in_parts(boxes_a: np.ndarray, boxes_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = []
    for part in parts(len(boxes_a), len(boxes_b)):
        rows, cols = np.nonzero(_touch(boxes_a[part].T[:, :, None], boxes_b.T))
        found.append((rows + part.start, cols))
    return np.concatenate([rows for rows, _ in found]), np.concatenate([cols for _, cols in found])


def _touch(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compare boxes given by their four columns; (4, ...), (4, ...) -> bool of the shape they have together."""
    touch = a[1] < b[3]
    touch &= b[1] < a[3]
    touch &= a[0] < b[2]
    touch &= b[0] < a[2]
    return touch
