"""The bi-softmax tracker of QDTrack: each detection and each memory must prefer the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import InputError
from .arguments import frame_count, number_in_range, one_of, optional_number
from .association import assigned_pairs, greedy_preferences
from .cues import METRICS, Cues, Regress, regressed_boxes
from .detections import Detections, covered_boxes
from .kalman import KalmanFilter
from .online_tracker import OnlineTracker
from .similarity import iou_pairs
from .track_memory import Backdrops, Candidates, TrackMemory, in_one_precision
from .tracks import Tracks

# What became of a detection that is no track's.
UNUSED, SUPPRESSED = -1, -2

_SMALLEST_TEMPERATURE = 1e-3


class BiSoftmaxTracker(OnlineTracker):
    """Online tracker of QDTrack (section 3.3), appearance only by default.

    One frame, n detections sorted by score, m = T tracks and the backdrops in memory::

        duplicates  a box that overlaps one of higher score is dropped, whatever the classes
        similarity  (n, m) bi-softmax of dot products, Eq. (8); 0 between different classes
        matching    by falling score, each detection prefers its most similar memory, above match_score_thr
                      a track     -> continues it, if the score is above obj_score_thr; nobody else can
                      a track     -> else suppressed: neither shown nor kept, if the similarity is above nms_conf_thr
                      a backdrop  -> stays unmatched
        low scores  unused detections x tracks seen in the last frame, by overlap; only with low_score_thr
        births      unmatched detections above init_score_thr start tracks
        memory      embeddings blend; the other unmatched detections become backdrops, unless a box of higher score
                    covers them; tracks not seen for memo_tracklet_frames are forgotten

    Every row of the paper's Table 4 is a choice of arguments: ``match_metric="cosine", remove_duplicates=False,
    memo_backdrop_frames=0``; the same with ``match_metric="bisoftmax"``; with ``remove_duplicates=True`` besides; and
    the defaults, which have backdrops. So is every row of Table 5, where similarity is the weighted mean

        (appearance_weight * appearance + iou_weight * IoU) / (appearance_weight + iou_weight), 0 between classes

    of appearance (in [0, 1]; cosine in [-1, 1]) and the IoU of a detection with the box of a memory: that of its last
    detection, moved to this frame by the Kalman filter (``motion``) or by the detector itself (``regression``).

    Ids start at 0, as in the public code, are counted on the instance and never used twice between two resets. Frame
    ids may have gaps: tracks age in frames, as if empty frames had been given; backdrops age in calls of ``update``,
    as a gap is no evidence about them. Compared with mmdet's ``QuasiDenseTracker``, a frame without detections ages
    the memory like any other, and rows that cannot be used are counted and left out.

    Args:
        init_score_thr: a new track needs a detection with a larger score, in [0, 1]. Larger: fewer false tracks, more
            missed objects.
        obj_score_thr: a detection needs a larger score to continue a track, in [0, 1]; a smaller score also lowers the
            overlap at which it is a duplicate. Larger: fewer false boxes, more gaps in tracks.
        match_score_thr: least similarity of a match, in [0, 1]. Larger: fewer swaps, more new ids.
        memo_tracklet_frames: frames after which an unseen track is forgotten, at least 1. Larger: survives longer
            occlusions, risks wrong re-use.
        memo_backdrop_frames: calls of ``update`` for which backdrops are kept; 0: none. Larger: false detections find
            their like more often, and so do doubtful new objects.
        memo_momentum: weight of the new embedding in the moving average, in [0, 1]. Larger: adapts faster, less steady.
        nms_conf_thr: similarity to a track above which a low score is suppressed, in [0, 1]. Larger: more backdrops.
        nms_backdrop_iou_thr: overlap with a box of higher score above which a detection with a score below
            ``obj_score_thr`` is a duplicate, and any unmatched one is no backdrop, in [0, 1]. Larger: more survive.
        nms_class_iou_thr: the same for a detection with a higher score. Larger: more survive.
        with_cats: only things of one label match. False: a track takes the label of its latest detection.
        match_metric: ``'bisoftmax'``; ``'softmax'``: over the memories only; ``'cosine'``.
        temperature: None: dot products of the embeddings as they are, as in the paper. A number: cosines / temperature,
            for embeddings trained at unit length. Smaller: more decided.
        remove_duplicates: whether boxes that overlap one of higher score are dropped before matching.
        appearance_weight: weight of appearance, at least 0. With 0 embeddings are not looked at and may be None.
        iou_weight: weight of the overlap, at least 0. Larger: position decides, look-alikes are told apart, fast or
            long-hidden objects lose their ids.
        motion: ``'kalman'``: boxes in memory move by a Kalman filter before they are compared; None: they stay.
        regression: boxes in memory move by the ``regress`` of ``update``, after ``motion`` if both are on.
        low_score_thr: unused detections above it take part in the low-score association (ByteTrack's, Zhang et al.
            2022), in [0, 1]; they move a track's box, not its appearance. None: none do. Smaller: fewer gaps in
            tracks, more false boxes.
        low_iou_thr: limit of the IoU distance, 1 - IoU, in that association, in [0, 1]. Larger: accepts faster motion,
            risks drift.
        confirm_frames: detections after which a track is shown, at least 1; those of the first frame after ``reset``
            are shown at once. Larger: fewer false tracks, objects appear later.

    Attributes:
        needs_regression: whether ``update`` must be given ``regress``.
        num_rejected: detections since the last reset that could not be used (not finite, no area).

    Raises:
        InputError: an argument out of its range, or cues that contradict each other.
    """

    def __init__(
        self,
        init_score_thr: float = 0.8,
        obj_score_thr: float = 0.5,
        match_score_thr: float = 0.5,
        memo_tracklet_frames: int = 10,
        memo_backdrop_frames: int = 1,
        memo_momentum: float = 0.8,
        nms_conf_thr: float = 0.5,
        nms_backdrop_iou_thr: float = 0.3,
        nms_class_iou_thr: float = 0.7,
        with_cats: bool = True,
        match_metric: str = "bisoftmax",
        temperature: float | None = None,
        remove_duplicates: bool = True,
        appearance_weight: float = 1.0,
        iou_weight: float = 0.0,
        motion: str | None = None,
        regression: bool = False,
        low_score_thr: float | None = None,
        low_iou_thr: float = 0.5,
        confirm_frames: int = 1,
    ) -> None:
        """Check the arguments and start without tracks."""
        self.init_score_thr = number_in_range("init_score_thr", init_score_thr, 0, 1)
        self.obj_score_thr = number_in_range("obj_score_thr", obj_score_thr, 0, 1)
        self.match_score_thr = number_in_range("match_score_thr", match_score_thr, 0, 1)
        self.memo_tracklet_frames = frame_count("memo_tracklet_frames", memo_tracklet_frames, 1)
        self.memo_backdrop_frames = frame_count("memo_backdrop_frames", memo_backdrop_frames, 0)
        self.memo_momentum = number_in_range("memo_momentum", memo_momentum, 0, 1)
        self.nms_conf_thr = number_in_range("nms_conf_thr", nms_conf_thr, 0, 1)
        self.nms_backdrop_iou_thr = number_in_range("nms_backdrop_iou_thr", nms_backdrop_iou_thr, 0, 1)
        self.nms_class_iou_thr = number_in_range("nms_class_iou_thr", nms_class_iou_thr, 0, 1)
        self.remove_duplicates = bool(remove_duplicates)
        self.cues = Cues(
            match_metric=one_of("match_metric", match_metric, METRICS),
            temperature=optional_number("temperature", temperature, _SMALLEST_TEMPERATURE),
            appearance_weight=number_in_range("appearance_weight", appearance_weight, 0),
            iou_weight=number_in_range("iou_weight", iou_weight, 0),
            with_cats=bool(with_cats),
        )
        self.motion = one_of("motion", motion, (None, "kalman"))
        self.needs_regression = bool(regression)
        self.low_score_thr = optional_number("low_score_thr", low_score_thr, 0, 1)
        self.low_iou_thr = number_in_range("low_iou_thr", low_iou_thr, 0, 1)
        self.confirm_frames = frame_count("confirm_frames", confirm_frames, 1)
        if not iou_weight and low_score_thr is None and (motion or regression):
            cue = "motion" if motion else "regression"
            raise InputError(
                f"{cue}: no boxes are compared, so moving them is in vain; set iou_weight or low_score_thr"
            )
        self._kalman = KalmanFilter()
        self.reset()

    def reset(self) -> None:
        """Forget everything: call it before each video. The next id is 0 again."""
        super().reset()
        self._memory, self._backdrops = TrackMemory.empty(0), Backdrops.empty(0)

    def update(
        self, bboxes: Any, scores: Any, labels: Any, embeds: Any | None, frame_id: int, regress: Regress | None = None
    ) -> Tracks:
        """Track the detections of one frame.

        Args:
            bboxes: (n, 4) xyxy pixels; the tracks come back with the very boxes of their detections.
            scores: (n,).
            labels: (n,) integers.
            embeds: (n, C) appearance vectors as the embed head gives them. None is accepted without detections, or if
                ``appearance_weight`` is 0.
            frame_id: number of the frame, larger than in the call before.
            regress: for ``regression=True``: (m, 4) boxes of the memory, in the pixels of ``bboxes`` -> (m, 4) where
                the detector's box head sees them in this frame (as Tracktor does). Not called without memory.

        Returns:
            The tracks that have a detection in this frame, as far as they are confirmed.

        Raises:
            InputError: malformed input, or a cue that is missing; the tracker is then as it was before the call.
        """
        looks = embeds if self.cues.appearance_weight else None
        frame_id, found = self._admit(bboxes, scores, labels, looks, frame_id, -np.inf)
        found = self._with_appearance(found)
        memory = self._expected_memory(frame_id)
        candidates = self._candidates(memory, regress)
        # Nothing can fail from here on.
        self._memory = memory
        self._count(found)

        found = self._distinct(found)
        sure = self._associate(found, candidates)
        assigned = self._associate_low_scores(sure, found, candidates)
        self._refresh(assigned, found, frame_id, sure=assigned == sure)
        ids = self._give_ids(assigned, found, frame_id)
        self._keep_backdrops(np.flatnonzero(ids == UNUSED), found)
        self._memory = self._memory.remembered(frame_id, self.memo_tracklet_frames)
        self._last_frame = frame_id
        waiting = np.isin(ids, self._memory.ids[self._memory.pending > 0])
        return Tracks.of_detections(np.where(waiting, UNUSED, ids), found)

    # ------------------------------------------------------------------------------------------------- before matching
    def _with_appearance(self, found: Detections) -> Detections:
        """Refuse detections without embeddings, if appearance counts, and fit the memory to the first that come."""
        if not self.cues.appearance_weight:
            return found
        if not len(found):
            return replace(found, embeds=self._memory.embeds[:0])
        if found.embeds is None:
            raise InputError(
                f"embeds: {type(self).__name__} compares appearance, so detections need embeddings; "
                "or set appearance_weight=0 and iou_weight=1"
            )
        if self._memory.embeds.shape[1] != found.embeds.shape[1]:  # the first embeddings of the video
            form = found.embeds.shape[1], found.embeds.dtype
            self._memory, self._backdrops = TrackMemory.empty(*form), Backdrops.empty(*form)
        return in_one_precision(found, self._memory, self._backdrops)

    def _expected_memory(self, frame_id: int) -> TrackMemory:
        """Return the tracks still remembered in this frame, moved to it. What is stored does not change."""
        memory = self._memory.remembered(frame_id - 1, self.memo_tracklet_frames)  # a gap may have been too long
        if self.motion is None or self._last_frame is None:
            return memory
        return memory.moved(self._kalman, self._last_frame, frame_id)

    def _candidates(self, memory: TrackMemory, regress: Regress | None) -> Candidates:
        """Collect what detections can be matched with."""
        candidates = Candidates.of(memory, self._backdrops, moved=self.motion is not None)
        if self.needs_regression:
            candidates = candidates._replace(bboxes=regressed_boxes(candidates.bboxes, regress))
        return candidates

    def _distinct(self, found: Detections) -> Detections:
        """Sort by falling score and remove duplicates."""
        order = np.argsort(-found.scores, kind="stable")
        if self.remove_duplicates:
            order = order[~self._is_duplicate(replace(found, embeds=None).select(order))]
        return found.select(order)

    def _is_duplicate(self, found: Detections) -> np.ndarray:
        """Compare boxes with those of higher score, of any class. Sorted detections -> (n,) bool."""
        limit = np.where(found.scores < self.obj_score_thr, self.nms_backdrop_iou_thr, self.nms_class_iou_thr)
        return covered_boxes(iou_pairs(found.bboxes, found.bboxes), np.arange(len(found)), limit)

    # -------------------------------------------------------------------------------------------------------- matching
    def _associate(self, found: Detections, candidates: Candidates) -> np.ndarray:
        """Match by similarity, greedily by score. -> (n,) row of the track, UNUSED or SUPPRESSED."""
        similarity = self.cues.similarity(found, candidates)
        claims = np.zeros(similarity.shape, dtype=bool)
        claims[:, : candidates.num_tracks] = self._may_continue(found)
        preferred = greedy_preferences(similarity, self.match_score_thr, claims)
        assigned = np.full(len(found), UNUSED)
        rows = np.flatnonzero((preferred >= 0) & (preferred < candidates.num_tracks))
        granted = claims[rows, preferred[rows]]
        assigned[rows[granted]] = preferred[rows[granted]]
        assigned[rows[~granted & (similarity[rows, preferred[rows]] > self.nms_conf_thr)]] = SUPPRESSED
        return assigned

    def _may_continue(self, found: Detections) -> np.ndarray:
        """Return which tracks a detection may continue. -> (n, T) bool, or what broadcasts to it."""
        return found.scores[:, None] > self.obj_score_thr

    def _associate_low_scores(self, assigned: np.ndarray, found: Detections, candidates: Candidates) -> np.ndarray:
        """Give tracks of the last frame that are still alone an unused detection by overlap. -> as ``assigned``."""
        if self.low_score_thr is None:
            return assigned
        tracks = np.setdiff1d(np.flatnonzero(self._memory.seen_frame == self._last_frame), assigned)
        rows = np.flatnonzero((assigned < 0) & (found.scores > self.low_score_thr))
        overlap = iou_pairs(candidates.bboxes[tracks], found.bboxes[rows])
        if self.cues.with_cats:
            overlap = overlap.where(candidates.labels[tracks[overlap.rows]] == found.labels[rows[overlap.cols]])
        chosen_tracks, chosen_rows = assigned_pairs(overlap._replace(values=1 - overlap.values), self.low_iou_thr)
        assigned = assigned.copy()
        assigned[rows[chosen_rows]] = tracks[chosen_tracks]
        return assigned

    # -------------------------------------------------------------------------------------------------- after matching
    def _refresh(self, assigned: np.ndarray, found: Detections, frame_id: int, sure: np.ndarray) -> None:
        """Bring the matched tracks up to date; only rows that are ``sure``, (n,) bool, change the appearance."""
        rows = np.flatnonzero(assigned >= 0)
        self._memory.follow(assigned[rows], found, rows, frame_id, self._kalman if self.motion else None)
        if found.embeds is not None:
            rows = rows[sure[rows]]
            self._memory.blend(assigned[rows], found.embeds[rows], self.memo_momentum)

    def _give_ids(self, assigned: np.ndarray, found: Detections, frame_id: int) -> np.ndarray:
        """Look up the ids of the matched and start tracks. -> (n,) ids, UNUSED or SUPPRESSED."""
        ids = assigned.copy()
        matched = assigned >= 0
        ids[matched] = self._memory.ids[assigned[matched]]
        rows = np.flatnonzero((assigned == UNUSED) & (found.scores > self.init_score_thr))
        if len(rows):
            ids[rows] = self._new_ids(len(rows))
            pending = 0 if self._last_frame is None else self.confirm_frames - 1
            born = TrackMemory.started(ids[rows], found.select(rows), frame_id, pending, self._kalman)
            self._memory = self._memory.joined(born)
        return ids

    def _keep_backdrops(self, unused: np.ndarray, found: Detections) -> None:
        """Remember unused detections for the next frames, unless a box of higher score covers them."""
        overlap = iou_pairs(found.bboxes[unused], found.bboxes)
        kept = unused[~covered_boxes(overlap, unused, np.full(len(unused), self.nms_backdrop_iou_thr))]
        self._backdrops = self._backdrops.followed_by(Backdrops.started(found.select(kept)), self.memo_backdrop_frames)
