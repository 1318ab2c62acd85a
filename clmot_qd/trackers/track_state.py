"""The tracks of a JDE tracker as a structure of arrays: row i of every array describes track i."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .jde_frame import JDEFrame
from .kalman import KalmanFilter, cxcyah_to_xyxy
from .row_arrays import RowArrays
from .similarity import iou_pairs

# Values of TrackState.status. A removed track has no status: its row is gone.
UNCONFIRMED, TRACKED, LOST = 0, 1, 2


@dataclass(eq=False)
class TrackState(RowArrays):
    """T tracks, ordered by id; see the legend in ``kalman.py`` for the motion part.

    Attributes:
        ids: (T,) int64, ascending.
        labels: (T,) int64.
        scores: (T,) float64, score of the last detection.
        status: (T,) int8; UNCONFIRMED (seen once, not yet shown), TRACKED (seen in the last frame) or LOST.
        born_frame: (T,) int64, frame of the first detection.
        seen_frame: (T,) int64, frame of the last detection.
        hits: (T,) int64, number of detections.
        detection_index: (T,) int64, input row of the detection in the current frame, -1 without one.
        mean: (T, 8) Kalman mean.
        covariance: (T, 4, 3) Kalman covariance blocks.
        embeds: (T, C) moving average of the appearance, unit rows; zeros where no appearance is known yet.
    """

    ids: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    status: np.ndarray
    born_frame: np.ndarray
    seen_frame: np.ndarray
    hits: np.ndarray
    detection_index: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    embeds: np.ndarray

    @classmethod
    def empty(cls, embed_width: int = 0) -> TrackState:
        """Return a state without tracks."""
        integers = np.zeros(0, dtype=np.int64)
        return cls(
            ids=integers,
            labels=integers,
            scores=np.zeros(0),
            status=np.zeros(0, dtype=np.int8),
            born_frame=integers,
            seen_frame=integers,
            hits=integers,
            detection_index=integers,
            mean=np.zeros((0, 8)),
            covariance=np.zeros((0, 4, 3)),
            embeds=np.zeros((0, embed_width)),
        )

    @classmethod
    def started(
        cls, ids: np.ndarray, frame: JDEFrame, rows: np.ndarray, status: int, kalman: KalmanFilter, embeds: np.ndarray
    ) -> TrackState:
        """Return a track for each of these rows of the detections, with these (T, C) unit embeddings."""
        mean, covariance = kalman.initiate(frame.measurements[rows])
        return cls(
            ids=ids,
            labels=frame.detections.labels[rows],
            scores=frame.detections.scores[rows],
            status=np.full(len(ids), status, dtype=np.int8),
            born_frame=np.full(len(ids), frame.frame_id),
            seen_frame=np.full(len(ids), frame.frame_id),
            hits=np.ones(len(ids), dtype=np.int64),
            detection_index=frame.detections.index[rows],
            mean=mean,
            covariance=covariance,
            embeds=embeds,
        )


def without_duplicates(state: TrackState, duplicate_thr: float, per_class: bool) -> np.ndarray:
    """Of a lost and a seen track that cover each other keep the one that was followed for longer, else the lost one.

    Args:
        state: all tracks.
        duplicate_thr: IoU distance below which two boxes count as one.
        per_class: only tracks of one label can be duplicates.

    Returns:
        (T,) bool, which tracks to keep.
    """
    keep = np.ones(len(state), dtype=bool)
    lost, seen = np.flatnonzero(state.status == LOST), np.flatnonzero(state.status != LOST)
    if not len(lost) or not len(seen):
        return keep
    pairs = iou_pairs(cxcyah_to_xyxy(state.mean[seen]), cxcyah_to_xyxy(state.mean[lost]))
    pairs = pairs.where(1 - pairs.values < duplicate_thr)
    seen, lost = seen[pairs.rows], lost[pairs.cols]
    if per_class:
        same = state.labels[seen] == state.labels[lost]
        seen, lost = seen[same], lost[same]
    followed = state.seen_frame - state.born_frame
    seen_lives = followed[seen] > followed[lost]
    keep[lost[seen_lives]] = False
    keep[seen[~seen_lives]] = False
    return keep
