"""The number a setting gets: track stored detections with it, score the tracks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clmot_qd.apis.detections import build_tracker, track_set
from clmot_qd.apis.tuning.holdout import Part
from clmot_qd.errors import InputError
from clmot_qd.evaluation import evaluate_tracks

#: What can be maximised, and what is shown beside it.
METRICS = ("HOTA", "MOTA", "IDF1", "DetA", "AssA")
COUNTS = ("IDSW", "FP", "FN")


@dataclass(frozen=True)
class Objective:
    """Tracks and scores the videos of one part with given settings.

    Args:
        part: The videos.
        tracker: Name of a class of :mod:`clmot_qd.trackers`.
        fixed: Its arguments that are not searched.
        classes: To score; their average counts.
        distractors: See :func:`~clmot_qd.evaluation.evaluate_tracks`.
        protocol: See there.
        embed_scale: Embeddings are multiplied by it.
    """

    part: Part
    tracker: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    classes: Sequence[str] = ("pedestrian",)
    distractors: Sequence[str] | None = None
    protocol: str = "mot"
    embed_scale: float = 1.0

    def __call__(self, settings: Mapping[str, Any]) -> dict[str, float]:
        """Return the scores over all videos, :data:`METRICS` in percent and :data:`COUNTS`, and the seconds it took.

        Raises:
            InputError: The tracker does not take these settings together.
        """
        start = time.perf_counter()
        tracker = build_tracker(self.tracker, {**self.fixed, **settings})
        if getattr(tracker, "needs_regression", False):
            raise InputError("regression needs the network in every frame; it cannot be searched on stored detections")
        tracks = track_set(self.part.detections, tracker, self.part.truth, self.embed_scale)
        scores = evaluate_tracks(
            self.part.truth,
            tracks,
            self.classes,
            self.distractors,
            backends=("trackeval",),
            protocol=self.protocol,
            iou_type="bbox",
        ).overall("trackeval")
        return {name: scores[name] for name in (*METRICS, *COUNTS)} | {"seconds": time.perf_counter() - start}

    def identity(self) -> dict[str, Any]:
        """Return what the scores depend on besides the settings: trials of another one must not be mixed in."""
        return dict(
            tracker=self.tracker,
            fixed={key: repr(value) for key, value in sorted(self.fixed.items())},
            classes=list(self.classes),
            distractors=None if self.distractors is None else list(self.distractors),
            protocol=self.protocol,
            embed_scale=self.embed_scale,
            part=self.part.name,
            data=_digest(self.part),
        )


def _digest(part: Part) -> str:
    """Return a checksum of all detections and true boxes."""
    total = hashlib.sha256()
    for name, truth in part.truth.sequences.items():
        total.update(name.encode())
        boxes = truth.boxes
        arrays = [truth.frames, boxes.frames, boxes.ids, boxes.bboxes, boxes.scores, boxes.class_ids]
        if name in part.detections.videos:
            found = part.detections.videos[name]
            arrays += [found.frames, found.bboxes, found.scores, found.labels]
            arrays += [] if found.embeds is None else [found.embeds]
        for array in arrays:
            total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]


def value_of(scores: Mapping[str, float], metrics: Sequence[str]) -> float:
    """Return the number to maximise: the mean of these metrics."""
    return sum(scores[name] for name in metrics) / len(metrics)


def require_metrics(metrics: Sequence[str]) -> None:
    """Refuse what cannot be maximised.

    Raises:
        InputError: An unknown metric, or none.
    """
    for name in metrics:
        if name not in METRICS:
            raise InputError(f"--metric: {name!r} cannot be maximised; choose from {', '.join(METRICS)}")
    if not metrics:
        raise InputError(f"--metric: none given; choose from {', '.join(METRICS)}")
