"""Frames in, entries of a CocoVID file out: numbering, checking and counting, the same for every data set.

The schema is described in ``docs/data.md``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box, Counts, Frame
from clmot_qd.errors import InputError

Entry = dict[str, Any]
_ROUNDING = 1e-6  # pixels


@dataclass
class VideoCounts:
    """What was taken of one video, or of all still pictures; boxes by class, ``ignore`` and ``crowd`` aside."""

    name: str
    videos: int = 1
    images: int = 0
    boxes: dict[str, int] = field(default_factory=dict)
    ignored: int = 0
    identities: dict[str, set[int]] = field(default_factory=dict)

    def add(self, category: str, ignored: bool, identity: int | None) -> None:
        """Count one box."""
        if ignored:
            self.ignored += 1
            return
        self.boxes[category] = self.boxes.get(category, 0) + 1
        if identity is not None:
            self.identities.setdefault(category, set()).add(identity)

    def counts(self, classes: Sequence[str] = ()) -> Counts:
        """Return the counts of some classes or of all."""
        boxes = sum(count for name, count in self.boxes.items() if not classes or name in classes)
        numbers = [numbers for name, numbers in self.identities.items() if not classes or name in classes]
        return Counts(self.images, boxes, len(set().union(*numbers)), self.videos, tuple(classes))


class CocoVidBuilder:
    """Turns frames into entries; ids are counted from 1 in the order in which things come.

    Args:
        categories: Name -> id of the classes that the source has.
        keep: Names of those to take.
        report: Where remarks go.
        clip: Cut boxes at the border of the picture; otherwise they stay as they are.
        identities: Write ``instance_id``.
        videos: Name -> further keys of the video entry.

    Attributes:
        videos: Entries of the videos.
        images: Entries of the pictures.
        counts: One :class:`VideoCounts` for each video, one for all still pictures.
    """

    def __init__(
        self,
        categories: Mapping[str, int],
        keep: Collection[str],
        report: Report,
        clip: bool,
        identities: bool = True,
        videos: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Start empty."""
        self.categories = dict(categories)
        self.keep = frozenset(keep)
        self.report = report
        self.clip = clip
        self.identities = identities
        self.video_fields = videos or {}
        self.videos: list[Entry] = []
        self.images: list[Entry] = []
        self.counts: dict[str | None, VideoCounts] = {}
        self._instances: dict[tuple[str | None, Hashable], int] = {}
        self._annotations = 0

    def add_video(self, frames: list[Frame]) -> Iterator[Entry]:
        """Take the frames of one video, or still pictures, and give the entries of their boxes one after the other.

        Identities are numbered in the order in which all frames show them, selected or not.

        Raises:
            InputError: The video has been added before, or two frames have one number; in strict mode any remark.
        """
        name = frames[0].video
        if name is not None and name in self.counts:
            raise InputError(
                f"{frames[0].place or name}: video {name!r} comes a second time; its frames must be together"
            )
        ordered = frames if name is None else _in_order(frames)
        taken = [frame for frame in ordered if frame.selected]
        if not taken:
            return
        if len(taken) < len(ordered):
            self._number_identities(ordered)
        counts = self.counts.setdefault(name, VideoCounts(name or "still pictures", videos=int(name is not None)))
        counts.images += len(taken)
        video = None if name is None else self._start_video(name, taken)
        for time, frame in zip(_times(taken), taken):
            yield from self._boxes_of(frame, self._add_image(frame, video, time), counts)

    def _number_identities(self, frames: Sequence[Frame]) -> None:
        """Number the identities of all frames as they would be if all were selected."""
        for frame in frames:
            for box in frame.boxes:
                if box.identity is not None and box.category in self.keep and _has_area(box.bbox):
                    self._instance(frame.video, box.identity)

    def _start_video(self, name: str, frames: list[Frame]) -> int:
        video = len(self.videos) + 1
        size = {"width": frames[0].width, "height": frames[0].height}
        self.videos.append(
            {"id": video, "name": name, **size, "length": len(frames), **self.video_fields.get(name, {})}
        )
        return video

    def _add_image(self, frame: Frame, video: int | None, time: int) -> int:
        image = len(self.images) + 1
        place = {} if video is None else {"video_id": video, "frame_id": time}
        size = {"width": frame.width, "height": frame.height}
        self.images.append({"id": image, **place, "file_name": frame.file_name, **size, **frame.fields})
        return image

    def _boxes_of(self, frame: Frame, image: int, counts: VideoCounts) -> Iterator[Entry]:
        seen: set[Hashable] = set()
        for box in frame.boxes:
            bbox = self._accept(box, frame, seen)
            if bbox is None:
                continue
            if box.identity is not None:
                seen.add(box.identity)
            entry = self._entry(box, bbox, frame, image)
            counts.add(box.category, box.ignore or box.crowd, entry.get("instance_id"))
            yield entry

    def _accept(self, box: Box, frame: Frame, seen: Collection[Hashable]) -> list[float] | None:
        """Return the box as it is to be written, None if it is left out."""
        if box.category not in self.categories:
            self.report.note("skipped", f"box of unknown class {box.category!r}", box.place)
            return None
        if box.category not in self.keep:
            return None
        bbox = self._checked(box, frame)
        if bbox is not None and self.identities and box.identity is not None and box.identity in seen:
            self.report.note("skipped", "second box of an identity in one frame", box.place, f"identity {box.identity}")
            return None
        return bbox

    def _checked(self, box: Box, frame: Frame) -> list[float] | None:
        x, y, width, height = bbox = _in_pixels(box, frame)
        if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(width) and math.isfinite(height)):
            self.report.note("skipped", "box with a value that is not finite", box.place, _shown(bbox))
            return None
        if width <= 0 or height <= 0:
            self.report.note("skipped", "box without an area", box.place, _shown(bbox))
            return None
        left, top = max(x, 0.0), max(y, 0.0)
        right, bottom = min(x + width, frame.width), min(y + height, frame.height)
        if max(left - x, top - y, x + width - right, y + height - bottom) <= _ROUNDING:
            return bbox
        return self._at_border(box, bbox, [left, top, right - left, bottom - top])

    def _at_border(self, box: Box, whole: list[float], inside: list[float]) -> list[float] | None:
        visible = inside[2] > 0 and inside[3] > 0
        if not self.clip:
            kind = "box that reaches beyond the picture" if visible else "box outside the picture"
            self.report.note("kept", kind, box.place, _shown(whole))
            return whole
        if not visible:
            self.report.note("skipped", "box outside the picture", box.place, _shown(whole))
            return None
        self.report.note("clipped", "box that reaches beyond the picture", box.place, _shown(whole))
        return inside

    def _entry(self, box: Box, bbox: list[float], frame: Frame, image: int) -> Entry:
        self._annotations += 1
        entry: Entry = {"id": self._annotations, "image_id": image}
        if frame.video is not None:
            entry["video_id"] = len(self.videos)
        entry |= {"category_id": self.categories[box.category], "bbox": bbox, "area": bbox[2] * bbox[3]}
        entry |= {"iscrowd": int(box.crowd), "ignore": box.ignore}
        if self.identities and box.identity is not None:
            entry["instance_id"] = self._instance(frame.video, box.identity)
        return entry | box.fields

    def _instance(self, video: str | None, identity: Hashable) -> int:
        return self._instances.setdefault((video, identity), len(self._instances) + 1)


