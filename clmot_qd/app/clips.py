"""From an upload to frames: judged by its content, never by its name, and bounded before anything decodes it.

A file's name is a visitor's text, and decoders read meaning into names (``%04d``, ``://``). So a clip gets a name of
ours in the job's folder. Its container is told from its first bytes: play lists, which may name other files and
addresses, and all else that a decoder might recognise never reach one.
"""

from __future__ import annotations

import io
import lzma
import os
import shutil
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clmot_qd.apis.frame_sources import FrameSource, natural_key, open_source
from clmot_qd.app.jobs import is_servers_matter
from clmot_qd.app.limits import Limits
from clmot_qd.app.uploaded_video import UploadedVideo, opened
from clmot_qd.errors import InputError

SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".zip")
"""What the page offers to choose; the content decides."""
PICTURES = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".webp": "WEBP"}
"""Pictures of a zip: suffix -> what Pillow calls the format."""
# The first box of an ISO file (mp4, mov), after its length.
_ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
# What a zip may say of one of its files: its name and a few numbers.
_ENTRY_BYTES = 1000
_LEAST_DIRECTORY_BYTES = 1 << 18


@dataclass(frozen=True)
class Clip:
    """Frames that wait in the job's folder.

    Attributes:
        source: A video file, or a folder of pictures.
        frames: How many, as far as the file says; None: it does not.
        rate: Frames per second; None where nothing says so.
        name: What the visitor calls it.
    """

    source: Path
    frames: int | None
    rate: float | None
    name: str = "video"

    def open(self, limits: Limits) -> FrameSource:
        """The frames.

        Raises:
            InputError: There is none that can be decoded; while iterating: one is too large.
        """
        if self.source.is_dir():
            return open_source(self.source)
        return UploadedVideo(self.source, self.name, self.rate, limits)


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
    frames, rate = _probe(path, limits)
    return Clip(path, frames, rate, upload.stem)


def link_or_copy(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


# ---- video -------------------------------------------------------------------------------------------------------


def _probe(path: Path, limits: Limits) -> tuple[int | None, float | None]:
    """Number of frames and frame rate as the container tells them, after its limits were checked."""
    import av

    try:
        with opened(path) as container:
            if not container.streams.video:
                raise InputError("this file holds no video, only sound or nothing")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise InputError("this video is damaged, or of a coding that is not known here: convert it to H.264")
            limits.check_size(stream.codec_context.width, stream.codec_context.height)
            rate = float(stream.average_rate) if stream.average_rate else None
            seconds = _seconds(stream, container)
    except InputError:
        raise
    except (av.FFmpegError, ValueError, OSError) as error:
        if is_servers_matter(error) and not isinstance(error, av.FFmpegError):
            raise
        raise InputError("this video cannot be opened: it is damaged, cut off or of an unknown coding") from None
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
        with _DirectoryReader(upload, limits) as file, zipfile.ZipFile(file) as archive:
            entries = _picture_entries(archive, limits)
            _write_pictures(archive, entries, folder, limits)
    except InputError:
        raise
    except (
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError),
        *(RuntimeError, ValueError, NotImplementedError),
    ) as error:
        if is_servers_matter(error):
            raise
        lines = str(error).splitlines() or ["damaged"]
        raise InputError(f"this zip cannot be unpacked ({lines[0]})") from None
    return Clip(folder, len(entries), None, upload.stem)


class _DirectoryReader(io.FileIO):
    """A zip whose directory must not be longer than the pictures that are allowed need; it is read at once."""

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(path)
        self._most, self._limits = max(_ENTRY_BYTES * limits.max_frames, _LEAST_DIRECTORY_BYTES), limits

    def read(self, size: int | None = -1, /) -> bytes:
        """As every file, unless so much is asked for."""
        if size is not None and size > self._most:
            raise InputError(f"the zip lists far more files than {self._limits.max_frames} pictures: cut it first")
        return super().read(-1 if size is None else size) or b""


def _picture_entries(archive: zipfile.ZipFile, limits: Limits) -> list[zipfile.ZipInfo]:
    """The pictures of a zip in the natural order of their names; hidden files of other systems are left out."""
    found = [entry for entry in archive.infolist() if not entry.is_dir() and _is_picture(Path(entry.filename))]
    if not found:
        raise InputError(f"the zip holds no pictures ({', '.join(sorted(PICTURES))})")
    limits.check_length(len(found), None, "the zip has {} pictures")
    limits.check_bytes(sum(entry.file_size for entry in found), "the unpacked zip")
    return sorted(found, key=lambda entry: natural_key(entry.filename))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and not path.name.startswith(".")


def _write_pictures(archive: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo], folder: Path, limits: Limits) -> None:
    first: tuple[int, int] | None = None
    for number, entry in enumerate(entries, start=1):
        target = folder / f"{number:06d}{Path(entry.filename).suffix.lower()}"
        with archive.open(entry) as packed, target.open("wb") as file:
            shutil.copyfileobj(packed, file)
        size = _picture_size(target, number, limits)
        first = first or size
        if size != first:
            told = f"picture {number} of the zip is {size[0]}x{size[1]}, the first one is {first[0]}x{first[1]}"
            raise InputError(f"{told}: give them one size")


def _picture_size(path: Path, number: int, limits: Limits) -> tuple[int, int]:
    """(width, height), from a picture's header before anything decodes it."""
    from PIL import Image

    try:
        with Image.open(path, formats=[PICTURES[path.suffix]]) as picture:
            size = picture.size
    except Image.DecompressionBombError:
        most = f"{limits.max_pixels / 1e6:.1f} million pixels"
        raise InputError(f"picture {number} of the zip is far larger than this page takes ({most})") from None
    except (OSError, ValueError, SyntaxError) as error:
        if is_servers_matter(error):
            raise
        raise InputError(f"picture {number} of the zip is no {PICTURES[path.suffix]} picture") from None
    limits.check_size(*size)
    return size
