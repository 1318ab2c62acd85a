"""Where a picture lands in a letterbox, and putting it there; numpy and OpenCV only, so that a runtime can use it."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np


class LetterboxShape(NamedTuple):
    """Where an image lands in the letterbox."""

    size: tuple[int, int]
    """(width, height) of the scaled image, pixels."""
    scale_factor: tuple[float, float]
    """(w_scale, h_scale): scaled pixels per original pixel, after rounding ``size``."""
    pad_param: tuple[int, int, int, int]
    """(top, bottom, left, right), pixels."""


def letterbox_shape(height: int, width: int, scale: tuple[int, int]) -> LetterboxShape:
    """Fit ``height`` x ``width`` into ``scale`` = (W, H), keeping the ratio; the odd pixel goes right and below.

    The ratio is min(W / width, H / height), the sides are rounded to the nearest pixel, and the margins d are split
    into round(d / 2 - .1) and round(d / 2 + .1) (CL-MOT's release, lib/utils/image.py).
    """
    target_width, target_height = scale
    ratio = min(target_width / width, target_height / height)
    # An extreme ratio must not round a side away.
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    top, bottom = _split(target_height - size[1])
    left, right = _split(target_width - size[0])
    return LetterboxShape(size, (size[0] / width, size[1] / height), (top, bottom, left, right))


def _split(margin: int) -> tuple[int, int]:
    return round(margin / 2 - 0.1), round(margin / 2 + 0.1)


def put_into_letterbox(image: np.ndarray, shape: LetterboxShape, pad_value: int) -> np.ndarray:
    """Scale an image with INTER_AREA and fill the margins of all its channels with the grey level ``pad_value``.

    Args:
        image: (H, W), (H, W, 1) or (H, W, C), of a number type that OpenCV scales.
        shape: Where it lands.
        pad_value: Cut off at the ends of an integer type's range.
    """
    (width, height), (top, bottom, left, right) = shape.size, shape.pad_param
    canvas = np.empty((top + height + bottom, left + width + right, *image.shape[2:]), dtype=image.dtype)
    inside = canvas[top : top + height, left : left + width]
    cv2.resize(image, shape.size, dst=inside, interpolation=cv2.INTER_AREA)
    limits = np.iinfo(image.dtype) if image.dtype.kind in "iu" else None
    level = pad_value if limits is None else min(max(pad_value, limits.min), limits.max)
    for margin in (canvas[:top], canvas[top + height :], canvas[:, :left], canvas[:, left + width :]):
        margin[...] = level
    return canvas
