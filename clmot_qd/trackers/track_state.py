"""The tracks of a JDE tracker as a structure of arrays: row i of every array describes track i."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

# Values of TrackState.status. A removed track has no status: its row is gone.
UNCONFIRMED, TRACKED, LOST = 0, 1, 2


@dataclass(eq=False)
class TrackState:
    """T tracks, ordered by id; see the legend in ``kalman.py`` for the motion part.

    Attributes:
        ids: (T,) int64, ascending.
        labels: (T,) int64.
        scores: (T,) float64, score of the last detection.
        status: (T,) int8; UNCONFIRMED (seen once, not yet shown), TRACKED (seen in the last frame) or LOST.
        born_frame: (T,) int64, frame of the first detection.
        seen_frame: (T,) int64, frame of the last detection.
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
    detection_index: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    embeds: np.ndarray

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.ids)

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
            detection_index=integers,
            mean=np.zeros((0, 8)),
            covariance=np.zeros((0, 4, 3)),
            embeds=np.zeros((0, embed_width)),
        )

    def select(self, rows: np.ndarray) -> TrackState:
        """Return the tracks of a boolean mask or an index array, copied."""
        return TrackState(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def joined(self, other: TrackState) -> TrackState:
        """Return these tracks followed by ``other``'s."""
        names = [field.name for field in fields(self)]
        return TrackState(**{name: np.concatenate((getattr(self, name), getattr(other, name))) for name in names})
