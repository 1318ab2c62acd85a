"""The masks of an annotation file, checked while a data set that loads them is built, not in the middle of an epoch."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from logging import WARNING
from typing import Any

import mmcv.transforms as of_mmcv
import mmdet.datasets.transforms as of_mmdet
from mmengine.logging import print_log

from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks, has_segmentation, read_segmentation

# Steps that move the picture and its boxes and leave masks where they are, or stop at the first one -> what to take.
# Subclasses may do better, as mmdet's of mmcv's do.
LEAVING_MASKS = {
    of_mmcv.CenterCrop: "mmdet's RandomCrop",
    of_mmcv.Pad: "mmdet's Pad",
    of_mmcv.RandomFlip: "mmdet's RandomFlip",
    of_mmcv.Resize: "mmdet's Resize",
    of_mmdet.RandomAffine: "TrackRandomAffine",
    of_mmdet.RandomCenterCropPad: "mmdet's RandomCrop",
    of_mmdet.RandomShift: "TrackRandomAffine",
}


def loads_masks(pipeline: Any) -> bool:
    """Whether a step of the pipeline, however deep, is ``LoadTrackMasks``; mmdet's own loaders go by mmdet's rules."""
    return any(getattr(step, "needs_sound_masks", False) for step in _steps(pipeline))


def refuse_left_masks(pipeline: Any) -> None:
    """Refuse steps that move pictures and boxes but not masks, in a pipeline that loads masks in whatever way.

    Raises:
        InputError: Naming the step and what to take instead.
    """
    steps = list(_steps(pipeline))
    if not any(getattr(step, "needs_sound_masks", False) or getattr(step, "with_mask", False) for step in steps):
        return
    for step in steps:
        other = LEAVING_MASKS.get(type(step))
        if isinstance(step, of_mmdet.Albu) and {"gt_bboxes", "gt_masks"} & set(step.keymap_to_albu) == {"gt_bboxes"}:
            other = "a keymap with gt_masks='masks'"
        if other:
            name = f"{type(step).__module__.split('.')[0]}'s {type(step).__name__}"
            raise InputError(f"pipeline: {name} moves pictures and boxes but not their masks: take {other} instead")


def _steps(pipeline: Any) -> Iterator[Any]:
    """All steps of a pipeline, those within other steps too."""
    branches = getattr(pipeline, "branch_pipelines", {}).values()
    inner = getattr(pipeline, "resize", None)  # of RandomResize and the like, but a method elsewhere
    for step in (*getattr(pipeline, "transforms", ()), *branches, *([inner] if hasattr(inner, "transform") else [])):
        yield step
        yield from _steps(step)


def check_segmentations(path: str | os.PathLike[str], dataset: dict[str, Any], categories: Collection[Any]) -> None:
    """Check the ``segmentation`` of what is used; objects without a pixel become crowds, and their number is told.

    40 to 50 microseconds for each of those, half a minute or more for COCO's 860,000.

    Args:
        path: The file, for messages.
        dataset: Its content after ``read_coco``; changed.
        categories: Ids of those in use: their objects need a mask, unless they are crowds. What mmdet's data sets leave
            out is not looked at: other categories, ``ignore``, boxes of less than a pixel or beside the picture.

    Raises:
        InputError: One is missing or wrong; one line that names the annotation.
    """
    images = {image["id"]: image for image in dataset["images"]}
    used = set(categories)
    empty = []
    for annotation in dataset["annotations"]:
        image = images.get(annotation["image_id"])
        if image is None or annotation["category_id"] not in used or _is_left_out(annotation, image):
            continue
        place = f"{path}: image {image['id']} ({image['file_name']}): annotation {annotation['id']}"
        if not has_segmentation(annotation):
            if annotation.get("iscrowd"):
                continue
            raise InputError(
                f"{place} has no segmentation, which LoadTrackMasks needs: give it a mask, set iscrowd to 1 or take "
                "LoadTrackMasks out of the pipeline"
            )
        size = (image["height"], image["width"])
        if RleMasks.of([read_segmentation(annotation["segmentation"], size, place)], size).areas()[0] == 0:
            annotation["iscrowd"] = 1
            empty.append(annotation["id"])
    if empty:
        what = f"{len(empty)} objects have a mask without a pixel and are ignored in training"
        print_log(f"{path}: {what}, annotation {empty[0]} first", "current", WARNING)


def _is_left_out(annotation: dict[str, Any], image: dict[str, Any]) -> bool:
    """Whether mmdet's ``parse_data_info`` drops it, whatever its category."""
    if annotation.get("ignore"):
        return True
    x, y, w, h = annotation["bbox"]
    inside = min(x + w, image["width"]) > max(x, 0) and min(y + h, image["height"]) > max(y, 0)
    return bool(w < 1 or h < 1 or annotation["area"] <= 0 or not inside)
