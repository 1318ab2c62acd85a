"""RleMasks: some masks of one picture size, as COCO's compressed run lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from clmot_qd.errors import InputError

from .checks import runs_of

Bitmaps = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
#: One mask as pycocotools has it: ``size`` [height, width] and ``counts``; ours are text, as JSON knows no bytes.
CocoRle = dict[str, Any]


_MOST_AREAS = 255  # pycocotools 2.0.11 counts them in eight bits


@dataclass(frozen=True, eq=False)
class RleMasks:
    """Masks (n, H, W) as run lengths: a few hundred bytes each instead of millions of pixels.

    The runs are those of COCO's ``maskApi.c`` (columns first, compressed), which MOTS files and BDD100K's JSON have as
    well, so that a mask that is read and written again keeps every bit. ``masks[3]`` is one mask as pycocotools,
    mmdet's ``CocoMetric`` and JSON take it, ``masks[rows]`` are some of them; it may be a field of an ``InstanceData``.

    Attributes:
        size: (height, width) of the picture.
        counts: (n,) objects, the compressed runs of each mask, bytes.
    """

    size: tuple[int, int]
    counts: npt.NDArray[np.object_]

    @classmethod
    def of(cls, counts: Sequence[bytes | str], size: Sequence[int]) -> RleMasks:
        """Compressed runs, bytes or text, of pictures of ``size`` (height, width); not checked, see :mod:`.checks`."""
        column = np.empty(len(counts), dtype=object)
        column[:] = [runs.encode() if isinstance(runs, str) else runs for runs in counts]
        return cls((int(size[0]), int(size[1])), column)

    @classmethod
    def empty(cls, size: Sequence[int], count: int = 0) -> RleMasks:
        """``count`` masks without a pixel."""
        return cls.of([] if not count else [_compressed([size[0] * size[1]], size)] * count, size)

    @classmethod
    def of_bitmaps(cls, bitmaps: npt.NDArray[Any]) -> RleMasks:
        """Encode (n, H, W) of bool or numbers, of which all but 0 belong to the mask.

        Raises:
            InputError: Another shape, such as that of a single mask, or a pixel that is no number.
        """
        from pycocotools import mask as mask_api

        if np.ndim(bitmaps) != 3:
            shape = tuple(np.shape(bitmaps))
            raise InputError(f"bitmaps of the shape {shape}: they must be (n, H, W); give a single one as bitmap[None]")
        # One by one: copies of all of them at once are larger than all caches.
        columns = (_filled(bitmap).view(np.uint8) for bitmap in bitmaps)
        return cls.of([mask_api.encode(one)["counts"] for one in columns], bitmaps.shape[1:])

    @classmethod
    def of_crops(cls, crops: Sequence[Bitmaps], corners: Sequence[tuple[int, int]], size: Sequence[int]) -> RleMasks:
        """Encode masks that are known within a part of the picture each, which is as fast as the parts are small.

        Args:
            crops: n times (h, w) bool; they may be of different sizes, and empty.
            corners: Of each crop, (x, y) of its first pixel; the crop lies within the picture.
            size: (height, width) of the picture.
        """
        return cls.of([_compressed(_runs_of_crop(crop, *at, size), size) for crop, at in zip(crops, corners)], size)

    @classmethod
    def cat(cls, parts: Sequence[RleMasks]) -> RleMasks:
        """Join masks of one size; at least one part. (The name is that of ``InstanceData.cat``.)

        Raises:
            InputError: Parts of different sizes, or none.
        """
        if not parts:
            raise InputError("no masks to join, whose size would be that of the result; take RleMasks.empty(size)")
        for part in parts:
            if part.size != parts[0].size:
                raise InputError(f"masks of {_text(part.size)} and of {_text(parts[0].size)} pixels in one video")
        return cls(parts[0].size, np.concatenate([part.counts for part in parts]))

    def __len__(self) -> int:
        """Return the number of masks."""
        return len(self.counts)

    @property
    def shape(self) -> tuple[int]:
        """(n,), as of the arrays that stand beside it."""
        return (len(self),)

    @overload
    def __getitem__(self, rows: int | np.integer) -> CocoRle: ...
    @overload
    def __getitem__(self, rows: Any) -> RleMasks: ...
    def __getitem__(self, rows: Any) -> CocoRle | RleMasks:
        """One mask as :data:`CocoRle`, or those that a mask, an index array, a slice or a tensor of such picks."""
        if isinstance(rows, int) or getattr(rows, "ndim", None) == 0:
            return {"size": list(self.size), "counts": self.counts[int(rows)].decode()}
        if hasattr(rows, "cpu"):
            rows = rows.cpu().numpy()
        return RleMasks(self.size, self.counts[rows])

    def __iter__(self) -> Iterator[CocoRle]:
        """Each mask as :data:`CocoRle`, as ``masks[3]`` is one, so that JSON takes them."""
        return ({"size": list(self.size), "counts": text} for text in self.texts())

    def _coded(self) -> list[CocoRle]:
        """The masks with the bytes that pycocotools works on, which it would make of text anew."""
        return [{"size": self.size, "counts": counts} for counts in self.counts]

    def texts(self) -> list[str]:
        """The compressed runs as text, for JSON and MOTS files."""
        return [counts.decode() for counts in self.counts]

    def bitmaps(self) -> Bitmaps:
        """Decode. -> (n, H, W) bool."""
        from pycocotools import mask as mask_api

        bitmaps = np.empty((len(self), *self.size), dtype=bool)
        for bitmap, one in zip(bitmaps, self._coded()):
            bitmap[:] = mask_api.decode(one)
        return bitmaps

    def crops(self) -> list[tuple[Bitmaps, tuple[int, int]]]:
        """Decode each mask within the smallest box around it, which is as fast as the boxes are small.

        Returns:
            Of each mask (h, w) bool and (x, y) of its first pixel, as :meth:`of_crops` takes them; of an empty one
            (0, 0) and (0, 0).
        """
        boxes = self.boxes().astype(int).tolist()
        runs = [runs_of(text) or [] for text in self.texts()]
        return [(_crop(mine, box, self.size[0]), (box[0], box[1])) for mine, box in zip(runs, boxes)]

    def areas(self) -> IntArray:
        """Pixels of each mask. -> (n,)."""
        from pycocotools import mask as mask_api

        masks = self._coded()
        parts = [mask_api.area(masks[start : start + _MOST_AREAS]) for start in range(0, len(masks), _MOST_AREAS)]
        return np.concatenate([np.empty(0, dtype=np.int64), *parts]).astype(np.int64)

    def boxes(self) -> FloatArray:
        """Smallest box around each mask. -> (n, 4) x1, y1, x2, y2 in pixels, zeros for an empty one."""
        from pycocotools import mask as mask_api

        x, y, width, height = np.asarray(mask_api.toBbox(self._coded()), dtype=np.float64).reshape(-1, 4).T
        # Runs of length 0, which files may have: boxes of masks without a pixel are billions of pixels away, and
        # older pycocotools (2.0.11 does not) make others a column too wide.
        boxes = np.minimum(np.stack([x, y, x + width, y + height], axis=1), [*self.size[::-1]] * 2)
        return np.where(self.areas()[:, None] > 0, boxes, 0.0)

    def iou(self, others: RleMasks) -> FloatArray:
        """Intersection over union with each of the others. -> (n, m).

        Raises:
            InputError: The pictures are of different sizes.
        """
        return self._overlap(others, False)

    def inside(self, others: RleMasks) -> FloatArray:
        """Share of each mask that lies in each of the others. -> (n, m); errors as of :meth:`iou`."""
        return self._overlap(others, True)

    def union(self) -> RleMasks:
        """One mask of all pixels that are in any of them."""
        from pycocotools import mask as mask_api

        if not len(self):
            return RleMasks.empty(self.size, 1)
        return RleMasks.of([mask_api.merge(self._coded(), intersect=False)["counts"]], self.size)

    def _overlap(self, others: RleMasks, of_own_area: bool) -> FloatArray:
        from pycocotools import mask as mask_api

        if not len(self) or not len(others):
            return np.zeros((len(self), len(others)))
        if self.size != others.size:
            raise InputError(f"masks of {_text(self.size)} pixels are compared with masks of {_text(others.size)}")
        overlap = np.asarray(mask_api.iou(self._coded(), others._coded(), [int(of_own_area)] * len(others)))
        return np.nan_to_num(overlap, nan=0.0)  # empty masks


def _filled(bitmap: npt.NDArray[Any]) -> Bitmaps:
    """Where (H, W) is not 0, columns first in memory."""
    filled = np.asfortranarray(bitmap != 0)
    if np.asarray(bitmap).dtype.kind == "f" and np.isnan(bitmap).any():
        raise InputError("bitmaps have NaN among their pixels; give 0 where there is no mask")
    return filled


def _crop(runs: Sequence[int], box: Sequence[int], height: int) -> Bitmaps:
    """The pixels in a box (x1, y1, x2, y2) that all of a mask lies in."""
    left, top, right, bottom = box
    columns = np.zeros((right - left) * height, dtype=bool)
    ends = np.clip(np.cumsum(runs) - left * height, 0, len(columns))
    inside = np.repeat(np.arange(len(ends)) % 2 == 1, np.diff(ends, prepend=0))
    columns[: len(inside)] = inside
    return columns.reshape(right - left, height).T[top:bottom]


def _runs_of_crop(crop: Bitmaps, left: int, top: int, size: Sequence[int]) -> list[int]:
    """Run lengths of the whole picture, background first, columns first."""
    # A row of nothing below each column keeps runs of neighbouring columns apart in the crop.
    columns = np.pad(np.asarray(crop, dtype=np.int8).T, ((0, 0), (0, 1)))
    edges = np.flatnonzero(np.diff(columns.ravel(), prepend=0))
    column, row = np.divmod(edges, columns.shape[1])
    ends = (left + column) * int(size[0]) + top + row
    # A run down to the last pixel of a column goes on at the top of the next one.
    joined = np.flatnonzero(ends[1:-1:2] == ends[2::2]) if len(ends) > 2 else np.empty(0, dtype=np.int64)
    ends = np.delete(ends, np.concatenate([2 * joined + 1, 2 * joined + 2]))
    runs: list[int] = np.diff(ends, prepend=0, append=int(size[0]) * int(size[1])).tolist()
    return runs if runs[-1] else runs[:-1]  # as pycocotools writes a mask that ends with the picture


def _compressed(runs: list[int], size: Sequence[int]) -> bytes:
    from pycocotools import mask as mask_api

    height, width = int(size[0]), int(size[1])
    counts: bytes = mask_api.frPyObjects({"counts": runs, "size": [height, width]}, height, width)["counts"]
    return counts


def _text(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"
