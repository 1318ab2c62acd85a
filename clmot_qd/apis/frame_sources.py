"""Frames in: one interface to video files, folders of pictures, globs, streams and cameras; OpenCV only.

Frames are (H, W, 3) uint8 BGR, all of one size. Pictures of different sizes are refused. A video or a stream whose
resolution changes goes on in the size of its first frame: the picture is scaled to it, whatever its shape, so that
boxes and identities before and after belong together.
"""

from __future__ import annotations

import configparser
import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from clmot_qd.apis.addresses import camera_number, is_address, is_live_address
from clmot_qd.apis.arguments import check_rate
from clmot_qd.apis.opencv_capture import Capture, silent_opencv, why_closed
from clmot_qd.apis.video_capture import LiveSource, VideoFileSource
from clmot_qd.errors import InputError

Frame = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".ts", ".mts", ".mpg", ".mpeg", ".wmv"})
DEFAULT_FPS = 30.0
"""Frame rate of pictures that come without one."""
RECONNECT_SECONDS = 30.0
"""How long a stream or a camera may give no frame before it is given up."""


class FrameSource(Protocol):
    """An iterable of frames of one size; a file or folder can be iterated again from its start."""

    @property
    def name(self) -> str:
        """What it was opened from, for messages; without the password of an address."""

    @property
    def fps(self) -> float:
        """Frames per second."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""

    @property
    def is_live(self) -> bool:
        """Whether it goes on until somebody ends it (camera, stream)."""

    def stop(self) -> None:
        """End the iteration after the frame that is being read; of use for live sources, from another thread."""

    def __len__(self) -> int:
        """Return the number of frames; raises TypeError where it is not known beforehand (camera, stream)."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield (H, W, 3) uint8 BGR frames in order."""


def open_source(
    path: str | os.PathLike[str] | int, fps: float | None = None, reconnect_seconds: float = RECONNECT_SECONDS
) -> FrameSource:
    """Open a video file, a folder of pictures, a glob ("clip/*.png"), a stream's address or a camera (its number).

    Pictures come in natural order (``2.jpg`` before ``10.jpg``). Their frame rate is read from a MOT ``seqinfo.ini`` in
    or beside their folder, and is ``DEFAULT_FPS`` otherwise.

    Args:
        path: what to open.
        fps: overrides the source's own frame rate.
        reconnect_seconds: of streams and cameras: where no frame comes any more, connect again, after half a second and
            then with growing pauses, until this much time has passed; then the source ends, with a warning. 0 ends it
            at once.

    Raises:
        InputError: nothing is there, it holds no frame, or it cannot be read; while iterating: a picture that cannot
            be read or differs in size.
    """
    check_rate(fps)
    if not reconnect_seconds >= 0:
        raise InputError(f"reconnect_seconds = {reconnect_seconds}: must not be negative")
    if isinstance(path, Integral):
        return _open_address(camera_number(path), fps, reconnect_seconds)
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"source {path!r}: give a file, a folder, a glob, an address or a camera's number")
    if is_address(path):
        return _open_address(str(path), fps, reconnect_seconds)
    text = os.fspath(path)
    if os.path.isdir(text):
        return _ImageSource(_pictures_in(Path(text)), text, fps)
    if os.path.isfile(text):
        is_picture = Path(text).suffix.lower() in IMAGE_SUFFIXES
        return _ImageSource([Path(text)], text, fps) if is_picture else VideoFileSource(text, fps)
    if glob.has_magic(text):
        return _ImageSource(_pictures_of_glob(text), text, fps)
    raise InputError(f"{text}: {_why_nothing(text)}")


def opened_source(source: Any, fps: float | None = None) -> Any:
    """The frames of whatever a user may give: opened, or the iterable as it is.

    Args:
        source: See :func:`open_source`; or an iterable of frames, what was opened already among them.
        fps: See :func:`open_source`.

    Raises:
        InputError: See :func:`open_source`; or it is nothing of the kind.
    """
    if isinstance(source, (str, os.PathLike, Integral)) or not isinstance(source, Iterable):
        return open_source(source, fps)  # type: ignore[arg-type]
    if isinstance(source, np.ndarray) and source.ndim < 4:
        raise InputError(f"source: one array of shape {source.shape}; give a list of frames, or call update for each")
    return source


