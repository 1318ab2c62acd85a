"""Reading numpy's files from anywhere: nothing is unpickled, and a small file cannot ask for much memory."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from clmot_qd.errors import InputError

MOST_PACKED = 100
"""How many times its size a file may unpack to. Zeros make a thousand; arrays of measurements do not come near this."""
SMALL = 64 << 20
"""Bytes that any file may unpack to."""


class ArrayFile:
    """The arrays of an ``.npz`` file, read when they are asked for.

    Args:
        path: The file.
        what: The file is, and what to do if it is damaged, for messages.
        advice: See there.

    Attributes:
        names: Of the arrays.

    Raises:
        InputError: It is missing or damaged, or unpacks to more than a hundred times its size.
    """

    def __init__(self, path: str | os.PathLike[str], what: str = ".npz file", advice: str = "make it again") -> None:
        """Look at the list of the arrays."""
        self.path, self._what, self._advice = path, what, advice
        try:
            self._zip = zipfile.ZipFile(path)
            self._sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in self._zip.infolist()}
            packed = os.path.getsize(path)
        except Exception as error:  # zipfile fails in many ways
            raise self._broken(error) from error
        self.names = tuple(self._sizes)
        if sum(self._sizes.values()) > max(SMALL, MOST_PACKED * packed):
            self._zip.close()
            raise InputError(f"{path}: unpacks to more than {MOST_PACKED} times its size; {advice}")

    def __enter__(self) -> ArrayFile:
        """Return the file."""
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file."""
        self._zip.close()

    def __contains__(self, name: object) -> bool:
        """Whether there is an array of this name."""
        return name in self._sizes

    def __getitem__(self, name: str) -> np.ndarray:
        """Return an array.

        Raises:
            InputError: It is not there, or damaged.
        """
        if name not in self._sizes:
            raise InputError(f"{self.path}: it has no array {name!r}; {self._advice}")
        try:
            with self._zip.open(f"{name}.npy") as stream:
                array = np.lib.format.read_array(stream, allow_pickle=False)
        except Exception as error:  # of zipfile, zlib or numpy, which reads the head of an array as Python
            raise self._broken(error) from error
        if array.size > max(self._sizes[name], 1):  # of elements that take no bytes there may be any number
            raise InputError(f"{self.path}: array {name!r} of shape {array.shape} has no content; {self._advice}")
        return array

    def _broken(self, error: Exception) -> InputError:
        return InputError(f"{self.path}: not a whole {self._what} ({_told(error)}); {self._advice}")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an ``.npz`` file that :class:`ArrayFile` reads: packed, but not so densely that it looks like a bomb."""
    with open(path, "wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    try:
        with ArrayFile(path):
            return
    except InputError:
        with open(path, "wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]


def read_array(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an ``.npy`` file.

    Raises:
        InputError: It is missing, damaged, or shorter than it says.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: cannot be read: no such file; check the path")
    try:
        array = np.load(path, allow_pickle=False, mmap_mode="r")  # a map is never longer than the file
        if array.size > os.path.getsize(path):  # of elements that take no bytes there may be any number
            raise ValueError("elements without content")
        return np.array(array)
    except Exception as error:
        raise InputError(f"{path}: cannot be read as .npy ({_told(error)}); make it again, of plain numbers") from error


def _told(error: Any) -> str:
    """The first sentence of what an error says; numpy's second one is the advice to unpickle."""
    return (str(getattr(error, "strerror", None) or error).splitlines() or [type(error).__name__])[0].split(". ")[0]
