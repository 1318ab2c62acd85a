"""What entries of annotation files have in common, whoever reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any


def is_box(value: Any) -> bool:
    """Whether a value is [x, y, w, h]: four finite numbers, w and h 0 or greater."""
    if not isinstance(value, list | tuple) or len(value) != 4:
        return False
    if not all(isinstance(side, int | float) and not isinstance(side, bool) and math.isfinite(side) for side in value):
        return False
    return value[2] >= 0 and value[3] >= 0


def merged_classes(categories: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    """Return the number of each class that another one lists under ``merged`` (TAO) -> the number of that one."""
    return {old["id"]: category["id"] for category in categories for old in category.get("merged") or ()}
