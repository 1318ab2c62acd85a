"""Reading the annotation files of data sets, with every mistake named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clmot_qd import files
from clmot_qd.errors import InputError

LAYOUT, AGAIN = "check the folder layout", "Download it again"


def read_text(path: Path) -> str:
    """Read a text file in UTF-8; see :func:`clmot_qd.files.read_text`."""
    return files.read_text(path, LAYOUT)


def read_json(path: Path) -> Any:
    """Read a JSON file; see :func:`clmot_qd.files.read_json`."""
    return files.read_json(path, LAYOUT, AGAIN)


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Give (line number, value) of each line of a file with one JSON value per line (``.odgt``); blank lines are none.

    Raises:
        InputError: Like :func:`read_json`, with the line.
    """
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield number, files.parse_json(path, line, AGAIN, first_line=number)


def require_folder(path: Path, what: str) -> Path:
    """Return a folder that has to be there.

    Raises:
        InputError: It is not.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; it holds {what}: see the layout that --help shows")
    return path


def require_keys(entry: Any, keys: tuple[str, ...], place: str) -> None:
    """Check that a JSON object has some keys.

    Raises:
        InputError: One is missing, or it is no object.
    """
    if not isinstance(entry, dict):
        raise InputError(f"{place}: a {type(entry).__name__} where an object with {', '.join(keys)} should be")
    for key in keys:
        if key not in entry:
            raise InputError(f"{place}: no key {key!r}")


def require_box(value: Any, place: str) -> list[float]:
    """Return a box of a JSON file, a list of four numbers.

    Raises:
        InputError: It is something else.
    """
    if not isinstance(value, list) or len(value) != 4 or not all(isinstance(one, int | float) for one in value):
        raise InputError(f"{place}: a box must be a list of four numbers, not {str(value)[:60]}")
    return [float(one) for one in value]
