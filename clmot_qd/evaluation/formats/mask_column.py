"""Masks in JSON result files: a column of entries, each checked before pycocotools sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clmot_qd.datasets.mot_text import FloatArray, IntArray
from clmot_qd.evaluation.formats.entries import Entries
from clmot_qd.masks import RleMasks, read_segmentation

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class MaskColumn:
    """The masks of the n entries of a file, which may be about videos of several sizes.

    Args:
        counts: (n,) compressed runs, bytes.
        sizes: (n, 2) height and width in pixels.
    """

    counts: npt.NDArray[np.object_]
    sizes: IntArray

    def boxes(self) -> FloatArray:
        """Smallest box around each mask: (n, 4) x1, y1, x2, y2 in pixels, zeros for an empty one."""
        boxes = np.zeros((len(self.counts), 4))
        for size in np.unique(self.sizes, axis=0):
            rows = (self.sizes == size).all(axis=1)
            boxes[rows] = RleMasks.of(self.counts[rows].tolist(), size).boxes()
        return boxes

    def of_video(self, rows: IntArray, entries: Entries, size: Size | None) -> RleMasks | None:
        """Return the masks of some rows; of ``size`` where there are none, None where that is not known either.

        Raises:
            InputError: Two of them are of different sizes.
        """
        if not len(rows):
            return None if size is None else RleMasks.empty(size)
        other = (self.sizes[rows] != self.sizes[rows[0]]).any(axis=1)
        if other.any():
            row = int(rows[other.argmax()])
            what = f"its mask is of size {self.sizes[row].tolist()} (height, width), that of {entries.place(rows[0])}"
            entries.fail(row, f"{what} of {self.sizes[rows[0]].tolist()}; masks of a video are of one size")
        return RleMasks.of(self.counts[rows].tolist(), self.sizes[rows[0]])


def read_masks(entries: Entries, key: str, sizes: IntArray) -> MaskColumn | None:
    """Read the masks of all entries; None if no entry has one.

    Args:
        entries: Of the file.
        key: Under which a mask stands, as COCO has it: an object with ``size`` and ``counts``, or polygons.
        sizes: (n, 2) height and width of each entry's image; 0 where they are not known: then the mask's own count.

    Raises:
        InputError: Some entries have a mask and others do not, or one is malformed or not of its image's size.
    """
    values = [row.get(key) if isinstance(row, Mapping) else None for row in entries.rows]
    if all(value is None for value in values):
        return None
    missing = np.array([value is None for value in values])
    entries.refuse(missing, lambda i: f"no key {key!r}, which others have; either all entries have masks, or none")
    known = [tuple(size) if all(size) else _stated(value) for value, size in zip(values, sizes.tolist())]
    unknown = np.array([size is None for size in known], dtype=bool)
    entries.refuse(unknown, lambda i: f"{key} has no size [height, width], and its image has none either; add it")
    counts = np.empty(len(values), dtype=object)
    rows = zip(values, known)
    counts[:] = [read_segmentation(one, size, _place(entries, i, key)) for i, (one, size) in enumerate(rows) if size]
    return MaskColumn(counts, np.array(known, dtype=np.int64).reshape(-1, 2))


def _place(entries: Entries, row: int, key: str) -> str:
    return f"{entries.path}: {entries.place(row)}: {key}"


def _stated(value: Any) -> Size | None:
    """The size that a mask says it has."""
    size = value.get("size") if isinstance(value, Mapping) else None
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int for side in size):
        return None
    return size[0], size[1]
