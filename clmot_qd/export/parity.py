"""How far apart two runtimes are on the same frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from clmot_qd.apis.tracking_session import FrameDetections

TOLERANCE = 1e-4
"""Of a value or, above 1, of its ratio: boxes are pixels, and float32 resolves 1000 pixels to 6e-5."""
GROSS, ALONE = 1e-2, 0.02
"""Beyond these two runtimes disagree: a difference by the same measure, and the share of detections one side lacks.

Deep networks, deformable ones above all, magnify the rounding of float32 beyond :data:`TOLERANCE`, and a score at a
threshold falls on either side of it; a wrong graph is wrong by orders of magnitude."""
FAR = 1e6
"""Distance of what is no pair."""


@dataclass(frozen=True)
class Parity:
    """The largest absolute differences over all detections that both sides have.

    Attributes:
        detections: How many these are.
        unmatched: Detections that one side alone has.
        boxes: In pixels.
        scores: Probabilities.
        embeds: As the network gives them, not normalised.
        excess: The largest difference in units of :data:`TOLERANCE`.
    """

    detections: int = 0
    unmatched: int = 0
    boxes: float = 0.0
    scores: float = 0.0
    embeds: float = 0.0
    excess: float = 0.0

    def __str__(self) -> str:
        """One line for people."""
        alone = f", {self.unmatched} on one side alone" if self.unmatched else ""
        return (
            f"{self.detections} detections{alone}; largest difference: boxes {self.boxes:.1e} pixels, scores "
            f"{self.scores:.1e}, embeddings {self.embeds:.1e}"
        )

    @property
    def close(self) -> bool:
        """Whether both sides found the same, within :data:`TOLERANCE`."""
        return self.unmatched == 0 and self.excess <= 1

    @property
    def wrong(self) -> bool:
        """Whether they differ by more than rounding explains, see :data:`GROSS`."""
        return self.excess * TOLERANCE > GROSS or self.unmatched > ALONE * (2 * self.detections + self.unmatched)


def compare(pairs: Iterable[tuple[FrameDetections, FrameDetections]]) -> Parity:
    """Compare the detections of two runtimes, frame by frame.

    Rows are matched first: two detections of almost equal score may change places without meaning anything.
    """
    total = Parity()
    for first, second in pairs:
        total = _joined(total, _compare_frame(first, second))
    return total


def _joined(one: Parity, other: Parity) -> Parity:
    """Both together."""
    return Parity(
        detections=one.detections + other.detections,
        unmatched=one.unmatched + other.unmatched,
        boxes=max(one.boxes, other.boxes),
        scores=max(one.scores, other.scores),
        embeds=max(one.embeds, other.embeds),
        excess=max(one.excess, other.excess),
    )


def _compare_frame(first: FrameDetections, second: FrameDetections) -> Parity:
    rows, columns = match_rows(first, second)
    one, other = first.select(rows), second.select(columns)
    boxes, scores, embeds = (
        _difference(*pair)
        for pair in ((one.bboxes, other.bboxes), (one.scores, other.scores), (one.embeds, other.embeds))
    )
    return Parity(
        detections=len(rows),
        unmatched=len(first) + len(second) - 2 * len(rows),
        boxes=boxes[0],
        scores=scores[0],
        embeds=embeds[0],
        excess=max(boxes[1], scores[1], embeds[1]),
    )


def _difference(one: np.ndarray | None, other: np.ndarray | None) -> tuple[float, float]:
    """The largest difference of two arrays of one shape: as it is, and in units of :data:`TOLERANCE`."""
    if one is None or other is None:
        return 0.0, 0.0
    difference = np.abs(one - other)
    allowed = TOLERANCE * np.maximum(1, np.abs(one))
    return float(difference.max(initial=0)), float((difference / allowed).max(initial=0))


def match_rows(first: FrameDetections, second: FrameDetections, reach: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of detections of one label whose boxes and scores are the same but for ``reach`` pixels.

    Returns:
        Rows of the first and of the second, of one length; no row comes twice.
    """
    distance = np.abs(first.bboxes[:, None] - second.bboxes[None]).max(axis=2)
    distance += np.abs(first.scores[:, None] - second.scores[None])
    distance[first.labels[:, None] != second.labels[None]] = FAR
    rows, columns = linear_sum_assignment(np.minimum(distance, FAR))
    near = distance[rows, columns] < reach
    return rows[near], columns[near]
