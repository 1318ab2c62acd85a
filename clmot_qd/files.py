"""Reading text and JSON with every mistake named; writing so that nothing half-written stands under its final name."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clmot_qd.errors import InputError
from clmot_qd.garbage import collection_paused

# What a disk without room says: no space, over the quota, larger than a file may be.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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
    except ValueError as error:  # a name with a zero byte
        raise InputError(f"{path}: cannot be read ({error}); {if_missing}") from error


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
            value = json.loads(text)
            return without_halves(value) if has_halves(text) else value
    except json.JSONDecodeError as error:
        what = f"{error.msg.removesuffix(' at')} at line {first_line + error.lineno - 1}, column {error.colno}"
        raise InputError(f"{path}: no valid JSON ({what}): truncated? {if_broken}") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path}: {unusual_json(error)}; {if_broken}") from error


def unusual_json(error: Exception) -> str:
    """What Python's reader says of JSON that is valid, but that nobody writes: thousands of brackets or digits."""
    nested = "lists or objects are nested too deeply to be read"
    return nested if isinstance(error, RecursionError) else "a number has thousands of digits"


# The first half of a pair without the second behind it, or the second without the first before it. A backslash before
# the first one makes both text: what follows is taken for half a character, since it may be one.
_HALF = re.compile(
    r"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    r"|[c-fC-F](?:(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD].)|(?<=\\\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD].)))"
)


def has_halves(text: str) -> bool:
    r"""Whether JSON may have half a character (``"\ud83d"``), which no file or file name can be written with."""
    return _HALF.search(text) is not None


def without_halves(value: Any) -> Any:
    """Return a value of a JSON file with U+FFFD in place of halves of characters; see :func:`has_halves`."""
    if isinstance(value, dict):
        return {without_halves(key): without_halves(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_halves(entry) for entry in value]
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(value, str) else value


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
        InputError: Nothing can be written there, or the disk is full.
    """
    check_writable(target)
    target = Path(target)
    temporary = target.with_name(f"{_temporary_start(target)}{secrets.token_hex(4)}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # The system takes the umask off its rights. Nobody can ask for the umask without setting it for all threads.
        open(temporary, "xb").close()
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}); choose another place") from error
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        told = f"{target}: cannot be written ({error.strerror}); make room or choose another place"
        raise InputError(told) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(target: str | os.PathLike[str]) -> None:
    """Remove what :func:`atomic_path` could not, since its process was killed; nobody may be writing ``target`` now."""
    path = Path(target)
    name = re.compile(re.escape(_temporary_start(path)) + "[0-9a-f]{8}" + re.escape(path.suffix))
    for entry in path.parent.iterdir():
        if name.fullmatch(entry.name):
            entry.unlink(missing_ok=True)


def _temporary_start(target: Path) -> str:
    """How temporary names begin; short enough for eight digits to follow where the target's own name may not grow."""
    return f".{target.stem[:50]}."


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
