"""Reading text and JSON with every mistake named; writing so that nothing half-written stands under its final name."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clmot_qd.errors import InputError
from clmot_qd.garbage import collection_paused


def read_text(path: str | os.PathLike[str], if_missing: str = "check the path") -> str:
    """Read a text file in UTF-8.

    Args:
        path: The file.
        if_missing: What to do if it cannot be read, for the message.

    Raises:
        InputError: It is missing or no text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {if_missing}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no text in UTF-8 ({error.reason} at byte {error.start})") from error


def read_json(
    path: str | os.PathLike[str], if_missing: str = "check the path", if_broken: str = "Write the file again"
) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        if_missing: See :func:`read_text`.
        if_broken: What to do if it is no JSON, for the message.

    Raises:
        InputError: It is missing, no text or no JSON; the message names the line and asks whether the file is complete.
    """
    return parse_json(path, read_text(path, if_missing), if_broken)


def parse_json(path: str | os.PathLike[str], text: str, if_broken: str, first_line: int = 1) -> Any:
    """Parse JSON that begins in a line of a file; see :func:`read_json`."""
    try:
        with collection_paused():
            return json.loads(text)
    except json.JSONDecodeError as error:
        what = f"{error.msg.removesuffix(' at')} at line {first_line + error.lineno - 1}, column {error.colno}"
        raise InputError(f"{path}: no valid JSON ({what}): truncated? {if_broken}") from error


def check_writable(target: str | os.PathLike[str]) -> None:
    """Check, before the work starts, that a file can be written there.

    Raises:
        InputError: It is a folder, has no name, or its folder cannot be written to.
    """
    path = Path(target)
    if not path.name or path.is_dir():
        raise InputError(f"{os.fspath(target) or repr('')}: a folder; name the file to write")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"{target}: cannot be written (no access to {folder}); choose another place")


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it to ``target`` if the block succeeds, remove it otherwise.

    The temporary name keeps the target's suffix, since writers (PyAV, OpenCV) choose the format by it. Parent folders
    are made.

    Raises:
        InputError: Nothing can be written there.
    """
    check_writable(target)
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}); choose another place") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process's umask (which only setting it reveals); mkstemp makes files readable by their owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(target: str | os.PathLike[str], value: Any) -> None:
    """Write a value as indented JSON, all or nothing; what is not defined (NaN) becomes null."""
    write_text(target, json.dumps(_without_nan(value), indent=2) + "\n")


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write_text(target: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` to ``target`` in UTF-8, all or nothing."""
    with atomic_path(target) as path:
        path.write_text(text, encoding="utf-8")
