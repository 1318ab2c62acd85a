"""What a data set looks like to the converter, whatever its files: frames with boxes, one after the other.

A reader of one data set turns its files into a :class:`Source`. All that is the same for every data set (numbering,
checking, counting, writing) is done once, in :mod:`.builder` and :mod:`.conversion`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from clmot_qd.datasets.converters.report import Report


@dataclass(slots=True)
class Box:
    """One labelled box.

    Args:
        bbox: x, y, w, h in pixels of the original image, as the source has it: not rounded, not clipped. A source that
            counts pixels from 1 has been shifted by its reader.
        category: Name of the class.
        identity: Who it is, unique within the video (within the data set for still pictures); None if not known.
        ignore: Neither to be learned from nor to be found.
        crowd: A region with several objects (COCO's ``iscrowd``).
        place: ``FILE:LINE`` or ``FILE: label 12``, for messages.
        fields: Further keys of the annotation.
    """

    bbox: Sequence[float]
    category: str
    identity: Hashable | None = None
    ignore: bool = False
    crowd: bool = False
    place: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Frame:
    """One picture with its boxes.

    Args:
        file_name: Relative to the folder of the pictures.
        width: Pixels; 0 if the source does not say and the picture has to be looked at.
        height: Likewise.
        boxes: Its boxes, in a list or in anything that gives them as often as it is asked.
        video: Name of its video; None for a still picture. Frames of a video come one after the other, in any order.
        number: Place in time within the video, any start, gaps allowed.
        place: ``FILE:LINE`` or ``FILE: frame 12``, for messages.
        relative: Its boxes are shares of width and height instead of pixels.
        selected: False leaves the frame out, but its identities are numbered: halves of a video agree on them.
        fields: Further keys of the image entry, such as ``mot_frame_id``.
    """

    file_name: str
    width: int
    height: int
    boxes: Iterable[Box]
    video: str | None = None
    number: int = 0
    place: str = ""
    relative: bool = False
    selected: bool = True
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Counts:
    """How much of everything there is; None where nobody says.

    Args:
        images: Number of pictures.
        boxes: Boxes that are neither ``ignore`` nor ``crowd``, of ``classes``.
        identities: Identities among these boxes.
        videos: Number of videos.
        classes: Names of the classes that were counted; empty for all.
        origin: Where the published figure stands.
    """

    images: int | None = None
    boxes: int | None = None
    identities: int | None = None
    videos: int | None = None
    classes: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True)
class Source:
    """A data set, opened.

    Args:
        title: For the table: ``MOT17 train``.
        categories: Name -> id of every class that can occur, those that are never learned included. A box of another
            class is skipped and counted.
        frames: All frames, read as they are asked for.
        images: Folder that ``file_name`` is relative to; None if the pictures cannot be looked at.
        report: Where the reader puts its own remarks.
        total: Number of frames, for the progress bar; None if not known before reading.
        videos: Name -> further keys of the video entry (``fps``, say).
        outside: What is done with boxes that reach beyond the picture: ``keep`` for full-body boxes, whose unseen part
            is meant, ``clip`` for the others.
        category_fields: Name -> further keys of the category entry.
        published: What the authors say there is.
        published_videos: The same of single videos, by name.
    """

    title: str
    categories: Mapping[str, int]
    frames: Iterable[Frame]
    images: Path | None
    report: Report
    total: int | None = None
    videos: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outside: Literal["keep", "clip"] = "clip"
    category_fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    published: Counts | None = None
    published_videos: Mapping[str, Counts] = field(default_factory=dict)
