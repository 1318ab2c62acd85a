"""What a visitor may ask of the server."""

from __future__ import annotations

import math
from dataclasses import dataclass

from clmot_qd.errors import InputError

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds of one upload; the server checks them, whatever the browser did.

    Args:
        max_mb: Size of the file, in MB of 1024 x 1024 bytes; of a zip also what it unpacks to.
        max_seconds: Length of a video.
        max_frames: Frames of a video, or pictures of a zip.
        max_pixels: Width times height of a frame.

    Raises:
        InputError: One of them is not a positive number.
    """

    max_mb: float = 200.0
    max_seconds: float = 120.0
    max_frames: int = 3000
    max_pixels: int = 4096 * 2304

    def __post_init__(self) -> None:
        """Refuse what would let nothing through, or everything."""
        for name, value in vars(self).items():
            if not (value > 0 and math.isfinite(value)):
                raise InputError(f"--{name.replace('_', '-')} {value}: must be a positive number")

    @property
    def max_bytes(self) -> int:
        """``max_mb`` in bytes."""
        return int(self.max_mb * MEGABYTE)

    def check_bytes(self, count: int, what: str = "the file") -> None:
        """Refuse what is too large.

        Raises:
            InputError: Naming both sizes.
        """
        if count > self.max_bytes:
            raise InputError(f"{what} has {count / MEGABYTE:.1f} MB; this page takes at most {self.max_mb:g} MB")

    def check_length(self, frames: int | None, seconds: float | None, counted: str = "the video has {} frames") -> None:
        """Refuse what is too long; None: not known (yet).

        Args:
            frames, seconds: The length.
            counted: How to tell the number of frames.

        Raises:
            InputError: Naming length and limit.
        """
        if seconds is not None and seconds > self.max_seconds:
            raise InputError(
                f"the video is {seconds:.1f} s long; this page takes at most {self.max_seconds:g} s: cut it first"
            )
        if frames is not None and frames > self.max_frames:
            raise InputError(f"{counted.format(frames)}; this page takes at most {self.max_frames}: cut it first")

    def check_size(self, width: int, height: int) -> None:
        """Refuse frames that are too large.

        Raises:
            InputError: Naming size and limit.
        """
        if width * height > self.max_pixels:
            raise InputError(
                f"the frames are {width}x{height}; this page takes at most {self.max_pixels / 1e6:.1f} million pixels: "
                "scale the video down first"
            )
