"""What entries of annotation files have in common, whoever reads them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

_LARGEST = sys.float_info.max  # neither NaN nor infinity lies below, nor a whole number that no double can be


def is_box(value: Any) -> bool:
    """Whether a value is [x, y, w, h]: four finite numbers, w and h 0 or greater."""
    if not isinstance(value, list | tuple) or len(value) != 4:
        return False
    if not all(type(side) in (int, float) and -_LARGEST <= side <= _LARGEST for side in value):
        return False
    return value[2] >= 0 and value[3] >= 0


def are_boxes(values: Sequence[Any]) -> bool:
    """Whether :func:`is_box` holds for all; many times as fast as asking one by one."""
    if not set(map(type, values)) <= {list, tuple} or not set(map(len, values)) <= {4}:
        return all(map(is_box, values))
    sides = list(chain.from_iterable(values))
    if not set(map(type, sides)) <= {int, float}:
        return all(map(is_box, values))
    try:
        boxes = np.array(sides, dtype=np.float64).reshape(-1, 4)
    except OverflowError:  # a whole number of hundreds of digits
        return False
    return bool(np.isfinite(boxes).all() and (boxes[:, 2:] >= 0).all())


def merged_classes(categories: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    """Return the number of each class that another one lists under ``merged`` (TAO) -> the number of that one."""
    return {old["id"]: category["id"] for category in categories for old in category.get("merged") or ()}
