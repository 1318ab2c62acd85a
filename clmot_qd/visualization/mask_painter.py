"""Masks on pictures: half-transparent, with a crisp outline, each within the box around it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

OPACITY = 0.45
"""Share of the colour in a mask; the rest is the picture."""


def check_masks(masks: RleMasks, frame: Image) -> None:
    """Check that masks belong to a picture.

    Raises:
        InputError: They are of another size.
    """
    height, width = frame.shape[:2]
    if masks.size != (height, width):
        here = f"{masks.size[1]} x {masks.size[0]}"
        raise InputError(f"masks of {here} pixels on a picture of {width} x {height}: give those of this picture")


def paint_masks(canvas: Image, masks: RleMasks, colours: Sequence[Colour], line: int, scale: float = 1.0) -> None:
    """Paint masks into a picture; where they overlap, the last one alone is seen.

    Args:
        canvas: (H, W, 3), in which they are painted.
        masks: n masks of the picture before it was enlarged to the canvas.
        colours: BGR of each mask.
        line: Thickness of the outline, which lies inside the mask, pixels of the canvas.
        scale: How much larger the canvas is than the picture.
    """
    plain = canvas.copy()
    kernel = np.ones((2 * line + 1, 2 * line + 1), np.uint8)
    for (crop, corner), colour in zip(masks.crops(), colours):
        mask, (left, top) = _enlarged(crop, corner, scale, canvas.shape)
        if not mask.size:
            continue
        region = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
        full = np.full((*mask.shape, 3), colour, np.uint8)
        mixed = cv2.addWeighted(full, OPACITY, plain[region], 1 - OPACITY, 0)
        inner = cv2.erode(mask, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        canvas[region] = cv2.copyTo(full, mask - inner, cv2.copyTo(mixed, inner, canvas[region].copy()))


def _enlarged(
    crop: npt.NDArray[np.bool_], corner: tuple[int, int], scale: float, limits: Sequence[int]
) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
    """A part of a mask, of 0 and 255, and its corner, in pixels of a canvas of (height, width, ...) ``limits``."""
    mask = np.ascontiguousarray(crop).astype(np.uint8) * 255
    if scale == 1.0 or not mask.size:
        return mask, corner
    left, top = (round(edge * scale) for edge in corner)
    right = min(limits[1], round((corner[0] + mask.shape[1]) * scale))
    bottom = min(limits[0], round((corner[1] + mask.shape[0]) * scale))
    if right <= left or bottom <= top:
        return np.zeros((0, 0), np.uint8), (left, top)
    way = cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA
    smooth = cv2.resize(mask, (right - left, bottom - top), interpolation=way)
    return np.where(smooth >= 128, np.uint8(255), np.uint8(0)), (left, top)
