"""Optimal one-to-one assignment in which staying alone has a price."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from .pairs import Pairs


class Assignment(NamedTuple):
    """Result of :func:`gated_assignment`; all index arrays are int64 and ascending.

    Attributes:
        rows: (k,) rows that got a partner.
        cols: (k,) the partner of each of these rows (ascending with ``rows``, not by itself).
        unmatched_rows: rows left alone.
        unmatched_cols: columns left alone.
    """

    rows: np.ndarray
    cols: np.ndarray
    unmatched_rows: np.ndarray
    unmatched_cols: np.ndarray


def gated_assignment(cost: np.ndarray, cost_limit: float) -> Assignment:
    """Choose the pairs that minimise ``sum(cost of pairs) + cost_limit / 2 * (rows and columns left alone)``.

    These are the semantics of ``lap.lapjv(cost, extend_cost=True, cost_limit=cost_limit)``. Leaving both ends of a pair
    alone costs ``cost_limit``, so the sum above is, up to a constant, the sum of ``cost - cost_limit`` over the chosen
    pairs: replacing every positive gain by 0 ("alone") turns the problem into a plain rectangular assignment, with no
    padding. A pair whose cost equals the limit would be neither better nor worse than two left alone; it is left alone.

    Args:
        cost: (n, m); ``inf`` or ``nan`` forbids a pair.
        cost_limit: finite; only pairs with a smaller cost can be chosen.

    Returns:
        The chosen pairs and what is left alone. An empty matrix leaves everything alone.
    """
    rows, cols = np.nonzero(cost < cost_limit)
    rows, cols = assigned_pairs(Pairs(rows, cols, cost[rows, cols]), cost_limit)
    order = np.argsort(rows)
    rows, cols = rows[order], cols[order]
    return Assignment(rows, cols, _complement(rows, cost.shape[0]), _complement(cols, cost.shape[1]))


def assigned_pairs(pairs: Pairs, cost_limit: float) -> tuple[np.ndarray, np.ndarray]:
    """:func:`gated_assignment` of a matrix of which only some entries are given; the others are forbidden.

    A pair of which neither end has another choice is chosen at once; in most frames that is almost every pair. The
    solver sees the rest.

    Args:
        pairs: the entries, values are costs.
        cost_limit: as there.

    Returns:
        rows and cols of the chosen pairs, in no particular order.
    """
    rows, cols, cost = pairs.where(pairs.values < cost_limit)
    contested = (np.bincount(rows)[rows] > 1) | (np.bincount(cols)[cols] > 1)
    if not contested.any():
        return rows, cols
    solved = _solve(rows[contested], cols[contested], cost[contested] - cost_limit)
    return np.concatenate((rows[~contested], solved[0])), np.concatenate((cols[~contested], solved[1]))


def _solve(rows: np.ndarray, cols: np.ndarray, gain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Choose the pairs of least total gain, all of which are negative. (p,) each -> rows, cols."""
    live_rows, i = _numbered(rows)
    live_cols, j = _numbered(cols)
    table = np.zeros((len(live_rows), len(live_cols)))
    table[i, j] = gain
    i, j = linear_sum_assignment(table)
    chosen = table[i, j] < 0
    return live_rows[i[chosen]], live_cols[j[chosen]]


def greedy_preferences(similarity: np.ndarray, similarity_thr: float, claims: np.ndarray) -> np.ndarray:
    """Let the rows choose their most similar column, one after the other, first come first served.

    A row gets the column where its similarity is largest (the first of equals), if that is above ``similarity_thr``.
    If also ``claims[row, column]``, later rows see a similarity of 0 in this column. Otherwise the preference is
    reported, and the column stays free.

    Args:
        similarity: (n, m), rows in the order in which they choose.
        similarity_thr: at least 0.
        claims: (n, m) bool.

    Returns:
        (n,) int64, the preferred column of each row, -1 where nothing is similar enough.
    """
    preferred = np.full(len(similarity), -1)
    if not similarity.size:
        return preferred
    rows = np.arange(len(similarity))
    best = similarity.argmax(axis=1)
    candidates = np.flatnonzero(similarity[rows, best] > similarity_thr)
    claimed, best = claims[rows, best].tolist(), best.tolist()
    taken = np.zeros(similarity.shape[1], dtype=bool)
    for row in candidates.tolist():  # the order matters: what one row takes, a later one lacks
        column, claim = best[row], claimed[row]
        if taken[column]:
            left = np.where(taken, 0.0, similarity[row])
            column = int(left.argmax())
            if left[column] <= similarity_thr:
                continue
            claim = claims[row, column]
        preferred[row] = column
        if claim:
            taken[column] = True
    return preferred


def _numbered(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different values, ascending, and the number of each entry's among them; as ``np.unique``, unsorted."""
    live = np.flatnonzero(np.bincount(places))
    number = np.zeros(live[-1] + 1, dtype=np.int64)
    number[live] = np.arange(len(live))
    return live, number[places]


def _complement(taken: np.ndarray, size: int) -> np.ndarray:
    """Return the indices of ``range(size)`` that are not in ``taken``, ascending."""
    free = np.ones(size, dtype=bool)
    free[taken] = False
    return np.flatnonzero(free)
