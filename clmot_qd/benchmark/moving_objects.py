"""Made-up detections of moving objects, frame by frame, as long as one likes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_PICTURE = np.array([1920.0, 1080.0])  # pixels
_EMBED_NORM = 5.0  # of the un-normalised embeddings: large enough for a decided softmax, as trained ones are


class FrameInput(NamedTuple):
    """What a tracker gets of one frame: (n, 4) xyxy pixels, (n,), (n,), (n, C) or None, and the frame's number."""

    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    embeds: np.ndarray | None
    frame_id: int


def moving_objects(
    count: int, channels: int, seed: int = 0, miss_rate: float = 0.05, leave_rate: float = 0.0
) -> Iterator[FrameInput]:
    """Detections of objects that move through a picture with noise, without end; memory does not grow.

    Args:
        count: Objects in the scene at a time.
        channels: Width of the embeddings.
        seed: Of the random numbers.
        miss_rate: Share of the objects that are not detected in a frame.
        leave_rate: Share of the objects that another one replaces in each frame.
    """
    random = np.random.default_rng(seed)
    centers, sizes, looks = _new_objects(random, count, channels)
    speeds = random.normal(0, 2, (count, 2))
    frame_id = 0
    while True:
        centers = (centers + speeds) % _PICTURE
        left = np.flatnonzero(random.random(count) < leave_rate)
        centers[left], sizes[left], looks[left] = _new_objects(random, len(left), channels)
        seen = random.random(count) >= miss_rate
        boxes = np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=1) + random.normal(0, 1, (count, 4))
        embeds = looks + random.normal(0, 0.2 * _EMBED_NORM / np.sqrt(channels), looks.shape)
        scores, labels = random.uniform(0.82, 1, count), np.zeros(count, np.int64)
        yield FrameInput(
            boxes[seen].astype(np.float32),
            scores[seen].astype(np.float32),
            labels[seen],
            embeds[seen].astype(np.float32),
            frame_id,
        )
        frame_id += 1


def _new_objects(random: np.random.Generator, count: int, channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres (n, 2) and sizes (n, 2) in pixels, looks (n, C): nobody looks like anybody else."""
    looks = random.normal(0, 1, (count, channels))
    looks *= _EMBED_NORM / np.linalg.norm(looks, axis=1, keepdims=True)
    return random.uniform(0, 1, (count, 2)) * _PICTURE, random.uniform([20, 50], [60, 150], (count, 2)), looks
