"""A session without a network: it finds bright squares, and tracks them with a tracker of the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from clmot_qd.apis.tracking_session import Frame, FrameDetections, TrackingSession
from clmot_qd.masks import RleMasks
from clmot_qd.trackers import JDETracker, Tracks


class SquareSession(TrackingSession):
    """Finds white squares; those on the left half are of class 0, the others of class 1.

    Attributes:
        batches: Number of frames of each call of the detector.
    """

    def __init__(self, classes: Sequence[str] = ("left", "right"), **options: Any) -> None:
        super().__init__(classes, **options)
        self.batches: list[int] = []
        self._tracker = JDETracker(conf_thr=0.1)
        self.reset()

    def _detect(self, frames: Sequence[Frame]) -> list[FrameDetections]:
        self.batches.append(len(frames))
        return [_squares(frame) for frame in frames]

    def _associate(self, detections: FrameDetections, frame_id: int) -> Tracks:
        return self._tracker.update(
            detections.bboxes, detections.scores, detections.labels, detections.embeds, frame_id
        )

    def _reset_tracker(self) -> None:
        self._tracker.reset()


class MaskedSquareSession(SquareSession):
    """Gives the squares masks: discs that reach beyond their boxes by ``beyond`` pixels, so that they may overlap.

    Every third frame, the last track of it has no detection, and so an empty mask.
    """

    def __init__(self, classes: Sequence[str] = ("left", "right"), beyond: int = 0, **options: Any) -> None:
        super().__init__(classes, **options)
        self.beyond = beyond

    @property
    def gives_masks(self) -> bool:
        return True

    def _detect(self, frames: Sequence[Frame]) -> list[FrameDetections]:
        self.size = frames[0].shape[:2]
        return super()._detect(frames)

    def _associate(self, detections: FrameDetections, frame_id: int) -> Tracks:
        tracks = super()._associate(detections, frame_id)
        bitmaps = np.zeros((len(tracks), *self.size), np.uint8)
        for bitmap, (x1, y1, x2, y2) in zip(bitmaps, tracks.bboxes.tolist()):
            middle = (round((x1 + x2 - 1) / 2), round((y1 + y2 - 1) / 2))
            cv2.circle(bitmap, middle, round((x2 - x1 - 1) / 2) + self.beyond, 1, -1)
        if frame_id % 3 == 2 and len(tracks):
            bitmaps[-1] = 0
        return replace(tracks, masks=RleMasks.of_bitmaps(bitmaps))


def _squares(frame: Frame) -> FrameDetections:
    bright = (frame.min(axis=2) > 180).astype(np.uint8)
    stats = cv2.connectedComponentsWithStats(bright)[2][1:]
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h, area in stats if area > 30], np.float32).reshape(-1, 4)
    labels = (boxes[:, 0] >= frame.shape[1] / 2).astype(np.int64)
    return FrameDetections(boxes, np.where(labels == 0, 0.9, 0.6).astype(np.float32), labels)


def scene(number: int, width: int = 96, height: int = 64) -> Frame:
    """Two white squares, one in each half, that move down a little with every frame."""
    frame = np.full((height, width, 3), 60, np.uint8)
    top = height // 8 + number % (height // 2)
    side = height // 5
    for left in (width // 6, 2 * width // 3):
        frame[top : top + side, left : left + side] = 255
    return frame
