"""Reading JSON result files column by column, with every mistake named by file, entry and key."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from clmot_qd.datasets.mot_text import BoolArray, FloatArray, IntArray, PathLike
from clmot_qd.errors import InputError

_LARGEST_EXACT = 2**53


def _number(values: Sequence[Any]) -> IntArray:
    """Number different values from 1, in order of appearance: (n,)."""
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(value, len(numbers) + 1) for value in values], dtype=np.int64)


@dataclass(frozen=True)
class Entries:
    """The n entries of a result file, each a JSON object.

    Args:
        path: The file, for messages.
        rows: The entries.
        place: Position -> what messages call the entry; default ``[position]``.
    """

    path: PathLike
    rows: Sequence[Mapping[str, Any]]
    place: Callable[[int], str] = "[{}]".format

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.rows)

    def has(self, key: str) -> bool:
        """Return whether all entries have the key."""
        return all(key in row for row in self.rows)

    def some(self, key: str) -> bool:
        """Return whether any entry has the key with something other than null."""
        return any(isinstance(row, Mapping) and row.get(key) is not None for row in self.rows)

    def column(self, key: str) -> list[Any]:
        """Return the values of a key.

        Raises:
            InputError: An entry does not have it.
        """
        try:
            return [row[key] for row in self.rows]
        except (KeyError, TypeError, IndexError):
            position = next(i for i, row in enumerate(self.rows) if not isinstance(row, Mapping) or key not in row)
            self.fail(position, f"no key {key!r}; every entry needs it")

    def numbers(self, key: str, default: float | None = None) -> FloatArray:
        """Return the values (n,) of a key; ``default`` stands for entries without it.

        Raises:
            InputError: A value is no finite number, or is missing and has no default.
        """
        values = self.column(key) if default is None else [row.get(key, default) for row in self.rows]
        numbers = _to_floats(values)
        self.refuse(~np.isfinite(numbers), lambda i: f"{key} is {values[i]!r}; it must be a finite number")
        return numbers

    def integers(self, key: str) -> IntArray:
        """Return the whole numbers (n,) of a key.

        Raises:
            InputError: A value is none.
        """
        numbers = self.numbers(key)
        whole = (numbers == np.floor(numbers)) & (np.abs(numbers) < _LARGEST_EXACT)
        what = f"it must be a whole number below {_LARGEST_EXACT}"
        self.refuse(~whole, lambda i: f"{key} is {float(numbers[i])!r}; {what}")
        return numbers.astype(np.int64)

    def identities(self, key: str) -> IntArray:
        """Return identities (n,): whole numbers as they are, also written as text; else they are numbered from 1.

        Numbers that a double cannot tell from their neighbours are numbered like texts.

        Raises:
            InputError: One is negative, or neither a whole number nor text.
        """
        values = self.column(key)
        if any(isinstance(value, str) for value in values):
            values = [str(value) for value in values]
            if not all(value.isascii() and value.isdigit() and str(int(value)) == value for value in values):
                return _number(values)
            values = [int(value) for value in values]
        if any(isinstance(value, int) and value > _LARGEST_EXACT for value in values):
            return _number(values)
        ids = self.integers(key)
        self.refuse(ids < 0, lambda i: f"{key} is {ids[i]}; it must be 0 or greater")
        return ids

    def boxes(self, key: str) -> FloatArray:
        """Return boxes (n, 4) x, y, w, h.

        Raises:
            InputError: One is no list of four finite numbers, or has no area.
        """
        boxes = self.fours(key)
        self.check_boxes(key, boxes)
        return boxes

    def fours(self, key: str) -> FloatArray:
        """Return lists of four numbers (n, 4), whatever the numbers.

        Raises:
            InputError: A value is none.
        """
        values = self.column(key)
        try:
            boxes = np.array(values, dtype=np.float64) if values else np.empty((0, 4))
        except (TypeError, ValueError, OverflowError):
            boxes = np.empty(0)
        if boxes.shape != (len(values), 4):
            position = next((i for i, value in enumerate(values) if not _is_box(value)), 0)
            self.fail(position, f"{key} is {values[position]!r}; it must be [x, y, w, h]")
        return boxes

    def check_boxes(self, key: str, boxes: FloatArray) -> None:
        """Refuse boxes (n, 4) xywh that are not finite or have no area."""
        self.refuse(
            ~np.all(np.isfinite(boxes), axis=1), lambda i: f"{key} has a number that is not finite; remove the box"
        )
        size = "{} is {:g} x {:g} pixels; width and height must be greater than 0"
        self.refuse(np.any(boxes[:, 2:] <= 0, axis=1), lambda i: size.format(key, *boxes[i, 2:]))

    def refuse(self, faulty: BoolArray, describe: Callable[[int], str]) -> None:
        """Raise InputError for the first faulty entry, if there is one."""
        if faulty.any():
            position = int(faulty.argmax())
            self.fail(position, describe(position))

    def fail(self, position: int, what: str) -> NoReturn:
        """Raise InputError for an entry."""
        raise InputError(f"{self.path}: {self.place(position)}: {what}")


def find_rows(entries: Entries, key: str, known: IntArray, source: str) -> IntArray:
    """Return the position (n,) in ``known`` of each entry's image number.

    Raises:
        InputError: ``known``, the numbers of the images of ``source``, does not have one.
    """
    wanted = entries.integers(key)
    order = np.argsort(known)
    place = np.searchsorted(known[order], wanted).clip(max=max(len(known) - 1, 0))
    found = order[place] if len(known) else np.zeros(len(wanted), dtype=np.int64)
    missing = known[found] != wanted if len(known) else np.ones(len(wanted), dtype=bool)
    entries.refuse(missing, lambda i: f"{key} {wanted[i]} is no image of {source}; predict on the images listed there")
    return found


def _to_floats(values: list[Any]) -> FloatArray:
    """Return (n,) numbers; NaN for what is none, infinity for whole numbers of hundreds of digits."""
    if set(map(type, values)) <= {int, float}:
        with contextlib.suppress(OverflowError):
            return np.array(values, dtype=np.float64)
    return np.array([_to_float(value) for value in values])


def _to_float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan
    except OverflowError:
        return np.inf


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and not any(np.isnan(_to_float(side)) for side in value)
