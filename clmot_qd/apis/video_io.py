"""Frames in, video out.

:func:`open_source` gives one interface to video files, folders of pictures, globs, streams and cameras;
:class:`VideoWriter` writes H.264 MP4 that browsers play. Frames are (H, W, 3) uint8 BGR on both sides.
"""

from __future__ import annotations

import configparser
import glob
import logging
import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace

from clmot_qd.errors import InputError
from clmot_qd.files import atomic_path

Frame = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
DEFAULT_FPS = 30.0
"""Frame rate of pictures that come without one."""

logger = logging.getLogger(__name__)


class FrameSource(Protocol):
    """An iterable of frames of one size; a file or folder can be iterated again from its start."""

    @property
    def name(self) -> str:
        """What it was opened from, for messages."""

    @property
    def fps(self) -> float:
        """Frames per second."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""

    def __len__(self) -> int:
        """Return the number of frames; raises TypeError where it is not known beforehand (camera, stream)."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield (H, W, 3) uint8 BGR frames in order."""


def open_source(path: str | os.PathLike[str] | int, fps: float | None = None) -> FrameSource:
    """Open a video file, a folder of pictures, a glob ("clip/*.png"), a stream URL or a camera (its number).

    Pictures come in natural order (``2.jpg`` before ``10.jpg``). Their frame rate is read from a MOT ``seqinfo.ini`` in
    or beside their folder, and is ``DEFAULT_FPS`` otherwise.

    Args:
        path: what to open.
        fps: overrides the source's own frame rate.

    Raises:
        InputError: nothing is there, it holds no frame, or it cannot be read; while iterating: a picture that cannot
            be read or differs in size.
    """
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise InputError(f"fps = {fps}: must be a positive number")
    if isinstance(path, int) or "://" in str(path):
        return _VideoSource(path, fps)
    text = os.fspath(path)
    if os.path.isdir(text):
        return _ImageSource(_pictures_in(Path(text)), text, fps)
    if os.path.isfile(text):
        is_picture = Path(text).suffix.lower() in IMAGE_SUFFIXES
        return _ImageSource([Path(text)], text, fps) if is_picture else _VideoSource(text, fps)
    if glob.has_magic(text):
        return _ImageSource(_pictures_of_glob(text), text, fps)
    raise InputError(f"{text}: no such file or folder")


# ---- pictures ----------------------------------------------------------------------------------------------------


