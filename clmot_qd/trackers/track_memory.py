"""What the bi-softmax tracker remembers: tracks, and backdrops, the detections that were nobody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from .detections import Detections
from .kalman import KalmanFilter, cxcyah_to_xyxy, xyxy_to_cxcyah
from .row_arrays import RowArrays


@dataclass(eq=False)
class TrackMemory(RowArrays):
    """T tracks, ordered by id; see the legend in ``kalman.py`` for the motion part.

    Attributes:
        ids: (T,) int64, ascending.
        labels: (T,) int64.
        scores: (T,) float64, score of the last detection.
        bboxes: (T, 4) xyxy pixels, box of the last detection.
        embeds: (T, C) moving average of the appearance, not normalised; C = 0 if appearance is not used.
        seen_frame: (T,) int64, frame of the last detection.
        pending: (T,) int64, detections to come before the track is shown; 0 or less: it is shown.
        mean: (T, 8) Kalman mean; the first box for ever if motion is not used.
        covariance: (T, 4, 3) Kalman covariance blocks.
    """

    ids: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    bboxes: np.ndarray
    embeds: np.ndarray
    seen_frame: np.ndarray
    pending: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def empty(cls, embed_width: int, precision: DTypeLike = np.float64) -> TrackMemory:
        """Return a memory without tracks, for embeddings of this width and precision."""
        integers = np.zeros(0, dtype=np.int64)
        return cls(
            ids=integers,
            labels=integers,
            scores=np.zeros(0),
            bboxes=np.zeros((0, 4)),
            embeds=np.zeros((0, embed_width), dtype=precision),
            seen_frame=integers,
            pending=integers,
            mean=np.zeros((0, 8)),
            covariance=np.zeros((0, 4, 3)),
        )

    @classmethod
    def started(
        cls, ids: np.ndarray, found: Detections, frame_id: int, pending: int, kalman: KalmanFilter
    ) -> TrackMemory:
        """Return one track for each detection."""
        mean, covariance = kalman.initiate(xyxy_to_cxcyah(found.bboxes))
        return cls(
            ids=ids,
            labels=found.labels,
            scores=found.scores,
            bboxes=found.bboxes,
            embeds=_looks(found),
            seen_frame=np.full(len(ids), frame_id),
            pending=np.full(len(ids), pending),
            mean=mean,
            covariance=covariance,
        )

    def remembered(self, frame_id: int, memo_tracklet_frames: int) -> TrackMemory:
        """Return the tracks that are still remembered after this frame; this memory itself if that is all of them."""
        kept = frame_id - self.seen_frame < memo_tracklet_frames
        return self if kept.all() else self.select(kept)

    def moved(self, kalman: KalmanFilter, last_frame: int, frame_id: int) -> TrackMemory:
        """Return the tracks with their motion predicted from one frame to another; the other arrays are shared."""
        if not len(self):  # forgotten in a gap, which may be of any length
            return self
        mean, covariance = self.mean.copy(), self.covariance
        # A lost track keeps its size: an error in the height's velocity would grow unseen.
        mean[self.seen_frame < last_frame, 7] = 0.0
        for _ in range(frame_id - last_frame):
            mean, covariance = kalman.predict(mean, covariance)
        return replace(self, mean=mean, covariance=covariance)

    def follow(
        self, tracks: np.ndarray, found: Detections, rows: np.ndarray, frame_id: int, kalman: KalmanFilter | None
    ) -> None:
        """Set these (k,) tracks to these (k,) detections, all but the appearance; the motion only with a filter."""
        bboxes = found.bboxes[rows]
        self.scores[tracks], self.labels[tracks], self.bboxes[tracks] = found.scores[rows], found.labels[rows], bboxes
        self.seen_frame[tracks] = frame_id
        self.pending[tracks] -= 1
        if kalman is not None:
            self.mean[tracks], self.covariance[tracks] = kalman.update(
                self.mean[tracks], self.covariance[tracks], xyxy_to_cxcyah(bboxes)
            )

    def blend(self, tracks: np.ndarray, embeds: np.ndarray, momentum: float) -> None:
        """Move the appearance of these (k,) tracks towards these (k, C); ``momentum`` weighs the new ones."""
        blend = self.embeds[tracks]
        blend *= 1 - momentum
        blend += momentum * embeds
        self.embeds[tracks] = blend


@dataclass(eq=False)
class Backdrops(RowArrays):
    """B unmatched detections of the latest frames: they attract what would else be matched wrongly.

    Attributes:
        labels: (B,) int64.
        bboxes: (B, 4) xyxy pixels.
        embeds: (B, C).
        age: (B,) int64, 0 for those of the latest frame given to the tracker.
    """

    labels: np.ndarray
    bboxes: np.ndarray
    embeds: np.ndarray
    age: np.ndarray

    @classmethod
    def empty(cls, embed_width: int, precision: DTypeLike = np.float64) -> Backdrops:
        """Return no backdrops, for embeddings of this width and precision."""
        integers = np.zeros(0, dtype=np.int64)
        return cls(integers, np.zeros((0, 4)), np.zeros((0, embed_width), dtype=precision), integers)

    @classmethod
    def started(cls, found: Detections) -> Backdrops:
        """Return one backdrop for each detection."""
        return cls(found.labels, found.bboxes, _looks(found), np.zeros(len(found), dtype=np.int64))

    def followed_by(self, new: Backdrops, memo_backdrop_frames: int) -> Backdrops:
        """Return the backdrops of the frame after, ``new`` among them, without those that have become too old."""
        both = new.joined(replace(self, age=self.age + 1))
        return both.select(both.age < memo_backdrop_frames)


class Candidates(NamedTuple):
    """The m = T + B things a detection can be matched with: first the T tracks, then the backdrops.

    Attributes:
        num_tracks: T.
        labels: (m,) int64.
        bboxes: (m, 4) where each is expected in this frame.
        embeds: (m, C).
    """

    num_tracks: int
    labels: np.ndarray
    bboxes: np.ndarray
    embeds: np.ndarray

    @classmethod
    def of(cls, memory: TrackMemory, backdrops: Backdrops, moved: bool) -> Candidates:
        """Put tracks and backdrops together. ``moved``: tracks are where their Kalman mean is, not their last box."""
        bboxes = cxcyah_to_xyxy(memory.mean) if moved else memory.bboxes
        return cls(
            num_tracks=len(memory),
            labels=np.concatenate((memory.labels, backdrops.labels)),
            bboxes=np.concatenate((bboxes, backdrops.bboxes)),
            embeds=np.concatenate((memory.embeds, backdrops.embeds)),
        )


def in_one_precision(found: Detections, memory: TrackMemory, backdrops: Backdrops) -> Detections:
    """Bring embeddings of detections and memory to the higher precision of the two, should it change in a video."""
    assert found.embeds is not None
    precision = np.result_type(found.embeds, memory.embeds)
    if precision == found.embeds.dtype == memory.embeds.dtype:
        return found
    memory.embeds, backdrops.embeds = memory.embeds.astype(precision), backdrops.embeds.astype(precision)
    return replace(found, embeds=found.embeds.astype(precision))


def _looks(found: Detections) -> np.ndarray:
    return np.zeros((len(found), 0)) if found.embeds is None else found.embeds
