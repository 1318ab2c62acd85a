"""The checkpoint to go on from, also where a stop has left half of one."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

from clmot_qd.errors import InputError

LAST_CHECKPOINT = "last_checkpoint"
"""The file in which mmengine keeps the latest one's name."""


class Latest(NamedTuple):
    """What there is to go on from.

    Attributes:
        path: The checkpoint; None: there is none, training starts.
        note: A line for the log; empty where everything is as it should be.
    """

    path: str | None
    note: str = ""


def latest_checkpoint(folder: str | os.PathLike[str]) -> Latest:
    """The latest whole checkpoint of a work folder: the one that ``last_checkpoint`` names, otherwise the newest.

    A folder that was moved is found again: of the name in the file only the last part counts then.

    Args:
        folder: ``work_dir``.

    Raises:
        InputError: There are checkpoints, but none is whole; starting anew would overwrite them.
    """
    named = _named(Path(folder))
    if named and is_whole(named):
        return Latest(str(named))
    numbered = sorted(Path(folder).glob("*.pth"), key=_number, reverse=True)
    found = next((path for path in numbered if _number(path) >= 0 and is_whole(path)), None)
    if found:
        return Latest(
            str(found), f"{folder}: {_what_is_wrong(named)}; going on from {found.name}, the newest whole checkpoint"
        )
    if named or any(_number(path) >= 0 for path in numbered):
        raise InputError(
            f"{folder}: {_what_is_wrong(named)}, and there is no other whole checkpoint to resume from; remove the "
            f"checkpoints and {LAST_CHECKPOINT} to start anew"
        )
    return Latest(None)


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is complete and unchanged: torch writes zip archives, with a checksum of each part."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return False


def _named(folder: Path) -> Path | None:
    """The checkpoint that ``last_checkpoint`` names; None where the file is missing or empty."""
    try:
        name = (folder / LAST_CHECKPOINT).read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return None
    if not name or "\0" in name:
        return None
    moved = folder / Path(name).name
    return moved if moved.exists() and not os.path.exists(name) else Path(name)


def _number(path: Path) -> int:
    """Epoch or iteration of a checkpoint's name; -1: a best one, or another kind of file."""
    found = re.search(r"(\d+)\.pth$", path.name)
    return int(found[1]) if found and not path.name.startswith(("best_", ".")) else -1


def _what_is_wrong(named: Path | None) -> str:
    if named is None:
        return f"{LAST_CHECKPOINT} is missing or empty"
    return f"{named.name}, which {LAST_CHECKPOINT} names, is " + ("broken" if named.exists() else "not there")
