"""From a :class:`~.source.Source` to a CocoVID file, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from clmot_qd.datasets.converters.builder import CocoVidBuilder, Entry, VideoCounts
from clmot_qd.datasets.converters.images import ImagePolicy, settle_size
from clmot_qd.datasets.converters.source import Counts, Frame, Source
from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError, expecting_form
from clmot_qd.files import atomic_path

#: Wraps the frames to show progress; gets them and their number, if known.
Progress = Callable[[Iterable[Frame], int | None], Iterable[Frame]]


_LARGEST = 2**53  # greater numbers cannot be told from their neighbours


@dataclass(frozen=True)
class Conversion:
    """What came of it.

    Args:
        title: Of the source.
        rows: Counts, one for each video and one for all still pictures.
        remarks: One line for each kind of remark.
        published: What the authors say there is.
        published_videos: The same of single videos.
    """

    title: str
    rows: list[VideoCounts]
    remarks: list[str]
    published: Counts | None
    published_videos: Mapping[str, Counts]

    def counts(self, classes: Sequence[str] = ()) -> Counts:
        """Return the sums over all videos, of some classes or of all."""
        rows = [row.counts(classes) for row in self.rows]
        sums = {key: sum(getattr(row, key) for row in rows) for key in ("images", "boxes", "identities", "videos")}
        return Counts(**sums, classes=tuple(classes))

    @property
    def ignored(self) -> int:
        """Boxes that are ``ignore`` or ``crowd``."""
        return sum(row.ignored for row in self.rows)


def convert(
    source: Source,
    out: PathLike | None,
    *,
    classes: Sequence[str] | None = None,
    identities: bool = True,
    images: ImagePolicy = "check",
    progress: Progress = lambda frames, total: frames,
) -> Conversion:
    """Write a data set as one CocoVID file; the same input gives the same file.

    Args:
        source: The data set; it can be read once.
        out: File to write; None counts and checks only.
        classes: Names of the classes to take; None takes all.
        identities: False leaves ``instance_id`` out.
        images: Whether pictures are looked at; see :data:`~.images.ImagePolicy`.
        progress: Wraps the frames.

    Returns:
        Counts and remarks.

    Raises:
        InputError: What cannot be converted; nothing is written then.
    """
    keep = _chosen(source, classes)
    clip = source.outside == "clip"
    builder = CocoVidBuilder(source.categories, keep, source.report, clip, identities, source.videos)
    with _writing(out) as stream:
        sink = _AnnotationSink(stream)
        for video in _videos(source, images, progress):
            with expecting_form(lambda: f"{source.title}, at {video[0].place or video[0].file_name}"):  # noqa: B023
                sink.write(builder.add_video(video))
        if not builder.images:
            remarks = "".join(f"; {line}" for line in source.report.lines())
            raise InputError(f"{source.title}: no frame to convert; is the folder the right one?{remarks}")
        categories = [
            {"id": number, "name": name, **source.category_fields.get(name, {})}
            for name, number in source.categories.items()
            if name in keep
        ]
        sink.finish(videos=builder.videos, images=builder.images, categories=categories)
    rows = list(builder.counts.values())
    return Conversion(source.title, rows, source.report.lines(), source.published, source.published_videos)


def _chosen(source: Source, classes: Sequence[str] | None) -> list[str]:
    for name in classes or ():
        if name not in source.categories:
            raise InputError(f"classes: {name!r} is none of {source.title}: {', '.join(source.categories)}")
    return list(source.categories) if classes is None else list(classes)


def _videos(source: Source, images: ImagePolicy, progress: Progress) -> Iterator[list[Frame]]:
    """Give frames video by video, still pictures one by one."""
    video: list[Frame] = []
    for frame in progress(_told(source), source.total):
        if video and (frame.video is None or frame.video != video[0].video):
            yield video
            video = []
        if not frame.selected or settle_size(frame, source.images, images, source.report):
            video.append(frame)
    if video:
        yield video


def _told(source: Source) -> Iterator[Frame]:
    """Give the frames; what a reader trips over is told with the frame before it."""
    last = "at its beginning"
    frames = iter(source.frames)
    while True:
        with expecting_form(lambda: f"{source.title}, {last}"):  # noqa: B023
            frame = next(frames, None)
        if frame is None:
            return
        _require_frame(frame)
        last = f"after {frame.place or frame.file_name}"
        yield frame


def _require_frame(frame: Frame) -> None:
    """Check what readers pass on as they find it."""
    place = frame.place or str(frame.file_name)
    for key, kind in (("file_name", str), ("width", int), ("height", int), ("number", int)):
        value = getattr(frame, key)
        if type(value) is not kind or (kind is int and abs(value) > _LARGEST):
            raise InputError(f"{place}: {key} is {value!r}; it must be {'a text' if kind is str else 'a whole number'}")
    if not isinstance(frame.video, str | None):
        raise InputError(f"{place}: the name of its video is {frame.video!r}, no text")


@contextmanager
def _writing(out: PathLike | None) -> Iterator[IO[str] | None]:
    if out is None:
        yield None
        return
    with atomic_path(out) as path, open(path, "w", encoding="utf-8") as stream:
        yield stream


class _AnnotationSink:
    """Writes annotations as they come, so that memory does not grow with them; the other lists come last."""

    def __init__(self, stream: IO[str] | None) -> None:
        self.stream = stream
        self._encode = json.JSONEncoder(allow_nan=False).encode  # NaN is no JSON: a reader's defect, stopped here
        self._separator = "\n"
        self._put('{"annotations": [')

    def write(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            try:
                text = self._encode(entry)
            except ValueError as error:
                raise InputError(f"box {entry['bbox']}: a further value of it is not finite: {entry}") from error
            self._put(self._separator + text)
            self._separator = ",\n"

    def finish(self, **lists: Sequence[Entry]) -> None:
        try:
            rest = "".join(f',\n"{name}": {self._encode(entries)}' for name, entries in lists.items())
        except ValueError as error:
            raise InputError("a further value of an image, a video or a class is not finite; mend the file") from error
        self._put(f"\n]{rest}}}\n")

    def _put(self, text: str) -> None:
        if self.stream is not None:
            self.stream.write(text)
