"""What every reader returns: the detections of a video, and those of several videos with the names of their classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from clmot_qd.datasets.mot_text import LAST_FRAME, BoolArray, FloatArray, IntArray
from clmot_qd.errors import InputError

_MOST_DIGITS = 15  # of a number that a double holds exactly
_LARGEST_EXACT = 2**53  # greater numbers cannot be told from their neighbours


@dataclass(frozen=True)
class VideoDetections:
    """The detections of one video; rows in any order.

    Args:
        frames: (n,) number of the frame, from 1, as result files count.
        bboxes: (n, 4) xyxy in pixels of the original image.
        scores: (n,).
        labels: (n,) index into ``DetectionSet.classes``; 0 where the source has no classes.
        embeds: (n, C) float32 as the source has them, not normalised; None where it has none.
        numbers: (T,) all frames of the video, ascending, those without detections included; None: not known.
    """

    frames: IntArray
    bboxes: FloatArray
    scores: FloatArray
    labels: IntArray
    embeds: np.ndarray | None = None
    numbers: IntArray | None = None

    def __len__(self) -> int:
        """Return the number of detections."""
        return len(self.frames)

    def select(self, rows: BoolArray | IntArray) -> VideoDetections:
        """Return the detections that a mask or an index array picks, in the same frames of the video."""
        embeds = None if self.embeds is None else self.embeds[rows]
        return VideoDetections(
            self.frames[rows], self.bboxes[rows], self.scores[rows], self.labels[rows], embeds, self.numbers
        )

    def all_frames(self) -> IntArray:
        """Return the numbers of all frames: those that are known, else 1 to the last one with a detection.

        Raises:
            InputError: They are not known, and there would be more than anybody has.
        """
        if self.numbers is not None:
            return self.numbers
        last = int(self.frames.max(initial=0))
        if last > LAST_FRAME:
            raise InputError(f"a detection in frame {last}: frames are counted from 1 up to {LAST_FRAME}; mend its row")
        return np.arange(1, last + 1)

    def by_frame(self, numbers: IntArray) -> Iterator[IntArray]:
        """Yield the rows of each of these frames (ascending), in the order of the source."""
        order = np.argsort(self.frames, kind="stable")
        ordered = self.frames[order]
        starts, ends = np.searchsorted(ordered, numbers), np.searchsorted(ordered, numbers, side="right")
        yield from (order[start:end] for start, end in zip(starts, ends))


@dataclass(frozen=True)
class DetectionSet:
    """The detections of several videos.

    Args:
        source: File or folder, for messages.
        videos: Name -> detections; those of a cache folder are read when they are asked for.
        classes: Names that labels stand for (a number as text where the source names classes by number); empty where
            the source has no classes.
    """

    source: str
    videos: Mapping[str, VideoDetections]
    classes: tuple[str, ...] = ()

    def class_numbers(self, categories: Mapping[str, int] | None = None) -> list[int] | None:
        """Return the number of each label in result files; None where the source has no classes.

        Args:
            categories: Name -> number of an annotation file; None: classes that are numbers keep them, names are
                numbered from 1.

        Raises:
            InputError: A class that the annotation file does not have, or names and numbers mixed.
        """
        if not self.classes:
            return None
        if categories is None:
            whole = [_is_number(name) for name in self.classes]
            if any(whole) and not all(whole):
                mixed = f"{self.classes[whole.index(True)]} and {self.classes[whole.index(False)]}"
                raise InputError(f"{self.source}: classes are names and numbers ({mixed}); write one or the other")
            return [int(name) for name in self.classes] if all(whole) else list(range(1, len(self.classes) + 1))
        by_number = {str(number): number for number in categories.values()}
        known = {**by_number, **categories}
        for name in self.classes:
            if name not in known:
                raise InputError(
                    f"{self.source}: class {name!r} is none of the annotations' ({', '.join(categories)}); choose or "
                    f"rename classes, e.g. --keep-classes {name}={next(iter(categories))}"
                )
        return [known[name] for name in self.classes]

    def choose(self, names: Sequence[str]) -> DetectionSet:
        """Return only these videos."""
        return replace(self, videos=_View(self.videos, tuple(names)))

    def within(self, frames: Mapping[str, IntArray]) -> DetectionSet:
        """Return only these frames of these videos; those of ``frames`` without detections stay without."""
        names = tuple(name for name in self.videos if name in frames)
        return replace(self, videos=_View(self.videos, names, partial(_only_frames, frames)))

    def keep_classes(self, renamed: Mapping[str, str]) -> DetectionSet:
        """Return only these classes, under new names; several may become one.

        Raises:
            InputError: A class that does not occur.
        """
        for name in renamed:
            if name not in self.classes:
                known = ", ".join(self.classes) or "none: its detections have no class"
                raise InputError(f"{self.source}: no class {name!r}; there are {known}")
        names = tuple(dict.fromkeys(renamed.values()))
        target = np.array([names.index(renamed[name]) if name in renamed else -1 for name in self.classes])
        view = _View(self.videos, tuple(self.videos), partial(_relabelled, target))
        return replace(self, videos=view, classes=names)


class _View(Mapping[str, VideoDetections]):
    """Some of the videos, each changed when it is asked for; nothing is read before."""

    def __init__(
        self,
        videos: Mapping[str, VideoDetections],
        names: tuple[str, ...],
        change: Callable[[str, VideoDetections], VideoDetections] | None = None,
    ) -> None:
        self._videos, self._names, self._change = videos, names, change

    def __getitem__(self, name: str) -> VideoDetections:
        if name not in self._names:
            raise KeyError(name)
        found = self._videos[name]
        return found if self._change is None else self._change(name, found)

    def __contains__(self, name: object) -> bool:
        return name in self._names  # the parent's would read the video

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _relabelled(target: IntArray, name: str, found: VideoDetections) -> VideoDetections:
    """Label l becomes ``target[l]``; detections are left out where that is -1."""
    found = replace(found, labels=target[found.labels])
    return found.select(found.labels >= 0)


def _only_frames(frames: Mapping[str, IntArray], name: str, found: VideoDetections) -> VideoDetections:
    """The detections in some frames of the video, which now has no others."""
    return replace(found.select(np.isin(found.frames, frames[name])), numbers=frames[name])


@dataclass(frozen=True)
class Rows:
    """What a file of any format says, before it is checked: one entry per detection.

    Args:
        place: Row -> where it stands, for messages.
        frames: (n,) may still be anything.
        bboxes: (n, 4) xyxy.
        scores: (n,).
        videos: Name of the video of each row; None: the file is about one video.
        classes: Name of the class of each row; None: the file has no classes.
        embeds: (n, C) or None.
    """

    place: Callable[[int], str]
    frames: FloatArray
    bboxes: FloatArray
    scores: FloatArray
    videos: Sequence[str] | None = None
    classes: Sequence[str] | None = None
    embeds: np.ndarray | None = None


def to_set(source: str, rows: Rows, name: str, frame_offset: int = 0) -> DetectionSet:
    """Check the rows of a file and sort them by videos.

    Args:
        source: The file.
        rows: What it says.
        name: Of the video, if the file is about one.
        frame_offset: Added to all frame numbers: 1 for a file that counts from 0.

    Raises:
        InputError: For the first row that is no detection, with its place.
    """
    frames = rows.frames + frame_offset
    check_rows(rows, frames)
    classes = () if rows.classes is None else tuple(sorted(set(rows.classes), key=_by_number))
    index = {entry: label for label, entry in enumerate(classes)}
    labels = np.array([index[entry] for entry in rows.classes or ()], dtype=np.int64)
    if rows.classes is None:
        labels = np.zeros(len(frames), dtype=np.int64)
    embeds = None if rows.embeds is None else np.asarray(rows.embeds, dtype=np.float32)
    everything = VideoDetections(frames.astype(np.int64), rows.bboxes, rows.scores, labels, embeds)
    if rows.videos is None:
        return DetectionSet(source, {name: everything}, classes)
    names = list(dict.fromkeys(rows.videos))
    positions = {entry: number for number, entry in enumerate(names)}
    which = np.array([positions[entry] for entry in rows.videos], dtype=np.int64)
    order = np.argsort(which, kind="stable")
    parts = np.split(order, np.searchsorted(which[order], np.arange(1, len(names)))) if names else []
    return DetectionSet(source, {entry: everything.select(part) for entry, part in zip(names, parts)}, classes)


def _by_number(name: str) -> tuple[bool, int, str]:
    """Sort key: numbers by their value, then names."""
    return (not _is_number(name), int(name) if _is_number(name) else 0, name)


def _is_number(name: str) -> bool:
    """Whether a class is a number that result files can hold; longer ones are names."""
    return name.isdecimal() and len(name) <= _MOST_DIGITS


def check_rows(rows: Rows, frames: FloatArray) -> None:
    """Refuse rows that are no detections; ``frames`` are their numbers as result files count."""
    finite = np.all(np.isfinite(rows.bboxes), axis=1) & np.isfinite(rows.scores) & np.isfinite(frames)
    if rows.embeds is not None:
        finite &= np.all(np.isfinite(rows.embeds), axis=1)
    _refuse(rows, ~finite, lambda row: "a value is not finite; every field must be a number")
    whole = (frames == np.floor(frames)) & (frames < _LARGEST_EXACT)
    _refuse(rows, ~whole, lambda row: f"frame {rows.frames[row]:g} is not a whole number below {_LARGEST_EXACT}")
    early = "frame {:g}: frames count from 1; for files that count from 0 give a frame offset of 1 (--frame-offset 1)"
    _refuse(rows, frames < 1, lambda row: early.format(rows.frames[row]))
    sides = rows.bboxes[:, 2:] - rows.bboxes[:, :2]
    size = "box of {:g} x {:g} pixels: width and height must be greater than 0"
    _refuse(rows, np.any(sides <= 0, axis=1), lambda row: size.format(*sides[row]))


def _refuse(rows: Rows, faulty: BoolArray, describe: Callable[[int], str]) -> None:
    if faulty.any():
        row = int(faulty.argmax())
        raise InputError(f"{rows.place(row)}: {describe(row)}")
