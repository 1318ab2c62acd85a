"""The ``.seq`` videos of Caltech Pedestrian: JPEG pictures, one after the other, in a container of their own.

The form (Norpix StreamPix; all numbers little-endian) as far as it is needed::

    byte 0     uint32  0xFEED
    byte 4     "Norpix seq" in UTF-16
    byte 32    uint32  size of the header, 1024
    byte 548   uint32  width, height, and others; the sixth is the form of the pictures, the seventh their number
    byte 1024  for each picture: uint32 size of itself and the JPEG file, the file, 8 or 16 bytes with the time
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from clmot_qd.errors import InputError
from clmot_qd.files import atomic_path

_HEADER_BYTES = 1024
_MAGIC = 0xFEED
_JPEG_FORMATS = (102, 201)
_START, _END = b"\xff\xd8", b"\xff\xd9"


def extract(video: Path, pictures: Mapping[int, Path]) -> int:
    """Write pictures of a ``.seq`` video as they are in it, without decoding; files that exist are not written again.

    Args:
        video: The video.
        pictures: Number of the frame, from 0 -> file to write.

    Returns:
        How many have been written.

    Raises:
        InputError: The video is missing, damaged or in another form; or nothing can be written.
    """
    missing = {number: path for number, path in pictures.items() if not path.exists()}
    if not missing:
        return 0
    written = 0
    for number, jpeg in read_frames(video, missing):
        with atomic_path(missing[number]) as path:
            path.write_bytes(jpeg)
        written += 1
    return written


def read_frames(video: Path, numbers: Collection[int]) -> Iterator[tuple[int, bytes]]:
    """Give (number, JPEG file) of frames of a ``.seq`` video, in its order; numbers that it has not are left out.

    Raises:
        InputError: The video is missing, damaged or in another form.
    """
    try:
        stream = video.open("rb")
    except OSError as error:
        raise InputError(f"{video}: cannot be read ({error.strerror}); check the folder layout") from error
    with stream:
        frames = _read_header(stream, video)
        length = os.fstat(stream.fileno()).st_size
        last = max(numbers, default=-1)
        padding = None
        for number in range(min(frames or last + 1, last + 1)):
            size = _read_size(stream, video, number)
            if size is None:
                return
            # No more than there is: reading takes the memory for what the file says, up to 4 GB, before it looks.
            jpeg = stream.read(min(size, length))
            if not (jpeg.startswith(_START) and jpeg.endswith(_END)):
                raise InputError(f"{video}: frame {number} is no whole JPEG picture: truncated? Download it again")
            if number in numbers:
                yield number, jpeg
            padding = _padding(stream) if padding is None else padding
            stream.seek(padding, 1)


def _read_header(stream: BinaryIO, video: Path) -> int:
    """Return the number of frames, 0 if it is not known."""
    header = stream.read(_HEADER_BYTES)
    name = header[4:24].decode("utf-16-le", errors="replace")
    if len(header) < _HEADER_BYTES or struct.unpack_from("<I", header)[0] != _MAGIC or name != "Norpix seq":
        raise InputError(f"{video}: no .seq video, or cut off; download it again")
    values = struct.unpack_from("<9I", header, 548)
    if values[5] not in _JPEG_FORMATS:
        raise InputError(f"{video}: its pictures are in form {values[5]}, not JPEG ({_JPEG_FORMATS})")
    return values[6]


def _read_size(stream: BinaryIO, video: Path, number: int) -> int | None:
    """Return the size of the next JPEG file, None at the end of the video."""
    field = stream.read(4)
    if not field:
        return None
    if len(field) < 4:
        raise InputError(f"{video}: ends within frame {number}: truncated? Download it again")
    return max(struct.unpack("<I", field)[0] - 4, 0)


def _padding(stream: BinaryIO) -> int:
    """Return the bytes between pictures: 8 for the time, in newer videos 8 zeros more. Does not move."""
    here = stream.tell()
    following = stream.read(12)[8:]
    stream.seek(here)
    return 16 if following == b"\0\0\0\0" else 8
