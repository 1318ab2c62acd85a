"""Masks of a frame's objects while they move with their picture: ``gt_masks`` of the pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import mmcv
import numpy as np
import torch
from mmcv.ops import roi_align
from mmdet.structures.mask import BitmapMasks

from clmot_qd.errors import InputError

from .homography import about, translation


class Part(NamedTuple):
    """The part of a picture that holds all of a mask."""

    pixels: np.ndarray
    """(h, w) uint8, 0 and 1; of no size where the mask is empty."""
    left: int
    top: int


_NOTHING = Part(np.zeros((0, 0), dtype=np.uint8), 0, 0)


class ObjectMasks(BitmapMasks):
    """mmdet's ``BitmapMasks`` that stores each mask within a box around it, and makes whole pictures when asked for.

    30 masks of a 1280x720 frame are 27 MB as pictures, which every step of a pipeline copies once or twice and which
    travel from the data worker through a pipe; their parts are a hundredth of that. What differs besides:

    * :attr:`masks` is made anew at every access, so writing into it changes nothing, assigning to it does;
    * ``resize`` and ``rescale`` move masks as the picture moves, blended linearly about pixel centres, and a pixel
      belongs to the mask where half of it does; the parent's nearest pixel is up to half a pixel beside the picture.

    Steps that are not defined here give the parent's type.

    Args:
        masks: (n, H, W) of numbers, of which all but 0 belong to a mask.
        height: H, pixels.
        width: W, pixels.
    """

    def __init__(self, masks: Iterable[np.ndarray], height: int, width: int) -> None:
        """Cut the masks out."""
        self.height, self.width = int(height), int(width)
        self.masks = masks

    @classmethod
    def of_parts(cls, parts: Iterable[Part], height: int, width: int) -> ObjectMasks:
        """Masks whose parts are known."""
        made = cls([], height, width)
        made.parts = list(parts)
        return made

    @classmethod
    def of(cls, masks: Any) -> ObjectMasks:
        """Masks as some loader gave them.

        Raises:
            InputError: They are polygons, which mmdet's loaders give with ``poly2mask=False``.
        """
        if isinstance(masks, cls):
            return masks
        if not isinstance(masks, BitmapMasks):
            raise InputError(f"gt_masks are {type(masks).__name__}: load them with LoadTrackMasks")
        return cls(masks.masks, masks.height, masks.width)

    @property
    def masks(self) -> np.ndarray:
        """(n, H, W) uint8."""
        bitmaps = np.zeros((len(self), self.height, self.width), dtype=np.uint8)
        for bitmap, (pixels, left, top) in zip(bitmaps, self.parts):
            bitmap[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        return bitmaps

    @masks.setter
    def masks(self, bitmaps: Iterable[np.ndarray]) -> None:
        """Take others of the same size, as mmdet's ``CopyPaste`` gives them."""
        self.parts = [_cut_out(np.asarray(bitmap)) for bitmap in bitmaps]

    def are_empty(self) -> np.ndarray:
        """Which masks have no pixel. -> (n,) bool."""
        return np.array([not part.pixels.any() for part in self.parts], dtype=bool)

    def __len__(self) -> int:
        """Number of masks."""
        return len(self.parts)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Each mask (H, W)."""
        return iter(self.masks)

    def __getitem__(self, index: Any) -> ObjectMasks:
        """The masks that a number, a slice, an array or a tensor picks."""
        index = index.cpu().numpy() if hasattr(index, "cpu") else index
        rows = np.atleast_1d(np.arange(len(self))[index])
        return self.of_parts([self.parts[row] for row in rows], self.height, self.width)

    def flip(self, flip_direction: str = "horizontal") -> ObjectMasks:
        """Mirror: 'horizontal', 'vertical' or 'diagonal'."""
        parts = []
        for pixels, left, top in self.parts:
            flipped = np.ascontiguousarray(mmcv.imflip(pixels, flip_direction))
            x = left if flip_direction == "vertical" else self.width - left - pixels.shape[1]
            y = top if flip_direction == "horizontal" else self.height - top - pixels.shape[0]
            parts.append(Part(flipped, x, y))
        return self.of_parts(parts, self.height, self.width)

    def rescale(self, scale: Any, interpolation: str = "nearest") -> ObjectMasks:
        """Scale as mmcv's ``imrescale`` scales the picture; ``interpolation`` is not looked at."""
        width, height = mmcv.rescale_size((self.width, self.height), scale)
        return self.resize((height, width))

    def resize(self, out_shape: Sequence[int], interpolation: str = "nearest") -> ObjectMasks:
        """Scale to (height, width); ``interpolation`` is not looked at."""
        height, width = (int(side) for side in out_shape)
        if (height, width) == (self.height, self.width):
            return self.of_parts(self.parts, height, width)
        return self.warp(np.diag([width / self.width, height / self.height, 1.0]), height, width)

    def crop(self, bbox: np.ndarray) -> ObjectMasks:
        """Keep what lies in (4,) x1, y1, x2, y2, cut to the picture and a pixel large at least."""
        limits = np.array([self.width, self.height] * 2)
        x1, y1, x2, y2 = (int(edge) for edge in np.clip(bbox, 0, limits))
        height, width = max(y2 - y1, 1), max(x2 - x1, 1)
        parts = (_within(part, x1, y1, width, height) for part in self.parts)
        return self.of_parts(parts, height, width)

    def pad(self, out_shape: Sequence[int], pad_val: int = 0) -> BitmapMasks:
        """Add margins at the right and below, up to (height, width)."""
        return self.of_parts(self.parts, *out_shape) if not pad_val else super().pad(out_shape, pad_val)

    def crop_and_resize(
        self,
        bboxes: Any,
        out_shape: tuple[int, int],
        inds: Any,
        device: Any = "cpu",
        interpolation: str = "bilinear",
        binarize: bool = True,
    ) -> BitmapMasks:
        """The targets of a mask head, as the parent makes them, who makes a picture of floats for each box.

        Args:
            bboxes: (m, 4) x1, y1, x2, y2 in pixels, array or tensor; they may leave the picture.
            out_shape: (height, width) of what comes out.
            inds: (m,) the mask that each box is of.
            device: Where it is computed.
            interpolation: Not looked at, as in the parent.
            binarize: Give bool, not shares.
        """
        boxes = torch.as_tensor(bboxes, device=device)
        if not len(self) or not len(boxes):
            return BitmapMasks([], *out_shape)
        used, owner = torch.unique(torch.as_tensor(inds, device="cpu"), return_inverse=True)
        windows, corners = _windows_around(self[used])
        shifts = torch.from_numpy(corners)[owner].to(boxes).repeat(1, 2)
        rois = torch.cat([owner[:, None].to(boxes), boxes - shifts], dim=1)
        shares = roi_align(torch.from_numpy(windows[:, None]).to(boxes), rois, out_shape, 1.0, 0, "avg", True)[:, 0]
        return BitmapMasks((shares >= 0.5 if binarize else shares).cpu().numpy(), *out_shape)

    def warp(self, matrix: np.ndarray, height: int, width: int) -> ObjectMasks:
        """Move by an affine map into a picture of another size; what is not covered is no part of a mask.

        Args:
            matrix: (3, 3), of continuous coordinates, in which pixel i has its centre at i + 0.5.
            height: Of the picture after, pixels.
            width: Likewise.
        """
        return self.of_parts((_warped(part, matrix, height, width) for part in self.parts), height, width)


