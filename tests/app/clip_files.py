"""Small videos and what is none, as visitors might upload them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import av
import cv2
import numpy as np

CODECS = {"mp4": "libx264", "mov": "libx264", "avi": "mpeg4", "mkv": "libx264", "webm": "libvpx"}


def frame_of(number: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """A grey picture with a white block that wanders; (H, W, 3) uint8."""
    frame = np.full((size[1], size[0], 3), 90, np.uint8)
    left = 2 * number % (size[0] - 16)
    frame[10:34, left : left + 12] = 255
    return frame


def write_clip(path: Path, frames: int = 6, fps: int = 10, size: tuple[int, int] = (64, 48)) -> Path:
    """A video whose container and codec follow the name."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[path.suffix[1:]], rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_of(number, size), format="bgr24")))
        container.mux(stream.encode(None))
    return path


def png(number: int = 0, size: tuple[int, int] = (64, 48)) -> bytes:
    """A picture's bytes."""
    return cv2.imencode(".png", frame_of(number, size))[1].tobytes()


def write_zip(path: Path, entries: dict[str, bytes]) -> Path:
    """A zip with these entries."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path
