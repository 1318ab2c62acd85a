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

from .pairs import Pairs, parts, touching_pairs

# Squared lengths between which single precision, too, neither overflows nor loses anything.
_SMALLEST_SQUARE, _LARGEST_SQUARE = 1e-20, 1e30
# With more of all pairs than this, one product of matrices is faster than one of vectors for each pair.
_WORTHWHILE_SHARE = 1 / 16
# More than a cosine loses in single precision, however many channels.
_COSINE_ROUNDING = 1e-3
# exp(80) and its inverse are normal numbers, in single precision, too.
_SAFE_LOGIT = 80.0
# Added to the sums of the masked bi-softmax, so that a row or column without anything allowed is 0.
_MASKED_FLOOR = 1e-6


def unit_rows(embeds: np.ndarray) -> np.ndarray:
    """Scale every row to length 1; a row of zeros stays a row of zeros. (n, C) -> (n, C)."""
    squares = np.einsum("nc,nc->n", embeds, embeds)
    if squares.min(initial=1.0) > _SMALLEST_SQUARE and squares.max(initial=1.0) < _LARGEST_SQUARE:
        return embeds / np.sqrt(squares)[:, None]
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


def paired_cosine_distance(unit_a: np.ndarray, unit_b: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Return entries of :func:`cosine_distance`. (n, C), (m, C), (p,) rows and cols -> (p,)."""
    if len(rows) > _WORTHWHILE_SHARE * len(unit_a) * len(unit_b):
        return cosine_distance(unit_a, unit_b)[rows, cols]
    cosine = np.empty(len(rows), dtype=np.result_type(unit_a, unit_b))
    for part in parts(len(rows), unit_a.shape[1]):
        np.einsum("pc,pc->p", unit_a[rows[part]], unit_b[cols[part]], out=cosine[part])
    return np.maximum(1.0 - cosine, 0.0)


def alike_pairs(
    unit_a: np.ndarray, rows: np.ndarray, unit_b: np.ndarray, distance_limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Find the pairs whose cosine distance is below a limit, and perhaps some at it.

    Args:
        unit_a: (n, C).
        rows: (k,) the rows of ``unit_a`` to look at.
        unit_b: (m, C).
        distance_limit: of :func:`cosine_distance`.

    Returns:
        (p,) numbers within ``rows``, (p,) rows of ``unit_b``.
    """
    least, found = 1 - distance_limit - _COSINE_ROUNDING, []
    for part in parts(len(rows), len(unit_b)):
        numbers, cols = np.nonzero(unit_a[rows[part]] @ unit_b.T > least)
        found.append((numbers + part.start, cols))
    return np.concatenate([numbers for numbers, _ in found]), np.concatenate([cols for _, cols in found])


def cosine_similarity(embeds_a: np.ndarray, embeds_b: np.ndarray) -> np.ndarray:
    """Cosine of the angle; 0 where either side is a row of zeros. (n, C), (m, C) -> (n, m) in [-1, 1]."""
    return unit_rows(embeds_a) @ unit_rows(embeds_b).T


def softmax(logits: np.ndarray, axis: int) -> np.ndarray:
    """Exponentials that sum to 1 along ``axis``, whatever the size of the logits. (n, m) -> (n, m)."""
    return _weighted_softmax(logits, axis, 1.0)


def bisoftmax(logits: np.ndarray) -> np.ndarray:
    """QDTrack Eq. (8): mean of the softmax over each row and over each column. (n, m) -> (n, m) in [0, 1].

    Near 1 only where both sides prefer each other; who resembles several shares its 1 among them.
    """
    result = _weighted_softmax(logits, 0, 0.5)
    result += _weighted_softmax(logits, 1, 0.5)
    return result


def _weighted_softmax(logits: np.ndarray, axis: int, weight: float) -> np.ndarray:
    if not logits.size:
        return logits.copy()
    powers = logits - logits.max(axis=axis, keepdims=True)
    np.exp(powers, out=powers)
    powers *= weight / powers.sum(axis=axis, keepdims=True)
    return powers


def masked_bisoftmax(logits: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Bi-softmax whose sums run over allowed pairs only; 0 elsewhere. (n, m), (n, m) bool -> (n, m) in [0, 1).

    With f = exp(logits) where allowed, else 0: mean of f / (row sum + 1e-6) and f / (column sum + 1e-6).
    """
    masked = np.where(allowed, logits, -np.inf)
    result = np.zeros(logits.shape)
    for axis in (0, 1):
        highest = np.maximum(masked.max(axis=axis, initial=-_SAFE_LOGIT, keepdims=True), -_SAFE_LOGIT)
        powers = np.exp(masked - highest)
        result += 0.5 * powers / (powers.sum(axis=axis, keepdims=True) + _MASKED_FLOOR * np.exp(-highest))
    return result


def pairwise_iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Intersection over union of continuous boxes (no "+1 pixel"); 0 where the union is empty. -> (n, m)."""
    rows, cols, values = iou_pairs(boxes_a, boxes_b)
    iou = np.zeros((len(boxes_a), len(boxes_b)))
    iou[rows, cols] = values
    return iou


def iou_pairs(boxes_a: np.ndarray, boxes_b: np.ndarray) -> Pairs:
    """The entries of :func:`pairwise_iou` that are not 0, and perhaps some that are."""
    rows, cols = touching_pairs(boxes_a, boxes_b)
    if not len(rows):
        return Pairs(rows, cols, np.zeros(0))
    a, b = boxes_a[rows], boxes_b[cols]
    shared = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    intersection = shared[:, 0] * shared[:, 1]
    union = box_areas(a) + box_areas(b) - intersection
    return Pairs(rows, cols, np.divide(intersection, union, out=np.zeros_like(union), where=union > 0))


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """Area in square pixels. (n, 4) -> (n,)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
