"""A visitor's video, frame by frame: decoded by PyAV, which refuses frames that are too large before it makes room."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clmot_qd.app.limits import Limits
from clmot_qd.errors import InputError

Frame = npt.NDArray[np.uint8]

DEMUXERS = {".mp4": "mov", ".avi": "avi", ".mkv": "matroska"}
"""What the suffixes of our own names stand for, as FFmpeg calls it; nothing else is tried."""
UNKNOWN_RATE = 30.0
# What can be written; a rate beyond them is a mistake of the file.
LEAST_RATE, MOST_RATE = 0.1, 1000.0


class UploadedVideo:
    """A source of frames as :func:`clmot_qd.apis.frame_sources.open_source` returns them.

    Damaged frames are left out. A video whose resolution changes goes on in the size of its first frame. Videos that
    say that they are to be turned are turned.

    Args:
        path: The file, under a name of ours.
        name: What the visitor calls it.
        rate: Frames per second as the file says; None: it does not.
        limits: What the operator allows.

    Raises:
        InputError: No frame of it can be decoded; while iterating: a frame is too large.
    """

    is_live = False

    def __init__(self, path: Path, name: str, rate: float | None, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self.name = name
        self.fps = min(max(rate or UNKNOWN_RATE, LEAST_RATE), MOST_RATE)
        with closing(self._decoded(None)) as frames:
            first = next(frames, None)
        if first is None:
            raise InputError("no frame of this video can be decoded: it is damaged, or convert it to H.264 first")
        self.size = (first.shape[1], first.shape[0])

    def stop(self) -> None:
        """Nothing to wake up: a file does not keep anybody waiting."""

    def __len__(self) -> int:
        raise TypeError("what a file says of its length is not believed")

    def __iter__(self) -> Iterator[Frame]:
        yield from self._decoded(self.size)

    def _decoded(self, size: tuple[int, int] | None) -> Generator[Frame]:
        """(H, W, 3) uint8 BGR, of this (width, height) unless None."""
        import av

        with opened(self._path) as container:
            stream = container.streams.video[0]
            # FFmpeg looks at it before it takes memory for a frame, whatever the container said.
            stream.codec_context.options = {"max_pixels": str(self._limits.max_pixels)}
            for packet in _packets(container, stream):
                try:
                    frames = packet.decode()
                except av.FFmpegError as error:
                    self._check(error, stream.codec_context)
                    continue
                yield from (_array(frame, size) for frame in frames)

    def _check(self, error: Exception, codec: Any) -> None:
        """A refused size leaves the decoder without one; all else is damage."""
        if isinstance(error, ValueError) and not codec.width:
            raise InputError(
                f"a frame of this video has more than {self._limits.max_pixels / 1e6:.1f} million pixels, "
                "which is as much as this page takes: scale the video down first"
            ) from None


def opened(path: Path) -> Any:
    """The container, read as what its first bytes say and nothing else."""
    import av

    return av.open(str(path), format=DEMUXERS[path.suffix], options={"protocol_whitelist": "file"})


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """Of a stream, until the file ends or cannot be read any more."""
    import av

    with suppress(av.FFmpegError):
        yield from container.demux(stream)


def _array(frame: Any, size: tuple[int, int] | None) -> Frame:
    turns = round(frame.rotation / 90) % 4
    width, height = size or (None, None)
    if turns % 2:
        width, height = height, width
    picture = frame.to_ndarray(format="bgr24", width=width, height=height)
    return np.ascontiguousarray(np.rot90(picture, turns))