def gives_new_frames(source: Any) -> bool:
    """Whether each frame is an array of its own; a source of another maker may fill one again and again."""
    return isinstance(source, (_ImageSource, VideoFileSource, LiveSource))


def _why_nothing(path: str) -> str:
    if os.path.exists(path):
        return "a device or a pipe, no file; a camera is given by its number (/dev/video0 by 0)"
    return "no such file or folder"


def _open_address(address: str | int, fps: float | None, reconnect_seconds: float) -> FrameSource:
    """A recording behind an address says how long it is; what does not is live, and so is what only streams carry."""
    capture = Capture(address)
    if isinstance(address, str) and not is_live_address(address) and capture.number(cv2.CAP_PROP_FRAME_COUNT):
        capture.release()
        return VideoFileSource(address, fps)
    return LiveSource(address, capture, fps, reconnect_seconds)


# ---- pictures ----------------------------------------------------------------------------------------------------


def _pictures_in(folder: Path) -> list[Path]:
    names = [item for item in folder.iterdir() if item.suffix.lower() in IMAGE_SUFFIXES and not _is_hidden(item)]
    names = [item for item in names if not item.is_dir()]
    if not names:
        raise InputError(f"{folder}: holds no pictures ({', '.join(sorted(IMAGE_SUFFIXES))}){_hint(folder)}")
    return sorted(names, key=natural_key)


def _hint(folder: Path) -> str:
    """The folder within this one that was meant, as a sequence of MOTChallenge has its pictures in ``img1``."""
    inner = sorted(item for item in folder.iterdir() if item.is_dir() and not _is_hidden(item))
    found = [item for item in inner if any(picture.suffix.lower() in IMAGE_SUFFIXES for picture in item.glob("*"))]
    return f"; did you mean {found[0]}?" if found else ""


def _pictures_of_glob(pattern: str) -> list[Path]:
    names = sorted(Path(name) for name in glob.glob(pattern, recursive=True) if os.path.isfile(name))
    if not names:
        raise InputError(f"{pattern}: matches no file")
    for name in names:
        if name.suffix.lower() in VIDEO_SUFFIXES:
            raise InputError(
                f"{pattern}: a glob takes pictures, and it matches {name.name}; give one video by its name"
            )
    return sorted(names, key=natural_key)


def _is_hidden(path: Path) -> bool:
    """Editors and archives of other systems leave ``._name.jpg`` files that are no pictures."""
    return path.name.startswith(".")


def natural_key(path: str | os.PathLike[str]) -> list[tuple[int, str]]:
    """Sort key under which runs of digits count as numbers; the text itself breaks ties (``1.jpg``, ``01.jpg``)."""
    text = os.fspath(path)
    # Of numbers without leading zeros the longer one is larger; Python reads none of thousands of digits.
    parts = enumerate(re.split("([0-9]+)", text))
    numbers = [(len(part.lstrip("0")), part.lstrip("0")) if index % 2 else (-1, part) for index, part in parts]
    return [*numbers, (-1, text)]


class _ImageSource:
    """Pictures as frames.

    Attributes:
        files: The pictures.
        file_names: The same, from the folder that holds them all; with slashes.
    """

    is_live = False

    def __init__(self, paths: Sequence[Path], name: str, fps: float | None) -> None:
        self._paths = list(paths)
        self.files = tuple(self._paths)
        height, width = _read_picture(self._paths[0]).shape[:2]
        self.name = name
        self.size = (width, height)
        self.fps = fps or _fps_of_seqinfo(self._paths[0].parent) or DEFAULT_FPS

    @property
    def file_names(self) -> list[str]:
        top = os.path.commonpath([path.parent for path in self._paths])
        return [Path(os.path.relpath(path, top)).as_posix() for path in self._paths]

    def stop(self) -> None:
        """Nothing to wake up: pictures do not keep anybody waiting."""

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
    try:
        with silent_opencv():
            frame = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error as error:
        # Its header announces more pixels than OpenCV would ever read; of other reasons the first line.
        told = "it says that it is far too large" if "CV_IO_MAX_IMAGE" in str(error) else str(error).split("\n")[0]
        raise InputError(f"{path}: cannot be read as a picture: {told}") from error
    if frame is None:
        reason = why_closed(path)
        raise InputError(f"{path}: cannot be read as a picture{f': {reason}' if reason else '; remove or replace it'}")
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
