"""The images of an annotation file under all the names by which result files call them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from clmot_qd.datasets.annotation_entries import merged_classes
from clmot_qd.datasets.mot_text import IntArray
from clmot_qd.errors import InputError, expecting_form
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.files import read_json


@dataclass(frozen=True)
class ImageIndex:
    """One entry for each of the n images; those of a video that is not looked at have the sequence -1.

    Args:
        source: The annotation file, for messages.
        sequences: Names of the S sequences, in the order of the ground truth.
        video_ids: (S,) ``id`` of each sequence's video; ``source_id`` where the file has it (TAO's own number).
        sequence: (n,) position in ``sequences``, or -1.
        frames: (n,) frame number as in ``MotTable.frames``.
        ids: (n,) ``id``.
        source_ids: (n,) ``source_id`` (TAO's own number) where the file has it, else ``id``.
        frame_indices: (n,) ``frame_index`` (the source's own count from 0) where the file has it, else ``frame_id``.
        videos: Name of the video, also of those that are not looked at.
        names: The last part of ``file_name``.
        merged: Class that the file does not list -> the one that it counts as (``merged`` of TAO's categories).
    """

    source: str
    sequences: tuple[str, ...]
    video_ids: IntArray
    sequence: IntArray
    frames: IntArray
    ids: IntArray
    source_ids: IntArray
    frame_indices: IntArray
    videos: tuple[str, ...]
    names: tuple[str, ...]
    merged: Mapping[int, int]

    def rows_of(self, sequence: str) -> IntArray:
        """Return the images of a sequence, ascending by frame number."""
        return self._rows[sequence]

    @cached_property
    def _rows(self) -> dict[str, IntArray]:
        order = np.lexsort((self.frames, self.sequence))
        bounds = np.searchsorted(self.sequence[order], np.arange(len(self.sequences) + 1))
        return {name: order[start:stop] for name, start, stop in zip(self.sequences, bounds[:-1], bounds[1:])}


def read_image_index(truth: GroundTruth) -> ImageIndex:
    """Read the images of the annotation file that the ground truth comes from.

    Raises:
        InputError: The ground truth is a folder of MOT sequences, which has no numbers or names for images.
    """
    if not truth.frame_index:
        what = "this prediction format names images as an annotation file does, and a MOT folder has none"
        raise InputError(f"{truth.source}: {what}; give a CocoVID file (tools/convert_dataset.py makes one)")
    data = read_json(truth.source)
    with expecting_form(lambda: truth.source):
        return _parse(truth, data)


def _parse(truth: GroundTruth, data: Mapping[str, Any]) -> ImageIndex:
    places = [truth.frame_index[image["video_id"], image["frame_id"]] for image in data["images"]]
    order = {name: number for number, name in enumerate(truth.sequences)}
    videos = {video["name"]: video.get("source_id", video["id"]) for video in data["videos"]}
    return ImageIndex(
        source=truth.source,
        sequences=tuple(order),
        video_ids=_integers(videos[name] for name in order),
        sequence=_integers(order.get(name, -1) for name, _ in places),
        frames=_integers(number for _, number in places),
        ids=_integers(image["id"] for image in data["images"]),
        source_ids=_integers(image.get("source_id", image["id"]) for image in data["images"]),
        frame_indices=_integers(image.get("frame_index", image["frame_id"]) for image in data["images"]),
        videos=tuple(name for name, _ in places),
        merged=_merged(data["categories"]),
        names=tuple(PurePosixPath(image.get("file_name", "")).name for image in data["images"]),
    )


def _merged(categories: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    listed = {category["id"] for category in categories}
    return {old: new for old, new in merged_classes(categories).items() if old not in listed}


def _integers(values: Any) -> IntArray:
    return np.fromiter(values, dtype=np.int64)