def _pictures_in(folder: Path) -> list[Path]:
    names = [item for item in folder.iterdir() if item.suffix.lower() in IMAGE_SUFFIXES and not _is_hidden(item)]
    if not names:
        raise InputError(f"{folder}: holds no pictures ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return sorted(names, key=_natural_key)


def _pictures_of_glob(pattern: str) -> list[Path]:
    names = [Path(name) for name in glob.glob(pattern, recursive=True) if os.path.isfile(name)]
    if not names:
        raise InputError(f"{pattern}: matches no file")
    return sorted(names, key=_natural_key)


def _is_hidden(path: Path) -> bool:
    """Editors and archives of other systems leave ``._name.jpg`` files that are no pictures."""
    return path.name.startswith(".")


def _natural_key(path: Path) -> list[tuple[int, str]]:
    """Sort key under which runs of digits count as numbers; the text itself breaks ties (``1.jpg``, ``01.jpg``)."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts] + [(-1, str(path))]


class _ImageSource:
    """Pictures as frames."""

    def __init__(self, paths: Sequence[Path], name: str, fps: float | None) -> None:
        self._paths = list(paths)
        height, width = _read_picture(self._paths[0]).shape[:2]
        self.name = name
        self.size = (width, height)
        self.fps = fps or _fps_of_seqinfo(self._paths[0].parent) or DEFAULT_FPS

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[Frame]:
        width, height = self.size
        for path in self._paths:
            frame = _read_picture(path)
            if frame.shape[:2] != (height, width):
                found = f"{frame.shape[1]}x{frame.shape[0]}"
                raise InputError(f"{path}: is {found}, but {self._paths[0].name} is {width}x{height}; use one size")
            yield frame


def _read_picture(path: Path) -> Frame:
    frame = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if frame is None:
        raise InputError(f"{path}: cannot be read as a picture; remove or replace it")
    return np.asarray(frame, dtype=np.uint8)


def _fps_of_seqinfo(folder: Path) -> float | None:
    """The frame rate of a MOT sequence whose pictures lie in ``folder``; None without a usable seqinfo.ini."""
    for place in (folder, folder.parent):
        parser = configparser.ConfigParser()
        try:
            parser.read(place / "seqinfo.ini", encoding="utf-8")
            rate = parser.getfloat("Sequence", "frameRate", fallback=0.0)
        except (configparser.Error, ValueError):
            continue
        if rate > 0:
            return rate
    return None


# ---- video -------------------------------------------------------------------------------------------------------


class _VideoSource:
    """A video file, stream or camera, read through OpenCV."""

    def __init__(self, source: str | int | os.PathLike[str], fps: float | None) -> None:
        self._source = source if isinstance(source, int) else os.fspath(source)
        self._is_file = not isinstance(source, int) and os.path.isfile(source)
        self.name = str(source)
        with _Capture(self._source) as capture:
            first = capture.read()
            own_fps, count = capture.number(cv2.CAP_PROP_FPS), capture.number(cv2.CAP_PROP_FRAME_COUNT)
        if first is None:
            raise InputError(f"{self.name}: cannot be read as a video, or holds no frame")
        self.size = (first.shape[1], first.shape[0])
        self.fps = fps or own_fps or DEFAULT_FPS
        self._count = round(count) if count and self._is_file else None

    def __len__(self) -> int:
        if self._count is None:
            raise TypeError(f"{self.name}: the number of frames is not known beforehand")
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        done = 0
        with _Capture(self._source) as capture:
            while (frame := capture.read()) is not None:
                yield frame
                done += 1
        if self._count is not None and done < self._count:
            logger.warning("%s: %d of %d frames could be read; the file may be cut off", self.name, done, self._count)


class _Capture:
    """OpenCV's capture as a context manager that ends in None instead of a pair of values."""

    def __init__(self, source: str | int) -> None:
        self._capture = cv2.VideoCapture(source)

    def __enter__(self) -> _Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def read(self) -> Frame | None:
        done, frame = self._capture.read()
        return np.asarray(frame, dtype=np.uint8) if done else None

    def number(self, key: int) -> float | None:
        """A property; None where the container does not say (0, negative or not a number)."""
        value = self._capture.get(key)
        return float(value) if math.isfinite(value) and value > 0 else None


class VideoWriter:
    """Writes an MP4 (H.264, 4:2:0, index at the front) that browsers and players open.

    The file appears under its name when the ``with`` block ends well, and not at all after an exception. Odd sizes,
    which 4:2:0 cannot hold, get their last column or row repeated once.

    Example::

        with VideoWriter("out.mp4", fps=25) as writer:
            for frame in frames:
                writer.write(frame)
    """

    def __init__(self, path: str | os.PathLike[str], fps: float, crf: int = 20, preset: str = "veryfast") -> None:
        """``fps``: frames per second; ``crf``: x264 quality, 0 (lossless) to 51; ``preset``: x264 speed.

        Raises:
            InputError: the name does not end in .mp4, or fps is not within 0.1 to 1000.
        """
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise InputError(f"{path}: videos are written as .mp4; change the name")
        if not 0.1 <= fps <= 1000:
            raise InputError(f"{path}: fps = {fps}, must lie between 0.1 and 1000")
        # 30000/1001 and its like survive this bound exactly.
        self._rate = Fraction(fps).limit_denominator(1001)
        self._options = {"crf": str(crf), "preset": preset}
        self._stack = ExitStack()
        self._container: Any = None
        self._stream: Any = None
        self._shape: tuple[int, ...] | None = None

    def __enter__(self) -> VideoWriter:
        """Open a temporary file beside the final one."""
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self.path))
            container = av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"})
            self._container = stack.enter_context(container)
            self._stack = stack.pop_all()
        return self

    def write(self, frame: npt.NDArray[np.uint8]) -> None:
        """Append one (H, W, 3) uint8 BGR frame.

        Raises:
            ValueError: it is not such an array, or its size differs from the first frame's.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ValueError(f"expected a (H, W, 3) uint8 frame, got {frame.shape} {frame.dtype}")
        if self._shape is None:
            self._add_stream(frame.shape[0], frame.shape[1])
            self._shape = frame.shape
        if frame.shape != self._shape:
            raise ValueError(f"frame of shape {frame.shape} in a video of shape {self._shape}")
        even = np.pad(frame, [(0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)], mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="bgr24")
        self._container.mux(self._stream.encode(picture))

    def _add_stream(self, height: int, width: int) -> None:
        self._stream = self._container.add_stream("libx264", rate=self._rate, options=self._options)
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        # The conversion from BGR uses BT.601, limited range; unsaid, players guess BT.709 for large pictures.
        context = self._stream.codec_context
        context.colorspace, context.color_range = Colorspace.ITU601, ColorRange.MPEG

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file and give it its name; after an exception remove it instead."""
        if kind is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            if self._stream is None:
                raise InputError(f"{self.path}: no frame was given, so there is no video to write")
            self._container.mux(self._stream.encode(None))
