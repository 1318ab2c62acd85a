"""What a user may give as a number."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from clmot_qd.errors import InputError


def whole_number(name: str, value: Any, least: int) -> int:
    """The value as int.

    Args:
        name: Of the argument, for the message.
        value: What was given; numpy's integers count.
        least: The smallest that is allowed.

    Raises:
        InputError: It is no whole number, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{name} = {value!r}: must be a whole number")
    if value < least:
        raise InputError(f"{name} = {value}: must be at least {least}")
    return int(value)


def check_rate(fps: Any) -> None:
    """Refuse what is no frame rate; None stands for none given.

    Raises:
        InputError: It is no number, not positive, or infinite.
    """
    if fps is None:
        return
    if isinstance(fps, bool) or not isinstance(fps, Real) or not (0 < float(fps) < math.inf):
        raise InputError(f"fps = {fps!r}: must be a positive number")
