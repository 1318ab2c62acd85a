"""The pictures of the Waymo Open Dataset v2: which there are, how large they are, and JPEG files of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from clmot_qd.errors import InputError
from clmot_qd.files import atomic_path
from clmot_qd.names import path_below

#: Values of ``key.camera_name``.
CAMERAS = {1: "FRONT", 2: "FRONT_LEFT", 3: "FRONT_RIGHT", 4: "SIDE_LEFT", 5: "SIDE_RIGHT"}
SEGMENT, TIME, CAMERA = "key.segment_context_name", "key.frame_timestamp_micros", "key.camera_name"

_IMAGE = "[CameraImageComponent].image"
_ROWS = 16  # pictures that are in memory at once, of up to a megabyte each
# Bytes that are read at once. Without a buffer pyarrow takes all pictures of a row group, with it all those of a page.
_BUFFER = 1 << 20


@dataclass(frozen=True)
class Picture:
    """One picture.

    Args:
        segment: Name of its segment.
        camera: Name of its camera.
        time: Microseconds.
        size: Width and height.
    """

    segment: str
    camera: str
    time: int
    size: tuple[int, int]

    @property
    def file_name(self) -> str:
        """Where its file is, relative to the folder of the pictures."""
        return f"{self.segment}/{self.camera}/{self.time}.jpg"


def pyarrow_parquet() -> ModuleType:
    """Return ``pyarrow.parquet``, which only Waymo needs.

    Raises:
        InputError: It is not installed.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            "pyarrow is not installed, which reads Waymo's files: pip install 'clmot_qd[waymo]'"
        ) from error
    return parquet


def read_rows(path: Path, columns: tuple[str, ...], rows: int = 4096) -> Iterator[tuple[Any, ...]]:
    """Give the rows of a parquet file, a few at a time in memory.

    Args:
        path: The file.
        columns: Those to read.
        rows: How many rows are read at once.

    Raises:
        InputError: The file is missing, cut off, no parquet, or lacks a column.
    """
    parquet = pyarrow_parquet()
    from pyarrow import ArrowException

    try:
        with parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
            missing = [name for name in columns if name not in file.schema_arrow.names]
            if missing:
                raise InputError(f"{path}: no column {missing[0]!r}; is it of another component?")
            if file.metadata.num_rows > path.stat().st_size:  # of repeated rows there may be any number
                raise InputError(f"{path}: {file.metadata.num_rows} rows in a file of fewer bytes; download it again")
            for batch in file.iter_batches(batch_size=rows, columns=list(columns)):
                yield from zip(*(batch.column(name).to_pylist() for name in columns))
    except (ArrowException, OSError, ValueError, MemoryError) as error:
        if isinstance(error, InputError):  # of what was done with the rows
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: no readable parquet file ({reason}): truncated? Download it again") from error


def read_pictures(path: Path, folder: Path | None) -> Iterator[Picture]:
    """Give the pictures of a ``camera_image`` file, which holds one segment, in the order of the file.

    Args:
        path: The file.
        folder: Write the JPEG files below this folder; those that are there already are left alone. None writes
            nothing, and reads one picture of each camera only: they all have the same size.

    Raises:
        InputError: See :func:`read_rows`; an unknown camera; something that is no JPEG; a file that cannot be written.
    """
    if folder is None:
        sizes = _sizes(path)
        for segment, time, number in read_rows(path, (SEGMENT, TIME, CAMERA)):
            yield Picture(segment, _camera(number, path), time, sizes[number])
        return
    for segment, time, number, data in read_rows(path, (SEGMENT, TIME, CAMERA, _IMAGE), _ROWS):
        camera = _camera(number, path)
        picture = Picture(segment, camera, time, _size(data, f"{path}: {camera} at {time}"))
        target = path_below(folder, picture.file_name, kind="picture")
        if not target.exists():
            with atomic_path(target) as temporary:
                temporary.write_bytes(data)
        yield picture


def _sizes(path: Path) -> dict[int, tuple[int, int]]:
    """Return the size of the first picture of each camera; it stops reading when it has all five."""
    sizes: dict[int, tuple[int, int]] = {}
    for number, data in read_rows(path, (CAMERA, _IMAGE), _ROWS):
        if number not in sizes:
            sizes[number] = _size(data, f"{path}: {_camera(number, path)}")
        if len(sizes) == len(CAMERAS):
            break
    return sizes


def _camera(number: Any, path: Path) -> str:
    if number not in CAMERAS:
        raise InputError(f"{path}: {CAMERA} is {number!r}, not 1 to {len(CAMERAS)}")
    return CAMERAS[number]


def _size(data: Any, place: str) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except Exception as error:  # Pillow fails in many ways on a damaged head
        raise InputError(f"{place}: no readable picture; download the file again") from error
