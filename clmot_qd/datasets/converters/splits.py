"""Parts of a data set: by a list of names, or at random, with whole videos in one part."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, Literal

from clmot_qd.datasets.converters.text_files import read_text
from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError

Part = Literal["first", "second"]


def read_parts(
    units: Mapping[Any, str], names: Mapping[Any, str], only: PathLike | None, ratio: float | None, part: Part
) -> Set[Any]:
    """Return the pictures to take.

    Args:
        units: Picture -> name of its video, or its own: what is not split.
        names: Picture -> its file name.
        only: File with the names of pictures or videos to take, one on each line; None takes all.
        ratio: Share of the units in the first part; None splits nothing.
        part: Which part to take.

    Raises:
        InputError: A name in the file that no picture or video has; a ratio that leaves one part empty.
    """
    taken = set(units) if only is None else _named(units, names, Path(only))
    if ratio is None:
        return taken
    ordered = sorted({units[key] for key in taken}, key=_shuffled)
    first = round(ratio * len(ordered))
    if not 0 < first < len(ordered):
        raise InputError(f"--split-ratio {ratio:g}: of {len(ordered)} pictures or videos one part would have none")
    chosen = set(ordered[:first] if part == "first" else ordered[first:])
    return {key for key in taken if units[key] in chosen}


def _named(units: Mapping[Any, str], names: Mapping[Any, str], path: Path) -> set[Any]:
    lines = [(number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), start=1)]
    known = {*units.values(), *names.values()}
    for number, line in lines:
        if line and line not in known:
            raise InputError(f"{path}:{number}: no picture or video is called {line!r}")
    wanted = {line for _, line in lines if line}
    if not wanted:
        raise InputError(f"{path}: names nothing; write the name of a picture or video on each line")
    return {key for key in units if units[key] in wanted or names[key] in wanted}


def _shuffled(name: str) -> bytes:
    """A key that puts names into an order that has nothing to do with them, and is the same everywhere."""
    return hashlib.sha256(name.encode()).digest()
