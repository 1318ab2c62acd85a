"""gated_assignment against every possible matching, staying alone at its full price; greedy choice against loops."""

from collections.abc import Iterator
from itertools import combinations, permutations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from clmot_qd.trackers.association import Assignment, gated_assignment, greedy_preferences


def all_matchings(rows: int, cols: int) -> Iterator[list[tuple[int, int]]]:
    for size in range(min(rows, cols) + 1):
        for chosen in combinations(range(rows), size):
            for partners in permutations(range(cols), size):
                yield list(zip(chosen, partners))


def price(cost: np.ndarray, pairs: list[tuple[int, int]], limit: float) -> float:
    """What lapjv minimises after padding: the pairs, and half the limit for every row and column left alone."""
    alone = sum(cost.shape) - 2 * len(pairs)
    return sum(cost[pair] for pair in pairs) + limit / 2 * alone


def pairs_of(result: Assignment) -> list[tuple[int, int]]:
    return list(zip(result.rows.tolist(), result.cols.tolist()))


costs = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.69, 0.71, 0.9, 3.0, float("inf"), float("nan")])
matrices = st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(lambda shape: arrays(float, shape, elements=costs))


@given(matrices, st.sampled_from([0.0, 0.5, 0.7, 1.0]))
@settings(max_examples=150, deadline=None)
def test_no_matching_is_cheaper(cost: np.ndarray, limit: float) -> None:
    result = gated_assignment(cost, limit)
    pairs = pairs_of(result)
    forbidden = np.where(np.isnan(cost), np.inf, cost)
    best = min(price(forbidden, pairs, limit) for pairs in all_matchings(*cost.shape))
    assert price(forbidden, pairs, limit) == pytest.approx(best, abs=1e-12)
    assert all(cost[pair] < limit for pair in pairs)


@given(matrices)
@settings(max_examples=50, deadline=None)
def test_every_row_and_column_appears_once(cost: np.ndarray) -> None:
    result = gated_assignment(cost, 0.7)
    assert sorted([*result.rows, *result.unmatched_rows]) == list(range(cost.shape[0]))
    assert sorted([*result.cols, *result.unmatched_cols]) == list(range(cost.shape[1]))
    assert list(result.rows) == sorted(result.rows)


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 7))
@settings(max_examples=50, deadline=None)
def test_equals_the_padded_square_problem(seed: int, rows: int, cols: int) -> None:
    """Real costs, so the optimum is unique: the very pairs agree with the padding that lapjv does."""
    cost = np.random.default_rng(seed).uniform(0, 1.5, (rows, cols))
    padded = np.full((rows + cols, rows + cols), 0.7 / 2)
    padded[rows:, cols:] = 0
    padded[:rows, :cols] = cost
    expected = [(r, c) for r, c in zip(*linear_sum_assignment(padded)) if r < rows and c < cols]
    assert pairs_of(gated_assignment(cost, 0.7)) == expected


def test_one_good_pair_beats_two_that_together_cost_more_than_being_alone() -> None:
    cost = np.array([[0.1, 0.5], [0.5, 10.0]])
    assert pairs_of(gated_assignment(cost, 0.7)) == [(0, 0)]  # 0.1 + 0.7 alone < 0.5 + 0.5


def test_two_fair_pairs_beat_one_good_pair() -> None:
    cost = np.array([[0.1, 0.3], [0.3, 10.0]])
    assert pairs_of(gated_assignment(cost, 0.7)) == [(0, 1), (1, 0)]  # 0.3 + 0.3 < 0.1 + 0.7 alone


def test_a_pair_that_costs_the_limit_stays_alone() -> None:
    assert pairs_of(gated_assignment(np.array([[0.7]]), 0.7)) == []
    assert pairs_of(gated_assignment(np.array([[np.nextafter(0.7, 0)]]), 0.7)) == [(0, 0)]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0)])
def test_an_empty_matrix_leaves_everything_alone(shape: tuple[int, int]) -> None:
    result = gated_assignment(np.zeros(shape), 0.7)
    assert len(result.rows) == len(result.cols) == 0
    assert list(result.unmatched_rows) == list(range(shape[0]))
    assert list(result.unmatched_cols) == list(range(shape[1]))


def test_a_row_of_infinite_costs_does_no_harm() -> None:
    cost = np.array([[np.inf, np.inf], [0.2, np.inf]])
    result = gated_assignment(cost, 0.7)
    assert pairs_of(result) == [(1, 0)]
    assert list(result.unmatched_rows) == [0]
    assert list(result.unmatched_cols) == [1]


# --- greedy choice ----------------------------------------------------------------------------------------------------


def naive_preferences(similarity: np.ndarray, threshold: float, claims: np.ndarray) -> list[int]:
    table, result = similarity.copy(), []
    for row in range(len(table)):
        best = -1
        for column in range(table.shape[1]):
            if table[row, column] > threshold and (best < 0 or table[row, column] > table[row, best]):
                best = column
        if best >= 0 and claims[row, best]:
            table[np.arange(len(table)) != row, best] = 0.0
        result.append(best)
    return result


@given(st.integers(0, 2**32 - 1), st.integers(0, 8), st.integers(0, 8), st.sampled_from([0.0, 0.3, 0.5]))
@settings(max_examples=150, deadline=None)
def test_greedy_choice_equals_the_loop(seed: int, rows: int, cols: int, threshold: float) -> None:
    """Tenths, so that equals and values at the threshold occur; negative ones as cosines have them."""
    rng = np.random.default_rng(seed)
    similarity, claims = rng.integers(-2, 10, (rows, cols)) / 10, rng.random((rows, cols)) < 0.7
    before = similarity.copy()
    found = greedy_preferences(similarity, threshold, claims)
    assert found.tolist() == naive_preferences(similarity, threshold, claims)
    np.testing.assert_array_equal(similarity, before)


def test_what_a_row_claims_a_later_one_lacks() -> None:
    similarity = np.array([[0.9, 0.2], [0.8, 0.6], [0.7, 0.1]])
    assert greedy_preferences(similarity, 0.5, np.ones((3, 2), dtype=bool)).tolist() == [0, 1, -1]
    assert greedy_preferences(similarity, 0.5, np.zeros((3, 2), dtype=bool)).tolist() == [0, 0, 0]
