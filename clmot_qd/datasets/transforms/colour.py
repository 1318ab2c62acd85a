"""Colour jitter in HSV."""

from __future__ import annotations

import random

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS

from clmot_qd.errors import InputError


@TRANSFORMS.register_module()
class ColourJitterHSV(BaseTransform):
    """Multiply saturation and value by one random gain each, drawn from [1 - fraction, 1 + fraction].

    The "colour jittering" of CL-MOT, Sec. 4.1, as its released code does it (lib/datasets/dataset/jde.py): hue stays,
    products are cut to 255 and truncated to integers. mmdet's ``YOLOXHSVRandomAug`` adds offsets instead of
    multiplying, and ``PhotoMetricDistortion`` has no gain on value and also moves hue, contrast and channels.

    One lookup table does the arithmetic, so a 1920x1080 image takes about 7 ms on one core.

    Args:
        fraction: largest relative change of saturation and of value, in [0, 1]. 0 leaves the image as it is, but for
            the rounding of the conversion to HSV and back.
    """

    def __init__(self, fraction: float = 0.5) -> None:
        """Check and keep the range of the gains."""
        if not 0 <= fraction <= 1:
            raise InputError(f"fraction must lie in [0, 1], got {fraction}")
        self.fraction = fraction

    @cache_randomness
    def _random_gains(self) -> tuple[float, float]:
        """Gains of saturation and of value."""
        low, high = 1 - self.fraction, 1 + self.fraction
        return random.uniform(low, high), random.uniform(low, high)

    def transform(self, results: dict) -> dict:
        """Replace ``img`` (H, W, 3) uint8 BGR by its jittered copy; boxes stay."""
        image = results["img"]
        if image.dtype != np.uint8:
            raise TypeError(f"ColourJitterHSV needs a uint8 image, got {image.dtype}: load with to_float32=False")
        hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), gain_table(*self._random_gains()))
        results["img"] = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
        return results

    def __repr__(self) -> str:
        """Name and arguments."""
        return f"{type(self).__name__}(fraction={self.fraction})"


def gain_table(saturation: float, value: float) -> np.ndarray:
    """OpenCV lookup table (1, 256, 3) uint8: hue unchanged, saturation and value times their gain, cut to [0, 255]."""
    levels = np.arange(256, dtype=np.float32)[:, None] * np.array([1.0, saturation, value], dtype=np.float32)
    return np.clip(levels, 0, 255).astype(np.uint8)[None]