def _has_area(bbox: Sequence[float]) -> bool:
    return all(map(math.isfinite, bbox)) and bbox[2] > 0 and bbox[3] > 0


def _in_pixels(box: Box, frame: Frame) -> list[float]:
    x, y, width, height = (float(value) for value in box.bbox)
    if frame.relative:
        return [x * frame.width, y * frame.height, width * frame.width, height * frame.height]
    return [x, y, width, height]


def _shown(bbox: list[float]) -> str:
    return "x {:g}, y {:g}, w {:g}, h {:g}".format(*bbox)


def _times(frames: Sequence[Frame]) -> list[int]:
    """Return ``frame_id`` of each frame, from 0: its place, or, where frames are numbered as MOT does, its number.

    So a tracker sees a gap in a MOT video as one, whether it runs in a model or on result files.
    """
    if all("mot_frame_id" in frame.fields for frame in frames):
        return [frame.fields["mot_frame_id"] - frames[0].fields["mot_frame_id"] for frame in frames]
    return list(range(len(frames)))


def _in_order(frames: list[Frame]) -> list[Frame]:
    ordered = sorted(frames, key=lambda frame: frame.number)
    for number, group in groupby(ordered, key=lambda frame: frame.number):
        one, *others = group
        if others:
            what = f"{one.file_name} and {others[0].file_name} are both frame {number}"
            raise InputError(f"{others[0].place or one.video}: {what} of video {one.video}; remove one")
    return ordered
