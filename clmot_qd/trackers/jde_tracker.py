"""The JDE tracker: Kalman motion and appearance, three rounds of optimal assignment."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from .association import gated_assignment
from .detections import Detections, parse_detections
from .kalman import KalmanFilter, cxcyah_to_xyxy, xyxy_to_cxcyah
from .similarity import cosine_distance, pairwise_iou, unit_rows
from .track_state import LOST, TRACKED, UNCONFIRMED, TrackState
from .tracks import Tracks

# 95 % point of the chi-square distribution with 4 degrees of freedom, one for each of cx, cy, a, h.
CHI_SQUARE_95 = 9.4877


class _Frame(NamedTuple):
    """The detections of one frame, with what the rounds compare: (n, 4) cx cy a h, and (n, C) unit rows or None."""

    frame_id: int
    detections: Detections
    measurements: np.ndarray
    unit_embeds: np.ndarray | None

    @classmethod
    def observed(cls, frame_id: int, detections: Detections) -> _Frame:
        """Derive the measurements and the unit embeddings."""
        unit = None if detections.embeds is None else unit_rows(detections.embeds)
        return cls(frame_id, detections, xyxy_to_cxcyah(detections.bboxes), unit)


class JDETracker:
    """Online tracker of JDE, FairMOT and CL-MOT (CL-MOT section 4.4, equation 6).

    One frame, T tracks and D detections::

        predict   tracked and lost tracks move by the Kalman filter
        round 1   tracked + lost  x detections        (1 - w) * cosine distance + w * gating distance, below match_thr
        round 2   tracked, left   x detections, left  IoU distance, below iou_thr
        round 3   unconfirmed     x detections, left  IoU distance, below unconfirmed_thr
        births    detections left over start tracks, unconfirmed until they are matched once
        output    tracked tracks with a detection in this frame, boxes smoothed by the Kalman filter

    IoU distance is 1 - IoU. A new track is shown from its second detection on; only tracks born in the first ``update``
    after construction or ``reset`` are shown at once. An unconfirmed track that is not matched in the next frame is
    removed. Where a tracked and a lost track cover each other, the one that lived shorter is removed.

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

    Attributes:
        num_rejected: detections since the last reset that could not be used (not finite, no area).

    Raises:
        InputError: an argument out of its range.
    """

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
    ) -> None:
        """Check the arguments and start without tracks."""
        self.conf_thr = _number_in_range("conf_thr", conf_thr, 0, 1)
        self.lost_frames = int(_number_in_range("lost_frames", _integer("lost_frames", lost_frames), 0))
        self.motion_weight = _number_in_range("motion_weight", motion_weight, 0, 1)
        self.match_thr = _number_in_range("match_thr", match_thr, 0)
        self.iou_thr = _number_in_range("iou_thr", iou_thr, 0, 1)
        self.unconfirmed_thr = _number_in_range("unconfirmed_thr", unconfirmed_thr, 0, 1)
        self.momentum = _number_in_range("momentum", momentum, 0, 1)
        self.duplicate_thr = _number_in_range("duplicate_thr", duplicate_thr, 0, 1)
        self.gate_thr = _number_in_range("gate_thr", gate_thr, 0)
        self.per_class = bool(per_class)
        self._kalman = KalmanFilter()
        self.reset()

    def reset(self) -> None:
        """Forget everything: call it before each video. The next id is 1 again."""
        self.num_rejected = 0
        self._next_id = 1
        self._last_frame: int | None = None
        self._embed_width: int | None = None
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
        frame_id = self._checked_frame(frame_id)
        found = parse_detections(bboxes, scores, labels, embeds, self.conf_thr)
        self._check_width(found)
        self.num_rejected += found.num_rejected
        frame = _Frame.observed(frame_id, found)

        self._predict(frame)
        assigned = self._associate(frame)
        self._refresh(assigned, frame)
        self._remove(frame)
        self._give_birth(np.setdiff1d(np.arange(len(found)), assigned), frame)
        self._remove_duplicates()
        self._last_frame = frame_id
        return self._shown()

    def _checked_frame(self, frame_id: int) -> int:
        frame_id = _integer("frame_id", frame_id)
        if self._last_frame is not None and frame_id <= self._last_frame:
            raise InputError(f"frame_id: {frame_id} follows {self._last_frame}; call reset() before a new video")
        return frame_id

    def _check_width(self, found: Detections) -> None:
        """Hold the embeddings of one video to one width; the first frame that has any decides it."""
        if found.embeds is None or not found.embeds.size:
            return
        width = found.embeds.shape[1]
        if self._embed_width is None:
            self._embed_width = width
            self._state.embeds = np.zeros((len(self._state), width))
        if width != self._embed_width:
            raise InputError(f"embeds: width changed from {self._embed_width} to {width}; call reset() for a new model")

    def _predict(self, frame: _Frame) -> None:
        """Drop the tracks that ran out of time during a gap, and move the confirmed ones to this frame."""
        self._expire(frame.frame_id - 1)
        state = self._state
        # A lost track keeps its size: an error in the height's velocity would grow unseen.
        state.mean[state.status == LOST, 7] = 0.0
        moving = np.flatnonzero(state.status != UNCONFIRMED)
        if not len(moving) or self._last_frame is None:
            return
        mean, covariance = state.mean[moving], state.covariance[moving]
        for _ in range(frame.frame_id - self._last_frame):
            mean, covariance = self._kalman.predict(mean, covariance)
        state.mean[moving], state.covariance[moving] = mean, covariance

    def _associate(self, frame: _Frame) -> np.ndarray:
        """Run the three rounds. -> (T,) row of the frame's detections for each track, -1 without one."""
        status = self._state.status
        rounds: tuple[tuple[np.ndarray, Callable[[np.ndarray, _Frame, np.ndarray], np.ndarray], float], ...] = (
            (status != UNCONFIRMED, self._fused_cost, self.match_thr),
            (status == TRACKED, self._iou_distance, self.iou_thr),
            (status == UNCONFIRMED, self._iou_distance, self.unconfirmed_thr),
        )
        assigned, free = np.full(len(status), -1), np.arange(len(frame.detections))
        for eligible, cost_of, limit in rounds:
            tracks = np.flatnonzero(eligible & (assigned < 0))
            if not len(tracks) or not len(free):
                continue
            cost = cost_of(tracks, frame, free)
            if self.per_class:
                cost[self._state.labels[tracks, None] != frame.detections.labels[None, free]] = np.inf
            result = gated_assignment(cost, limit)
            assigned[tracks[result.rows]] = free[result.cols]
            free = free[result.unmatched_cols]
        return assigned

    def _fused_cost(self, tracks: np.ndarray, frame: _Frame, rows: np.ndarray) -> np.ndarray:
        """Cost of round 1, infinite outside the gate. (t,) tracks, (d,) rows of the detections -> (t, d)."""
        mean, covariance = self._state.mean[tracks], self._state.covariance[tracks]
        cost = self._kalman.gating_distance(mean, covariance, frame.measurements[rows])
        outside = cost > self.gate_thr
        cost *= self.motion_weight
        if frame.unit_embeds is not None:
            distance = cosine_distance(self._state.embeds[tracks], frame.unit_embeds[rows])
            distance *= 1 - self.motion_weight
            cost += distance
        cost[outside] = np.inf
        return cost

    def _iou_distance(self, tracks: np.ndarray, frame: _Frame, rows: np.ndarray) -> np.ndarray:
        """Cost of rounds 2 and 3. (t,) tracks, (d,) rows of the detections -> (t, d)."""
        return 1 - pairwise_iou(cxcyah_to_xyxy(self._state.mean[tracks]), frame.detections.bboxes[rows])

    def _refresh(self, assigned: np.ndarray, frame: _Frame) -> None:
        """Correct the matched tracks by their detections; tracked ones without a detection become lost."""
        state, found = self._state, frame.detections
        state.status[(state.status == TRACKED) & (assigned < 0)] = LOST
        state.detection_index[:] = -1
        matched = np.flatnonzero(assigned >= 0)
        rows = assigned[matched]
        state.status[matched] = TRACKED
        state.seen_frame[matched] = frame.frame_id
        state.detection_index[matched] = found.index[rows]
        state.scores[matched], state.labels[matched] = found.scores[rows], found.labels[rows]
        state.mean[matched], state.covariance[matched] = self._kalman.update(
            state.mean[matched], state.covariance[matched], frame.measurements[rows]
        )
        if frame.unit_embeds is not None and len(matched):
            blend = self.momentum * state.embeds[matched] + (1 - self.momentum) * frame.unit_embeds[rows]
            state.embeds[matched] = unit_rows(blend)

    def _remove(self, frame: _Frame) -> None:
        """Remove the unconfirmed tracks that found no detection and the lost ones whose time is up."""
        unconfirmed = self._state.status == UNCONFIRMED
        if unconfirmed.any():
            self._state = self._state.select(~unconfirmed)
        self._expire(frame.frame_id)

    def _expire(self, frame_id: int) -> None:
        """Remove the tracks that, up to and including ``frame_id``, went unseen for more than ``lost_frames``."""
        kept = frame_id - self._state.seen_frame <= self.lost_frames
        if not kept.all():
            self._state = self._state.select(kept)

    def _give_birth(self, rows: np.ndarray, frame: _Frame) -> None:
        """Start a track from each of these rows of the detections."""
        count = len(rows)
        if not count:
            return
        mean, covariance = self._kalman.initiate(frame.measurements[rows])
        no_embeds = np.zeros((count, self._embed_width or 0))
        born = TrackState(
            ids=np.arange(self._next_id, self._next_id + count),
            labels=frame.detections.labels[rows],
            scores=frame.detections.scores[rows],
            status=np.full(count, TRACKED if self._last_frame is None else UNCONFIRMED, dtype=np.int8),
            born_frame=np.full(count, frame.frame_id),
            seen_frame=np.full(count, frame.frame_id),
            detection_index=frame.detections.index[rows],
            mean=mean,
            covariance=covariance,
            embeds=no_embeds if frame.unit_embeds is None else frame.unit_embeds[rows],
        )
        self._next_id += count
        self._state = self._state.joined(born)

    def _remove_duplicates(self) -> None:
        """Of a lost and a seen track that cover each other keep the one that was followed for longer."""
        state = self._state
        lost, seen = np.flatnonzero(state.status == LOST), np.flatnonzero(state.status != LOST)
        if not len(lost) or not len(seen):
            return
        boxes = cxcyah_to_xyxy(state.mean)
        same = 1 - pairwise_iou(boxes[seen], boxes[lost]) < self.duplicate_thr
        if self.per_class:
            same &= state.labels[seen, None] == state.labels[None, lost]
        followed = state.seen_frame - state.born_frame
        seen_lives = followed[seen, None] > followed[None, lost]
        keep = np.ones(len(state), dtype=bool)
        keep[lost[(same & seen_lives).any(axis=0)]] = False
        keep[seen[(same & ~seen_lives).any(axis=1)]] = False
        self._state = state.select(keep)

    def _shown(self) -> Tracks:
        state = self._state
        shown = state.status == TRACKED
        return Tracks(
            instances_id=state.ids[shown],
            bboxes=cxcyah_to_xyxy(state.mean[shown]).astype(np.float32),
            scores=state.scores[shown].astype(np.float32),
            labels=state.labels[shown],
            detection_index=state.detection_index[shown],
        )


def _integer(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise InputError(f"{name}: expected a whole number, got {value!r}") from None


def _number_in_range(name: str, value: Any, low: float, high: float = np.inf) -> float:
    """Return ``value`` as a float, finite and in [low, high]."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name}: expected a number, got {value!r}") from None
    if not (low <= number <= high and np.isfinite(number)):
        raise InputError(f"{name}: expected a number from {low} to {high}, got {value!r}")
    return number
