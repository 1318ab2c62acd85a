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
from clmot_qd.masks.checks import LARGEST_SIDE


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
        sizes: (n, 2) height and width in pixels; 0 where the file has none.
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
    sizes: IntArray
    merged: Mapping[int, int]

    def rows_of(self, sequence: str) -> IntArray:
        """Return the images of a sequence, ascending by frame number."""
        return self._rows[sequence]

    def size_of(self, sequence: str) -> tuple[int, int] | None:
        """Return (height, width) of the images of a sequence, in pixels; None where the file does not say.

        Raises:
            InputError: They are of different sizes, so that no mask can be of all their sizes.
        """
        sizes = self.sizes[self.rows_of(sequence)]
        known = np.unique(sizes[sizes.all(axis=1)], axis=0).tolist()
        if len(known) > 1:
            what = f"images of {known[0]} and of {known[1]} pixels (height, width)"
            raise InputError(f"{self.source}: video {sequence!r} has {what}; masks of a video must be of one size")
        return (known[0][0], known[0][1]) if known else None

    def require_names(self, sequence: str) -> None:
        """Check that the images of a sequence have names.

        Raises:
            InputError: One has none.
        """
        nameless = next((row for row in self.rows_of(sequence) if not self.names[row]), None)
        if nameless is not None:
            what = f"image {self.ids[nameless]} has no file_name, which BDD100K's files need"
            raise InputError(f"{self.source}: {what}")

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
        sizes=_integers(_side(image.get(key)) for image in data["images"] for key in ("height", "width")).reshape(
            -1, 2
        ),
    )


def _side(value: Any) -> int:
    return value if type(value) is int and 0 < value <= LARGEST_SIDE else 0


def _merged(categories: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    listed = {category["id"] for category in categories}
    return {old: new for old, new in merged_classes(categories).items() if old not in listed}


def _integers(values: Any) -> IntArray:
    return np.fromiter(values, dtype=np.int64)
