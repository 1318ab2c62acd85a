"""Pairwise functions against loops written from their definitions."""

import numpy as np
import pytest

from clmot_qd.trackers.similarity import (
    bisoftmax,
    box_areas,
    cosine_distance,
    cosine_similarity,
    masked_bisoftmax,
    pairwise_iou,
    softmax,
    unit_rows,
)


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.uniform(0, 100, (count, 2))
    return np.hstack((corner, corner + rng.uniform(1, 80, (count, 2))))


def iou_of_pair(a: np.ndarray, b: np.ndarray) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (area - width * height)


def test_cosine_distance_equals_the_loop(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((5, 8)), rng.standard_normal((3, 8))
    naive = [[1 - x @ y / np.linalg.norm(x) / np.linalg.norm(y) for y in b] for x in a]
    np.testing.assert_allclose(cosine_distance(unit_rows(a), unit_rows(b)), naive, atol=1e-12)


def test_cosine_distance_of_equal_vectors_is_not_below_zero(rng: np.random.Generator) -> None:
    unit = unit_rows(rng.standard_normal((200, 7)))
    diagonal = np.diagonal(cosine_distance(unit, unit))
    assert diagonal.min() >= 0
    np.testing.assert_allclose(diagonal, 0, atol=1e-12)


def test_a_vector_of_zeros_resembles_nothing() -> None:
    unit = unit_rows(np.array([[0.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(unit, [[0, 0], [0.6, 0.8]])
    np.testing.assert_allclose(cosine_distance(unit, unit), [[1, 1], [1, 0]], atol=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_extreme_lengths_still_become_one(scale: float) -> None:
    np.testing.assert_allclose(unit_rows(np.array([[3.0, 4.0]]) * scale), [[0.6, 0.8]])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-22, 1e-11, 1e17])
def test_extreme_lengths_become_one_in_single_precision_too(scale: float) -> None:
    np.testing.assert_allclose(unit_rows(np.eye(3, 8, dtype=np.float32) * np.float32(scale)), np.eye(3, 8), rtol=1e-6)


def test_iou_equals_the_loop(rng: np.random.Generator) -> None:
    a, b = random_boxes(rng, 6), random_boxes(rng, 4)
    naive = [[iou_of_pair(x, y) for y in b] for x in a]
    result = pairwise_iou(a, b)
    np.testing.assert_allclose(result, naive, atol=1e-12)
    assert (result > 0).any()
    assert (result == 0).any()


def test_iou_has_no_extra_pixel() -> None:
    """Boxes that touch share nothing; shifting a 10-pixel box by 5 leaves a third."""
    boxes = np.array([[0.0, 0, 10, 10], [10, 0, 20, 10], [5, 0, 15, 10]])
    np.testing.assert_allclose(pairwise_iou(boxes[:1], boxes), [[1, 0, 1 / 3]])


def test_iou_of_boxes_without_area_is_zero() -> None:
    point = np.array([[3.0, 3, 3, 3]])
    np.testing.assert_array_equal(pairwise_iou(point, point), [[0]])
    np.testing.assert_array_equal(box_areas(point), [0])


def test_empty_sides() -> None:
    none, two = np.zeros((0, 4)), np.array([[0.0, 0, 1, 1], [0, 0, 2, 2]])
    assert pairwise_iou(none, two).shape == (0, 2)
    assert pairwise_iou(two, none).shape == (2, 0)
    assert cosine_distance(unit_rows(none), unit_rows(two)).shape == (0, 2)


def test_iou_of_boxes_that_lie_in_a_line_is_zero() -> None:
    """A box without width inside another, and two such boxes that cross: their intersection has no area."""
    boxes = np.array([[0.0, 0, 10, 10], [5, 0, 5, 10], [0, 5, 10, 5]])
    np.testing.assert_array_equal(pairwise_iou(boxes, boxes), [[1, 0, 0], [0, 0, 0], [0, 0, 0]])


# --- softmax ----------------------------------------------------------------------------------------------------------


def naive_bisoftmax(logits: np.ndarray, allowed: np.ndarray, floor: float) -> np.ndarray:
    """QDTrack Eq. (8), sum by sum."""
    rows, cols = logits.shape
    power = [[np.exp(logits[i, j]) * allowed[i, j] for j in range(cols)] for i in range(rows)]
    result = np.zeros(logits.shape)
    for i in range(rows):
        for j in range(cols):
            over_row = sum(power[i]) + floor
            over_column = sum(row[j] for row in power) + floor
            result[i, j] = (power[i][j] / over_row + power[i][j] / over_column) / 2
    return result


@pytest.mark.parametrize("shape", [(4, 6), (1, 1), (1, 5), (5, 1), (130, 3)])
def test_bisoftmax_equals_the_loop(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    logits = 3 * rng.standard_normal(shape)
    expected = naive_bisoftmax(logits, np.ones(shape), 0)
    np.testing.assert_allclose(bisoftmax(logits), expected, rtol=1e-12)


def test_softmax_equals_the_loop(rng: np.random.Generator) -> None:
    logits = rng.standard_normal((4, 6))
    naive = [[np.exp(logits[i, j]) / sum(np.exp(logits[i])) for j in range(6)] for i in range(4)]
    np.testing.assert_allclose(softmax(logits, axis=1), naive, rtol=1e-12)
    np.testing.assert_allclose(softmax(logits.T, axis=0), np.transpose(naive), rtol=1e-12)


@pytest.mark.parametrize("spread", [1.0, 200.0, 5000.0])
def test_bisoftmax_of_the_transpose_is_the_transpose(rng: np.random.Generator, spread: float) -> None:
    logits = spread * rng.uniform(-1, 1, (5, 8))
    np.testing.assert_allclose(bisoftmax(logits.T), bisoftmax(logits).T, rtol=1e-12)
    np.testing.assert_allclose(bisoftmax(logits + 1e4), bisoftmax(logits), rtol=1e-8)


@pytest.mark.filterwarnings("error")
def test_far_apart_logits_keep_their_sums() -> None:
    """Beside e^2000, the second row is nothing to its columns, but its own sum is still 1."""
    logits = np.array([[2000.0, 0.0], [-5.0, 0.0]])
    e5 = np.exp(-5.0)
    expected = [[1, 0.25], [0.5 * e5 / (1 + e5), (0.5 + 1 / (1 + e5)) / 2]]
    np.testing.assert_allclose(bisoftmax(logits), expected, rtol=1e-12)


def test_masked_bisoftmax_equals_the_loop(rng: np.random.Generator) -> None:
    logits, allowed = 3 * rng.standard_normal((6, 7)), rng.random((6, 7)) < 0.5
    allowed[2], allowed[:, 3] = False, False
    result = masked_bisoftmax(logits, allowed)
    np.testing.assert_allclose(result, naive_bisoftmax(logits, allowed, 1e-6), rtol=1e-12)
    assert (result[~allowed] == 0).all()
    assert (result[allowed] > 0).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("height", [-5000.0, -20.0, 5000.0])
def test_masked_bisoftmax_of_extreme_logits(height: float) -> None:
    """Far below the floor of 1e-6 nothing is left; e^-20 / (e^-20 + 1e-6) in between; far above it is as without."""
    logits, allowed = np.full((1, 2), height), np.array([[True, False]])
    expected = {-5000.0: 0.0, -20.0: np.exp(-20) / (np.exp(-20) + 1e-6), 5000.0: 1.0}[height]
    np.testing.assert_allclose(masked_bisoftmax(logits, allowed), [[expected, 0]], rtol=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("height", [-500.0, -100.0, -85.0, 0.0, 85.0, 500.0])
def test_masked_bisoftmax_of_extreme_logits_in_single_precision(height: float) -> None:
    logits = np.array([[height, height - 1], [height, height]], dtype=np.float32)
    allowed = np.array([[True, True], [False, True]])
    expected = masked_bisoftmax(logits.astype(np.float64), allowed)
    np.testing.assert_allclose(masked_bisoftmax(logits, allowed), expected, rtol=1e-5, atol=1e-12)


def test_cosine_similarity_is_one_minus_the_distance(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((5, 8)), rng.standard_normal((3, 8))
    np.testing.assert_allclose(cosine_similarity(a, b), 1 - cosine_distance(unit_rows(a), unit_rows(b)), atol=1e-12)
    assert cosine_similarity(a, -a).min() == pytest.approx(-1)


def test_softmax_of_empty_sides() -> None:
    for shape in ((0, 3), (3, 0), (0, 0)):
        logits = np.zeros(shape)
        for result in (bisoftmax(logits), softmax(logits, 0), softmax(logits, 1), masked_bisoftmax(logits, logits > 0)):
            assert result.shape == shape
