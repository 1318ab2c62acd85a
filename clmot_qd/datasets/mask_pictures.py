"""PNG files with the masks of one frame: those of MOTS20 and KITTI-MOTS, and BDD100K's bitmasks.

MOTS: one channel of 16 bits, ``1000 * class + number`` of the object, 0 where there is none, 10000 where nothing is
wrong. BDD100K: four channels of 8 bits: R is the class, 0 where there is no object; G are the attributes as bits;
``256 * B + A`` is the identity.

Source: https://www.vision.rwth-aachen.de/page/mots and https://doc.bdd100k.com/format.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from clmot_qd.datasets.mot_text import IntArray, PathLike
from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks
from clmot_qd.masks.label_map import masks_of_label_map

#: Bits of BDD100K's attributes.
IGNORED, CROWD, OCCLUDED, TRUNCATED = 1, 2, 4, 8


@dataclass(frozen=True, eq=False)
class Bitmasks:
    """The objects of one of BDD100K's bitmasks.

    Attributes:
        class_ids: (n,) class numbers, from 1.
        attributes: (n,) the bits :data:`IGNORED`, :data:`CROWD`, :data:`OCCLUDED` and :data:`TRUNCATED`.
        ids: (n,) identities, from 1; 0 stands for none.
        masks: n masks that share no pixel.
    """

    class_ids: IntArray
    attributes: IntArray
    ids: IntArray
    masks: RleMasks


def read_mots_picture(path: PathLike, size: Sequence[int] | None = None) -> tuple[IntArray, RleMasks]:
    """Read a PNG of MOTS.

    Args:
        path: The file.
        size: (height, width) that it has to have; None takes any.

    Returns:
        (n,) ids as they stand, ascending, and the masks, which share no pixel and are not empty.

    Raises:
        InputError: No such file, no picture of one channel of 16 bits, or of another size.
    """
    pixels = _read(path, ("I;16", "I;16B", "I"), "one channel of 16 bits", size)
    ids, masks = masks_of_label_map(pixels)
    return ids.astype(np.int64), masks


def read_bitmasks(path: PathLike, size: Sequence[int] | None = None) -> Bitmasks:
    """Read one of BDD100K's bitmasks; see :func:`read_mots_picture`. Pixels of class 0 belong to no object."""
    red, green, blue, alpha = _read(path, ("RGBA",), "the four channels R, G, B, A", size).astype(np.uint32).T
    values, masks = masks_of_label_map(np.where(red > 0, (blue << 24) + (alpha << 16) + (red << 8) + green, 0).T)
    numbers = values.astype(np.int64)
    return Bitmasks(numbers >> 8 & 255, numbers & 255, numbers >> 16, masks)


def _read(path: PathLike, modes: Sequence[str], wanted: str, size: Sequence[int] | None) -> np.ndarray[Any, Any]:
    """Return the pixels, (H, W) or (H, W, C)."""
    try:
        with Image.open(path) as image:
            mode, found = image.mode, (image.height, image.width)
            fits = mode in modes and (size is None or found == tuple(size))
            pixels = np.array(image) if fits else None
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such picture of masks") from error
    except Exception as error:  # Pillow fails in many ways on a damaged file
        raise InputError(f"{path}: not a readable picture of masks; write it again") from error
    if mode not in modes:
        raise InputError(f"{path}: masks are PNG files with {wanted}, this one is of Pillow's mode {mode}")
    if pixels is None:
        height, width = size or found
        what = f"masks of {found[1]} x {found[0]} pixels, but {width} x {height} is the size of the pictures"
        raise InputError(f"{path}: {what}; they must be equal")
    return pixels
