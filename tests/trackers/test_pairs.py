"""Pairs found by sorting against all pairs looked at one by one."""

import numpy as np
import pytest

from clmot_qd.trackers.association import assigned_pairs, gated_assignment
from clmot_qd.trackers.gate import gated_pairs
from clmot_qd.trackers.kalman import KalmanFilter
from clmot_qd.trackers.pairs import FEW_PAIRS, Pairs, expand_ranges, parts, touching_pairs
from clmot_qd.trackers.similarity import (
    alike_pairs,
    cosine_distance,
    iou_pairs,
    paired_cosine_distance,
    pairwise_iou,
    unit_rows,
)


def boxes(rng: np.random.Generator, count: int, spread: float, size: float) -> np.ndarray:
    """Whole numbers, so that edges meet; some boxes have no width, some no height, some neither."""
    corner = rng.integers(0, spread, (count, 2)).astype(float)
    return np.hstack((corner, corner + rng.integers(0, size, (count, 2))))


def touch(a: np.ndarray, b: np.ndarray) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@pytest.mark.parametrize(
    ("counts", "spread", "size"),
    [
        ((5, 7), 20, 12),  # few: one matrix
        ((90, 70), 300, 9),  # sorted out
        ((90, 70), 20, 40),  # sorting out leaves too many: matrices part by part
        ((3, 3000), 1000, 30),
        ((3000, 3), 1000, 30),
    ],
)
def test_touching_boxes_equal_the_loop(
    rng: np.random.Generator, counts: tuple[int, int], spread: int, size: int
) -> None:
    a, b = (boxes(rng, count, spread, size) for count in counts)
    expected = [(i, j) for i in range(len(a)) for j in range(len(b)) if touch(a[i], b[j])]
    rows, cols = touching_pairs(a, b)
    assert sorted(zip(rows.tolist(), cols.tolist())) == expected
    assert 0 < len(expected) < len(a) * len(b)


def test_one_box_across_the_picture_does_not_hide_the_others(rng: np.random.Generator) -> None:
    a, b = boxes(rng, 100, 1000, 20), boxes(rng, 100, 1000, 20)
    b[50] = [0, 400, 1020, 420]
    expected = [(i, j) for i in range(100) for j in range(100) if touch(a[i], b[j])]
    assert sorted(zip(*(side.tolist() for side in touching_pairs(a, b)))) == expected


def test_nobody_touches_nobody() -> None:
    for counts in ((0, 5), (5, 0), (0, 0)):
        assert all(len(side) == 0 for side in touching_pairs(*(np.zeros((count, 4)) for count in counts)))
    apart = np.arange(200.0)[:, None] * 10 + [0, 0, 5, 5]
    assert all(len(side) == 0 for side in touching_pairs(apart, apart + 5))


def test_large_parts_cover_everything(rng: np.random.Generator) -> None:
    """More pairs than one part holds, everybody on everybody."""
    a = np.tile([0.0, 0, 10, 10], (600, 1)) + rng.uniform(0, 1, (600, 1))
    rows, cols = touching_pairs(a, a[:300])
    assert sorted(zip(rows.tolist(), cols.tolist())) == [(i, j) for i in range(600) for j in range(300)]
    assert [part.start for part in parts(10, 1 << 15)] == [0, 2, 4, 6, 8]
    assert parts(0, 5) == []


def test_ranges_are_written_out() -> None:
    rows, places = expand_ranges(np.array([5, 0, 2]), np.array([2, 0, 3]))
    assert (rows.tolist(), places.tolist()) == ([0, 0, 2, 2, 2], [5, 6, 2, 3, 4])


@pytest.mark.parametrize("count", [9, 150])
def test_overlaps_of_pairs_fill_the_matrix(rng: np.random.Generator, count: int) -> None:
    a, b = boxes(rng, count, 200, 60), boxes(rng, count, 200, 60)
    rows, cols, values = iou_pairs(a, b)
    matrix = np.zeros((count, count))
    matrix[rows, cols] = values
    np.testing.assert_array_equal(matrix, pairwise_iou(a, b))
    for i, j in zip(rows[:50], cols[:50]):
        shared = max(0, min(a[i, 2], b[j, 2]) - max(a[i, 0], b[j, 0]))
        shared *= max(0, min(a[i, 3], b[j, 3]) - max(a[i, 1], b[j, 1]))
        area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a[i], b[j]))
        assert matrix[i, j] == pytest.approx(shared / (area - shared))


