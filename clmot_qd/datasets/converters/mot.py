"""MOTChallenge (MOT15, MOT16, MOT17, MOT20) and DanceTrack, which has the same form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.mot_counts import (
    DANCETRACK,
    MOT15,
    MOT16,
    MOT17,
    MOT20,
    Published,
)
from clmot_qd.datasets.converters.mot_rows import LabelRows, read_label_rows, rows_of
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Frame, Source
from clmot_qd.datasets.mot_layout import Frame as Picture
from clmot_qd.datasets.mot_layout import MotSequence, find_sequences, list_frames, missing_frame
from clmot_qd.datasets.mot_text import MOT_CLASSES, PathLike, make_table
from clmot_qd.errors import InputError

Split = Literal["all", "first-half", "second-half"]
_NAMES = dict(enumerate(MOT_CLASSES, start=1))
SPLITS = ("all", "first-half", "second-half")


def open_mot(
    root: PathLike,
    report: Report,
    *,
    title: str = "MOT",
    published: Published | None = None,
    sequences: Sequence[str] | None = None,
    detector: str | None = None,
    split: Split = "all",
) -> Source:
    """Open a folder of MOTChallenge sequences.

    Boxes keep what stands in the file, nothing is rounded, shifted or clipped. Boxes with mark 0 are ``ignore``. All 13
    classes are there: the scoring of MOT16, MOT17 and MOT20 matches predictions with the boxes of all classes before it
    removes those on distractors.

    Args:
        root: Folder of the sequence folders (``MOT17/train``); file names are relative to it.
        report: Where remarks go.
        title: Name of the data set.
        published: What its authors say there is.
        sequences: Names of the sequences to take; None takes all.
        detector: Keep this one of MOT17's three copies: ``"DPM"``, ``"FRCNN"`` or ``"SDP"``.
        split: Of each sequence with n frames, the first n // 2 + 1, the others, or all. These are the halves of the
            published half/half protocol (CenterTrack, ByteTrack, mmdet), whose first half is the larger one.

    Raises:
        InputError: Unknown sequence, detector or split; a folder that holds none; frames that cannot be listed.
    """
    if split not in SPLITS:
        raise InputError(f"split {split!r} must be all, first-half or second-half")
    root = Path(root)
    found = find_sequences(root, sequences, detector)
    pictures = [list_frames(sequence) for sequence in found]
    names = [sequence.name for sequence in found]
    whole = published if split == "all" else None
    return Source(
        title=f"{title} {root.name}" if root.name in ("train", "val", "test") else title,
        categories={name: number for number, name in _NAMES.items()},
        frames=_frames(root, found, pictures, split, report),
        images=root,
        report=report,
        total=sum(map(len, pictures)),
        videos={sequence.name: {"fps": sequence.info.frame_rate} for sequence in found},
        outside="keep",
        published=whole.of(names, root.name) if whole else None,
        published_videos=whole.by_video(names) if whole else {},
    )


def _frames(
    root: Path, sequences: Sequence[MotSequence], pictures: Sequence[list[Picture]], split: Split, report: Report
) -> Iterator[Frame]:
    for sequence, frames in zip(sequences, pictures):
        labels = _labels(sequence, frames, report)
        frames = with_missing(frames, labels)
        first, last = half_of(sequence.folder, len(frames), split)
        rows = labels.by_frame()
        for index, picture in enumerate(frames):
            mine = rows_of(rows, picture.number)
            yield Frame(
                file_name=picture.path.relative_to(root).as_posix(),
                width=sequence.info.width or 0,
                height=sequence.info.height or 0,
                boxes=labels.boxes(mine, _NAMES),
                video=sequence.name,
                number=picture.number,
                place=labels.place(mine[0]) if len(mine) else str(sequence.folder),
                selected=first <= index < last,
                fields={"mot_frame_id": picture.number},
            )


def _labels(sequence: MotSequence, frames: Sequence[Picture], report: Report) -> LabelRows:
    path = sequence.ground_truth
    if not path.exists():
        report.note("kept", "video without gt/gt.txt, its frames alone", str(sequence.folder))
        nothing = np.empty(0, dtype=np.int64)
        return LabelRows(path, make_table(nothing, nothing, np.empty((0, 4))), nothing)
    labels = read_label_rows(path, report)
    if not len(labels):
        report.note("kept", "video without a box in gt/gt.txt", str(path))
    return within(labels, frames, report)


def within(labels: LabelRows, frames: Sequence[Picture], report: Report) -> LabelRows:
    """Return the rows of the frames from the first image to the last.

    Parts of sequences are distributed with the ground truth of the whole.

    Raises:
        InputError: There are rows, but none of these.
    """
    numbers = labels.table.frames
    outside = (numbers < frames[0].number) | (numbers > frames[-1].number)
    if len(labels) and outside.all():
        span = f"images {frames[0].number} to {frames[-1].number}"
        raise InputError(f"{labels.path}: no row belongs to {span} of {frames[0].path.parent}; check both")
    return labels.without(outside, "row of a frame before the first or after the last picture", report)


def with_missing(frames: list[Picture], labels: LabelRows) -> list[Picture]:
    """Return the frames with those that have rows but no image between others: whether that matters is judged later."""
    numbers = [frame.number for frame in frames]
    missing = [missing_frame(frames, int(number)) for number in np.setdiff1d(labels.table.frames, numbers)]
    return sorted([*frames, *missing], key=lambda frame: frame.number) if missing else frames


def half_of(folder: Path, frames: int, split: Split) -> tuple[int, int]:
    """Return the first frame to take of so many in a folder, and the one after the last.

    Raises:
        InputError: None would be taken.
    """
    middle = frames // 2 + 1
    first, last = {"all": (0, frames), "first-half": (0, middle), "second-half": (middle, frames)}[split]
    if first >= frames:
        raise InputError(f"{folder}: {frames} frames leave none for the {split}; leave the sequence out")
    return first, last


_LAYOUT = """
ROOT/SEQUENCE/img1/000001.jpg ...    pictures (or in the folder that seqinfo.ini calls imDir)
ROOT/SEQUENCE/gt/gt.txt              absent in test sets
ROOT/SEQUENCE/seqinfo.ini            optional: frame rate, size, length

