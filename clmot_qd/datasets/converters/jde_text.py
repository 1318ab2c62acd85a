"""Text lists of JDE, FairMOT and CL-MOT: files that list pictures, and one label file for each picture."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.class_names import read_class_names
from clmot_qd.datasets.converters.folder_videos import folder_videos
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box, Counts, Frame, Source
from clmot_qd.datasets.converters.text_files import read_text, require_folder
from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError
from clmot_qd.names import check_below, name_below

PICTURES, LABELS = "images", "labels_with_ids"
_ROW = "class id cx cy w h"
#: Pictures in CL-MOT's released lists; Table 1 of its paper has these figures rounded, 53.5k in all.
PUBLISHED_IMAGES = {
    "mot17.train": 5316,
    "caltech.train": 26729,
    "citypersons.train": 2500,
    "cuhksysu.train": 11206,
    "prw.train": 5701,
    "eth.train": 2056,
    "mot15.train": 5405,
    "mot20.train": 8931,
}


@dataclass(frozen=True)
class _Picture:
    name: PurePosixPath
    listed_in: Path
    line: int

    @property
    def place(self) -> str:
        return f"{self.listed_in}:{self.line}"


def open_jde_text(
    root: PathLike,
    report: Report,
    *,
    lists: Sequence[PathLike],
    prefix: str = "",
    class_names: Sequence[str] | None = None,
    videos: bool = False,
    clip: bool = False,
) -> Source:
    """Open the pictures of one or several lists.

    Args:
        root: Folder that the lists' lines are relative to.
        report: Where remarks go.
        lists: The list files. An identity is one person within a list, two in two lists.
        prefix: Beginning of lines to leave out: where the pictures were on the machine of the lists' author.
        class_names: Names of the classes 0, 1, ...; or a file with a name on each line. None: 0 is ``pedestrian``.
        videos: Pictures of one folder are one video; otherwise they are still pictures.
        clip: Cut boxes at the border of the picture.

    Raises:
        InputError: A list is missing or lists nothing, or a line of it cannot be understood.
    """
    root = require_folder(Path(root), f"the folders that the lists name, such as MOT17/{PICTURES}/train")
    names = dict(enumerate(read_class_names(class_names) if class_names else ("pedestrian",)))
    pictures = [picture for path in lists for picture in _read_list(Path(path), root, prefix)]
    pictures = _without_repetitions(pictures, report)
    frames = _video_frames(root, pictures, names, report) if videos else _stills(root, pictures, names, report)
    return Source(
        title=" + ".join(Path(path).name for path in lists),
        categories={name: number + 1 for number, name in names.items()},
        frames=frames,
        images=root,
        report=report,
        total=len(pictures),
        outside="clip" if clip else "keep",
        published=_published([Path(path).name for path in lists]),
    )


def _published(lists: Sequence[str]) -> Counts | None:
    if not all(name in PUBLISHED_IMAGES for name in lists):
        return None
    return Counts(sum(PUBLISHED_IMAGES[name] for name in lists), origin="the lists released with CL-MOT")


def _read_list(path: Path, root: Path, prefix: str) -> list[_Picture]:
    lines = [(number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), start=1)]
    pictures = [
        _Picture(_relative(_after(prefix, line), root, f"{path}:{number}"), path, number)
        for number, line in lines
        if line
    ]
    if not pictures:
        raise InputError(f"{path}: lists no picture; each line is the path of one, relative to --root")
    return pictures


def _after(prefix: str, line: str) -> str:
    return line.removeprefix(prefix).lstrip("/\\") if prefix and line.startswith(prefix) else line


def _relative(line: str, root: Path, place: str) -> PurePosixPath:
    name = PurePosixPath(line.replace("\\", "/"))
    if name.is_absolute():
        rest = name_below(root, str(name))
        if rest is None:
            raise InputError(
                f"{place}: {line} is not below {root}; correct --root, or leave a --prefix of the lines out"
            )
        name = PurePosixPath(rest)
    check_below(root, [os.path.join(root, name)], place)
    if PICTURES not in name.parts[:-1]:
        raise InputError(f"{place}: no folder {PICTURES!r} in {line}; labels are found by replacing it with {LABELS!r}")
    return name


def _without_repetitions(pictures: Sequence[_Picture], report: Report) -> list[_Picture]:
    kept: dict[PurePosixPath, _Picture] = {}
    for picture in pictures:
        other = kept.setdefault(picture.name, picture)
        if other is not picture:
            report.note("skipped", "picture that is listed a second time", picture.place, f"first in {other.place}")
    return list(kept.values())


def _stills(root: Path, pictures: Sequence[_Picture], names: Mapping[int, str], report: Report) -> Iterator[Frame]:
    for picture in pictures:
        yield _frame(root, picture, names, report)


def _video_frames(
    root: Path, pictures: Sequence[_Picture], names: Mapping[int, str], report: Report
) -> Iterator[Frame]:
    """Give the pictures folder by folder, in natural order of their names, whatever the order of the list."""
    by_name = {picture.name: picture for picture in pictures}
    counted_by_name = all(name.stem.isdecimal() and int(name.stem) > 0 for name in by_name)
    for name, (video, number) in folder_videos(by_name).items():
        frame = _frame(root, by_name[name], names, report)
        frame.video, frame.number = video, number
        frame.fields = {"mot_frame_id": int(name.stem)} if counted_by_name else {}
        yield frame


def _frame(root: Path, picture: _Picture, names: Mapping[int, str], report: Report) -> Frame:
    parts = [LABELS if part == PICTURES else part for part in picture.name.parts[:-1]]
    path = root.joinpath(*parts, picture.name.stem + ".txt")
    boxes: list[Box] = []
    if path.is_file():
        boxes = _read_labels(path, picture.listed_in, names)
        if not boxes:
            report.note("kept", "picture with an empty label file", str(path))
    else:
        report.note("kept", "picture without a label file", picture.place, str(path))
    return Frame(str(picture.name), 0, 0, boxes, place=picture.place, relative=True)


def _read_labels(path: Path, listed_in: Path, names: Mapping[int, str]) -> list[Box]:
    lines = [(number, line.split()) for number, line in enumerate(read_text(path).splitlines(), start=1)]
    return [_box(parts, f"{path}:{number}", listed_in, names) for number, parts in lines if parts]


def _box(parts: Sequence[str], place: str, listed_in: Path, names: Mapping[int, str]) -> Box:
    if len(parts) != len(_ROW.split()):
        raise InputError(f"{place}: {len(parts)} fields; a row is {_ROW!r}, separated by blanks")
    try:
        label, identity = (_whole(text) for text in parts[:2])
        cx, cy, width, height = (float(text) for text in parts[2:])
    except ValueError as error:
        raise InputError(f"{place}: {error}; a row is {_ROW!r}, the last four as shares of the picture") from error
    return Box(
        bbox=(cx - width / 2, cy - height / 2, width, height),
        category=names.get(label, str(label)),
        identity=(str(listed_in), identity) if identity >= 0 else None,
        place=place,
    )


def _whole(text: str) -> int:
    """Read ``3`` or, as some writers have it, ``3.0``."""
    if not float(text).is_integer():
        raise ValueError(f"{text!r} is no whole number")
    return int(float(text))


_LAYOUT = """
LIST.train                                     each line a picture: MOT17/images/train/MOT17-02-SDP/img1/000001.jpg
ROOT/MOT17/images/train/...                    the pictures; they are looked at, as labels are shares of their size
ROOT/MOT17/labels_with_ids/train/... .txt      labels of a picture: the same path with labels_with_ids for images

