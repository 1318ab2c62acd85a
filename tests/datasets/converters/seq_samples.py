"""Hand-made .seq videos for the tests of Caltech Pedestrian."""

from __future__ import annotations

import io
import struct
from pathlib import Path

from PIL import Image


def jpeg(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (640, 480), (shade, 0, 0)).save(stream, "JPEG")
    return stream.getvalue()


def write_seq(path: Path, frames: list[bytes], extra: int = 8, count: int | None = None, form: int = 102) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytearray(1024)
    struct.pack_into("<I", header, 0, 0xFEED)
    header[4:24] = "Norpix seq".encode("utf-16-le")
    struct.pack_into("<ii", header, 28, 3, 1024)
    number = len(frames) if count is None else count
    struct.pack_into("<9I", header, 548, 640, 480, 24, 8, 921600, form, number, 0, 921600)
    struct.pack_into("<d", header, 584, 30.0)
    time = struct.pack("<IHH", 1_200_000_000, 12, 0) + bytes(extra - 8)
    path.write_bytes(bytes(header) + b"".join(struct.pack("<I", len(one) + 4) + one + time for one in frames))
    return path
