"""What a tracker returns for one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks

from .detections import Detections

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True, eq=False)
class Tracks:
    """The tracks of one frame, one row per track, rows in ascending order of ``instances_id``.

    The attributes are its only ones: the check in ``__post_init__`` runs over ``vars``, in every frame.

    Attributes:
        instances_id: (k,) int64, identity; no value occurs twice in one frame.
        bboxes: (k, 4) float32 xyxy, in the pixels of the boxes that went into ``update``.
        scores: (k,) float32, score of the detection behind the track.
        labels: (k,) int64, class index.
        detection_index: (k,) int64, row of the detection in the arrays given to ``update``; -1 where the track has no
            detection in this frame.
        masks: k masks in the pixels of the frame, of models that give masks; empty ones where ``detection_index`` is
            -1. None of models that give boxes alone.

    Raises:
        ValueError: the arrays differ in length, or ``bboxes`` is not (k, 4).
    """

    instances_id: np.ndarray
    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    detection_index: np.ndarray
    masks: RleMasks | None = None

    def __post_init__(self) -> None:
        """Check that the arrays describe the same k tracks."""
        for name, values in self.columns().items():
            found, shape = values.shape, (len(self), 4) if name == "bboxes" else (len(self),)
            if found != shape:
                raise ValueError(f"Tracks.{name}: expected shape {shape} beside {len(self)} ids, got {found}")

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.instances_id)

    def select(self, rows: np.ndarray) -> Tracks:
        """Return the tracks that a mask or an index array picks."""
        return Tracks(**{name: column[rows] for name, column in self.columns().items()})

    def columns(self) -> dict[str, Any]:
        """Return the columns that there are, by name."""
        return {name: column for name, column in vars(self).items() if column is not None}

    def to_supervision(self, classes: Sequence[str] | None = None) -> supervision.Detections:
        """Return the tracks as ``supervision.Detections``, for its annotators, zones, counters and sinks.

        Args:
            classes: Names by label; given, they stand under ``data['class_name']``.

        Returns:
            ``xyxy``, ``confidence``, ``class_id`` and ``tracker_id`` of the k tracks, copied; of tracks with masks
            ``mask`` (k, H, W) bool as well, decoded.

        Raises:
            InputError: supervision is not installed.
        """
        found = import_supervision().Detections(
            xyxy=self.bboxes.astype(np.float32).copy(),
            confidence=self.scores.astype(np.float32).copy(),
            class_id=self.labels.astype(int).copy(),
            tracker_id=self.instances_id.astype(int).copy(),
            mask=None if self.masks is None else self.masks.bitmaps(),
        )
        if classes is not None:
            found.data["class_name"] = np.array([class_name(classes, int(label)) for label in self.labels], dtype=str)
        return found

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


def class_name(classes: Sequence[str], label: int) -> str:
    """The name of a label; ``class 7`` where there is none."""
    return classes[label] if 0 <= label < len(classes) else f"class {label}"


def import_supervision() -> Any:
    """The module supervision, which is loaded when something is drawn and not before.

    Raises:
        InputError: It is not installed.
    """
    try:
        import supervision
    except ImportError as error:
        raise InputError(
            "supervision is not installed, which draws tracks and takes them further: pip install supervision"
        ) from error
    return supervision
