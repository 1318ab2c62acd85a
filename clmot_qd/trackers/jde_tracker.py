"""The JDE tracker: Kalman motion and appearance, three rounds of optimal assignment."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arguments import frame_count, number_in_range
from .association import assigned_pairs
from .detections import Detections
from .gate import gated_pairs
from .jde_frame import CostFunction, JDEFrame
from .kalman import KalmanFilter, cxcyah_to_xyxy
from .online_tracker import OnlineTracker
from .pairs import Pairs
from .similarity import alike_pairs, iou_pairs, paired_cosine_distance, unit_rows
from .track_state import LOST, TRACKED, UNCONFIRMED, TrackState, without_duplicates
from .tracks import Tracks

# 95 % point of the chi-square distribution with 4 degrees of freedom, one for each of cx, cy, a, h.
CHI_SQUARE_95 = 9.4877
# Where neither looks nor motion would weigh anything, motion decides with costs up to this share of the limit.
_TIE_BREAK = 1e-6


class JDETracker(OnlineTracker):
    """Online tracker of JDE, FairMOT and CL-MOT (CL-MOT section 4.4, equation 6).

    One frame, T tracks and D detections::

        predict   tracked and lost tracks move by the Kalman filter
        round 1   tracked + lost  x detections        (1 - w) * cosine distance + w * gating distance, below match_thr
        round 2   tracked, left   x detections, left  IoU distance, below iou_thr
        low       tracked, left   x low scores        IoU distance, below low_iou_thr; only with low_conf_thr
        round 3   unconfirmed     x detections, left  IoU distance, below unconfirmed_thr
        births    detections left over above init_thr start tracks, unconfirmed until they are matched once
        output    tracked tracks with a detection in this frame, boxes smoothed by the Kalman filter

    IoU distance is 1 - IoU. A new track is shown from its second detection on; only tracks born in the first ``update``
    after construction or ``reset`` are shown at once. An unconfirmed track that is not matched in the next frame is
    removed. Where a tracked and a lost track cover each other, the one that lived shorter is removed.

    The round of low scores is ByteTrack's (Zhang et al. 2022): boxes too uncertain to be believed by themselves, most
    often of half-hidden objects, hold on to tracks seen in the last frame. They move the box of a track and leave its
    appearance as it is.

    Frame ids may have gaps. The velocity is in pixels per frame and tracks age in frames, so after a gap the Kalman
    filter predicts once per frame and ``lost_frames`` counts the frames of the gap as well. A gap is otherwise no
    evidence that an object was absent: an unconfirmed track waits for the next frame that is given.

    Ids start at 1, are counted on the instance and never used twice between two resets. Compared with the released code
    (``lib/tracker/multitracker.py``) a track is removed in the frame its time is up and not one later, a re-found track
    takes the score of its new detection, and nothing is kept of removed tracks.

    Args:
        conf_thr: detections need a larger score, in [0, 1]. Larger: fewer false tracks, more missed objects.
        lost_frames: frames a track may go unseen and still come back with its id. Larger: survives longer
            occlusions, risks wrong re-use.
        motion_weight: share w of the gating distance (0 to ``gate_thr``) in the cost of round 1, in [0, 1]; the paper's
            1 - lambda. Larger: position decides, look-alikes are told apart, a wrong prediction costs more.
        match_thr: limit of the cost in round 1, about a cosine distance (0 alike, 1 unrelated). Larger: follows a
            changing appearance, risks swaps.
        iou_thr: limit of the IoU distance in round 2, in [0, 1]. Larger: accepts faster motion, risks drift.
        unconfirmed_thr: the same for round 3. Larger: confirms faster objects, and more false alarms.
        momentum: weight of the old embedding in the moving average, in [0, 1]; alpha of equation 6. Larger: steadier
            appearance, adapts more slowly.
        duplicate_thr: IoU distance below which a tracked and a lost track count as one, in [0, 1]; 0 switches it off.
            Larger: fewer ghosts of lost tracks, close neighbours may lose their memory.
        gate_thr: largest squared Mahalanobis distance (no unit) of a pair in round 1; the default holds 95 % of true
            pairs. Larger: accepts sudden motion, risks jumps.
        per_class: a detection continues only tracks of its own label. False: labels play no part in association and a
            track takes the label of its latest detection.
        init_thr: a new track needs a detection with a larger score, in [conf_thr, 1]; None: ``conf_thr``. Larger: fewer
            false tracks, while weaker detections still continue tracks.
        low_conf_thr: detections above this and up to ``conf_thr`` take part in the round of low scores, in
            [0, conf_thr]; None leaves that round out. Smaller: fewer gaps in tracks, more false boxes.
        low_iou_thr: limit of the IoU distance in the round of low scores, in [0, 1]. Larger: accepts faster motion,
            risks drift.
        confirm_frames: detections in a row after which a track is shown, at least 1. Larger: fewer false tracks,
            objects appear later.
        smooth_boxes: show the boxes of the Kalman filter. False: show those of the detections, which fit more closely
            where the detector is good.

    Raises:
        InputError: an argument out of its range.
    """

    first_id = 1

    def __init__(
        self,
        conf_thr: float = 0.4,
        lost_frames: int = 30,
        motion_weight: float = 0.02,
        match_thr: float = 0.7,
        iou_thr: float = 0.5,
        unconfirmed_thr: float = 0.7,
        momentum: float = 0.9,
        duplicate_thr: float = 0.15,
        gate_thr: float = CHI_SQUARE_95,
        per_class: bool = True,
        init_thr: float | None = None,
        low_conf_thr: float | None = None,
        low_iou_thr: float = 0.5,
        confirm_frames: int = 2,
        smooth_boxes: bool = True,
    ) -> None:
        """Check the arguments and start without tracks."""
        self.conf_thr = number_in_range("conf_thr", conf_thr, 0, 1)
        self.lost_frames = frame_count("lost_frames", lost_frames, 0)
        self.motion_weight = number_in_range("motion_weight", motion_weight, 0, 1)
        self.match_thr = number_in_range("match_thr", match_thr, 0)
        self.iou_thr = number_in_range("iou_thr", iou_thr, 0, 1)
        self.unconfirmed_thr = number_in_range("unconfirmed_thr", unconfirmed_thr, 0, 1)
        self.momentum = number_in_range("momentum", momentum, 0, 1)
        self.duplicate_thr = number_in_range("duplicate_thr", duplicate_thr, 0, 1)
        self.gate_thr = number_in_range("gate_thr", gate_thr, 0)
        self.per_class = bool(per_class)
        low, high = low_conf_thr, init_thr
        self.init_thr = self.conf_thr if high is None else number_in_range("init_thr", high, self.conf_thr, 1)
        self.low_conf_thr = self.conf_thr if low is None else number_in_range("low_conf_thr", low, 0, self.conf_thr)
        self.low_iou_thr = number_in_range("low_iou_thr", low_iou_thr, 0, 1)
        self.confirm_frames = frame_count("confirm_frames", confirm_frames, 1)
        self.smooth_boxes = bool(smooth_boxes)
        self._kalman = KalmanFilter()
        self.reset()

    def reset(self) -> None:
        """Forget everything: call it before each video. The next id is 1 again."""
        super().reset()
        self._state = TrackState.empty()

    def update(self, bboxes: Any, scores: Any, labels: Any, embeds: Any | None, frame_id: int) -> Tracks:
        """Track the detections of one frame.

        Args:
            bboxes: (n, 4) xyxy pixels; the tracks come back in the same pixels.
            scores: (n,).
            labels: (n,) integers.
            embeds: (n, C) appearance vectors, any length; or None: motion alone decides in this frame. A vector of
                zeros resembles nothing (distance 1) and leaves its detection to the IoU rounds.
            frame_id: number of the frame, larger than in the call before.

        Returns:
            The tracks shown in this frame.

        Raises:
            InputError: malformed input; the tracker is then as it was before the call.
        """
        frame_id, found = self._admit(bboxes, scores, labels, embeds, frame_id, self.low_conf_thr)
        self._count(found)
        frame = JDEFrame.observed(frame_id, found)

        self._predict(frame)
        assigned = self._associate(frame)
        self._refresh(assigned, frame)
        self._remove(frame)
        left = found.scores > self.init_thr
        left[assigned[assigned >= 0]] = False
        self._give_birth(np.flatnonzero(left), frame)
        self._keep(without_duplicates(self._state, self.duplicate_thr, self.per_class))
        self._last_frame = frame_id
        return self._shown(frame)

    def _count(self, found: Detections) -> None:
        super()._count(found)
        if self._state.embeds.shape[1] != (self._embed_width or 0):  # tracks of frames that came without embeddings
            precision = None if found.embeds is None else found.embeds.dtype
            self._state.embeds = np.zeros((len(self._state), self._embed_width or 0), dtype=precision)

    def _predict(self, frame: JDEFrame) -> None:
        """Drop the tracks that ran out of time during a gap, and move the confirmed ones to this frame."""
        self._keep(self._in_time(frame.frame_id - 1))
        state = self._state
        # A lost track keeps its size: an error in the height's velocity would grow unseen.
        state.mean[state.status == LOST, 7] = 0.0
        moving = np.flatnonzero((state.status != UNCONFIRMED) | (state.hits > 1))
        if not len(moving) or self._last_frame is None:
            return
        mean, covariance = state.mean[moving], state.covariance[moving]
        for _ in range(frame.frame_id - self._last_frame):
            mean, covariance = self._kalman.predict(mean, covariance)
        state.mean[moving], state.covariance[moving] = mean, covariance

    def _associate(self, frame: JDEFrame) -> np.ndarray:
        """Run the rounds. -> (T,) row of the frame's detections for each track, -1 without one."""
        status, high = self._state.status, frame.detections.scores > self.conf_thr
        rounds: tuple[tuple[np.ndarray, np.ndarray, CostFunction, float], ...] = (
            (status != UNCONFIRMED, high, self._fused_cost, self.match_thr),
            (status == TRACKED, high, self._iou_distance, self.iou_thr),
            (status == TRACKED, ~high, self._iou_distance, self.low_iou_thr),
            (status == UNCONFIRMED, high, self._iou_distance, self.unconfirmed_thr),
        )
        assigned, free = np.full(len(status), -1), np.ones(len(high), dtype=bool)
        for eligible, offered, cost_of, limit in rounds:
            tracks = np.flatnonzero(eligible & (assigned < 0))
            rows = np.flatnonzero(offered & free) if len(tracks) else tracks
            if not len(rows):
                continue
            pairs = cost_of(tracks, frame, rows)
            if self.per_class:
                pairs = pairs.where(self._state.labels[tracks[pairs.rows]] == frame.detections.labels[rows[pairs.cols]])
            chosen_tracks, chosen_rows = assigned_pairs(pairs, limit)
            assigned[tracks[chosen_tracks]] = rows[chosen_rows]
            free[rows[chosen_rows]] = False
        return assigned

    def _fused_cost(self, tracks: np.ndarray, frame: JDEFrame, rows: np.ndarray) -> Pairs:
        """Cost of round 1 inside the gate. (t,) tracks, (d,) rows of the detections -> pairs."""
        state, unit = self._state, frame.unit_embeds
        motion, weight = (state.mean[tracks], state.covariance[tracks], frame.measurements[rows]), self.motion_weight
        if unit is None or weight == 1:
            pairs = gated_pairs(self._kalman, *motion, self.gate_thr)
            weight = weight or _TIE_BREAK * self.match_thr / max(self.gate_thr, 1.0)
            return pairs._replace(values=weight * pairs.values)
        farthest = self.match_thr / (1 - weight)
        pairs = gated_pairs(
            self._kalman, *motion, self.gate_thr, lambda of: alike_pairs(state.embeds, tracks[of], unit[rows], farthest)
        )
        distance = paired_cosine_distance(state.embeds, unit, tracks[pairs.rows], rows[pairs.cols])
        return pairs._replace(values=weight * pairs.values + (1 - weight) * distance)

    def _iou_distance(self, tracks: np.ndarray, frame: JDEFrame, rows: np.ndarray) -> Pairs:
        """Cost of the other rounds where boxes touch; elsewhere it is 1. (t,) tracks, (d,) detections -> pairs."""
        pairs = iou_pairs(cxcyah_to_xyxy(self._state.mean[tracks]), frame.detections.bboxes[rows])
        return pairs._replace(values=1 - pairs.values)

    def _refresh(self, assigned: np.ndarray, frame: JDEFrame) -> None:
        """Correct the matched tracks by their detections; tracked ones without a detection become lost."""
        state, found = self._state, frame.detections
        state.status[(state.status == TRACKED) & (assigned < 0)] = LOST
        state.detection_index[:] = -1
        matched = np.flatnonzero(assigned >= 0)
        rows = assigned[matched]
        state.hits[matched] += 1
        waiting = (state.status == UNCONFIRMED) & (state.hits < self.confirm_frames)
        state.status[matched[~waiting[matched]]] = TRACKED
        state.seen_frame[matched] = frame.frame_id
        state.detection_index[matched] = found.index[rows]
        state.scores[matched], state.labels[matched] = found.scores[rows], found.labels[rows]
        state.mean[matched], state.covariance[matched] = self._kalman.update(
            state.mean[matched], state.covariance[matched], frame.measurements[rows]
        )
        self._remember_looks(matched, rows, frame)

    def _remember_looks(self, tracks: np.ndarray, rows: np.ndarray, frame: JDEFrame) -> None:
        """Blend the embeddings of these rows into these tracks', low scores left out."""
        if frame.unit_embeds is None or not len(tracks):
            return
        sure = frame.detections.scores[rows] > self.conf_thr
        tracks, rows = tracks[sure], rows[sure]
        blend = self.momentum * self._state.embeds[tracks] + (1 - self.momentum) * frame.unit_embeds[rows]
        self._state.embeds[tracks] = unit_rows(blend)

    def _remove(self, frame: JDEFrame) -> None:
        """Remove the unconfirmed tracks that found no detection and the lost ones whose time is up."""
        state = self._state
        gone = (state.status == UNCONFIRMED) & (state.seen_frame < frame.frame_id)
        self._keep(~gone & self._in_time(frame.frame_id))

    def _in_time(self, frame_id: int) -> np.ndarray:
        """Return which tracks, up to and including ``frame_id``, went unseen for ``lost_frames`` at most. -> (T,)."""
        return frame_id - self._state.seen_frame <= self.lost_frames

    def _keep(self, kept: np.ndarray) -> None:
        """Remove the other tracks, if any. (T,) bool."""
        if not kept.all():
            self._state = self._state.select(kept)

    def _give_birth(self, rows: np.ndarray, frame: JDEFrame) -> None:
        """Start a track from each of these rows of the detections."""
        count = len(rows)
        if not count:
            return
        status = TRACKED if self._last_frame is None or self.confirm_frames == 1 else UNCONFIRMED
        embeds = np.zeros_like(self._state.embeds, shape=(count, self._state.embeds.shape[1]))
        if frame.unit_embeds is not None:
            embeds = frame.unit_embeds[rows]
        born = TrackState.started(self._new_ids(count), frame, rows, status, self._kalman, embeds)
        self._state = self._state.joined(born)

    def _shown(self, frame: JDEFrame) -> Tracks:
        state = self._state
        shown = state.status == TRACKED
        if self.smooth_boxes:
            bboxes = cxcyah_to_xyxy(state.mean[shown])
        else:
            rows = np.searchsorted(frame.detections.index, state.detection_index[shown])
            bboxes = frame.detections.bboxes[rows]
        return Tracks(
            instances_id=state.ids[shown],
            bboxes=bboxes.astype(np.float32),
            scores=state.scores[shown].astype(np.float32),
            labels=state.labels[shown],
            detection_index=state.detection_index[shown],
        )
