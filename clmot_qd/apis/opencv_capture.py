"""OpenCV's capture: opened without its own noise, read on behind damaged places, in one size and at a credible rate."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]

TIMEOUT_MILLISECONDS = 10_000
"""How long connecting to an address, and waiting for one frame of it, may take."""
FAILED_READS = 1000
"""So many reads in a row of a file may give nothing; more are taken for its end."""
SLOWEST, FASTEST = 0.1, 1000.0
"""Frames per second between which a container is believed; the file that tracking writes holds the same."""

logger = logging.getLogger(__name__)


class Capture:
    """OpenCV's capture that ends in None instead of a pair of values.

    Args:
        source: File, address, or number of a camera.
    """

    def __init__(self, source: str | int) -> None:
        # FFmpeg reads this once in a process: its lines about every damaged packet say nothing that ours do not.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        with silent_opencv():
            if isinstance(source, int):
                self._capture = cv2.VideoCapture(source)
                return
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MILLISECONDS]
            limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MILLISECONDS]
            # Named, or OpenCV tries what cannot be opened as a sequence of pictures.
            self._capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, limits if "://" in source else [])

    def read(self) -> Frame | None:
        """(H, W, 3) uint8 BGR; None where there is no further frame."""
        done, frame = self._capture.read()
        return np.asarray(frame, dtype=np.uint8) if done else None

    def number(self, key: int) -> float | None:
        """A property; None where the container does not say (0, negative or not a number)."""
        value = self._capture.get(key)
        return float(value) if math.isfinite(value) and value > 0 else None

    def release(self) -> None:
        """Close file, connection or camera."""
        self._capture.release()


_opening = threading.Lock()
_silenced: list[int] = []
"""OpenCV's level of messages before, once for each thread that is opening something."""


@contextmanager
def silent_opencv() -> Iterator[None]:
    """Keep OpenCV from printing its own lines where something cannot be read; ours follow.

    The level is the process's: of threads in here at once, the first lowers it and the last one puts it back.
    """
    control = cv2.utils.logging
    with _opening:
        _silenced.append(_silenced[0] if _silenced else control.getLogLevel())
        control.setLogLevel(control.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        with _opening:
            before = _silenced.pop()
            if not _silenced:
                control.setLogLevel(before)


def decoded(capture: Capture, patience: int) -> Generator[Frame | None]:
    """The frames of a capture until none comes any more; None for each place where some could not be decoded.

    OpenCV says the same, "no frame", of a damaged packet and of the end.

    Args:
        capture: Is read.
        patience: Reads in a row that may fail before it counts as the end; 0 for what is waited for.
    """
    failed = 0
    while failed <= patience:
        frame = capture.read()
        if frame is None:
            failed += 1
            continue
        if failed:
            yield None
        failed = 0
        yield frame


def credible_rate(name: str, fps: float | None, unknown: float) -> float:
    """What a container says of its frame rate, or ``unknown``: some say thousands, or one frame in an hour."""
    if fps is None or SLOWEST <= fps <= FASTEST:
        return fps or unknown
    logger.warning("%s: says that it has %g frames a second; taken for %g, --fps sets another", name, fps, unknown)
    return unknown


def why_closed(path: str | os.PathLike[str]) -> str | None:
    """What the system says where a file cannot be opened, of which OpenCV says nothing; None: it can."""
    try:
        with open(path, "rb"):
            return None
    except OSError as error:
        return f"{error.strerror}; see to that and start again"


class SizeKeeper:
    """Scales frames to the size of the first one, and says so once for every other size.

    OpenCV does the same, silently, where the size changes within one connection.
    """

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        self._name = name
        self._size = size
        self._told: set[tuple[int, int]] = set()

    def __call__(self, frame: Frame) -> Frame:
        """(h, w, 3) of any size -> (H, W, 3)."""
        size = (frame.shape[1], frame.shape[0])
        if size == self._size:
            return frame
        if size not in self._told:
            self._told.add(size)
            what = "%s: is now %dx%d; scaled to the %dx%d of its first frame"
            logger.warning(what, self._name, *size, *self._size)
        shrinks = size[0] > self._size[0]
        scaled = cv2.resize(frame, self._size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return np.asarray(scaled, dtype=np.uint8)
