"""How well embeddings tell identities apart: true positive rate at false accept rates, nearest neighbours over time.

numpy alone. Legend: n objects (an object is one box in one frame), C channels, P pairs of two objects.

The rates are those of CL-MOT's ``test_emb``: all pairs of objects are compared by cosine similarity, pairs of one
identity should be accepted, pairs of two should not. A threshold accepts the pairs above it; the *false accept rate*
(FAR) is the share of the pairs of two identities that it accepts, the *true positive rate* (TPR) the share of the pairs
of one identity. Their number grows as n^2, so pairs are counted, not kept: memory is O(n C) and a constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from clmot_qd.datasets.mot_text import FloatArray, IntArray
from clmot_qd.errors import InputError

FAR_LEVELS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
GAPS = (1, 5, 10, 30)

# Similarities are rounded down to steps of 2 / 2^24, the precision of float32 next to 1.
_STEPS_BITS, _FINE_BITS = 24, 10
_STEPS, _FINE = 1 << _STEPS_BITS, 1 << _FINE_BITS
BINS = _STEPS // _FINE
"""Bins of equal width over [-1, 1] in which pairs are counted."""
_PAIRS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Nearest:
    """Objects of frame t that are also in frame t + k, and how many of them are found there by appearance.

    Args:
        objects: How many there are.
        found: For how many of them the most similar object of frame t + k is the same one; of m objects that are
            equally similar, 1 / m of the right one counts.
        by_chance: How many would be found by drawing one of the objects of that frame.
    """

    objects: int
    found: float
    by_chance: float

    @property
    def accuracy(self) -> float:
        """Share of the objects that are found; NaN without objects."""
        return self.found / self.objects if self.objects else float("nan")

    @property
    def chance(self) -> float:
        """Share that would be found by chance."""
        return self.by_chance / self.objects if self.objects else float("nan")


@dataclass(frozen=True)
class EmbeddingQuality:
    """What :func:`embedding_quality` measures.

    Args:
        objects: n.
        identities: How many different ones.
        same: (BINS,) pairs of one identity, counted by similarity from -1 to 1.
        different: (BINS,) pairs of two identities.
        tpr_at_far: FAR -> largest TPR of a threshold whose FAR is not larger; NaN where there are no such pairs.
        thresholds: FAR -> that threshold; pairs above it are accepted.
        nearest: k -> nearest neighbours k frames later.
    """

    objects: int
    identities: int
    same: IntArray
    different: IntArray
    tpr_at_far: dict[float, float]
    thresholds: dict[float, float]
    nearest: dict[int, Nearest]


def embedding_quality(
    embeds: np.ndarray,
    ids: np.ndarray,
    frames: np.ndarray,
    videos: np.ndarray,
    labels: np.ndarray | None = None,
    far_levels: Sequence[float] = FAR_LEVELS,
    gaps: Sequence[int] = GAPS,
) -> EmbeddingQuality:
    """Measure how well embeddings tell identities apart.

    Args:
        embeds: (n, C), of any length; a vector of zeros resembles nothing.
        ids: (n,) identities, unique within a video.
        frames: (n,) frame numbers.
        videos: (n,) numbers or names of the videos.
        labels: (n,) classes: only objects of one class are compared, as trackers do; None: all are of one class.
        far_levels: False accept rates, in (0, 1).
        gaps: Distances k of the nearest-neighbour question, in frames, 1 or more.

    Returns:
        Rates are exact for similarities in single precision, rounded to 2^-23: no sampling, no interpolation between
        thresholds (which ``test_emb`` has).

    Raises:
        InputError: Arrays of different length, or a value that is not finite.
    """
    embeds = np.asarray(embeds, dtype=np.float32)
    arrays = [np.asarray(array) for array in (ids, frames, videos, np.zeros(len(ids)) if labels is None else labels)]
    if embeds.ndim != 2 or any(array.shape != (len(embeds),) for array in arrays):
        shapes = ", ".join(str(array.shape) for array in (embeds, *arrays))
        raise InputError(f"embedding_quality: arrays of shapes {shapes}; they must be (n, C) and (n,)")
    if not np.isfinite(embeds).all():
        raise InputError("embedding_quality: embeds has a value that is not finite")
    ids, frames, videos, labels = arrays
    unit = embeds / np.maximum(np.linalg.norm(embeds, axis=1, keepdims=True), 1e-12)
    kinds = np.unique(labels, return_inverse=True)[1]
    clips = np.unique(videos, return_inverse=True)[1]
    keys = np.unique(
        np.stack([kinds, clips, np.unique(ids, return_inverse=True)[1]], axis=1), axis=0, return_inverse=True
    )
    identity = keys[1].reshape(-1)
    same, different = _count_pairs(unit, identity, kinds)
    tpr, thresholds = _rates(unit, identity, kinds, same, different, far_levels)
    nearest = {gap: _nearest(unit, identity, kinds, frames, clips, gap) for gap in gaps}
    return EmbeddingQuality(len(embeds), len(keys[0]), same, different, tpr, thresholds, nearest)


def _pairs(unit: np.ndarray, identity: IntArray, kinds: IntArray) -> Iterator[tuple[IntArray, np.ndarray]]:
    """Yield all pairs of objects of one class, block by block: step of the similarity (P,), whether one identity."""
    start = 0
    while start < len(unit):
        rows = slice(start, start + max(1, _PAIRS_AT_ONCE // (len(unit) - start)))
        similarity = unit[rows] @ unit[start:].T
        wanted = kinds[rows, None] == kinds[None, start:]
        wanted &= np.arange(len(similarity))[:, None] < np.arange(similarity.shape[1])[None]  # each pair once
        steps = ((similarity[wanted] + np.float32(1)) * np.float32(_STEPS // 2)).astype(np.int32)
        yield np.clip(steps, 0, _STEPS - 1), (identity[rows, None] == identity[None, start:])[wanted]
        start = rows.stop


def _count_pairs(unit: np.ndarray, identity: IntArray, kinds: IntArray) -> tuple[IntArray, IntArray]:
    """Count pairs of one and of two identities by similarity. -> (BINS,), (BINS,)."""
    counts = np.zeros((2, BINS), dtype=np.int64)
    for steps, same in _pairs(unit, identity, kinds):
        bins = (steps >> _FINE_BITS) + BINS * same
        counts += np.bincount(bins, minlength=2 * BINS).reshape(2, BINS)
    return counts[1], counts[0]


def _rates(
    unit: np.ndarray,
    identity: IntArray,
    kinds: IntArray,
    same: IntArray,
    different: IntArray,
    far_levels: Sequence[float],
) -> tuple[dict[float, float], dict[float, float]]:
    """TPR and threshold at each FAR.

    The threshold that lets k pairs of two identities pass is the (k + 1)-th largest similarity of such pairs. The first
    count says in which bin it lies; a second pass over the pairs counts what is in these bins, step by step.
    """
    total_same, total_different = int(same.sum()), int(different.sum())
    if not total_same or not total_different:
        nothing = dict.fromkeys(far_levels, float("nan"))
        return nothing, dict(nothing)
    passing = {level: _passing(level, total_different) for level in far_levels}
    above = total_different - np.cumsum(different)  # pairs in higher bins
    bins = {level: int(np.argmax(above <= passing[level])) for level in far_levels}
    fine = _count_steps(unit, identity, kinds, sorted(set(bins.values())))
    tpr, thresholds = {}, {}
    for level, place in bins.items():
        fine_same, fine_different = fine[place]
        higher = above[place] + fine_different.sum() - np.cumsum(fine_different)  # pairs in higher steps
        step = int(np.argmax(higher <= passing[level]))
        accepted = int(same[place + 1 :].sum() + fine_same[step + 1 :].sum())
        tpr[level] = accepted / total_same
        thresholds[level] = 2 * (place * _FINE + step + 1) / _STEPS - 1
    return tpr, thresholds


def _passing(level: float, total: int) -> int:
    """Return how many of the pairs may pass; 0.29 * 100 is a little less than 29 in floating point."""
    return int(level * total * (1 + 1e-12) + 1e-9)


def _count_steps(
    unit: np.ndarray, identity: IntArray, kinds: IntArray, bins: Sequence[int]
) -> dict[int, tuple[IntArray, IntArray]]:
    """Count the pairs in these bins by step: bin -> pairs of one identity (FINE,), of two (FINE,)."""
    position = np.full(BINS, -1)
    position[list(bins)] = np.arange(len(bins))
    counts = np.zeros((len(bins), 2, _FINE), dtype=np.int64)
    for steps, same in _pairs(unit, identity, kinds):
        which = position[steps >> _FINE_BITS]
        inside = which >= 0
        places = (2 * which[inside] + same[inside]) * _FINE + (steps[inside] & (_FINE - 1))
        counts += np.bincount(places, minlength=counts.size).reshape(counts.shape)
    return {place: (count[1], count[0]) for place, count in zip(bins, counts)}


def _nearest(
    unit: np.ndarray, identity: IntArray, kinds: IntArray, frames: np.ndarray, clips: IntArray, gap: int
) -> Nearest:
    """Look for the objects of each frame among those of the frame ``gap`` later, in the same video and class."""
    groups = {place: np.array(rows) for place, rows in _rows_by_place(clips, frames).items()}
    objects, found, by_chance = 0, 0.0, 0.0
    for (clip, frame), now in groups.items():
        later = groups.get((clip, frame + gap))
        if later is None:
            continue
        comparable = kinds[now, None] == kinds[None, later]
        right = identity[now, None] == identity[None, later]  # of one class then, too
        asked = right.any(axis=1)
        similarity = np.where(comparable, unit[now] @ unit[later].T, -np.inf)[asked]
        best = similarity == similarity.max(axis=1, keepdims=True, initial=-np.inf)
        objects += int(asked.sum())
        found += float(((best & right[asked]).any(axis=1) / np.maximum(best.sum(axis=1), 1)).sum())
        by_chance += float((1 / comparable[asked].sum(axis=1)).sum())
    return Nearest(objects, found, by_chance)


def _rows_by_place(clips: IntArray, frames: np.ndarray) -> dict[tuple[int, int], list[int]]:
    """Return (video, frame) -> rows."""
    groups: dict[tuple[int, int], list[int]] = {}
    for row, place in enumerate(zip(clips.tolist(), frames.tolist())):
        groups.setdefault(place, []).append(row)
    return groups


def roc_curve(quality: EmbeddingQuality) -> tuple[FloatArray, FloatArray]:
    """Return FAR and TPR at the limits of the bins, from strict to lax. -> (BINS,), (BINS,)."""
    far = np.cumsum(quality.different[::-1]) / max(int(quality.different.sum()), 1)
    return far, np.cumsum(quality.same[::-1]) / max(int(quality.same.sum()), 1)
