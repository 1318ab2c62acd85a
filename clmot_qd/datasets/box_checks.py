"""What counts as a box in an annotation file."""

from __future__ import annotations

import math
from typing import Any


def is_box(value: Any) -> bool:
    """Whether a value is [x, y, w, h]: four finite numbers, w and h 0 or greater."""
    if not isinstance(value, list | tuple) or len(value) != 4:
        return False
    if not all(isinstance(side, int | float) and not isinstance(side, bool) and math.isfinite(side) for side in value):
        return False
    return value[2] >= 0 and value[3] >= 0
