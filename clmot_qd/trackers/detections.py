"""Checking and filtering what a detector hands to a tracker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from .pairs import Pairs

# In pixels. A box thinner than this has no area worth the name; a coordinate beyond this is a detector's overflow.
_SMALLEST_SIDE, LARGEST_COORDINATE = 1e-6, 1e9
# Scores are given out in single precision; products of embeddings' entries must stay finite in double precision.
_LARGEST_SCORE, _LARGEST_ENTRY = 1e38, 1e100
_LARGEST_LABEL = np.iinfo(np.int64).max
# Of embeddings in single precision, which ends at 3e38.
_LARGEST_PRODUCT = 1e30


@dataclass(frozen=True, eq=False)
class Detections:
    """The usable detections of one frame.

    Attributes:
        bboxes: (n, 4) float64 xyxy, pixels, positive sides.
        scores: (n,) float64, above the score threshold.
        labels: (n,) int64.
        embeds: (n, C) not normalised; float32 if they came in single precision or less, else float64; None if the frame
            came without.
        index: (n,) int64, row of each in the arrays that were given.
        num_rejected: rows left out because they cannot be used (see :func:`parse_detections`).
    """

    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    embeds: np.ndarray | None
    index: np.ndarray
    num_rejected: int

    def __len__(self) -> int:
        """Return the number of usable detections."""
        return len(self.index)

    def select(self, rows: np.ndarray) -> Detections:
        """Return the detections of a boolean mask or an index array, copied."""
        embeds = None if self.embeds is None else self.embeds[rows]
        return Detections(
            self.bboxes[rows], self.scores[rows], self.labels[rows], embeds, self.index[rows], self.num_rejected
        )


def parse_detections(bboxes: Any, scores: Any, labels: Any, embeds: Any | None, score_thr: float) -> Detections:
    """Check the arrays of one frame and keep the rows a tracker can use.

    Dropped in silence: rows with ``score <= score_thr``. Dropped and counted in ``num_rejected``: rows with a value
    that is not finite (whatever their score), or so large that it is as good as that (a score beyond 1e38, an entry of
    an embedding beyond 1e100), and rows above the threshold whose box has no area (a side of zero) or a coordinate
    beyond 1e9 pixels. The order of the rest is kept, and the rest is as if these rows had not been given.

    Args:
        bboxes: (n, 4) xyxy pixels.
        scores: (n,).
        labels: (n,) integers.
        embeds: (n, C), C >= 1, or None. Anything ``numpy.asarray`` understands, here and above.
        score_thr: only larger scores are kept.

    Raises:
        InputError: a wrong shape or type, or a kept box with x2 < x1 or y2 < y1.
    """
    bboxes = _float_array("bboxes", bboxes)
    if bboxes.shape == (0,):  # numpy's reading of an empty list
        bboxes = bboxes.reshape(0, 4)
    if bboxes.ndim != 2 or bboxes.shape[1] != 4:
        raise InputError(f"bboxes: expected shape (n, 4) as (x1, y1, x2, y2), got {bboxes.shape}")
    scores = _float_array("scores", scores)
    _check_length("scores", scores, len(bboxes))
    labels = _label_array(labels, len(bboxes))
    embeds = None if embeds is None else _embed_array(embeds, len(bboxes))

    suspect = None if embeds is None or _moderate(embeds) else embeds
    usable, num_rejected = _usable_rows(bboxes, scores, suspect, score_thr)
    index = np.flatnonzero(usable)
    kept_embeds = None if embeds is None else embeds[index]
    if kept_embeds is not None and suspect is not None and not _moderate(kept_embeds):
        kept_embeds = kept_embeds.astype(np.float64)
    return Detections(bboxes[index], scores[index], labels[index], kept_embeds, index, num_rejected)


def covered_boxes(overlap: Pairs, position: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Return which boxes overlap one of higher score by more than their limit.

    Args:
        overlap: IoU of k boxes with all n, which are sorted by falling score, where they overlap.
        position: (k,) where each of the k stands among the n.
        limit: (k,), at least 0.

    Returns:
        (k,) bool.
    """
    better = overlap.cols < position[overlap.rows]
    covered = np.zeros(len(position), dtype=bool)
    covered[overlap.rows[better & (overlap.values > limit[overlap.rows])]] = True
    return covered