Rows of a label file: class id cx cy w h, separated by blanks; cx, cy is the centre; all four are shares of width and
height. Classes count from 0. id -1: not known; 0 is an identity. One id in one list is one person, whatever the
picture. An empty or missing label file is a picture without anybody; both are counted.
The lists mot17.train, caltech.train, citypersons.train, cuhksysu.train, prw.train and eth.train of JDE and CL-MOT
make the 53,508 pictures of CL-MOT's Table 1.
""".strip()

DATA_SETS = (
    DataSet(
        name="jde-text",
        summary="text lists of JDE, FairMOT and CL-MOT, one or several",
        layout=_LAYOUT,
        open_source=open_jde_text,
        options=(
            Option("--lists", {"nargs": "+", "required": True, "metavar": "FILE", "help": "list files"}),
            Option(
                "--prefix",
                {
                    "default": "",
                    "metavar": "PATH",
                    "help": "leave this beginning of the lines out: where the pictures were on another machine",
                },
            ),
            Option(
                "--class-names",
                {
                    "nargs": "+",
                    "metavar": "NAME",
                    "help": "names of the classes 0, 1, ..., or a file with one on a line (default: pedestrian)",
                },
            ),
            Option(
                "--videos", {"action": "store_true", "help": "each folder is a video (default: all are still pictures)"}
            ),
            Option("--clip", {"action": "store_true", "help": "cut boxes at the border (default: as they stand)"}),
        ),
    ),
)
