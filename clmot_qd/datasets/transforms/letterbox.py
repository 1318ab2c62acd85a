"""Scale an image into a fixed frame and fill the rest with grey."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import autocast_box_type

from .homography import record_homography


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


@TRANSFORMS.register_module()
class Letterbox(BaseTransform):
    """Scale the image into ``scale`` = (W, H) keeping its ratio, centre it and fill the margins with ``pad_value``.

    CL-MOT's network input (paper Sec. 5.2: 1088x608). mmdet's ``Resize`` + ``Pad`` fill at the right and below only.
    Boxes move with exactly the scale and the whole-pixel margins of the picture; the release moves them by the
    unrounded margin (3.5 where the picture moves 3 pixels), half a pixel off. Interpolation is INTER_AREA, as released.

    Writes ``img``, ``img_shape``, ``gt_bboxes`` (if any), ``scale_factor`` = (w_scale, h_scale), ``pad_param`` =
    (top, bottom, left, right) and ``homography_matrix``. :func:`clmot_qd.geometry.boxes_to_original` undoes it from
    ``scale_factor`` and ``pad_param`` (name 'pad_param' in the ``meta_keys`` of ``PackTrackInputs``). Boxes are
    neither clipped nor dropped.

    Args:
        scale: (width, height) of the result, pixels.
        pad_value: grey level of the margins. The release asks for 127.5, which OpenCV writes as 128 into its 8-bit
            images, hence 128.
    """

    def __init__(self, scale: tuple[int, int] = (1088, 608), pad_value: int = 128) -> None:
        """Keep the size and the grey level."""
        self.scale = int(scale[0]), int(scale[1])
        self.pad_value = pad_value

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Letterbox one frame; see the class."""
        height, width = results["img"].shape[:2]
        shape = letterbox_shape(height, width, self.scale)
        results["img"] = self._letterbox(results["img"], shape)
        results["img_shape"] = results["img"].shape[:2]
        results["scale_factor"] = shape.scale_factor
        results["pad_param"] = shape.pad_param
        (w_scale, h_scale), (top, _, left, _) = shape.scale_factor, shape.pad_param
        record_homography(results, np.array([[w_scale, 0.0, left], [0.0, h_scale, top], [0.0, 0.0, 1.0]]))
        if results.get("gt_bboxes") is not None:
            results["gt_bboxes"].rescale_(shape.scale_factor)
            results["gt_bboxes"].translate_((left, top))
        return results

    def _letterbox(self, image: np.ndarray, shape: LetterboxShape) -> np.ndarray:
        scaled = cv2.resize(image, shape.size, interpolation=cv2.INTER_AREA)
        fill = (self.pad_value,) * 3
        return cv2.copyMakeBorder(scaled, *shape.pad_param, borderType=cv2.BORDER_CONSTANT, value=fill)

    def __repr__(self) -> str:
        """Name and arguments."""
        return f"{type(self).__name__}(scale={self.scale}, pad_value={self.pad_value})"
