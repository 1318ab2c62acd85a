"""Loaded frames for the transform tests: plain ones, and grey ones with a soft dot at every box centre."""

from __future__ import annotations

import random

import numpy as np
import torch
from mmdet.structures.bbox import HorizontalBoxes

from clmot_qd.datasets.transforms.object_masks import ObjectMasks

GREY = 128
DOT_SIGMA = 2.5


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (mmcv's own transforms draw from it)


def make_frame(boxes: np.ndarray, size: tuple[int, int] = (480, 640), image: np.ndarray | None = None) -> dict:
    """What LoadFrame and LoadAnnotations give for ``boxes`` (n, 4) xyxy on an image of ``size`` = (height, width)."""
    boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    if image is None:
        image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    return {
        "img": image,
        "img_id": 7,
        "img_path": "frame.png",
        "img_shape": image.shape[:2],
        "ori_shape": image.shape[:2],
        "gt_bboxes": HorizontalBoxes(torch.from_numpy(boxes.copy())),
        "gt_bboxes_labels": np.arange(len(boxes), dtype=np.int64) % 3,
        "gt_ignore_flags": np.arange(len(boxes)) % 5 == 4,
    }


def random_boxes(count: int, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Boxes (count, 4) of 2 to 150 pixels, some across the border."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform((0, 0), (size[1], size[0]), (count, 2))
    half = rng.uniform(1, 75, (count, 2))
    return np.concatenate([centres - half, centres + half], axis=1)


def frame_with_blobs(size: tuple[int, int], count: int, seed: int = 0) -> dict:
    """A frame with ids 1, 2, ... and masks: blobs with a hole, some across the border, and the boxes around them."""
    rng = np.random.default_rng(seed)
    boxes = random_boxes(count, size, seed)
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    bitmaps = np.zeros((count, *size), np.uint8)
    for bitmap, box in zip(bitmaps, boxes):
        (cx, cy), (w, h) = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
        radius = np.hypot((x - cx) / w, (y - cy) / h)
        bitmap[:] = (radius <= 1) & (radius > rng.uniform(0, 0.5))
    frame = make_frame(boxes, size)
    frame.update(gt_instances_ids=np.arange(1, count + 1), gt_masks=ObjectMasks(bitmaps, *bitmaps.shape[1:]))
    return frame


def dotted_frame(size: tuple[int, int], seed: int = 0) -> dict:
    """A grey frame with boxes on a loose grid, 110 pixels apart, each with a dot at its centre."""
    height, width = size
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(60, width - 40, 110), np.arange(60, height - 40, 110))
    centres = np.stack([x.ravel(), y.ravel()], axis=1) + rng.uniform(-4, 4, (x.size, 2))
    half = rng.uniform(8, 30, centres.shape)
    boxes = np.concatenate([centres - half, centres + half], axis=1)
    return make_frame(boxes, size, paint_dots(size, centres))


def paint_dots(size: tuple[int, int], centres: np.ndarray) -> np.ndarray:
    """Grey image with a Gaussian dot at every (x, y); pixel i covers i to i + 1, so its middle is at i + 0.5."""
    image = np.full(size, float(GREY))
    for x, y in centres:
        left, top = int(x) - 12, int(y) - 12
        grid_y, grid_x = np.mgrid[top : top + 25, left : left + 25] + 0.5
        dot = 120 * np.exp(-((grid_x - x) ** 2 + (grid_y - y) ** 2) / (2 * DOT_SIGMA**2))
        image[top : top + 25, left : left + 25] += dot
    return np.repeat(np.rint(image).astype(np.uint8)[:, :, None], 3, axis=2)


def find_dot(image: np.ndarray, near: np.ndarray, radius: int = 18) -> np.ndarray:
    """Centre of mass (x, y) of what is brighter than grey within ``radius`` of the pixel at ``near``."""
    left, top = (near.astype(int) - radius).tolist()
    patch = image[top : top + 2 * radius + 1, left : left + 2 * radius + 1, 0].astype(float) - GREY
    patch = np.clip(patch, 0, None)
    grid_y, grid_x = np.mgrid[top : top + patch.shape[0], left : left + patch.shape[1]] + 0.5
    return np.array([(grid_x * patch).sum(), (grid_y * patch).sum()]) / patch.sum()


def centres_of(boxes: np.ndarray) -> np.ndarray:
    """Centres (n, 2) of boxes (n, 4) xyxy."""
    boxes = np.asarray(boxes)
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def map_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (n, 2) through a (3, 3) affine matrix, one by one."""
    return np.array([(matrix @ [x, y, 1.0])[:2] for x, y in points]).reshape(-1, 2)