@pytest.mark.parametrize("gate_thr", [0.0, 9.4877, 1e6])
@pytest.mark.parametrize("far", [0.0, 1e8])
def test_gated_pairs_equal_the_matrix_to_the_last_bit(rng: np.random.Generator, gate_thr: float, far: float) -> None:
    """The first tracks and measurements are the same, so a gate of 0 lets these through."""
    kalman, count = KalmanFilter(), 90
    assert count * count > FEW_PAIRS
    seen = np.column_stack(
        (rng.uniform(0, 900, (count, 2)) + far, rng.uniform(0.2, 1, count), rng.uniform(20, 90, count))
    )
    now = seen + rng.normal(0, 4, seen.shape) * [1, 1, 0.02, 1]
    now[:10] = seen[:10]
    mean, covariance = kalman.initiate(seen)
    distance = kalman.gating_distance(mean, covariance, now)
    pairs = gated_pairs(kalman, mean, covariance, now, gate_thr)
    inside = distance <= gate_thr
    found = np.zeros_like(inside)
    found[pairs.rows, pairs.cols] = True
    np.testing.assert_array_equal(found, inside)
    np.testing.assert_array_equal(pairs.values, distance[pairs.rows, pairs.cols])
    assert len(pairs.rows) == inside.sum() >= 10


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize(("sides", "count"), [(80, 3), (80, 40), (80, 6000), (600, 6000)])
def test_distances_of_pairs_are_entries_of_the_matrix(
    rng: np.random.Generator, sides: int, count: int, precision: type[np.floating]
) -> None:
    a, b = (unit_rows(rng.standard_normal((n, 16)).astype(precision)) for n in (sides, sides + 10))
    rows, cols = rng.integers(0, sides, count), rng.integers(0, sides + 10, count)
    b[cols[0]] = a[rows[0]]
    result = paired_cosine_distance(a, b, rows, cols)
    assert result.dtype == precision
    assert result.min() >= 0
    np.testing.assert_allclose(
        result, cosine_distance(a, b)[rows, cols], atol=1e-6 if precision == np.float32 else 1e-12
    )


@pytest.mark.parametrize("limit", [0.3, 1.0, 1.5, 3.0])
def test_alike_pairs_are_those_below_the_limit(rng: np.random.Generator, limit: float) -> None:
    """A few at the limit may be among them; the asked rows only, in several parts; zeros are at a distance of 1."""
    embeds = rng.standard_normal((400, 4)).astype(np.float32)
    embeds[7] = 0
    a, b, asked = unit_rows(embeds), unit_rows(embeds[100:350]), np.arange(399, 3, -1)
    distance = cosine_distance(a[asked], b)
    found = np.zeros(distance.shape, dtype=bool)
    found[alike_pairs(a, asked, b, limit)] = True
    assert found[distance < limit].all()
    assert (distance[found] < limit + 0.002).all()
    assert found.any()


def test_pairs_of_a_mask() -> None:
    pairs = Pairs(np.array([0, 1, 2]), np.array([2, 1, 0]), np.array([0.1, 0.2, 0.3]))
    assert [side.tolist() for side in pairs.where(pairs.values > 0.15)] == [[1, 2], [1, 0], [0.2, 0.3]]
    assert pairs.where(pairs.values > 0) is pairs


@pytest.mark.parametrize("density", [0.01, 0.05, 0.4])
def test_assigned_pairs_equal_the_matrix(rng: np.random.Generator, density: float) -> None:
    """In any order, with costs above the limit among them."""
    for _ in range(20):
        cost = np.where(rng.random((30, 40)) < density, rng.uniform(0, 1, (30, 40)), np.inf)
        rows, cols = np.nonzero(np.isfinite(cost))
        mixed = rng.permutation(len(rows))
        pairs = Pairs(rows[mixed], cols[mixed], cost[rows, cols][mixed])
        expected = gated_assignment(cost, 0.7)
        chosen = sorted(zip(*(side.tolist() for side in assigned_pairs(pairs, 0.7))))
        assert chosen == list(zip(expected.rows.tolist(), expected.cols.tolist()))


def test_nothing_to_assign() -> None:
    none = Pairs(np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0))
    assert all(len(side) == 0 for side in assigned_pairs(none, 0.7))
