"""What track mAP sees: the tracks of one video, which of their classes count there, and their 3D IoU.

TAO is annotated for some classes in each video only (it is *federated*). A video lists classes that are known to be
absent (``neg_category_ids``) and classes of which not every object was annotated (``not_exhaustive_category_ids``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from clmot_qd.datasets.annotation_entries import merged_classes
from clmot_qd.datasets.mot_text import BoolArray, FloatArray, IntArray, MotTable
from clmot_qd.errors import InputError, expecting_form
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.files import read_json

_NEGATIVE = "neg_category_ids"


@dataclass(frozen=True)
class Federation:
    """What an annotation file says of its own gaps; classes are numbers.

    Args:
        negative: Sequence -> classes known to be absent; a sequence that is not in here is annotated for all classes.
        not_exhaustive: Sequence -> classes of which objects may be missing in the annotation.
        merged: Class -> the class that it counts as (``merged`` of TAO's categories).
    """

    negative: Mapping[str, frozenset[int]] = field(default_factory=dict)
    not_exhaustive: Mapping[str, frozenset[int]] = field(default_factory=dict)
    merged: Mapping[int, int] = field(default_factory=dict)

    def is_absent(self, sequence: str, number: int) -> bool:
        """Return whether a class that does not occur in a sequence is known not to, so that predictions are wrong."""
        return sequence not in self.negative or number in self.negative[sequence]

    def merge(self, table: MotTable) -> MotTable:
        """Return the table with merged classes replaced."""
        numbers = table.class_ids.copy()
        for old, new in self.merged.items():
            numbers[table.class_ids == old] = new
        return replace(table, class_ids=numbers)

    def merge_truth(self, truth: GroundTruth) -> GroundTruth:
        """Return the ground truth with merged classes replaced."""
        merged = {name: replace(true, boxes=self.merge(true.boxes)) for name, true in truth.sequences.items()}
        return replace(truth, sequences=merged)


def read_federation(truth: GroundTruth) -> Federation:
    """Read the lists from the annotation file; a folder of MOT sequences and a file without them have no gaps.

    Raises:
        InputError: A list is no list of numbers.
    """
    if not truth.frame_index:
        return Federation()
    data = read_json(truth.source)
    with expecting_form(lambda: truth.source):
        videos = {video["name"]: video for video in data["videos"]}
        return Federation(
            {name: _numbers(truth, video, _NEGATIVE) for name, video in videos.items() if _NEGATIVE in video},
            {name: _numbers(truth, video, "not_exhaustive_category_ids") for name, video in videos.items()},
            merged_classes(data["categories"]),
        )


def _numbers(truth: GroundTruth, video: Mapping[str, Any], key: str) -> frozenset[int]:
    values = video.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, int) for value in values):
        raise InputError(f"{truth.source}: video {video['name']!r}: {key} is {values!r}; it must be a list of numbers")
    return frozenset(values)


@dataclass(frozen=True)
class TrackSet:
    """The n tracks of one video, in the order in which they first stand in the file; rows are boxes.

    Args:
        table: The boxes, by track and in each track by frame.
        starts: (n + 1,) track i has the rows ``starts[i]`` to ``starts[i + 1] - 1``.
        classes: (n,) class of each track: that of its first box in the file.
    """

    table: MotTable
    starts: IntArray
    classes: IntArray

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.classes)

    def select(self, chosen: BoolArray | IntArray) -> TrackSet:
        """Return the tracks that a mask or an index array picks."""
        numbers = np.arange(len(self))[chosen]
        lengths = np.diff(self.starts)[numbers]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.repeat(self.starts[numbers] - starts[:-1], lengths) + np.arange(starts[-1])
        return TrackSet(self.table.select(rows), starts, self.classes[numbers])

    @property
    def owner(self) -> IntArray:
        """Track (m,) of each row."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    @property
    def lengths(self) -> IntArray:
        """Number of boxes (n,)."""
        return np.diff(self.starts)

    def volumes(self) -> FloatArray:
        """Return the areas of the boxes of each track (n,), summed over its frames, in pixels squared."""
        return self._sums(_areas(self.table.bboxes))

    def scores(self) -> FloatArray:
        """Return the mean score (n,) of each track; added up as trackeval does, so that ties stay ties."""
        parts = np.split(self.table.scores, self.starts[1:-1])[: len(self)]
        return np.array([np.mean(part) for part in parts])

    def crowds(self) -> BoolArray:
        """Return whether all boxes of a track (n,) are not to be considered (``iscrowd`` or ``ignore``)."""
        return self._sums((self.table.scores != 0).astype(float)) == 0

    def _sums(self, values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(self.owner, weights=values, minlength=len(self)), dtype=np.float64)


def make_tracks(table: MotTable) -> TrackSet:
    """Sort the boxes of a video into tracks."""
    _, first, owner = np.unique(table.ids, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    owner = rank[owner]
    order = np.lexsort((table.frames, owner))
    starts = np.searchsorted(owner[order], np.arange(len(first) + 1))
    return TrackSet(table.select(order), starts, table.class_ids[np.sort(first)])


def limit_per_image(table: MotTable, limit: int) -> MotTable:
    """Keep the ``limit`` best predictions of each image (0: all), image by image as they first stand in the file.

    Images with no more than that keep the order of their rows, the others are sorted by score.
    """
    if not limit:
        return table
    _, first, image, counts = np.unique(table.frames, return_index=True, return_inverse=True, return_counts=True)
    crowded = counts[image] > limit
    order = np.lexsort((np.where(crowded, -table.scores, 0.0), first[image]))
    sizes = counts[np.argsort(first)]
    position = np.arange(len(table)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return table.select(order[position < limit])


def track_iou(found: TrackSet, true: TrackSet) -> FloatArray:
    """Return the 3D IoU of tracks: shared volume over joint volume, summed over all frames. -> (found, true)."""
    order = np.argsort(true.table.frames, kind="stable")
    frames = true.table.frames[order]
    low = np.searchsorted(frames, found.table.frames, side="left")
    pairs = np.searchsorted(frames, found.table.frames, side="right") - low
    one = np.repeat(np.arange(len(found.table)), pairs)
    other = order[np.repeat(low - (np.cumsum(pairs) - pairs), pairs) + np.arange(pairs.sum())]
    shared = np.bincount(
        found.owner[one] * len(true) + true.owner[other],
        weights=_overlaps(found.table.bboxes[one], true.table.bboxes[other]),
        minlength=len(found) * len(true),
    ).reshape(len(found), len(true))
    joint = found.volumes()[:, None] + true.volumes()[None] - shared
    return np.divide(shared, joint, out=np.zeros(shared.shape), where=joint > 0)


def _areas(boxes: FloatArray) -> FloatArray:
    return boxes[:, 2] * boxes[:, 3]


def _overlaps(one: FloatArray, other: FloatArray) -> FloatArray:
    """Areas (n,) that the boxes (n, 4) xywh of each pair share."""
    low = np.maximum(one[:, :2], other[:, :2])
    high = np.minimum(one[:, :2] + one[:, 2:], other[:, :2] + other[:, 2:])
    return np.prod(np.maximum(high - low, 0), axis=1)
