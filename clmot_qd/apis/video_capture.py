"""Video files, streams and cameras, read through OpenCV."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import numpy.typing as npt

from clmot_qd.apis.addresses import is_address, public_name
from clmot_qd.errors import InputError

Frame = npt.NDArray[np.uint8]

UNKNOWN_FPS = 30.0
"""Frame rate of a video or a camera that does not say its own."""
TIMEOUT_MILLISECONDS = 10_000
"""How long connecting to an address, and waiting for one frame of it, may take."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds before a lost stream is connected again; each pause is twice as long as the one before."""
SLACK_SECONDS, SLACK_SHARE = 3.0, 0.05
"""By how much the end of a recording may miss the length that was announced, which sound and rounding move."""

logger = logging.getLogger(__name__)


class Capture:
    """OpenCV's capture that ends in None instead of a pair of values.

    Args:
        source: File, address, or number of a camera.
    """

    def __init__(self, source: str | int) -> None:
        # FFmpeg reads this once in a process: its lines about every damaged packet say nothing that ours do not.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        with _silent_opencv():
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


@contextmanager
def _silent_opencv() -> Iterator[None]:
    """Keep OpenCV from printing its own lines where something cannot be opened; ours follow."""
    control = cv2.utils.logging
    before = control.getLogLevel()
    control.setLogLevel(control.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        control.setLogLevel(before)


class VideoFileSource:
    """A video that has an end: a file, or a recording behind an address.

    Args:
        source: Path or address.
        fps: Overrides the file's own frame rate.

    Attributes:
        files: The file, if it is one.

    Raises:
        InputError: It cannot be opened, or its first frame cannot be decoded; while iterating: the connection to an
            address was lost.
    """

    is_live = False

    def __init__(self, source: str, fps: float | None) -> None:
        self._source = source
        self.name = public_name(source)
        capture = Capture(source)
        first = capture.read()
        own_fps, about = capture.number(cv2.CAP_PROP_FPS), capture.number(cv2.CAP_PROP_FRAME_COUNT)
        capture.release()
        if first is None:
            raise InputError(f"{self.name}: cannot be read as a video: {_why_not(source)}")
        self.size = (first.shape[1], first.shape[0])
        self.fps = fps or own_fps or UNKNOWN_FPS
        self._count = _stored_count(source)
        # Where the container does not store the number, OpenCV multiplies duration and rate: a duration in disguise.
        self._seconds = about / own_fps if about and own_fps else None
        self.files = () if is_address(source) else (source,)

    def stop(self) -> None:
        """Nothing to wake up: a file does not keep anybody waiting."""

    def __len__(self) -> int:
        if self._count is None:
            raise TypeError(f"{self.name}: the number of frames is not known beforehand")
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        done, seconds = 0, 0.0
        fit = _SizeKeeper(self.name, self.size)
        capture = Capture(self._source)
        try:
            while (frame := capture.read()) is not None:
                yield fit(frame)
                done += 1
                seconds = (capture.number(cv2.CAP_PROP_POS_MSEC) or 0.0) / 1000
        finally:
            capture.release()
        self._check_end(done, seconds)

    def _check_end(self, done: int, seconds: float) -> None:
        """Tell a video that stopped early from one that is over; ``seconds``: where its last frame lies."""
        lacks = self._count is not None and done < self._count
        if not is_address(self._source):
            if lacks:
                what = "%s: %d of %d frames could be read; the file may be cut off"
                logger.warning(what, self.name, done, self._count)
            return
        whole, reached = f"{self._count} frames", f"{done}"
        if self._count is None and self._seconds is not None:
            lacks = seconds < (1 - SLACK_SHARE) * self._seconds - SLACK_SECONDS
            whole, reached = f"{self._seconds:.1f} seconds", f"{seconds:.1f}"
        if lacks:
            raise InputError(f"{self.name}: connection lost after {reached} of {whole}; start again, or download it")


class LiveSource:
    """A stream or a camera: connects again when no frame comes, and ends when that has failed for a while.

    Args:
        source: Address, or number of a camera.
        capture: The connection, from which no frame was read.
        fps: Overrides the stream's own frame rate.
        reconnect_seconds: See :func:`~clmot_qd.apis.frame_sources.open_source`.

    Raises:
        InputError: It gives no frame.
    """

    is_live = True

    def __init__(self, source: str | int, capture: Capture, fps: float | None, reconnect_seconds: float) -> None:
        self._source = source
        self._patience = reconnect_seconds
        self._stopped = threading.Event()
        self.name = f"camera {source}" if isinstance(source, int) else public_name(source)
        first = capture.read()
        if first is None:
            capture.release()
            raise InputError(f"{self.name}: gives no frame: {_why_silent(source)}")
        self._opened: tuple[Capture, Frame] | None = (capture, first)
        self.size = (first.shape[1], first.shape[0])
        self.fps = fps or capture.number(cv2.CAP_PROP_FPS) or UNKNOWN_FPS

    def stop(self) -> None:
        """End the iteration after the frame that is being read, or the wait for the next one."""
        self._stopped.set()

    def __len__(self) -> int:
        raise TypeError(f"{self.name}: the number of frames is not known beforehand")

    def __iter__(self) -> Iterator[Frame]:
        fit = _SizeKeeper(self.name, self.size)
        opened, self._opened = self._opened, None
        opened = opened or self._connect()
        while opened is not None:
            capture: Capture = opened[0]
            frame: Frame | None = opened[1]
            try:
                while frame is not None and not self._stopped.is_set():
                    yield fit(frame)
                    frame = capture.read()
            finally:
                capture.release()
            opened = None if self._stopped.is_set() else self._connect_again()

    def _connect(self) -> tuple[Capture, Frame] | None:
        capture = Capture(self._source)
        frame = capture.read()
        if frame is None:
            capture.release()
            return None
        return capture, frame

    def _connect_again(self) -> tuple[Capture, Frame] | None:
        """Try until it works or patience ends, with pauses that grow."""
        if self._patience:
            logger.warning("%s: no frame comes any more; connecting again for up to %g s", self.name, self._patience)
        lost, pause = time.monotonic(), FIRST_PAUSE
        while (left := lost + self._patience - time.monotonic()) > 0 and not self._stopped.wait(min(pause, left)):
            opened = self._connect()
            if opened is not None:
                logger.warning("%s: is back after %.1f s; identities go on", self.name, time.monotonic() - lost)
                return opened
            pause = min(2 * pause, LONGEST_PAUSE)
        if not self._stopped.is_set():
            logger.warning("%s: gave no frame for %g s: taken for its end", self.name, self._patience)
        return None


class _SizeKeeper:
    """Scales frames to the size of the first one, and says so once for every other size.

    OpenCV does the same, silently, where the size changes within one connection.
    """

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        self._name = name
        self._size = size
        self._told: set[tuple[int, int]] = set()

    def __call__(self, frame: Frame) -> Frame:
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


def _stored_count(source: str) -> int | None:
    """The number of frames, if the container stores it; None elsewhere, and without PyAV.

    Of MP4 and MOV alone: others write it down before they know, or leave frames out that they count.
    """
    try:
        import av
    except ImportError:
        return None
    limit = TIMEOUT_MILLISECONDS / 1000 if is_address(source) else None
    try:
        with av.open(source, timeout=limit) as container:
            stored = bool({"mp4", "mov"} & {*container.format.name.split(",")})
            return container.streams.video[0].frames or None if stored else None
    except (av.FFmpegError, OSError, IndexError):
        return None


def _why_silent(source: str | int) -> str:
    if isinstance(source, int):
        return "no such camera, or another program uses it"
    return "check address, user and password, and whether it can be reached from here"


def _why_not(source: str) -> str:
    """Why a video file could not be read, as far as a second library can tell."""
    if os.path.isfile(source) and not os.path.getsize(source):
        return "the file is empty"
    damaged = "no video format that is known here, or cut off before its index was written"
    try:
        import av
    except ImportError:
        return damaged
    try:
        with av.open(source) as container:
            if not container.streams.video:
                return "it holds no pictures, only sound or text"
            stream = container.streams.video[0]
            if stream.codec_context is None and stream.frames:
                return "its codec cannot be decoded here; convert it, e.g. ffmpeg -i IN -c:v libx264 OUT.mp4"
            return "it holds no frame that can be decoded" if stream.codec_context is not None else damaged
    except (av.FFmpegError, OSError):
        return damaged
