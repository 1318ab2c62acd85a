"""Checks of constructor arguments that all trackers share; each names the argument in its error."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError


def whole_number(name: str, value: Any) -> int:
    """Return ``value`` as an integer.

    Raises:
        InputError: it is none.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise InputError(f"{name}: expected a whole number, got {value!r}") from None


def frame_count(name: str, value: Any, low: int) -> int:
    """Return ``value`` as a number of frames, at least ``low``.

    Raises:
        InputError: it is not whole, or too small.
    """
    return int(number_in_range(name, whole_number(name, value), low))


def number_in_range(name: str, value: Any, low: float, high: float = np.inf) -> float:
    """Return ``value`` as a float, finite and in [low, high].

    Raises:
        InputError: it is no number, or out of range.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name}: expected a number, got {value!r}") from None
    except OverflowError:  # an integer of hundreds of digits
        raise InputError(f"{name}: expected a number from {low} to {high}, got one beyond all") from None
    if not (low <= number <= high and np.isfinite(number)):
        raise InputError(f"{name}: expected a number from {low} to {high}, got {value!r}")
    return number


def optional_number(name: str, value: Any, low: float, high: float = np.inf) -> float | None:
    """Return None for None, else as :func:`number_in_range`."""
    return None if value is None else number_in_range(name, value, low, high)


def one_of(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        InputError: it is not; the error lists the choices.
    """
    if value not in choices:
        raise InputError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {value!r}")
    return value
