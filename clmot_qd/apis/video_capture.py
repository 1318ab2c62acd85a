"""Video files, streams and cameras, read through OpenCV."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator

import cv2

from clmot_qd.apis.addresses import is_address, public_name
from clmot_qd.apis.opencv_capture import (
    FAILED_READS,
    TIMEOUT_MILLISECONDS,
    Capture,
    Frame,
    SizeKeeper,
    credible_rate,
    decoded,
    why_closed,
)
from clmot_qd.errors import InputError

UNKNOWN_FPS = 30.0
"""Frame rate of a video or a camera that does not say its own."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds before a lost stream is connected again; each pause is twice as long as the one before."""
SLACK_SECONDS, SLACK_SHARE = 3.0, 0.05
"""By how much the end of a recording may miss the length that was announced, which sound and rounding move."""

logger = logging.getLogger(__name__)


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
        self.files = () if is_address(source) else (source,)
        capture = Capture(source)
        first = next((frame for frame in decoded(capture, self._patience) if frame is not None), None)
        own_fps, about = capture.number(cv2.CAP_PROP_FPS), capture.number(cv2.CAP_PROP_FRAME_COUNT)
        capture.release()
        if first is None:
            raise InputError(f"{self.name}: cannot be read as a video: {_why_not(source)}")
        self.size = (first.shape[1], first.shape[0])
        self.fps = fps or credible_rate(self.name, own_fps, UNKNOWN_FPS)
        self._count = _stored_count(source)
        # Where the container does not store the number, OpenCV multiplies duration and rate: a duration in disguise.
        self._seconds = about / own_fps if about and own_fps else None

    @property
    def _patience(self) -> int:
        """Reads that may fail in mid-video: a connection that is lost does not come back by reading on."""
        return FAILED_READS if self.files else 0

    def stop(self) -> None:
        """Nothing to wake up: a file does not keep anybody waiting."""

    def __len__(self) -> int:
        if self._count is None:
            raise TypeError(f"{self.name}: the number of frames is not known beforehand")
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        done, damaged, seconds = 0, 0, 0.0
        fit = SizeKeeper(self.name, self.size)
        capture = Capture(self._source)
        try:
            for frame in decoded(capture, self._patience):
                if frame is None:
                    damaged += 1
                    continue
                yield fit(frame)
                done += 1
                seconds = (capture.number(cv2.CAP_PROP_POS_MSEC) or 0.0) / 1000
        finally:
            capture.release()
        if not done:
            raise InputError(f"{self.name}: cannot be read as a video any more: {_why_not(self._source)}")
        self._check_end(done, damaged, seconds)

    def _check_end(self, done: int, damaged: int, seconds: float) -> None:
        """Tell a video that stopped early from one that is over; ``seconds``: where its last frame lies."""
        lacks = self._count is not None and done < self._count
        if not is_address(self._source):
            told = f"{done}{'' if self._count is None else f' of {self._count}'} frames could be read"
            if damaged:
                told = f"some frames cannot be decoded (places: {damaged}) and are left out; {told}"
            if lacks or damaged:
                logger.warning("%s: %s%s", self.name, told, "; the file may be cut off" if lacks else "")
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
        self.fps = fps or credible_rate(self.name, capture.number(cv2.CAP_PROP_FPS), UNKNOWN_FPS)

    def stop(self) -> None:
        """End the iteration after the frame that is being read, or the wait for the next one."""
        self._stopped.set()

    def __len__(self) -> int:
        raise TypeError(f"{self.name}: the number of frames is not known beforehand")

    def __iter__(self) -> Iterator[Frame]:
        fit = SizeKeeper(self.name, self.size)
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
    if not is_address(source) and (reason := why_closed(source)):
        return reason
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
