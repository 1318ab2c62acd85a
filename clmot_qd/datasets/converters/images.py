"""Sizes of pictures, from their headers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from PIL import Image

from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Frame
from clmot_qd.errors import InputError
from clmot_qd.names import check_below

#: ``check``: every picture must be there and have its recorded size. ``skip-bad``: frames for which that is not so are
#: left out and counted. ``trust``: pictures are not looked at, which needs sizes in the annotation files.
ImagePolicy = Literal["check", "skip-bad", "trust"]

_TURNED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
_ORIENTATION = 0x0112


def image_size(path: Path) -> tuple[int, int]:
    """Return (width, height) as OpenCV will load the picture in training, EXIF rotation included.

    Raises:
        InputError: No such file, or no picture.
    """
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(_ORIENTATION) in _TURNED
            width, height = image.size
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such picture") from error
    except Exception as error:  # Pillow fails in many ways on a damaged head; one of them is a size that it fears
        raise InputError(f"{path}: not a readable picture") from error
    return (height, width) if turned else (width, height)


def settle_size(frame: Frame, root: Path | None, policy: ImagePolicy, report: Report) -> bool:
    """Fill in the size of a frame, or check it; return whether the frame can be used.

    Raises:
        InputError: Its name leads out of the folder of the pictures, whatever the policy; the picture is missing,
            unreadable or of another size than recorded, and ``policy`` is ``check``; or the size is not recorded and
            the picture may not be looked at.
    """
    if root is not None:
        check_below(root, [os.path.join(root, frame.file_name)], frame.place or frame.file_name)
    recorded = frame.width > 0 and frame.height > 0
    if policy == "trust" or root is None:
        if not recorded:
            raise InputError(f"{frame.place or frame.file_name}: no size recorded: the pictures have to be looked at")
        return True
    wrong = _compare(frame, root / frame.file_name, recorded)
    if wrong is None:
        return True
    if policy == "check":
        advice = "mend it, or use --images skip-bad (leave such frames out) or trust (do not look at pictures)"
        raise InputError(f"{wrong} (named in {frame.place}); {advice}" if frame.place else f"{wrong}; {advice}")
    report.note("skipped", "frame whose picture is missing, unreadable or of another size", wrong)
    return False


def _compare(frame: Frame, path: Path, recorded: bool) -> str | None:
    """Return what is wrong with the picture; without a recorded size take its own."""
    try:
        size = image_size(path)
    except InputError as error:
        return str(error)
    if recorded and size != (frame.width, frame.height):
        return f"{path}: the picture is {size[0]}x{size[1]}, but {frame.width}x{frame.height} is recorded"
    frame.width, frame.height = size
    return None
