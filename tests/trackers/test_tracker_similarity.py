"""Pairwise functions against loops written from their definitions."""

import numpy as np
import pytest

from clmot_qd.trackers.similarity import box_areas, cosine_distance, pairwise_iou, unit_rows


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


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
