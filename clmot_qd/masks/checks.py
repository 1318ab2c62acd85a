"""Outlines of objects as annotation files have them, checked before pycocotools, which trusts them, reads them.

pycocotools is C: runs that leave the picture, or a polygon a million pixels long, end the process or take all
memory. Its compressed runs (``maskApi.c`` of https://github.com/cocodataset/cocoapi) are numbers in digits of five
bits, the lowest first, written as the characters ``0`` to ``o``; bit 32 of a character says that another one follows,
bit 16 of the last one is the sign, and from the fourth number on they are differences to the one before the last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from clmot_qd.errors import InputError

LARGEST_SIDE = 65_536  # pixels
_FEWEST = 6  # coordinates of a triangle; pycocotools takes 4 for a box

_RUNS = re.compile(r"(?:[P-o]{0,6}[0-O])*")  # up to six characters that another one follows, then one that ends it


def require_size(height: Any, width: Any, place: str) -> None:
    """Check the sides of a picture.

    Raises:
        InputError: One is no whole number of pixels, or larger than any picture.
    """
    for side in (height, width):
        if type(side) is not int or not 0 < side <= LARGEST_SIDE:
            raise InputError(f"{place}: a picture of {width!r} x {height!r} pixels; sides are 1 to {LARGEST_SIDE}")


def require_runs(counts: Any, height: int, width: int, place: str, fill: bool = False) -> list[int]:
    """Return run lengths, a list of numbers or compressed text, as numbers, once they are seen to stay in the picture.

    Args:
        counts: The runs.
        height: Of the picture, in pixels.
        width: Likewise.
        place: For the message.
        fill: They must fill it: comparing masks never ends where they do not.

    Raises:
        InputError: They are something else.
    """
    given: Any = runs_of(counts) if isinstance(counts, str) else counts
    pixels = height * width
    whole = isinstance(given, list) and all(type(one) is int and 0 <= one <= pixels for one in given)
    if not whole or sum(given) > pixels or (fill and sum(given) < pixels):
        raise InputError(f"{place}: its mask is no list of runs that fill {width} x {height} pixels")
    runs: list[int] = given
    return runs


def require_polygons(polygons: Any, height: int, width: int, place: str) -> None:
    """Check that polygons are lists of coordinates x, y, x, y, ... about the picture; see :func:`areas_among`.

    Raises:
        InputError: They are not, or one leads around the picture again and again.
    """
    if not isinstance(polygons, list):
        raise InputError(f"{place}: segmentation is neither polygons nor a mask ({polygons!r})")
    for polygon in polygons:
        if not isinstance(polygon, list) or not _are_near(polygon, height, width):
            raise InputError(f"{place}: a polygon is a list of numbers x, y, x, y, ... in or near the picture")
    for polygon in areas_among(polygons):
        if _length(polygon) > height * width + 4 * (height + width):
            raise InputError(f"{place}: a polygon of {_length(polygon):g} pixels of outline, more than the picture has")


def areas_among(polygons: Sequence[list[float]]) -> list[list[float]]:
    """The polygons that have an area: points, lines and lists of an odd length have none, as mmdet takes them."""
    return [polygon for polygon in polygons if len(polygon) >= _FEWEST and len(polygon) % 2 == 0]


def runs_of(text: str) -> list[int] | None:
    """The run lengths behind compressed text; None where it is no such text."""
    if not _RUNS.fullmatch(text):
        return None
    digits = np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64) - ord("0")
    last = np.flatnonzero(digits < 32)
    lengths = np.diff(last, prepend=-1)
    place = np.arange(len(digits)) - np.repeat(last - lengths + 1, lengths)
    values = np.add.reduceat((digits & 31) << 5 * place, last - lengths + 1) if len(last) else last
    values -= np.where(digits[last] & 16 > 0, np.int64(1) << 5 * lengths, 0)
    for parity in (1, 2):  # each is a difference to the one before the last, but for the first three
        values[parity::2] = np.cumsum(values[parity::2])
    return values.tolist()


def _are_near(polygon: Sequence[Any], height: int, width: int) -> bool:
    """Whether all points are numbers within the picture or as far beside it as it is large."""
    sides = (width, height)
    return all(
        type(value) in (int, float) and -sides[i % 2] <= value <= 2 * sides[i % 2] for i, value in enumerate(polygon)
    )


def _length(polygon: Sequence[float]) -> float:
    points = list(zip(polygon[0::2], polygon[1::2]))
    return sum(abs(x2 - x1) + abs(y2 - y1) for (x1, y1), (x2, y2) in pairwise([*points, points[0]]))