def ignore_empty(results: dict) -> np.ndarray:
    """Set ``gt_ignore_flags`` of objects without a pixel left in ``gt_masks``; return the rows that were in use.

    They would teach that an object is nowhere. A frame without masks stays as it is.
    """
    if results.get("gt_masks") is None:
        return np.zeros(0, dtype=np.int64)
    empty = ObjectMasks.of(results["gt_masks"]).are_empty()
    flags = np.asarray(results["gt_ignore_flags"], dtype=bool)
    results["gt_ignore_flags"] = flags | empty
    return np.flatnonzero(empty & ~flags)


def _cut_out(mask: np.ndarray) -> Part:
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return _NOTHING
    band = mask[rows[0] : rows[-1] + 1]
    columns = np.flatnonzero(band.any(axis=0))
    pixels = band[:, columns[0] : columns[-1] + 1] != 0
    return Part(pixels.astype(np.uint8), int(columns[0]), int(rows[0]))


def _within(part: Part, x: int, y: int, width: int, height: int) -> Part:
    """A part in a window of the picture."""
    pixels, left, top = part.pixels, part.left - x, part.top - y
    inside = pixels[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    return Part(np.ascontiguousarray(inside), max(0, left), max(0, top)) if inside.size else _NOTHING


def _windows_around(masks: ObjectMasks) -> tuple[np.ndarray, np.ndarray]:
    """Windows of one size and within the picture, (n, h, w) uint8, and the (n, 2) x, y of their first pixels.

    Between a mask and the edge of its window lies a row of nothing, unless the picture ends there: so what is read
    beside the window is what is read in the whole picture.
    """
    sides = np.array([part.pixels.shape[::-1] for part in masks.parts]).max(axis=0) + 2
    width, height = np.minimum(sides, (masks.width, masks.height)).tolist()
    corners = np.array([(part.left - 1, part.top - 1) for part in masks.parts])
    corners = np.clip(corners, 0, (masks.width - width, masks.height - height))
    windows = np.zeros((len(masks), height, width), dtype=np.uint8)
    for window, (pixels, left, top), (x, y) in zip(windows, masks.parts, corners.tolist()):
        window[top - y : top - y + pixels.shape[0], left - x : left - x + pixels.shape[1]] = pixels
    return windows, corners


def _warped(part: Part, matrix: np.ndarray, height: int, width: int) -> Part:
    h, w = part.pixels.shape
    corners = np.array([(part.left + x, part.top + y, 1.0) for x in (0, w) for y in (0, h)]) @ matrix[:2].T
    x1, y1 = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int)
    x2, y2 = np.clip(np.ceil(corners.max(axis=0)), 0, (width, height)).astype(int)
    if not part.pixels.size or x2 <= x1 or y2 <= y1:
        return _NOTHING
    local = about(-0.5, -0.5, translation(-x1, -y1) @ matrix @ translation(part.left, part.top))
    # Of 0 and 1 OpenCV rounds the linear blend to what covers more.
    return Part(cv2.warpAffine(part.pixels, local[:2], (int(x2 - x1), int(y2 - y1))), int(x1), int(y1))
