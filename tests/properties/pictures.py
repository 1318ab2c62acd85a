"""Pictures whose three channels show one box each, and finding such a box again: the channel is its identity."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import torch
from mmdet.structures.bbox import HorizontalBoxes

GROUND, INK = 20, 200
CHANNELS = 3


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (mmcv's own transforms draw from it)


class Scene(NamedTuple):
    """What is drawn from, and what a failure shows; 0 to 3 ``boxes`` (x1, y1, x2, y2)."""

    size: tuple[int, int]
    boxes: tuple[tuple[float, ...], ...]

    def frame(self) -> dict[str, Any]:
        """A loaded frame; id i + 1 is channel i."""
        count = len(self.boxes)
        return {
            "img": paint(self.boxes, self.size),
            "img_id": 7,
            "img_path": "frame.png",
            "img_shape": self.size,
            "ori_shape": self.size,
            "gt_bboxes": HorizontalBoxes(torch.tensor(self.boxes, dtype=torch.float32).reshape(-1, 4)),
            "gt_bboxes_labels": np.arange(count) * 10,
            "gt_ignore_flags": np.arange(count) % 2 == 1,
            "gt_instances_ids": np.arange(1, count + 1),
        }


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Boxes of 14 pixels or more, some across the border."""
    height, width = draw(st.integers(60, 180)), draw(st.integers(60, 220))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, CHANNELS))
    half = rng.uniform(7, 25, (count, 2))
    centre = rng.uniform(0, 1, (count, 2)) * [width, height]
    boxes = np.hstack((centre - half, centre + half))
    return Scene((height, width), tuple(map(tuple, boxes.tolist())))


def paint(boxes: Sequence[Sequence[float]], size: tuple[int, int]) -> np.ndarray:
    """Each box in a channel of its own, its border pixels as dark as they are covered."""
    image = np.full((*size, CHANNELS), float(GROUND))
    for channel, (x1, y1, x2, y2) in enumerate(boxes):
        image[..., channel] += INK * np.outer(_covered(y1, y2, size[0]), _covered(x1, x2, size[1]))
    return np.rint(image).astype(np.uint8)


def _covered(low: float, high: float, size: int) -> np.ndarray:
    """The share of each of the pixels 0 to 1, 1 to 2, ... that the interval covers. -> (size,)."""
    edges = np.clip(np.arange(size + 1), low, high)
    return np.diff(edges)


def find_box(image: np.ndarray, identity: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the ink of a channel is: centre of mass (x, y), and width and height of its covered columns and rows."""
    ink = np.clip((image[..., identity - 1].astype(float) - GROUND) / INK, 0, 1)
    profiles = ink.sum(axis=0), ink.sum(axis=1)
    centre = [(profile * (np.arange(len(profile)) + 0.5)).sum() / profile.sum() for profile in profiles]
    return np.array(centre), np.array([ink.max(axis=0).sum(), ink.max(axis=1).sum()])
