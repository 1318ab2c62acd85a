"""What to try: lists of values, or ranges."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clmot_qd.errors import InputError


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole numbers if both are."""

    low: float
    high: float

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int)


#: Argument of the tracker -> values to choose from, or a range.
Space = Mapping[str, "tuple[Any, ...] | Range"]


def parse_grid(texts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Turn ``["match_thr=0.6,0.7", "motion=None,kalman"]`` into ``{"match_thr": (0.6, 0.7), "motion": (None, ...)}``.

    Raises:
        InputError: One is not of the form key=value,value or stands twice.
    """
    grid: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        key, values = _split(text, "--grid", "match_thr=0.6,0.7,0.8")
        grid[_new(key, grid, "--grid")] = _values(values, text, "--grid")
    return grid


def parse_space(texts: Sequence[str]) -> dict[str, tuple[Any, ...] | Range]:
    """Turn ``["match_thr=0.4:0.9", "motion=None,kalman"]`` into a range and a choice.

    Raises:
        InputError: One is of neither form, a range is empty or no range of numbers, or a key stands twice.
    """
    space: dict[str, tuple[Any, ...] | Range] = {}
    for text in texts:
        key, values = _split(text, "--space", "match_thr=0.4:0.9 (a range) or motion=None,kalman (a choice)")
        low, colon, high = values.partition(":")
        entry = Range(_number(low, text), _number(high, text)) if colon else _values(values, text, "--space")
        if isinstance(entry, Range) and not entry.low < entry.high:
            raise InputError(f"--space {text}: the range is empty; write the smaller number first")
        space[_new(key, space, "--space")] = entry
    return space


def grid_points(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every combination, the last key changing fastest."""
    return [dict(zip(grid, values)) for values in itertools.product(*grid.values())]


def _split(text: str, option: str, example: str) -> tuple[str, str]:
    key, equals, values = text.partition("=")
    if not (key and equals and values):
        raise InputError(f"{option} {text}: write KEY=VALUES, e.g. {example}")
    return key, values


def _new(key: str, known: Mapping[str, Any], option: str) -> str:
    if key in known:
        raise InputError(f"{option} {key}: stands twice; write all of its values once")
    return key


def _values(text: str, whole: str, option: str) -> tuple[Any, ...]:
    values = tuple(parse_value(part) for part in text.split(","))
    if "" in values or len({repr(value) for value in values}) != len(values):
        raise InputError(f"{option} {whole}: a value is empty or stands twice")
    return values


def _number(text: str, whole: str) -> float:
    value = parse_value(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"--space {whole}: {text!r} is not a number; a range is LOW:HIGH")
    return value


def parse_value(text: str) -> Any:
    """Return a number, True, False or None as such, anything else as text."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # no value of Python: a text
        return text.strip()
