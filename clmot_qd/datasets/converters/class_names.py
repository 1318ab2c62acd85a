"""Names of classes that the user gives: a list, or a file with one on each line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from clmot_qd.datasets.converters.text_files import read_text
from clmot_qd.errors import InputError


def read_class_names(given: Sequence[str]) -> tuple[str, ...]:
    """Return the names; one name that is a file stands for its lines, blank ones aside.

    Raises:
        InputError: No name, or one twice.
    """
    names, source = tuple(given), "--class-names"
    if len(names) == 1 and Path(names[0]).is_file():
        source = names[0]
        names = tuple(line.strip() for line in read_text(Path(source)).splitlines() if line.strip())
    if not names:
        raise InputError(f"{source}: no name in it; write one on each line")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise InputError(f"{source}: {name!r} stands there {count} times; every class needs a name of its own")
    return names
