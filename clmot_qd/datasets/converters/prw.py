"""PRW, Person Re-identification in the Wild: frames of six cameras, with identities that hold for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.mat_files import cells, load_variable, numbers, text
from clmot_qd.datasets.converters.picture_lists import ONLY_OPTION, PictureList
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box, Counts, Frame, Source
from clmot_qd.datasets.converters.text_files import require_folder
from clmot_qd.errors import InputError

_SPLITS = {"train": ("train",), "test": ("test",), "all": ("train", "test")}
_NAME = re.compile(r"(c\d+s\d+)_(\d+)")
_BOX_VARIABLES = ("box_new", "anno_file", "anno_previous")  # what the files of different years call it
_ORIGIN = "PRW (CVPR 2017)"
_PUBLISHED = {
    "train": Counts(5704, 18048, 482, origin=_ORIGIN),
    "test": Counts(6112, 25062, 450, origin=_ORIGIN),
    "all": Counts(11816, 43110, 932, origin=_ORIGIN),
}


def open_prw(
    root: Path, report: Report, *, split: str = "train", videos: bool = False, only: Path | None = None
) -> Source:
    """Open PRW.

    Args:
        root: Folder of the data set.
        report: Where remarks go.
        split: ``train``, ``test`` or ``all``.
        videos: Frames of one camera and recording are a video, whose identities are its own; otherwise all are still
            pictures, and an identity is the same person in all of them.
        only: Take the frames named in this file only.

    Raises:
        InputError: Folders or lists are missing; when read, annotations that are none.
    """
    names = _frame_names(root, _SPLITS[split])
    published = _PUBLISHED[split] if only is None else None
    if published is not None and videos:
        published = Counts(published.images, published.boxes, origin=published.origin)
    return Source(
        title=f"PRW {split}",
        categories={"pedestrian": 1},
        frames=_frames(require_folder(root / "annotations", ".mat files"), names, videos, PictureList(only), report),
        images=root / "frames",
        report=report,
        total=len(names),
        published=published,
    )


def _frame_names(root: Path, splits: Sequence[str]) -> list[tuple[str, int, str]]:
    """Return (camera and recording, frame, name) of the frames, in order."""
    result = []
    for split in splits:
        path = root / f"frame_{split}.mat"
        for index, cell in enumerate(cells(load_variable(path, f"img_index_{split}"), str(path)), start=1):
            name = text(cell, f"{path}: entry {index}")
            match = _NAME.fullmatch(name)
            if match is None:
                raise InputError(f"{path}: entry {index}: {name!r} is no name like c1s1_000151")
            result.append((match[1], int(match[2]), name))
    return sorted(result)


def _frames(
    folder: Path, names: Sequence[tuple[str, int, str]], videos: bool, listed: PictureList, report: Report
) -> Iterator[Frame]:
    for recording, number, name in names:
        if not listed.takes(name):
            continue
        path = folder / f"{name}.jpg.mat"
        video = recording if videos else None
        yield Frame(f"{name}.jpg", 0, 0, _read_boxes(path), video=video, number=number, place=str(path))
    listed.finish(report)


def _read_boxes(path: Path) -> list[Box]:
    """Read rows id, x, y, w, h; an id below 1 (the files have -2) is a person whom nobody could identify."""
    rows = numbers(load_variable(path, *_BOX_VARIABLES), 5, str(path)).tolist()
    return [
        Box(bbox, "pedestrian", identity=_identity(number, f"{path}: row {row}"), place=f"{path}: row {row}")
        for row, (number, *bbox) in enumerate(rows, start=1)
    ]


def _identity(number: float, place: str) -> int | None:
    if not number.is_integer():
        raise InputError(f"{place}: id {number:g} is no whole number")
    return int(number) if number > 0 else None


_LAYOUT = """
ROOT/frames/c1s1_000151.jpg ...
ROOT/annotations/c1s1_000151.jpg.mat ...
ROOT/frame_train.mat, ROOT/frame_test.mat    names of the frames of each split

Frames are still pictures, and an identity is one person wherever it appears; with --videos the frames of one camera
and recording (c1s1) are a video, and identities are the video's own. Persons with id -2, whom nobody could identify,
are boxes without identity: train with require_ids=False; a video that has one cannot be scored. Boxes are cut at the
border of the picture. Sizes are not recorded, so the pictures have to be there.
The 5701 frames of JDE and CL-MOT are those of its list: --only prw.train.
""".strip()
DATA_SETS = (
    DataSet(
        name="prw",
        summary="PRW, frames of six cameras with identities",
        layout=_LAYOUT,
        open_source=open_prw,
        options=(
            Option("--split", {"default": "train", "choices": tuple(_SPLITS), "help": "default: %(default)s"}),
            Option("--videos", {"action": "store_true", "help": "frames of one camera and recording are a video"}),
            ONLY_OPTION,
        ),
    ),
)
