"""The bi-softmax tracker for hundreds of classes and uncertain detections (TAO, LVIS)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arguments import number_in_range
from .bisoftmax_tracker import BiSoftmaxTracker
from .cues import Cues
from .detections import Detections, covered_boxes
from .similarity import cosine_similarity, iou_pairs, masked_bisoftmax


@dataclass(frozen=True)
class ClassMaskedCues(Cues):
    """Classes are told apart before the softmax, so that others take nothing away; averaged with the cosine.

    Args:
        with_cosine: whether the cosine takes part.
    """

    with_cosine: bool = True

    def appearance(self, embeds: np.ndarray, memory: np.ndarray, same: np.ndarray) -> np.ndarray:
        """Compare looks within classes. (n, C), (m, C), (n, m) bool for pairs of one class -> (n, m)."""
        similarity = masked_bisoftmax(self.logits(embeds, memory), same)
        return (similarity + cosine_similarity(embeds, memory)) / 2 if self.with_cosine else similarity


class TAOBiSoftmaxTracker(BiSoftmaxTracker):
    """:class:`BiSoftmaxTracker` as it was run on TAO, where a class has few detections and their scores are low.

    What differs from the parent:

    * almost every detection may start or continue a track (``init_score_thr``, ``obj_score_thr`` 1e-4), and there are
      no backdrops;
    * duplicates are low scores only, and only within a class;
    * similarity is the mean of the cosine and of a bi-softmax in which the other classes have no part (in the parent
      they are masked afterwards and weaken each other);
    * a track is continued only by a detection of similar score; its score is a moving average.

    Source: the TAO tracker of SysCV/qdtrack, also in mmtracking 1.x; mmdet has none.

    Args:
        init_score_thr: as in the parent.
        obj_score_thr: as in the parent.
        match_score_thr: as in the parent.
        memo_tracklet_frames: as in the parent.
        memo_momentum: as in the parent.
        score_momentum: weight of the new score in the moving average, in [0, 1]. Larger: adapts faster.
        score_diff_thr: least difference of scores that forbids a match, in [0, 1]. Larger: accepts sudden changes.
        distractor_score_thr: detections below it can be duplicates, in [0, 1]. Larger: fewer detections are tracked.
        distractor_iou_thr: overlap with a box of higher score and the same class above which they are, in [0, 1].
            Larger: more survive.
        with_cats: as in the parent.
        match_with_cosine: whether the cosine takes part in the similarity.
        temperature: as in the parent.
    """

    def __init__(
        self,
        init_score_thr: float = 1e-4,
        obj_score_thr: float = 1e-4,
        match_score_thr: float = 0.5,
        memo_tracklet_frames: int = 10,
        memo_momentum: float = 0.8,
        score_momentum: float = 0.5,
        score_diff_thr: float = 1.0,
        distractor_score_thr: float = 0.5,
        distractor_iou_thr: float = 0.3,
        with_cats: bool = True,
        match_with_cosine: bool = True,
        temperature: float | None = None,
    ) -> None:
        """Check the arguments and start without tracks."""
        super().__init__(
            init_score_thr=init_score_thr,
            obj_score_thr=obj_score_thr,
            match_score_thr=match_score_thr,
            memo_tracklet_frames=memo_tracklet_frames,
            memo_backdrop_frames=0,
            memo_momentum=memo_momentum,
            with_cats=with_cats,
            temperature=temperature,
        )
        self.nms_conf_thr = np.inf  # a match that was refused is no reason to drop the detection
        self.score_momentum = number_in_range("score_momentum", score_momentum, 0, 1)
        self.score_diff_thr = number_in_range("score_diff_thr", score_diff_thr, 0, 1)
        self.distractor_score_thr = number_in_range("distractor_score_thr", distractor_score_thr, 0, 1)
        self.distractor_iou_thr = number_in_range("distractor_iou_thr", distractor_iou_thr, 0, 1)
        self.cues = ClassMaskedCues(**vars(self.cues), with_cosine=bool(match_with_cosine))

    def _is_duplicate(self, found: Detections) -> np.ndarray:
        low = np.flatnonzero(found.scores < self.distractor_score_thr)
        overlap = iou_pairs(found.bboxes[low], found.bboxes)
        if self.cues.with_cats:
            overlap = overlap.where(found.labels[low[overlap.rows]] == found.labels[overlap.cols])
        duplicate = np.zeros(len(found), dtype=bool)
        duplicate[low] = covered_boxes(overlap, low, np.full(len(low), self.distractor_iou_thr))
        return duplicate

    def _may_continue(self, found: Detections) -> np.ndarray:
        similar = np.abs(found.scores[:, None] - self._memory.scores) < self.score_diff_thr
        return similar & super()._may_continue(found)

    def _refresh(self, assigned: np.ndarray, found: Detections, frame_id: int, sure: np.ndarray) -> None:
        old = self._memory.scores.copy()
        super()._refresh(assigned, found, frame_id, sure)
        tracks, new = assigned[assigned >= 0], self.score_momentum
        self._memory.scores[tracks] = (1 - new) * old[tracks] + new * self._memory.scores[tracks]
