"""A few objects in front of a bi-softmax tracker; used by several test files."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from clmot_qd.trackers import BiSoftmaxTracker, Tracks

# With this length exp(dot product) is e^36: like meets like, and nothing else.
LOOKS = np.eye(8) * 6.0


class Seen(NamedTuple):
    """One detection: which look, left edge of its box of 40 x 100 pixels, score, label."""

    look: int
    x: float
    score: float = 0.9
    label: int = 0


class Scene:
    """Feeds detections to a tracker, one frame after the other."""

    def __init__(self, tracker: BiSoftmaxTracker | None = None, **arguments: Any) -> None:
        self.tracker = BiSoftmaxTracker(**arguments) if tracker is None else tracker
        self.frame = -1

    def see(self, *objects: Seen, frame: int | None = None, embeds: Any = "looks", **cues: Any) -> Tracks:
        self.frame = self.frame + 1 if frame is None else frame
        left = np.array([entry.x for entry in objects], dtype=float)
        boxes = np.column_stack((left, np.full(len(left), 50.0), left + 40, np.full(len(left), 150.0)))
        scores, labels = [entry.score for entry in objects], np.array([entry.label for entry in objects], dtype=int)
        vectors = LOOKS[[entry.look for entry in objects]] if isinstance(embeds, str) else embeds
        return self.tracker.update(boxes, scores, labels, vectors, self.frame, **cues)

    def nothing(self, frames: int = 1) -> Tracks:
        for _ in range(frames):
            tracks = self.see()
        return tracks


def ids(tracks: Tracks) -> list[int]:
    return tracks.instances_id.tolist()
