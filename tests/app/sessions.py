"""A session without a network: objects that wander, found by arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from clmot_qd.apis.tracking_session import Frame, FrameDetections, TrackingSession
from clmot_qd.masks import RleMasks
from clmot_qd.trackers import Tracks


class WalkingSession(TrackingSession):
    """Finds ``count`` objects in every frame, side by side, labels 0, 1, 0, 1 ..., scores 0.9, 0.8, ...

    Its own tracker gives object i the id ``100 + i``, so that it can be told from others.
    """

    def __init__(self, classes: Sequence[str] = ("person", "car"), count: int = 3) -> None:
        super().__init__(classes, prefetch=0)
        self.count = count
        self.resets = self.detected = 0
        self.before_detection: Callable[[], None] = lambda: None

    def _detect(self, frames: Sequence[Frame]) -> list[FrameDetections]:
        self.before_detection()
        found = []
        for _ in frames:
            rows = np.arange(self.count)
            left = 2.0 + 20 * rows + self.detected
            boxes = np.stack([left, np.full(self.count, 5.0), left + 12, np.full(self.count, 40.0)], axis=1)
            embeds = np.eye(self.count, 8)
            scores, labels = 0.9 - 0.1 * rows, rows % len(self.classes)
            found.append(
                FrameDetections(boxes.astype(np.float32), scores.astype(np.float32), labels, embeds.astype(np.float32))
            )
            self.detected += 1
        return found

    def _associate(self, detections: FrameDetections, frame_id: int) -> Tracks:
        rows = np.arange(len(detections))
        return Tracks(100 + rows, detections.bboxes, detections.scores, detections.labels, rows)

    def _reset_tracker(self) -> None:
        self.resets += 1
        self.detected = 0


class MaskedWalkingSession(WalkingSession):
    """The masks are the boxes of the detections, less their first row."""

    @property
    def gives_masks(self) -> bool:
        return True

    def _detect(self, frames: Sequence[Frame]) -> list[FrameDetections]:
        self.size = frames[0].shape[:2]
        return super()._detect(frames)

    def _with_masks(self, tracks: Tracks, detections: FrameDetections) -> Tracks:
        bitmaps = np.zeros((len(tracks), *self.size), np.uint8)
        for bitmap, row in zip(bitmaps, tracks.detection_index.tolist()):
            left, top, right, bottom = detections.bboxes[row].astype(int).tolist()
            bitmap[top + 1 : bottom, left:right] = row >= 0
        return replace(tracks, masks=RleMasks.of_bitmaps(bitmaps))
