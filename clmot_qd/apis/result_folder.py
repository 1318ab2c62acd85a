"""The folder that tracking writes to: one run at a time, and never over the source."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clmot_qd.errors import InputError


def check_folder(folder: str | os.PathLike[str]) -> None:
    """Check that a folder for results is one, or can be made; makes nothing.

    Raises:
        InputError: A file is in its place, or its folder cannot be written to.
    """
    path = Path(folder).absolute()
    there = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if not there.is_dir():
        raise InputError(f"{os.fspath(folder)}: cannot be used as a folder for results ({there} is no folder)")
    if not os.access(there, os.W_OK):
        raise InputError(f"{os.fspath(folder)}: cannot be written to; choose another folder")


def check_not_source(outputs: Iterable[Path], files: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse outputs that would replace what they are made from.

    Args:
        outputs: Files and folders that will be written.
        files: Files that are read.

    Raises:
        InputError: A file is, or lies in, one of the outputs.
    """
    taken = {place for output in outputs for place in _places(output)}
    for file in files:
        for place in _places(Path(file)):
            if taken & {place, *place.parents}:
                raise InputError(f"{file}: the result would replace its source; choose another --out-dir")


def _places(path: Path) -> set[Path]:
    """The path with the links of its folders followed, and with its own followed as well."""
    return {path.parent.resolve() / path.name, path.resolve()}


@contextmanager
def only_run_in(folder: Path) -> Iterator[bool]:
    """Keep other runs, of this and of other processes, from writing to a folder at the same time.

    The lock goes with the process, however it ends. Systems without such locks (Windows, some network drives) do
    without, and are given False.

    Raises:
        InputError: Another run is at it.
    """
    try:
        import fcntl
    except ImportError:
        yield False
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"{folder}: cannot be used as a folder for results ({error.strerror})") from error
    try:
        held = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{folder}: another run is writing here; choose another --out-dir") from error
        except OSError:
            held = False  # this file system knows no locks
        yield held
    finally:
        os.close(descriptor)
