"""How alike a detection and a memory are: appearance and position, weighted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .detections import LARGEST_COORDINATE, Detections
from .similarity import bisoftmax, cosine_similarity, pairwise_iou, softmax
from .track_memory import Candidates

METRICS = ("bisoftmax", "softmax", "cosine")

# (m, 4) xyxy boxes of the memory, pixels of the input -> (m, 4) where the detector's box head sees them now.
Regress = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Cues:
    """The similarity of :class:`~clmot_qd.trackers.bisoftmax_tracker.BiSoftmaxTracker`; its arguments, checked there.

    Legend: n detections, m candidates (tracks, then backdrops), C width of an embedding.

    Raises:
        InputError: arguments that contradict each other.
    """

    match_metric: str
    temperature: float | None
    appearance_weight: float
    iou_weight: float
    with_cats: bool

    def __post_init__(self) -> None:
        """Refuse what could not mean anything."""
        if not self.appearance_weight + self.iou_weight:
            raise InputError("appearance_weight, iou_weight: both are 0, so nothing would be compared")
        if self.temperature is not None and self.match_metric == "cosine":
            raise InputError("temperature: match_metric='cosine' has none; leave it out, or take 'bisoftmax'")

    def similarity(self, found: Detections, candidates: Candidates) -> np.ndarray:
        """Weighted mean of the cues, 0 between classes. -> (n, m) float32.

        Half of the bi-softmax is 1 where there is one memory only. Single precision, in which the public code computes,
        keeps a share of 1e-9 in the other half from lifting the sum above a threshold of 0.5.
        """
        if not len(found) or not len(candidates.labels):
            return np.zeros((len(found), len(candidates.labels)), dtype=np.float32)
        same = self.same_class(found.labels, candidates.labels)
        similarity = self._weighted_mean(found, candidates, same)
        if not same.all():
            similarity *= same
        return similarity.astype(np.float32, copy=False)

    def _weighted_mean(self, found: Detections, candidates: Candidates, same: np.ndarray) -> np.ndarray:
        """The weighted mean of the cues, classes aside. -> (n, m)."""
        if found.embeds is None:
            return pairwise_iou(found.bboxes, candidates.bboxes)
        appearance = self.appearance(found.embeds, candidates.embeds, same)
        if not self.iou_weight:
            return appearance
        total = self.appearance_weight + self.iou_weight
        overlap = pairwise_iou(found.bboxes, candidates.bboxes)
        return self.appearance_weight / total * appearance + self.iou_weight / total * overlap

    def same_class(self, labels_a: np.ndarray, labels_b: np.ndarray) -> np.ndarray:
        """Return which pairs may match as far as labels go. (n,), (m,) -> (n, m) bool."""
        if self.with_cats and not _all_equal(labels_a, labels_b):
            return labels_a[:, None] == labels_b
        return np.ones((len(labels_a), len(labels_b)), dtype=bool)

    def appearance(self, embeds: np.ndarray, memory: np.ndarray, same: np.ndarray) -> np.ndarray:
        """Compare looks. (n, C), (m, C), (n, m) bool for pairs of one class, not used here -> (n, m)."""
        if self.match_metric == "cosine":
            return cosine_similarity(embeds, memory)
        logits = self.logits(embeds, memory)
        return bisoftmax(logits) if self.match_metric == "bisoftmax" else softmax(logits, axis=1)

    def logits(self, embeds: np.ndarray, memory: np.ndarray) -> np.ndarray:
        """Dot products, or cosines over the temperature. (n, C), (m, C) -> (n, m)."""
        if self.temperature is None:
            return embeds @ memory.T
        return cosine_similarity(embeds, memory) / self.temperature


def _all_equal(labels_a: np.ndarray, labels_b: np.ndarray) -> bool:
    """Whether all labels of both sides are one, as they most often are."""
    labels = np.concatenate((labels_a, labels_b))
    return bool((labels == labels[:1]).all())


def regressed_boxes(bboxes: np.ndarray, regress: Regress | None) -> np.ndarray:
    """Ask the detector where these boxes are now. (m, 4) -> (m, 4).

    Raises:
        InputError: there is nobody to ask, or the answer has another shape.
    """
    if regress is None:
        raise InputError("regress: a tracker with regression=True needs it in every update: (m, 4) -> (m, 4) boxes")
    if not len(bboxes):
        return bboxes
    moved = np.asarray(regress(bboxes.copy()), dtype=np.float64)
    if moved.shape != bboxes.shape:
        raise InputError(f"regress: expected {bboxes.shape} numbers, a box for each given, got {moved.shape}")
    # A network that overflows has lost sight of the box: it stays where it was. NaN is not below the limit either.
    return np.where((np.abs(moved) < LARGEST_COORDINATE).all(axis=1, keepdims=True), moved, bboxes)
