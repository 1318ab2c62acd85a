"""Random affine warp that keeps everything known about an object together."""

from __future__ import annotations

import cv2
import numpy as np
from mmdet.datasets.transforms import RandomAffine
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import autocast_box_type

from .homography import about, record_homography
from .object_masks import ObjectMasks, ignore_empty

PER_OBJECT_KEYS = ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags", "gt_instances_ids", "gt_masks")


@TRANSFORMS.register_module()
class TrackRandomAffine(RandomAffine):
    """mmdet's ``RandomAffine`` for tracking: rotation, scale, shear and translation of one view.

    What differs from the parent, and why:

    * ``gt_instances_ids`` is filtered by the same mask as boxes, labels and ignore flags; the parent leaves it at its
      old length, so ids and boxes no longer match;
    * the warp turns and scales about the image centre, as in the CL-MOT release; the parent's centre is the top left
      corner, where 5 degrees alone move the far corner by 109 pixels;
    * boxes that became too small, too thin or mostly cut off are dropped (release: lib/utils/image.py), and so are
      boxes whose centre lies outside the image; the parent keeps every box that touches it;
    * masks move with the picture; the parent leaves them where they were. An object of which no pixel is left in the
      image, though its box is, is set to ignored;
    * pixels and boxes move by the same continuous map; the parent warps pixel indices by the matrix of the boxes, up
      to a quarter of a pixel apart at scale 0.5.

    Warped views are independent, so an object may survive in one view only.

    Deviations from the release: the translation comes after the shear instead of before it (a difference of 4 pixels at
    most); the shear, too, is about the centre; x moves by a share of the *width* and y of the *height* (the release
    swaps them); a warped box is the plain hull of its four corners (the release narrows it by
    sqrt(max(|sin|, |cos|)) of the angle, 0.2 % at 5 degrees).

    Args:
        max_rotate_degree: rotation is drawn from +- this, degrees.
        max_translate_ratio: translation is drawn from +- this share of width and of height.
        scaling_ratio_range: smallest and largest scale.
        max_shear_degree: shear in x and in y is drawn from +- this, degrees. The paper names no shear; the release's
            default is 2.
        border_val: BGR value of uncovered pixels; 128 as in :class:`Letterbox`.
        bbox_clip_border: cut boxes to the image before the filter, as in the release. False keeps the whole extent of
            an object that is partly outside (FairMOT's later choice).
        min_bbox_size: a box stays if both sides are longer than this, pixels.
        min_area_ratio: a box stays if its area is more than this share of its area before the warp.
        max_aspect_ratio: a box stays if its longer side is less than this many times its shorter side.
    """

    def __init__(
        self,
        max_rotate_degree: float = 5.0,
        max_translate_ratio: float = 0.1,
        scaling_ratio_range: tuple[float, float] = (0.5, 1.2),
        max_shear_degree: float = 2.0,
        border_val: tuple[int, int, int] = (128, 128, 128),
        bbox_clip_border: bool = True,
        min_bbox_size: float = 4.0,
        min_area_ratio: float = 0.1,
        max_aspect_ratio: float = 10.0,
    ) -> None:
        """Keep the ranges and the filter's limits."""
        super().__init__(
            max_rotate_degree=max_rotate_degree,
            max_translate_ratio=max_translate_ratio,
            scaling_ratio_range=scaling_ratio_range,
            max_shear_degree=max_shear_degree,
            border_val=border_val,
            bbox_clip_border=bbox_clip_border,
        )
        self.min_bbox_size = min_bbox_size
        self.min_area_ratio = min_area_ratio
        self.max_aspect_ratio = max_aspect_ratio

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Warp ``img`` and the objects, filter the objects, compose ``homography_matrix``."""
        height, width = results["img"].shape[:2]
        # The parent's draw is decorated with cache_randomness: overriding it would break share_random_params=True, so
        # its matrix is re-centred here.
        random_matrix = self._get_random_homography_matrix(height, width).astype(np.float64)
        matrix = about(width / 2, height / 2, random_matrix)
        results["img"] = _warp_image(results["img"], matrix, self.border_val)
        results["img_shape"] = (height, width)
        record_homography(results, matrix)
        if results.get("gt_bboxes") is not None:
            self._move_objects(results, matrix, height, width)
        return results

    def _move_objects(self, results: dict, matrix: np.ndarray, height: int, width: int) -> None:
        boxes = results["gt_bboxes"]
        areas_before = boxes.areas.numpy()
        boxes.project_(matrix)
        if self.bbox_clip_border:
            boxes.clip_((height, width))
        kept = self._keep(boxes.tensor.numpy(), areas_before, height, width)
        for key in PER_OBJECT_KEYS:
            if results.get(key) is not None:
                results[key] = results[key][kept]
        if results.get("gt_masks") is not None:
            results["gt_masks"] = ObjectMasks.of(results["gt_masks"]).warp(matrix, height, width)
            ignore_empty(results)

    def _keep(self, boxes: np.ndarray, areas_before: np.ndarray, height: int, width: int) -> np.ndarray:
        """Which warped boxes (n, 4) xyxy stay, (n,) bool."""
        w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        x, y = boxes[:, 0] + w / 2, boxes[:, 1] + h / 2
        large = (np.minimum(w, h) > self.min_bbox_size) & (w * h > self.min_area_ratio * areas_before)
        compact = np.maximum(w, h) < self.max_aspect_ratio * np.minimum(w, h)
        centred_inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return large & compact & centred_inside

    def __repr__(self) -> str:
        """Name and arguments."""
        return (
            f"{super().__repr__()[:-1]}, min_bbox_size={self.min_bbox_size}, "
            f"min_area_ratio={self.min_area_ratio}, max_aspect_ratio={self.max_aspect_ratio})"
        )


def _warp_image(image: np.ndarray, matrix: np.ndarray, border_value: tuple[int, int, int]) -> np.ndarray:
    """Warp by a ``matrix`` (3, 3) of continuous coordinates, in which pixel i has its centre at i + 0.5."""
    height, width = image.shape[:2]
    return cv2.warpAffine(image, about(-0.5, -0.5, matrix)[:2], (width, height), borderValue=border_value)
