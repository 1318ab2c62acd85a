"""What a tracker returns for one frame."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from .detections import Detections


@dataclass(frozen=True, eq=False)
class Tracks:
    """The tracks of one frame, one row per track, rows in ascending order of ``instances_id``.

    Attributes:
        instances_id: (k,) int64, identity; no value occurs twice in one frame.
        bboxes: (k, 4) float32 xyxy, in the pixels of the boxes that went into ``update``.
        scores: (k,) float32, score of the detection behind the track.
        labels: (k,) int64, class index.
        detection_index: (k,) int64, row of the detection in the arrays given to ``update``; -1 where the track has no
            detection in this frame.

    Raises:
        ValueError: the arrays differ in length, or ``bboxes`` is not (k, 4).
    """

    instances_id: np.ndarray
    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    detection_index: np.ndarray

    def __post_init__(self) -> None:
        """Check that the arrays describe the same k tracks."""
        expected = {field.name: (len(self),) for field in fields(self)} | {"bboxes": (len(self), 4)}
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"Tracks.{name}: expected shape {shape} beside {len(self)} ids, got {found}")

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.instances_id)

    @classmethod
    def empty(cls) -> Tracks:
        """Return the result of a frame without tracks."""
        integers = np.zeros(0, dtype=np.int64)
        return cls(
            instances_id=integers,
            bboxes=np.zeros((0, 4), dtype=np.float32),
            scores=np.zeros(0, dtype=np.float32),
            labels=integers.copy(),
            detection_index=integers.copy(),
        )

    @classmethod
    def of_detections(cls, ids: np.ndarray, found: Detections) -> Tracks:
        """Return the detections that belong to a track, with their own boxes. (n,) ids, negative: no track."""
        rows = np.flatnonzero(ids >= 0)
        rows = rows[np.argsort(ids[rows])]
        return cls(
            instances_id=ids[rows],
            bboxes=found.bboxes[rows].astype(np.float32),
            scores=found.scores[rows].astype(np.float32),
            labels=found.labels[rows],
            detection_index=found.index[rows],
        )
