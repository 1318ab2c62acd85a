"""Optimal one-to-one assignment in which staying alone has a price."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment


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
    allowed = cost < cost_limit
    # Rows and columns that cannot be matched at all only slow the solver down.
    live_rows, live_cols = np.flatnonzero(allowed.any(axis=1)), np.flatnonzero(allowed.any(axis=0))
    live = np.ix_(live_rows, live_cols)
    gain = np.where(allowed[live], cost[live] - cost_limit, 0.0)
    rows, cols = linear_sum_assignment(gain)
    rows, cols = live_rows[rows], live_cols[cols]
    chosen = allowed[rows, cols]
    rows, cols = rows[chosen], cols[chosen]
    return Assignment(rows, cols, _complement(rows, cost.shape[0]), _complement(cols, cost.shape[1]))


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
    best = similarity.argmax(axis=1)
    highest = similarity[np.arange(len(best)), best]
    taken = np.zeros(similarity.shape[1], dtype=bool)
    for row in np.flatnonzero(highest > similarity_thr):  # the order matters: what one row takes, a later one lacks
        column = best[row]
        if taken[column]:
            left = np.where(taken, 0.0, similarity[row])
            column = left.argmax()
            if left[column] <= similarity_thr:
                continue
        preferred[row] = column
        taken[column] = claims[row, column]
    return preferred


def _complement(taken: np.ndarray, size: int) -> np.ndarray:
    """Return the indices of ``range(size)`` that are not in ``taken``, ascending."""
    free = np.ones(size, dtype=bool)
    free[taken] = False
    return np.flatnonzero(free)