ROOT is the folder of one split, {example}. Rows of gt.txt are frame,id,x,y,w,h,mark,class,visibility; {classes}.
Boxes with mark 0 get "ignore". Boxes stay as they stand, beyond the border of the picture too. Rows of frames before
the first or after the last picture are left out and counted: parts of sequences come with the file of the whole.
Frame 0 is refused: frames count from 1.
Without pictures: --images trust takes names, number and size of the frames from seqinfo.ini.
""".strip()
_OPTIONS = (
    Option("--sequences", {"nargs": "+", "metavar": "NAME", "help": "take these sequences only"}),
    Option(
        "--split",
        {
            "default": "all",
            "choices": SPLITS,
            "help": "frames of each sequence to take: of n, the first half is n//2+1",
        },
    ),
)
_DETECTOR = Option(
    "--detector",
    {"help": "take one of the three copies of each sequence: DPM, FRCNN or SDP; they differ in det/ alone"},
)
_THIRTEEN = "all 13\nclasses are taken: scoring needs the boxes of the others to tell distractors from false alarms"


def _data_set(title: str, published: Published, classes: str = _THIRTEEN, options: Sequence[Option] = ()) -> DataSet:
    return DataSet(
        name=title.lower(),
        summary=f"{title}, or sequences in its form",
        layout=_LAYOUT.format(example=f"{title}/train", classes=classes),
        open_source=partial(open_mot, title=title, published=published),
        options=(*_OPTIONS, *options),
    )


DATA_SETS = (
    _data_set("MOT15", MOT15, "or\nframe,id,x,y,w,h,mark,X,Y,Z: no classes, everybody is a pedestrian"),
    _data_set("MOT16", MOT16),
    _data_set("MOT17", MOT17, options=[_DETECTOR]),
    _data_set("MOT20", MOT20),
    _data_set("DanceTrack", DANCETRACK, "all\nare pedestrians of mark 1"),
)
