"""The checkpoint to go on from, also where a stop has left half of one."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import NamedTuple

from clmot_qd.errors import InputError

LAST_CHECKPOINT = "last_checkpoint"
"""The file in which mmengine keeps the latest one's name."""
TEMPLATES = ("epoch_{}.pth", "iter_{}.pth")
"""How mmengine calls checkpoints, unless ``filename_tmpl`` says otherwise."""


class Latest(NamedTuple):
    """What there is to go on from.

    Attributes:
        path: The checkpoint; None: there is none, training starts.
        note: A line for the log; empty where everything is as it should be.
    """

    path: str | None
    note: str = ""


def latest_checkpoint(folder: str | os.PathLike[str], template: str | None = None) -> Latest:
    """The latest whole checkpoint of a work folder: the one that ``last_checkpoint`` names, otherwise the newest.

    A folder that was moved is found again: of the name in the file only the last part counts then. An address
    (``s3://``) is taken as it is. The newest has the highest number; of epochs and iterations, the later file counts.

    Args:
        folder: ``work_dir``.
        template: ``filename_tmpl`` of the hook that writes checkpoints, in addition to :data:`TEMPLATES`.

    Raises:
        InputError: There are checkpoints, but none is whole; starting anew would overwrite them.
    """
    folder = Path(folder)
    name = _last_name(folder)
    if "://" in name:
        return Latest(name)
    named = _placed(folder, name) if name else None
    if named and is_whole(named):
        return Latest(str(named))
    numbered: list[list[Path]] = []
    for place in dict.fromkeys([folder, named.parent if named else folder]):  # the hook's out_dir is another one
        numbered = numbered or list(_numbered(place, template))
    whole = [path for paths in numbered for path in [next(filter(is_whole, paths), None)] if path]
    if whole:
        newest = max(whole, key=lambda path: path.stat().st_mtime)
        told = f"{folder}: {_what_is_wrong(named)}; going on from {newest.name}, the newest whole checkpoint"
        return Latest(str(newest), told)
    if named or numbered:
        raise InputError(
            f"{folder}: {_what_is_wrong(named)}, and there is no other whole checkpoint to resume from; remove the "
            f"checkpoints and {LAST_CHECKPOINT} to start anew"
        )
    return Latest(None)


def names_like(template: str) -> re.Pattern[str]:
    """What matches the names that a template (``epoch_{:03d}.pth``) makes of numbers; the first group is the number."""
    parts = Formatter().parse(template)
    return re.compile("".join(re.escape(text) + ("" if field is None else r"(\d+)") for text, field, *_ in parts))


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is complete and unchanged: torch writes zip archives, with a checksum of each part."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return False


def _last_name(folder: Path) -> str:
    """What ``last_checkpoint`` says; nothing where the file is missing, empty or no name."""
    try:
        name = (folder / LAST_CHECKPOINT).read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""
    return "" if "\0" in name else name


def _placed(folder: Path, name: str) -> Path:
    """The checkpoint of that name; in this folder, if that was moved."""
    moved = folder / Path(name).name
    return moved if moved.exists() and not os.path.exists(name) else Path(name)


def _numbered(folder: Path, template: str | None) -> Iterator[list[Path]]:
    """The checkpoints of each kind of name that the folder has, the highest number first."""
    for kind in dict.fromkeys([*TEMPLATES, template or TEMPLATES[0]]):
        names = names_like(kind)
        found = [(int(match[1]), path) for path in folder.glob("*") if (match := names.fullmatch(path.name))]
        if found:
            yield [path for _, path in sorted(found, reverse=True)]


def _what_is_wrong(named: Path | None) -> str:
    if named is None:
        return f"{LAST_CHECKPOINT} is missing or empty"
    return f"{named.name}, which {LAST_CHECKPOINT} names, is " + ("broken" if named.exists() else "not there")
