"""The JDE tracker as a loop over tracks and detections: slow, from the docstring, with none of the package's code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from test_kalman import DenseFilter

UNCONFIRMED, TRACKED, LOST = "unconfirmed", "tracked", "lost"


@dataclass
class Detection:
    index: int
    box: np.ndarray
    score: float
    label: int
    look: np.ndarray | None

    @property
    def measurement(self) -> np.ndarray:
        x1, y1, x2, y2 = self.box
        return np.array([(x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / (y2 - y1), y2 - y1])


@dataclass
class Track:
    identity: int
    status: str
    mean: np.ndarray
    covariance: np.ndarray
    look: np.ndarray | None
    label: int
    born: int
    seen: int
    hits: int = 1
    index: int = -1

    @property
    def box(self) -> np.ndarray:
        cx, cy, aspect, height = self.mean[:4]
        height = max(height, 0)
        width = max(aspect, 0) * height
        return np.array([cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2])


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector) if vector.any() else vector


def iou(a: np.ndarray, b: np.ndarray) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (area - width * height)


class NaiveJDE:
    """Arguments as :class:`clmot_qd.trackers.JDETracker`, with its defaults."""

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
        gate_thr: float = 9.4877,
        per_class: bool = True,
        low_conf_thr: float | None = None,
        low_iou_thr: float = 0.5,
        confirm_frames: int = 2,
    ) -> None:
        self.__dict__.update(locals())
        self.kalman, self.tracks, self.last, self.next = DenseFilter(), [], None, 1

    def update(
        self, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, embeds: np.ndarray | None, frame: int
    ) -> list[Track]:
        """One frame. -> the tracks shown, in the order of their ids."""
        found = [
            Detection(i, boxes[i].astype(float), scores[i], labels[i], None if embeds is None else unit(embeds[i]))
            for i in range(len(boxes))
        ]
        high = [d for d in found if d.score > self.conf_thr]
        low = [d for d in found if self.low_conf_thr is not None and self.low_conf_thr < d.score <= self.conf_thr]
        self.predict(frame)
        confirmed = [t for t in self.tracks if t.status != UNCONFIRMED]
        tracked = [t for t in self.tracks if t.status == TRACKED]
        waiting = [t for t in self.tracks if t.status == UNCONFIRMED]
        self.taken: dict[int, Detection] = {}
        self.round(confirmed, high, self.fused, self.match_thr)
        self.round(tracked, high, self.distance, self.iou_thr)
        self.round(tracked, low, self.distance, self.low_iou_thr)
        self.round(waiting, high, self.distance, self.unconfirmed_thr)
        self.finish(frame, high)
        self.last = frame
        return [t for t in self.tracks if t.status == TRACKED]

    def predict(self, frame: int) -> None:
        self.tracks = [t for t in self.tracks if frame - 1 - t.seen <= self.lost_frames]
        for track in self.tracks:
            if track.status == LOST:
                track.mean[7] = 0
            if track.status != UNCONFIRMED or track.hits > 1:
                for _ in range(frame - self.last):
                    track.mean, track.covariance = self.kalman.predict(track.mean, track.covariance)

    def round(self, tracks: list[Track], found: list[Detection], cost_of: Callable, limit: float) -> None:
        """The best matching of who is still free, everybody left alone at half the limit."""
        matched = {d.index for d in self.taken.values()}
        tracks = [t for t in tracks if t.identity not in self.taken]
        found = [d for d in found if d.index not in matched]
        rows, cols = len(tracks), len(found)
        padded = np.full((rows + cols, rows + cols), limit / 2)
        padded[rows:, cols:] = 0
        for i, track in enumerate(tracks):
            for j, detection in enumerate(found):
                strangers = self.per_class and track.label != detection.label
                padded[i, j] = 1e6 if strangers else cost_of(track, detection)
        for i, j in zip(*linear_sum_assignment(padded)):
            if i < rows and j < cols and padded[i, j] < limit:
                self.taken[tracks[i].identity] = found[j]

    def fused(self, track: Track, detection: Detection) -> float:
        gating = self.kalman.gating_distance(track.mean, track.covariance, detection.measurement[None])[0]
        if gating > self.gate_thr:
            return 1e6
        cost = self.motion_weight * gating
        if detection.look is not None:
            look = np.zeros_like(detection.look) if track.look is None else track.look
            cost += (1 - self.motion_weight) * max(0.0, 1 - look @ detection.look)
        return cost

    def distance(self, track: Track, detection: Detection) -> float:
        return 1 - iou(track.box, detection.box)

    def finish(self, frame: int, high: list[Detection]) -> None:
        for track in self.tracks:
            self.refresh(track, self.taken.get(track.identity), frame)
        self.tracks = [
            t
            for t in self.tracks
            if not (t.status == UNCONFIRMED and t.seen < frame) and frame - t.seen <= self.lost_frames
        ]
        used = {d.index for d in self.taken.values()}
        for detection in high:
            if detection.index not in used:
                mean, covariance = self.kalman.initiate(detection.measurement)
                status = TRACKED if self.last is None or self.confirm_frames == 1 else UNCONFIRMED
                place = detection.look, detection.label, frame, frame
                self.tracks.append(Track(self.next, status, mean, covariance, *place, index=detection.index))
                self.next += 1
        self.remove_duplicates()

    def refresh(self, track: Track, detection: Detection | None, frame: int) -> None:
        track.index = -1
        if detection is None:
            track.status = LOST if track.status == TRACKED else track.status
            return
        track.hits += 1
        if track.status != UNCONFIRMED or track.hits >= self.confirm_frames:
            track.status = TRACKED
        track.seen, track.index, track.label = frame, detection.index, detection.label
        track.mean, track.covariance = self.kalman.update(track.mean, track.covariance, detection.measurement)
        if detection.look is not None and detection.score > self.conf_thr:
            old = np.zeros_like(detection.look) if track.look is None else track.look
            track.look = unit(self.momentum * old + (1 - self.momentum) * detection.look)

    def remove_duplicates(self) -> None:
        gone = set()
        for seen in self.tracks:
            for lost in self.tracks:
                if seen.status == LOST or lost.status != LOST or (self.per_class and seen.label != lost.label):
                    continue
                if 1 - iou(seen.box, lost.box) < self.duplicate_thr:
                    longer = seen.seen - seen.born > lost.seen - lost.born
                    gone.add(lost.identity if longer else seen.identity)
        self.tracks = [t for t in self.tracks if t.identity not in gone]
