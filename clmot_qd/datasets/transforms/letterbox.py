"""Scale an image into a fixed frame and fill the rest with grey."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import autocast_box_type

from clmot_qd.letterbox import letterbox_shape, put_into_letterbox

from .homography import record_homography
from .object_masks import ObjectMasks, ignore_empty


@TRANSFORMS.register_module()
class Letterbox(BaseTransform):
    """Scale the image into ``scale`` = (W, H) keeping its ratio, centre it and fill the margins with ``pad_value``.

    CL-MOT's network input (paper Sec. 5.2: 1088x608). mmdet's ``Resize`` + ``Pad`` fill at the right and below only.
    Boxes move with exactly the scale and the whole-pixel margins of the picture; the release moves them by the
    unrounded margin (3.5 where the picture moves 3 pixels), half a pixel off. Interpolation is INTER_AREA, as released.

    Writes ``img``, ``img_shape``, ``gt_bboxes`` and ``gt_masks`` (if any), ``scale_factor`` = (w_scale, h_scale),
    ``pad_param`` = (top, bottom, left, right) and ``homography_matrix``.
    :func:`clmot_qd.geometry.boxes_to_original` undoes it from ``scale_factor`` and ``pad_param`` (name 'pad_param' in
    the ``meta_keys`` of ``PackTrackInputs``). Boxes are neither clipped nor dropped; an object so small that no pixel
    of its mask is left is set to ignored.

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
        results["img"] = put_into_letterbox(results["img"], shape, self.pad_value)
        results["img_shape"] = results["img"].shape[:2]
        results["scale_factor"] = shape.scale_factor
        results["pad_param"] = shape.pad_param
        (w_scale, h_scale), (top, _, left, _) = shape.scale_factor, shape.pad_param
        matrix = np.array([[w_scale, 0.0, left], [0.0, h_scale, top], [0.0, 0.0, 1.0]])
        record_homography(results, matrix)
        if results.get("gt_bboxes") is not None:
            results["gt_bboxes"].rescale_(shape.scale_factor)
            results["gt_bboxes"].translate_((left, top))
        if results.get("gt_masks") is not None:
            results["gt_masks"] = ObjectMasks.of(results["gt_masks"]).warp(matrix, *results["img_shape"])
            ignore_empty(results)
        return results

    def __repr__(self) -> str:
        """Name and arguments."""
        return f"{type(self).__name__}(scale={self.scale}, pad_value={self.pad_value})"