def _float_array(name: str, values: Any, dtype: type[np.floating] = np.float64) -> np.ndarray:
    try:
        return np.asarray(values, dtype=dtype)
    # RuntimeError: a tensor that wants a gradient; OverflowError: an integer of hundreds of digits
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        if str(getattr(values, "dtype", None)) == "torch.bfloat16":  # which numpy does not know
            return _float_array(name, values.float(), dtype)
        raise InputError(f"{name}: expected an array of numbers ({' '.join(str(error).split())})") from error


def _label_array(labels: Any, length: int) -> np.ndarray:
    try:
        labels = np.asarray(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"labels: expected an array of integers ({' '.join(str(error).split())})") from error
    _check_length("labels", labels, length)
    if length and labels.dtype.kind not in "iu":
        raise InputError(f"labels: expected integers (class indices), got {labels.dtype}")
    if labels.dtype.kind == "u" and labels.max(initial=0) > _LARGEST_LABEL:
        raise InputError(f"labels: {labels.max()} is beyond 2**63 - 1: no class index")
    return labels.astype(np.int64)


def _embed_array(embeds: Any, length: int) -> np.ndarray:
    embeds = _float_array("embeds", embeds, _embed_precision(embeds))
    if embeds.shape == (0,) and length == 0:  # numpy's reading of an empty list
        return embeds.reshape(0, 0)
    if embeds.ndim != 2 or len(embeds) != length or (length and embeds.shape[1] == 0):
        raise InputError(f"embeds: expected shape ({length}, C), one row per box, got {embeds.shape}")
    return embeds


def _embed_precision(embeds: Any) -> type[np.floating]:
    """Networks compute in single precision or less: what comes so is compared so, in half the time and memory."""
    dtype = getattr(embeds, "dtype", None)
    single = str(dtype).removeprefix("torch.") in ("float32", "float16", "bfloat16")
    return np.float32 if single else np.float64


def _moderate(embeds: np.ndarray) -> bool:
    """Whether all is finite, and so are dot products of rows in single precision; one look instead of many."""
    return bool(np.vdot(embeds, embeds) < _LARGEST_PRODUCT)


def _check_length(name: str, values: np.ndarray, length: int) -> None:
    if values.shape != (length,):
        raise InputError(f"{name}: expected shape ({length},), one value per box, got {values.shape}")


def _usable_rows(
    bboxes: np.ndarray, scores: np.ndarray, suspect: np.ndarray | None, score_thr: float
) -> tuple[np.ndarray, int]:
    """Return which rows can be used, (n,) bool, and how many of the others count as rejected.

    ``suspect``: the embeddings, if they have yet to be looked at row by row.
    """
    moderate = np.abs(scores) < _LARGEST_SCORE  # not so NaN
    if suspect is None and moderate.all() and _representable(bboxes).all():
        return scores > score_thr, 0  # nothing to look for row by row, as in almost every frame
    finite = np.isfinite(bboxes).all(axis=1) & moderate
    if suspect is not None:
        finite &= (np.abs(suspect) <= min(_LARGEST_ENTRY, float(np.finfo(suspect.dtype).max))).all(axis=1)
    candidate = finite & (scores > score_thr)
    _check_corners(bboxes, candidate)
    usable = candidate & _representable(bboxes)
    return usable, int(np.count_nonzero(~finite) + np.count_nonzero(candidate & ~usable))


def _check_corners(bboxes: np.ndarray, checked: np.ndarray) -> None:
    """Refuse boxes whose second corner lies before the first: most likely (x, y, w, h) was given."""
    wrong = np.flatnonzero(checked & (bboxes[:, 2:] < bboxes[:, :2]).any(axis=1))
    if len(wrong):
        box = ", ".join(f"{value:g}" for value in bboxes[wrong[0]])
        raise InputError(f"bboxes: row {wrong[0]} is ({box}), not (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2")


def _representable(bboxes: np.ndarray) -> np.ndarray:
    """Return which boxes have an area, and numbers whose squares and ratios stay finite. (n, 4) -> (n,) bool."""
    has_area = (bboxes[:, 2:] > bboxes[:, :2] + _SMALLEST_SIDE).all(axis=1)
    return has_area & (np.abs(bboxes) < LARGEST_COORDINATE).all(axis=1)
