"""Own videos: folders of frames, named anyhow, and one label file in MOT's form for each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.class_names import read_class_names
from clmot_qd.datasets.converters.mot_rows import LabelRows, read_label_rows, rows_of
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Frame, Source
from clmot_qd.datasets.converters.text_files import require_folder
from clmot_qd.datasets.mot_layout import IMAGE_SUFFIXES, natural_key
from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError

Numbering = Literal["position", "name"]
_FEWEST_COLUMNS = 6
_UNNAMED = {1: "object"}


@dataclass(frozen=True)
class _Video:
    name: str
    pictures: list[Path]
    labels: Path


def open_mot_text_folder(
    root: PathLike,
    report: Report,
    *,
    labels: PathLike,
    class_names: Sequence[str] | None = None,
    first_frame: int = 1,
    frame_numbers: Numbering = "position",
    fps: float | None = None,
    clip: bool = False,
) -> Source:
    """Open a folder of frames, or a folder of such folders, with labels in MOT's form.

    Args:
        root: The folder; file names are relative to it.
        report: Where remarks go.
        labels: Label file of the one video, or folder with ``VIDEO.txt`` for each.
        class_names: Names of the classes 1, 2, ... of the eighth column, or a file with a name on each line. None calls
            everything ``object`` and refuses rows of class 2 and more.
        first_frame: Number that the labels give to the first frame.
        frame_numbers: ``position``: frame n is the n-th picture in natural order of names. ``name``: the last number in
            the name of a picture is its frame number.
        fps: Frames a second, written to the videos.
        clip: Cut boxes at the border of the picture.

    Raises:
        InputError: A folder or file is missing or empty.
    """
    root = require_folder(Path(root), "the frames, or one folder of frames for each video")
    videos = _find_videos(root, Path(labels))
    names = dict(enumerate(read_class_names(class_names), start=1)) if class_names else _UNNAMED
    numbered = {video.name: _numbered(video, first_frame, frame_numbers) for video in videos}
    return Source(
        title=root.name or "videos",
        categories={name: number for number, name in names.items()},
        frames=_frames(root, videos, numbered, _Form(first_frame, names), report),
        images=root,
        report=report,
        total=sum(len(video.pictures) for video in videos),
        videos={video.name: {"fps": fps} for video in videos} if fps else {},
        outside="clip" if clip else "keep",
    )


@dataclass(frozen=True)
class _Form:
    """How label files count frames, and what their classes are called."""

    first_frame: int
    names: Mapping[int, str]


def _find_videos(root: Path, labels: Path) -> list[_Video]:
    if not labels.exists():
        raise InputError(f"{labels}: no such file or folder; give the label file, or the folder of VIDEO.txt")
    pictures = _pictures(root)
    if pictures:
        name = root.resolve().name
        return [_Video(name, pictures, labels if labels.is_file() else labels / f"{name}.txt")]
    folders = {child.name: _pictures(child) for child in root.iterdir() if child.is_dir()}
    names = sorted((name for name, found in folders.items() if found), key=natural_key)
    if not names:
        raise InputError(f"{root}: no picture in here nor in its folders; give the folder of the frames")
    if labels.is_file():
        raise InputError(f"{labels}: one label file, but {len(names)} videos in {root}; give the folder of VIDEO.txt")
    return [_Video(name, folders[name], labels / f"{name}.txt") for name in names]


def _pictures(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."]
    return sorted(found, key=lambda path: natural_key(path.name))


def _numbered(video: _Video, first_frame: int, numbering: Numbering) -> dict[int, Path]:
    """Return frame number -> picture, in order."""
    if numbering == "position":
        return dict(enumerate(video.pictures, start=first_frame))
    numbered: dict[int, Path] = {}
    for picture in video.pictures:
        number = _number_in(picture)
        if number < first_frame:
            raise InputError(f"{picture}: frame {number}, but --first-frame is {first_frame}; correct one of them")
        other = numbered.setdefault(number, picture)
        if other is not picture:
            raise InputError(f"{picture}: {other.name} is frame {number} as well; use --frame-numbers position")
    return dict(sorted(numbered.items()))


def _number_in(picture: Path) -> int:
    digits = re.findall(r"\d+", picture.stem)
    if not digits:
        raise InputError(f"{picture}: no number in the name; use --frame-numbers position")
    return int(digits[-1])


def _frames(
    root: Path, videos: Sequence[_Video], numbered: Mapping[str, dict[int, Path]], form: _Form, report: Report
) -> Iterator[Frame]:
    for video in videos:
        pictures = numbered[video.name]
        labels = _labels(video, list(pictures), form, report)
        rows = labels.by_frame() if labels else {}
        for number, picture in pictures.items():
            mine = rows_of(rows, number)
            yield Frame(
                file_name=picture.relative_to(root).as_posix(),
                width=0,
                height=0,
                boxes=labels.boxes(mine, form.names) if labels else [],
                video=video.name,
                number=number,
                place=labels.place(mine[0]) if labels and len(mine) else str(video.labels),
                fields={"mot_frame_id": number - form.first_frame + 1},
            )


def _labels(video: _Video, numbers: Sequence[int], form: _Form, report: Report) -> LabelRows | None:
    """Return the rows that have a picture; None without a label file."""
    if not video.labels.exists():
        report.note("kept", "video without a label file, its frames alone", str(video.labels))
        return None
    default = 1 if len(form.names) == 1 else None
    labels = read_label_rows(
        video.labels, report, first_frame=form.first_frame, columns=_FEWEST_COLUMNS, default_class=default
    )
    _check_classes(labels, form)
    without = ~np.isin(labels.table.frames, numbers)
    if len(labels) and without.all():
        span = f"frames {numbers[0]} to {numbers[-1]}"
        raise InputError(f"{video.labels}: no row belongs to {span} of {video.pictures[0].parent}; check both")
    return labels.without(without, "row of a frame without a picture", report)


def _check_classes(labels: LabelRows, form: _Form) -> None:
    """Refuse classes other than 1 where none has a name: they would all become one."""
    others = ~np.isin(labels.table.class_ids, (-1, 1))
    if form.names == _UNNAMED and others.any():
        row = int(others.argmax())
        what = f"class {labels.table.class_ids[row]}, but no names of classes"
        raise InputError(f"{labels.place(row)}: {what}; name the classes 1, 2, ... with --class-names")


_LAYOUT = """
ROOT/anything_1.jpg ...              frames of one video, or
ROOT/VIDEO/anything_1.jpg ...        a folder of frames for each of several videos
LABELS                               label file of the one video, or a folder
LABELS/VIDEO.txt                     label file of each video; a video without one gives its frames alone

