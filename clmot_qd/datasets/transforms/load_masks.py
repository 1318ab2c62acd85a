"""Loading the masks of a frame's objects, and keeping those that a crop or a scale empties out of the training."""

from __future__ import annotations

from collections.abc import Mapping
from logging import WARNING
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmengine.logging import print_log

from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks, read_segmentation

from .object_masks import ObjectMasks, Part, ignore_empty


@TRANSFORMS.register_module()
class LoadTrackMasks(BaseTransform):
    """Gives a frame ``gt_masks``, the pixels of each object, in step with ``gt_bboxes``.

    Goes right after ``LoadTrackAnnotations`` or ``LoadAnnotations(with_bbox=True)``, before any step that changes the
    picture or drops objects. It reads the ``segmentation`` of the annotation file: run lengths, compressed or not, and
    polygons of any number of parts. mmdet's ``with_mask=True`` hands them to pycocotools unchecked, and fails on an
    object without one; here

    * an object that is ignored (a crowd) may lack its mask: it has an empty one;
    * an object without a pixel in its mask is set to ignored, and the first one is told of;
    * our data sets check all masks of the file when they are built, and name the annotation.

    Input: ``img_shape``, ``instances``, ``gt_bboxes`` (n, 4), ``gt_ignore_flags`` (n,). Output: ``gt_masks``,
    :class:`ObjectMasks`, which are ``BitmapMasks`` (n, H, W) uint8; ``gt_ignore_flags``.

    Raises:
        InputError: an object in use without ``segmentation``, a mask that leaves the picture or is of another size, a
            step in the wrong place.
    """

    #: How our data sets find out that they have to check the masks of their file.
    needs_sound_masks = True

    def __init__(self) -> None:
        """Nothing told yet."""
        self._told = False

    def transform(self, results: dict) -> dict:
        """Decode the masks; see the class."""
        _require_place(results)
        height, width = results["img_shape"]
        flags = results["gt_ignore_flags"]
        places = [f"{results.get('img_path')}: object {row}" for row in range(len(flags))]
        runs = [_runs(*one, (height, width)) for one in zip(results["instances"], flags, places)]
        crops = RleMasks.of(runs, (height, width)).crops()
        parts = (Part(np.ascontiguousarray(crop, dtype=np.uint8), *corner) for crop, corner in crops)
        results["gt_masks"] = ObjectMasks.of_parts(parts, height, width)
        for row in ignore_empty(results)[:1]:
            self._tell(places[row])
        return results

    def _tell(self, place: str) -> None:
        if not self._told:
            print_log(f"{place}: its mask has no pixel; such objects are ignored in training", "current", WARNING)
        self._told = True

    def __repr__(self) -> str:
        """Name."""
        return f"{type(self).__name__}()"


@TRANSFORMS.register_module()
class IgnoreEmptyMasks(BaseTransform):
    """Sets objects to ignored of which no pixel is left, though their box is: for use after mmdet's crops and scales.

    A crop may take all of an object's pixels and leave a corner of its box, and a scale may step over an object of few
    pixels; trained on, they teach empty masks. ``LoadTrackMasks``, ``Letterbox`` and ``TrackRandomAffine`` do the same
    by themselves. A frame without masks passes.
    """

    def transform(self, results: dict) -> dict:
        """Change ``gt_ignore_flags``; see the class."""
        ignore_empty(results)
        return results

    def __repr__(self) -> str:
        """Name."""
        return f"{type(self).__name__}()"


def _require_place(results: dict) -> None:
    objects = len(results.get("instances") or ())
    if results.get("gt_bboxes") is None or "img_shape" not in results:
        raise InputError("LoadTrackMasks: the frame has no picture or no boxes: put it after LoadTrackAnnotations")
    if len(results["gt_bboxes"]) != objects or results.get("homography_matrix") is not None:
        raise InputError(
            "LoadTrackMasks: a step before it moved or dropped objects: put it right after LoadTrackAnnotations"
        )


def _runs(instance: Mapping[str, Any], ignored: bool, place: str, size: tuple[int, int]) -> bytes:
    if instance.get("mask"):
        return read_segmentation(instance["mask"], size, place)
    if ignored:
        return RleMasks.empty(size, 1).counts[0]
    raise InputError(
        f"{place} has no segmentation: give it a mask, mark it as ignored (iscrowd) or take LoadTrackMasks out"
    )
