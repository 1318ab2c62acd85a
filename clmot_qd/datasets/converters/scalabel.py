"""Frames in Scalabel's JSON format, which BDD100K's labels are in.

A file is a list of frames, or an object with the list ``frames`` and perhaps ``config``. Of a frame are read ``name``,
``videoName``, ``frameIndex`` (``index``), ``size`` and ``labels``; of a label ``id``, ``category``, ``attributes``,
``box2d``, ``poly2d`` and ``rle``. BDD100K's first release had a file for each picture, with ``name`` beside ``frames``
and ``objects`` in place of ``labels``: that is read as well.

Source: doc/format.md of https://github.com/ucbdrive/bdd100k and scalabel/label/typing.py of
https://github.com/scalabel/scalabel.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from clmot_qd.datasets.converters.json_stream import stream_json
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.scalabel_shapes import join_parts, read_shape
from clmot_qd.datasets.converters.source import Box, Frame
from clmot_qd.datasets.converters.text_files import require_keys
from clmot_qd.errors import InputError

Size = tuple[int, int]
Entries = Callable[[], Iterator[tuple[str, Any]]]

_FRAMES = ("", "frames")  # where frames are, by the keys of stream_json
_NUMBER_IN_NAME = re.compile(r"-(\d+)\.\w+$")
_SMALL = 8 << 20  # bytes; a video of 200 frames has 1 MB
_KEPT_ATTRIBUTES = ("occluded", "truncated")


@dataclass(frozen=True)
class Scalabel:
    """How the labels of a data set are to be read.

    Args:
        size: Width and height of pictures where neither the frame nor the file records them.
        videos: Frames are those of videos, and ids those of tracks. Otherwise frames are still pictures.
        synonyms: Names of classes -> those that are used instead.
        ignored: Classes that are neither to be learned from nor to be found.
        no_objects: Categories of labels that are no objects; they are passed over in silence.
    """

    size: Size
    videos: bool
    synonyms: Mapping[str, str] = field(default_factory=dict)
    ignored: Collection[str] = ()
    no_objects: Collection[str] = ()

    def read(self, path: Path, report: Report) -> Iterator[Frame]:
        """Read a file, or a folder of files that hold whole videos or still pictures.

        Frames of one video come one after the other, whatever their order in the file: a file with videos is gone
        through twice, first to count their frames. So no more than the videos that have begun stand in memory, or one
        small file.

        Raises:
            InputError: No file; no JSON; a frame or label that cannot be read; the message names it.
        """
        for file in _files(path):
            entries = _entries(file)
            parser = _Parser(self, file, entries, self._survey(file, entries, in_folder=path.is_dir()), report)
            begun: dict[str, list[Frame]] = {}
            for frame in parser.frames():
                if frame.video is None:
                    yield frame
                    continue
                begun.setdefault(frame.video, []).append(frame)
                if len(begun[frame.video]) == parser.head.frames[frame.video]:
                    yield from begun.pop(frame.video)

    def _survey(self, file: Path, entries: Entries, in_folder: bool) -> _Head:
        """Read what has to be known before the first frame."""
        head = _Head(self.size, file.stem if in_folder else None)
        for position, (key, entry) in enumerate(entries()):
            if key == "" and not self.videos:
                break
            if key == "config" and entry is not None:
                require_keys(entry, (), f"{file}: config")
                head.size = _size(entry.get("imageSize"), head.size, f"{file}: config")
            elif key == "name":
                head.name = entry
            elif key in _FRAMES and self.videos:
                head.frames[head.video_of(entry, f"{file}: frame {position}")] += 1
        return head


@dataclass
class _Head:
    """What a file says of all its frames: size, name of the only video, name of the only picture, frames by video."""

    size: Size
    video: str | None
    name: str | None = None
    frames: Counter[str] = field(default_factory=Counter)

    def video_of(self, entry: Any, place: str) -> str:
        require_keys(entry, (), place)
        video = entry.get("videoName") or self.video
        if video is None:
            raise InputError(f"{place}: no key 'videoName'; a file without it is to be in a folder of its video's name")
        return str(video)


class _Parser:
    """Turns the frames of one file into ours."""

    def __init__(self, how: Scalabel, file: Path, entries: Entries, head: _Head, report: Report) -> None:
        self.how = how
        self.file = file
        self.entries = entries
        self.head = head
        self.report = report

    def frames(self) -> Iterator[Frame]:
        entries = (entry for key, entry in self.entries() if key in _FRAMES)
        for position, entry in enumerate(entries):
            yield self._frame(entry, f"{self.file}: frame {position}")

    def _frame(self, entry: Any, place: str) -> Frame:
        require_keys(entry, (), place)
        name = self._name(entry, place)
        place = f"{self.file}: {name}"
        width, height = _size(entry.get("size"), self.head.size, place)
        frame = Frame(name, width, height, self._boxes(entry, (width, height), place), place=place)
        if self.how.videos:
            frame.video = self.head.video_of(entry, place)
            frame.file_name = name if "/" in name else f"{frame.video}/{name}"
            frame.number = _number(entry, name, place)
            frame.fields = {"frame_index": frame.number}
        return frame

    def _name(self, entry: dict[str, Any], place: str) -> str:
        name = entry.get("name", self.head.name)
        if not isinstance(name, str) or not name:
            raise InputError(f"{place}: name is {name!r}, not that of a picture")
        return name if PurePosixPath(name).suffix else f"{name}.jpg"

    def _boxes(self, entry: dict[str, Any], size: Size, place: str) -> list[Box]:
        labels = entry.get("labels") or entry.get("objects") or []
        if not isinstance(labels, list):
            raise InputError(f"{place}: labels is a {type(labels).__name__}, not a list")
        boxes = [box for index, label in enumerate(labels) for box in self._box(label, f"{place}: label {index}")]
        for box in boxes:
            _require_size(box, size)
        return list(join_parts(boxes))

    def _box(self, label: Any, place: str) -> Iterator[Box]:
        require_keys(label, ("category",), place)
        category = str(label["category"])
        if category in self.how.no_objects:
            return
        shape = read_shape(label, place)
        if shape is None:
            self.report.note("skipped", "label without box, polygon or mask", place, category)
            return
        attributes = {key.lower(): value for key, value in (label.get("attributes") or {}).items()}
        fields: dict[str, Any] = {key: bool(attributes[key]) for key in _KEPT_ATTRIBUTES if key in attributes}
        if shape.segmentation is not None:
            fields["segmentation"] = shape.segmentation
        if shape.area is not None:
            fields["area"] = shape.area
        yield Box(
            bbox=shape.bbox,
            category=self.how.synonyms.get(category, category),
            identity=self._identity(label, place),
            ignore=category in self.how.ignored,
            crowd=bool(attributes.get("crowd")),
            place=place,
            fields=fields,
        )

    def _identity(self, label: dict[str, Any], place: str) -> str | None:
        """Return the id as text: 7 and "7" are the same."""
        if not self.how.videos:
            return None
        if label.get("id") is None:
            self.report.note("kept", "label without an id, its box without identity", place)
            return None
        return str(label["id"])


def _require_size(box: Box, size: Size) -> None:
    """Check that a mask is one of the picture."""
    outline = box.fields.get("segmentation")
    if isinstance(outline, dict) and tuple(outline["size"]) != size[::-1]:
        what = f"rle.size is {outline['size']}, but {[size[1], size[0]]} is height and width of the picture"
        raise InputError(f"{box.place}: {what}; encode the mask in pixels of the picture")


def _entries(file: Path) -> Entries:
    """What :func:`stream_json` gives, as often as it is asked for; a small file is read once."""
    if not file.is_file() or file.stat().st_size > _SMALL:
        return partial(stream_json, file)
    return list(stream_json(file)).__iter__


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.json"))
    if not files:
        raise InputError(f"{path}: no JSON file in here; see the layout that --help shows")
    return files


def _size(entry: Any, default: Size, place: str) -> Size:
    if entry is None:
        return default
    require_keys(entry, ("width", "height"), f"{place}: size")
    width, height = entry["width"], entry["height"]
    if not (isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0):
        raise InputError(f"{place}: size is {width!r} x {height!r}, not in pixels; mend the file")
    return width, height


def number_in_name(name: str) -> int | None:
    """Return the index of a frame from the name of its picture: names count from 1, indices from 0."""
    found = _NUMBER_IN_NAME.search(name)
    return int(found[1]) - 1 if found else None


def _number(entry: dict[str, Any], name: str, place: str) -> int:
    """Return the place of a frame in time: ``frameIndex``, in older files ``index``, else the number in its name."""
    number = entry.get("frameIndex", entry.get("index"))
    if number is None:
        number = number_in_name(name)
    if isinstance(number, bool) or not isinstance(number, int):
        raise InputError(f"{place}: frameIndex is {number!r}, no number, and the name has none either")
    return number
