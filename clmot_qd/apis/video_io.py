"""Frames in, video out: :func:`open_source` of :mod:`~clmot_qd.apis.frame_sources`, and H.264 MP4 that browsers play.

Frames are (H, W, 3) uint8 BGR on both sides.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace

from clmot_qd.apis.frame_sources import DEFAULT_FPS, IMAGE_SUFFIXES, FrameSource, open_source
from clmot_qd.errors import InputError
from clmot_qd.files import atomic_path

__all__ = ["DEFAULT_FPS", "IMAGE_SUFFIXES", "FrameSource", "VideoWriter", "open_source"]


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
