"""Reading MATLAB files, with every mistake named.

``scipy.io.loadmat`` without its squeezing: then a file always has the same form, however many elements a list has.
Numbers and texts are 2-D arrays, a cell array is an array of objects, a struct array has named fields.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clmot_qd.datasets.converters.mat_layout import UnreadKindError, check_layout
from clmot_qd.errors import InputError


def load_variable(path: Path, *names: str) -> npt.NDArray[Any]:
    """Read a variable of a MATLAB file of version 5 to 7.

    Args:
        path: The file, whatever its suffix.
        names: What the variable may be called; the first that is there is taken.

    Raises:
        InputError: The file is missing, cut off, no MATLAB file, of version 4 or 7.3, has none of the variables, or the
            variable is neither numbers, text, cells nor structs. Whatever else is in the file does not matter.
    """
    from scipy.io import loadmat  # a third of a second, which --help need not wait for

    content = _read(path)
    try:
        there = check_layout(content, names)
        found = loadmat(io.BytesIO(content), variable_names=list(names))
    except UnreadKindError as error:
        raise InputError(f"{path}: {error}; in MATLAB, save numbers, text, cells and structs alone") from error
    except Exception as error:  # scipy fails in any way on a file that ends too early or is something else
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: no MATLAB file that can be read ({told}): truncated? Download it again") from error
    for name in names:
        if name in found:
            return np.asarray(found[name])
    held = ", ".join(filter(None, there)) or "nothing"
    raise InputError(f"{path}: no variable {' or '.join(map(repr, names))}; it holds {held}")


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the folder layout") from error
    version = "7.3" if content[124:126] in (b"\0\2", b"\2\0") else "4" if _is_of_version_4(content) else ""
    if version:
        advice = "in MATLAB, load it and save it with '-v7'"
        raise InputError(f"{path}: a MATLAB file of version {version}, which is not read here; {advice}")
    return content


def _is_of_version_4(content: bytes) -> bool:
    """Whether it begins with such a head: type, rows, columns, whether complex, length of the name, and the name."""
    for order in "<>" if len(content) > 20 else "":
        kind, _, _, imaginary, length = struct.unpack_from(f"{order}5i", content)
        name = content[20 : 20 + length] if 0 < length < 1 << 16 else b""
        if 0 <= kind < 5000 and imaginary in (0, 1) and name.endswith(b"\0"):
            return True
    return False


def cells(value: Any, place: str) -> list[Any]:
    """Return the elements of a cell array; an empty matrix has none.

    Raises:
        InputError: It is something else.
    """
    array = np.asarray(value)
    if array.size == 0:
        return []
    if array.dtype != object:
        raise InputError(f"{place}: no cell array")
    return list(array.ravel())


def records(value: Any, fields: Sequence[str], place: str) -> list[Any]:
    """Return the elements of a struct array that have some fields; an empty matrix has none.

    Raises:
        InputError: It is something else, or a field is missing.
    """
    array = np.asarray(value)
    if array.size == 0:
        return []
    names = array.dtype.names or ()
    for field in fields:
        if field not in names:
            raise InputError(f"{place}: no field {field!r}; it has {', '.join(names) or 'none'}")
    return list(array.ravel())


def text(value: Any, place: str) -> str:
    """Return a text; an empty matrix is an empty text.

    Raises:
        InputError: It is something else.
    """
    array = np.asarray(value)
    if array.size == 0:
        return ""
    if array.dtype.kind != "U" or array.size > 1:
        raise InputError(f"{place}: no text")
    return str(array.ravel()[0])


def numbers(value: Any, columns: int, place: str) -> npt.NDArray[np.float64]:
    """Return a matrix of numbers; an empty one has no rows.

    Returns:
        (n, columns).

    Raises:
        InputError: It is something else.
    """
    array = np.asarray(value)
    if array.size == 0:
        return np.empty((0, columns))
    if array.dtype.kind not in "biuf" or array.ndim != 2 or array.shape[1] != columns:
        raise InputError(f"{place}: no matrix of numbers with {columns} columns")
    return array.astype(np.float64)
