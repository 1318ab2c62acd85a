"""``segmentation`` of a CocoVID annotation file, video by video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clmot_qd.datasets.mot_text import IntArray, PathLike
from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks, has_segmentation, read_segmentation

Size = tuple[int, int]


class TrueMasks:
    """The masks of all annotations, whose image ids have been checked.

    Those that are not to be considered (``ignore``, ``iscrowd``) may lack one: then it is empty.

    Args:
        path: The file, for messages.
        images: Its images, with ``height`` and ``width`` in pixels; those of a video are of one size.
        annotations: Its annotations.

    Raises:
        InputError: A size or a mask is missing, malformed or does not fit.
    """

    def __init__(
        self, path: PathLike, images: Sequence[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]]
    ) -> None:
        if annotations and not any(map(has_segmentation, annotations)):
            raise InputError(f"{path}: no annotation has a 'segmentation', which scoring masks needs (iou_type segm)")
        self._size_of_video = _sizes_of_videos(path, images)
        video_of_image = {image["id"]: image["video_id"] for image in images}
        sizes = (self._size_of_video[video_of_image[entry["image_id"]]] for entry in annotations)
        runs = [_runs(path, index, entry, size) for index, (entry, size) in enumerate(zip(annotations, sizes))]
        self._runs = np.array(runs, dtype=object)

    def of_video(self, video: int, rows: IntArray) -> RleMasks:
        """Return the masks of the annotations ``rows`` (n,) of one video; of 0 x 0 pixels for one without images."""
        return RleMasks(self._size_of_video.get(video, (0, 0)), self._runs[rows])


def _sizes_of_videos(path: PathLike, images: Sequence[Mapping[str, Any]]) -> dict[int, Size]:
    sizes: dict[int, Size] = {}
    for index, image in enumerate(images):
        for key in ("height", "width"):
            if type(image.get(key)) is not int:
                raise InputError(f"{path}: images[{index}] has no whole number {key!r}, which masks need; add it")
        size = image["height"], image["width"]
        if sizes.setdefault(image["video_id"], size) != size:
            what = f"is {size} (height, width), images before it {sizes[image['video_id']]}"
            raise InputError(f"{path}: images[{index}] {what}; masks of a video must be of one size")
    return sizes


def _runs(path: PathLike, index: int, entry: Mapping[str, Any], size: Size) -> bytes:
    place = f"{path}: annotations[{index}]"
    if has_segmentation(entry):
        return read_segmentation(entry["segmentation"], size, place)
    if not (entry.get("ignore") or entry.get("iscrowd")):
        raise InputError(f"{place} has no 'segmentation'; add it, or mark the object as ignored")
    runs: bytes = RleMasks.empty(size, 1).counts[0]
    return runs
