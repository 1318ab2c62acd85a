"""Pairwise comparisons between tracks and detections.

Legend, for every function of this file:

    n, m      rows of the first and of the second argument
    C         width of an embedding
    embeds    (n, C) appearance vectors, not normalised
    unit      (n, C) rows of length 1, or all zeros where the embedding had no direction
    boxes     (n, 4) as (x1, y1, x2, y2), pixels, x2 >= x1 and y2 >= y1
    logits    (n, m) comparisons of which the exponential is taken: dot products, or cosines / temperature
    result    (n, m), finite for finite input; an empty side gives an empty matrix
"""

from __future__ import annotations

import numpy as np

# Differences between logits up to which one exponential serves rows and columns: exp(-600) is still a normal number.
_SAFE_SPREAD = 600.0
_BLOCK = 64
# Added to the sums of the masked bi-softmax, so that a row or column without anything allowed is 0.
_MASKED_FLOOR = 1e-6


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


def cosine_similarity(embeds_a: np.ndarray, embeds_b: np.ndarray) -> np.ndarray:
    """Cosine of the angle; 0 where either side is a row of zeros. (n, C), (m, C) -> (n, m) in [-1, 1]."""
    return unit_rows(embeds_a) @ unit_rows(embeds_b).T


def softmax(logits: np.ndarray, axis: int) -> np.ndarray:
    """Exponentials that sum to 1 along ``axis``, whatever the size of the logits. (n, m) -> (n, m)."""
    powers = logits - logits.max(axis=axis, initial=-np.inf, keepdims=True)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=axis, keepdims=True)
    return powers


def bisoftmax(logits: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """QDTrack Eq. (8): mean of the softmax over each row and over each column. (n, m) -> (n, m) in [0, 1].

    Near 1 only where both sides prefer each other; who resembles several shares its 1 among them. The result may be
    written to ``out``, which may be ``logits``.
    """
    if not logits.size:
        return logits.copy()
    highest = logits.max()
    if highest - logits.min() > _SAFE_SPREAD:
        return (softmax(logits, axis=1) + softmax(logits, axis=0)) / 2
    powers = np.subtract(logits, highest, out=out)
    np.exp(powers, out=powers)
    over_rows, over_columns = 0.5 / powers.sum(axis=1, keepdims=True), 0.5 / powers.sum(axis=0)
    for block in range(0, len(powers), _BLOCK):  # a second (n, m) array would cost more than the sums
        powers[block : block + _BLOCK] *= over_rows[block : block + _BLOCK] + over_columns
    return powers


def masked_bisoftmax(logits: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Bi-softmax whose sums run over allowed pairs only; 0 elsewhere. (n, m), (n, m) bool -> (n, m) in [0, 1).

    With f = exp(logits) where allowed, else 0: mean of f / (row sum + 1e-6) and f / (column sum + 1e-6).
    """
    masked = np.where(allowed, logits, -np.inf)
    result = np.zeros(logits.shape)
    for axis in (0, 1):
        highest = np.maximum(masked.max(axis=axis, initial=-_SAFE_SPREAD, keepdims=True), -_SAFE_SPREAD)
        powers = np.exp(masked - highest)
        result += 0.5 * powers / (powers.sum(axis=axis, keepdims=True) + _MASKED_FLOOR * np.exp(-highest))
    return result


def pairwise_iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Intersection over union of continuous boxes (no "+1 pixel"); 0 where the union is empty. -> (n, m)."""
    # Few of the pairs touch: for hundreds of boxes everything but this test is done on those few.
    touch = boxes_a[:, 0, None] < boxes_b[:, 2]
    touch &= boxes_b[:, 0] < boxes_a[:, 2, None]
    touch &= boxes_a[:, 1, None] < boxes_b[:, 3]
    touch &= boxes_b[:, 1] < boxes_a[:, 3, None]
    rows, cols = np.nonzero(touch)
    a, b = boxes_a[rows], boxes_b[cols]
    shared = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    intersection = shared[:, 0] * shared[:, 1]
    union = box_areas(boxes_a)[rows] + box_areas(boxes_b)[cols] - intersection
    iou = np.zeros(touch.shape)
    iou[rows, cols] = np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
    return iou


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """Area in square pixels. (n, 4) -> (n,)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