Rows of a label file: frame,id,x,y,w,h[,mark[,class[,visibility]]], separated by commas or blanks, in any order.
x, y is the upper left corner in pixels, from 0. id -1: not known. Mark 0: "ignore". Class: place, from 1, of its name
in --class-names; where there is one name alone, -1 or no such column means it. Of rows with ten fields the last three
are not read: they are MOT15's world coordinates.
Frame n is the n-th picture in natural order of names (frame9, frame10), counted from --first-frame; with
--frame-numbers name the last number in its name. Rows of frames without a picture are left out and counted.
""".strip()

DATA_SETS = (
    DataSet(
        name="mot-text",
        summary="folders of frames with label files in MOT's form: own videos",
        layout=_LAYOUT,
        open_source=open_mot_text_folder,
        options=(
            Option("--labels", {"required": True, "metavar": "PATH", "help": "label file, or folder of VIDEO.txt"}),
            Option(
                "--class-names",
                {
                    "nargs": "+",
                    "metavar": "NAME",
                    "help": "names of the classes 1, 2, ..., or a file with one on a line",
                },
            ),
            Option(
                "--first-frame",
                {"type": int, "default": 1, "metavar": "N", "help": "number of the first frame in the label files"},
            ),
            Option(
                "--frame-numbers",
                {"default": "position", "choices": ("position", "name"), "help": "which picture is frame n, see above"},
            ),
            Option("--fps", {"type": float, "metavar": "HZ", "help": "frames a second, written to the videos"}),
            Option("--clip", {"action": "store_true", "help": "cut boxes at the border (default: as they stand)"}),
        ),
    ),
)
