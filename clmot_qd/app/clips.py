"""From an upload to frames: judged by its content, never by its name, and bounded before anything decodes it.

A file's name is a visitor's text, and decoders read meaning into names (``%04d``, ``://``). So a clip gets a name of
ours in the job's folder. Its container is told from its first bytes: play lists, which may name other files and
addresses, and all else that a decoder might recognise never reach one.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clmot_qd.app.limits import Limits
from clmot_qd.errors import InputError

SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".zip")
"""What the page offers to choose; the content decides."""
PICTURES = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".webp": "WEBP"}
"""Pictures of a zip: suffix -> what Pillow calls the format."""
# The first box of an ISO file (mp4, mov), after its length.
_ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
# Our kinds under the names of FFmpeg's demuxers.
_DEMUXERS = {"mp4": "mov", "avi": "avi", "mkv": "matroska"}


@dataclass(frozen=True)
class Clip:
    """Frames that wait in the job's folder.

    Attributes:
        source: A video file, or a folder of pictures.
        frames: How many, as far as the file says; None: it does not.
        rate: Frames per second; None where nothing says so.
    """

    source: Path
    frames: int | None
    rate: float | None


def container_of(path: Path) -> str | None:
    """``'mp4'`` (and mov), ``'avi'``, ``'mkv'`` (and webm) or ``'zip'`` by the first bytes; None: none of these."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in _ISO_BOXES:
        return "mp4"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "mkv"
    return "zip" if head[:4] == b"PK\x03\x04" else None


def prepare_clip(upload: Path, folder: Path, limits: Limits) -> Clip:
    """Put an upload into the job's folder as something that can be tracked.

    Args:
        upload: The file.
        folder: Of the job; exists.
        limits: What the operator allows.

    Raises:
        InputError: It is no video or zip of pictures, or larger, longer or wider than allowed; without a path.
    """
    if not upload.is_file():
        raise InputError("the uploaded file is not there any more: choose it again")
    limits.check_bytes(upload.stat().st_size)
    kind = container_of(upload)
    if kind is None:
        raise InputError("this is neither a video (mp4, mov, avi, mkv, webm) nor a zip of pictures")
    if kind == "zip":
        return _unpack(upload, folder / "frames", limits)
    path = folder / f"clip.{kind}"
    link_or_copy(upload, path)
    frames, rate = _probe(path, kind, limits)
    return Clip(path, frames, rate)


def link_or_copy(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


# ---- video -------------------------------------------------------------------------------------------------------


def _probe(path: Path, kind: str, limits: Limits) -> tuple[int | None, float | None]:
    """Number of frames and frame rate as the container tells them, after its limits were checked."""
    import av

    try:
        with av.open(str(path), format=_DEMUXERS[kind], options={"protocol_whitelist": "file"}) as container:
            if not container.streams.video:
                raise InputError("this file holds no video, only sound or nothing")
            stream = container.streams.video[0]
            limits.check_size(stream.codec_context.width, stream.codec_context.height)
            rate = float(stream.average_rate) if stream.average_rate else None
            seconds = _seconds(stream, container)
    except (av.FFmpegError, ValueError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("this video cannot be opened: it is damaged, cut off or of an unknown coding") from error
    frames = stream.frames or (round(seconds * rate) if seconds and rate else None)
    limits.check_length(frames, seconds)
    return frames, rate


def _seconds(stream: Any, container: Any) -> float | None:
    """The length of a video stream; of the whole file where the stream does not say."""
    import av

    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


# ---- pictures ----------------------------------------------------------------------------------------------------


def _unpack(upload: Path, folder: Path, limits: Limits) -> Clip:
    """Write the pictures of a zip as 000001.jpg ... in the natural order of their names."""
    folder.mkdir()
    try:
        with zipfile.ZipFile(upload) as archive:
            entries = list(_picture_entries(archive))
            limits.check_length(len(entries), None)
            limits.check_bytes(sum(entry.file_size for entry in entries), "the unpacked zip")
            for number, entry in enumerate(entries, start=1):
                target = folder / f"{number:06d}{Path(entry.filename).suffix.lower()}"
                with archive.open(entry) as packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file)
                _check_picture(target, number, limits)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"this zip cannot be unpacked ({str(error).splitlines()[0] or 'damaged'})") from error
    return Clip(folder, len(entries), None)


def _picture_entries(archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """The pictures of a zip in the natural order of their names; hidden files of other systems are left out."""
    found = [
        entry
        for entry in archive.infolist()
        if Path(entry.filename).suffix.lower() in PICTURES and not Path(entry.filename).name.startswith(".")
    ]
    if not found:
        raise InputError(f"this zip holds no pictures ({', '.join(sorted(PICTURES))})")
    yield from sorted(found, key=lambda entry: _natural_key(entry.filename))


def _natural_key(name: str) -> list[tuple[int, str]]:
    """Runs of digits count as numbers: ``2.jpg`` before ``10.jpg``."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isascii() and part.isdigit() else (-1, part) for part in parts]


def _check_picture(path: Path, number: int, limits: Limits) -> None:
    """Look at a picture's header before anything decodes it."""
    from PIL import Image

    try:
        with Image.open(path, formats=[PICTURES[path.suffix]]) as picture:
            limits.check_size(*picture.size)
    except InputError:
        raise
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"picture {number} of the zip is no {PICTURES[path.suffix]} picture") from error
