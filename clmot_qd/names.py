"""Names that come from files (videos, pictures, classes) and become paths and cells of tables.

A file from elsewhere may call a video ``../../.bashrc``, a picture ``/etc/passwd`` or a class ``=HYPERLINK(...)``. What
is written goes below the folder that was asked for; what is read lies below the root that was given; a cell is text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from clmot_qd.errors import InputError

# What file systems take is 255 bytes; unfinished files have a longer name than finished ones.
LONGEST = 240
_SHOWN = 60
_DRIVE = re.compile(r"[A-Za-z]:")


def path_below(folder: str | os.PathLike[str], name: str, suffix: str = "", kind: str = "file") -> Path:
    """Where to write what is called ``name``; one with ``/``, such as TAO's videos have, is in a folder below.

    Args:
        folder: What it must stay in.
        name: From a file.
        suffix: With its point.
        kind: What it is, for the message.

    Raises:
        InputError: The name leads out of the folder, or no file can be called so.
    """
    why = _refused(name, suffix)
    if why:
        where = os.fspath(folder)
        raise InputError(f"{where}: no {kind} can be called {_shown(name)} ({why}); rename it in its source")
    return Path(folder) / f"{name}{suffix}"


def _refused(name: str, suffix: str) -> str:
    """Why there can be no file of this name; empty: there can. Backslashes and drives count on every system."""
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")) or _DRIVE.match(name) or ".." in parts:
        return "it leads out of the folder"
    if "" in parts or "." in parts:
        return "a part of it names nothing"  # and several names would be one file
    if "\0" in name:
        return "it holds a zero byte"
    try:
        lengths = [len(os.fsencode(part)) for part in [*parts[:-1], parts[-1] + suffix]]
    except UnicodeEncodeError:
        return "it is no text"
    return f"more than {LONGEST} bytes" if max(lengths) > LONGEST else ""


def check_below(root: str | os.PathLike[str], paths: Iterable[str], place: str) -> None:
    """Refuse paths that leave their root, by what they say: links in it are its owner's and may lead anywhere.

    The root may be a link itself: what lies below the folder that it leads to is below it.

    Args:
        root: The folder; empty: there is none, and any path is allowed.
        paths: Root and name, joined. A name may go up and come back, or be the whole path of something below the root.
        place: The file that they come from, for the message.

    Raises:
        InputError: Naming the first one that leaves it, or holds a zero byte.
    """
    _check_below((os.fspath(root),), paths, place)


class PictureRoot(NamedTuple):
    """Where the pictures of a data set lie.

    Args:
        folder: In which their names begin: ``data_root`` and ``data_prefix``, joined.
        within: ``data_root``; names may lead out of ``folder`` and stay below this, if ``folder`` does.
    """

    folder: str
    within: str = ""


def check_pictures(root: PictureRoot, paths: Iterable[str], place: str) -> None:
    """Refuse pictures outside of a data set's folders; otherwise as :func:`check_below`.

    Raises:
        InputError: Naming the first one.
    """
    roots = (root.within, root.folder) if root.within and is_below(root.folder, root.within) else (root.folder,)
    _check_below(roots, paths, place, " (for absolute names elsewhere: data_root='' and data_prefix=dict(img=''))")


def _check_below(roots: tuple[str, ...], paths: Iterable[str], place: str, way_out: str = "") -> None:
    starts = tuple(root.rstrip("/\\") + "/" for root in roots)
    spelled: list[str] = []
    for path in paths:
        if "\0" in path:
            raise InputError(f"{place}: {_shown(path)} holds a zero byte, which no name of a file has; correct it")
        if not roots[0] or (".." not in path and path.startswith(starts)):  # almost all
            continue
        spelled = spelled or [spelling for root in roots for spelling in _spellings(root)]
        if not any(_is_in(_normal(path), folder) for folder in spelled):
            where = f"is not below {roots[0]}, where its files must be"
            raise InputError(f"{place}: {_shown(path)} {where}; correct the name or the root{way_out}")


def name_below(root: str | os.PathLike[str], path: str) -> str | None:
    """What is left of a path without its root, or what its root links to; None: it is not below."""
    plain = _normal(path)
    folder = next((folder for folder in _spellings(os.fspath(root)) if _is_in(plain, folder)), None)
    return None if folder is None else os.path.relpath(plain, folder)


def is_below(path: str, folder: str) -> bool:
    """Whether a path is in a folder or is the folder, by what they say."""
    return _is_in(_normal(path), _normal(folder))


def as_cell(text: str) -> str:
    """A name as a cell of a CSV file: with an apostrophe before what spreadsheets would run as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


def _normal(path: str) -> str:
    return os.path.normpath(os.path.abspath(path) if "://" not in path else path)


def _spellings(folder: str) -> list[str]:
    """The whole path of a folder as it is given, and without links."""
    return [_normal(folder)] if "://" in folder else [_normal(folder), os.path.realpath(folder)]


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/\\") + os.sep)


def _shown(name: str) -> str:
    text = repr(name)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...'"
