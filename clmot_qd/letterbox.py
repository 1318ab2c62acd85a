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
    """Scale an image (H, W, 3) with INTER_AREA and fill the margins with the grey level ``pad_value``."""
    scaled = cv2.resize(image, shape.size, interpolation=cv2.INTER_AREA)
    fill = (pad_value,) * 3
    return cv2.copyMakeBorder(scaled, *shape.pad_param, borderType=cv2.BORDER_CONSTANT, value=fill)
