"""Pairwise comparisons between tracks and detections.

Legend, for every function of this file:

    n, m      rows of the first and of the second argument
    C         width of an embedding
    embeds    (n, C) appearance vectors, not normalised
    unit      (n, C) rows of length 1, or all zeros where the embedding had no direction
    boxes     (n, 4) as (x1, y1, x2, y2), pixels, x2 >= x1 and y2 >= y1
    result    (n, m), finite for finite input; an empty side gives an empty matrix
"""

from __future__ import annotations

import numpy as np


def unit_rows(embeds: np.ndarray) -> np.ndarray:
    """Scale every row to length 1; a row of zeros stays a row of zeros. (n, C) -> (n, C)."""
    # Dividing by the largest entry first keeps the squares from overflowing or vanishing.
    largest = np.abs(embeds).max(axis=1, initial=0.0, keepdims=True)
    scaled = embeds / np.where(largest > 0, largest, 1.0)
    norms = np.sqrt(np.einsum("nc,nc->n", scaled, scaled))[:, None]
    return scaled / np.where(norms > 0, norms, 1.0)


def cosine_distance(unit_a: np.ndarray, unit_b: np.ndarray) -> np.ndarray:
    """Return 1 - cosine, not below 0; 1 where either side is a row of zeros. (n, C), (m, C) -> (n, m)."""
    distance = unit_a @ unit_b.T
    np.subtract(1.0, distance, out=distance)
    return np.maximum(distance, 0.0, out=distance)


def pairwise_iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Intersection over union of continuous boxes (no "+1 pixel"); 0 where the union is empty. -> (n, m)."""
    width = _overlap(boxes_a[:, 0], boxes_a[:, 2], boxes_b[:, 0], boxes_b[:, 2])
    height = _overlap(boxes_a[:, 1], boxes_a[:, 3], boxes_b[:, 1], boxes_b[:, 3])
    intersection = width * height
    union = box_areas(boxes_a)[:, None] + box_areas(boxes_b)[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """Area in square pixels. (n, 4) -> (n,)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _overlap(low_a: np.ndarray, high_a: np.ndarray, low_b: np.ndarray, high_b: np.ndarray) -> np.ndarray:
    """Length that the intervals [low, high] of each pair share. (n,) x 2, (m,) x 2 -> (n, m)."""
    shared = np.minimum(high_a[:, None], high_b[None, :]) - np.maximum(low_a[:, None], low_b[None, :])
    return np.maximum(shared, 0.0, out=shared)
