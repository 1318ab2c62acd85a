"""CUHK-SYSU, also called SSM: street snaps and films, with persons that appear in several pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.mat_files import cells, load_variable, numbers, records, text
from clmot_qd.datasets.converters.picture_lists import ONLY_OPTION, PictureList
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box, Counts, Frame, Source

_SPLITS = ("train", "test", "all")
_ORIGIN = "CUHK-SYSU (CVPR 2017)"
_PUBLISHED = {
    "train": Counts(11206, 55272, 5532, origin=_ORIGIN),
    "test": Counts(6978, 40871, 2900, origin=_ORIGIN),
    "all": Counts(18184, 96143, 8432, origin=_ORIGIN),
}

#: Picture and box -> name of the person.
_Identities = dict[tuple[str, tuple[float, ...]], str]


def open_cuhk_sysu(root: Path, report: Report, *, split: str = "train", only: Path | None = None) -> Source:
    """Open CUHK-SYSU.

    The authors cut a person out with ``I(y:y+h, x:x+w)`` in MATLAB, so pixels count from 1, and boxes are shifted.

    Args:
        root: Folder of the data set.
        report: Where remarks go.
        split: ``train``: pictures that are not in ``pool.mat``, with the identities of ``Train.mat``; ``test``: those
            that are, with the identities of ``TestG50.mat``; or ``all``.
        only: Take the pictures named in this file only.

    Raises:
        InputError: A file is missing or damaged; when read, entries that are none.
    """
    return Source(
        title=f"CUHK-SYSU {split}",
        categories={"pedestrian": 1},
        frames=_frames(root / "annotation", split, PictureList(only), report),
        images=root / "Image" / "SSM",
        report=report,
        total=_PUBLISHED[split].images,
        published=_PUBLISHED[split] if only is None else None,
    )


def _frames(folder: Path, split: str, listed: PictureList, report: Report) -> Iterator[Frame]:
    pool = _pool(folder / "pool.mat")
    identities = _identities(folder / "test" / "train_test", split)
    path = folder / "Images.mat"
    entries = records(load_variable(path, "Img"), ("imname", "box"), str(path))
    for index, entry in enumerate(entries, start=1):
        name = text(entry["imname"], f"{path}: picture {index}: imname")
        if split == "all" or (name in pool) == (split == "test"):
            place = f"{path}: picture {index} ({name})"
            # Taken out of the identities even if the list leaves the picture out: they belong to a picture.
            boxes = list(_boxes(entry["box"], name, identities, place))
            if listed.takes(Path(name).stem):
                yield Frame(name, 0, 0, boxes, place=place)
    for name, box in identities:
        report.note("skipped", "identity of a box that Images.mat does not have", f"{path}: {name}", f"box {box}")
    listed.finish(report)


def _boxes(value: Any, name: str, identities: _Identities, place: str) -> Iterator[Box]:
    for number, entry in enumerate(records(value, ("idlocate",), f"{place}: box"), start=1):
        for row in numbers(entry["idlocate"], 4, f"{place}, box {number}: idlocate").tolist():
            identity = identities.pop((name, tuple(row)), None)
            bbox = (row[0] - 1, row[1] - 1, row[2], row[3])
            yield Box(bbox, "pedestrian", identity=identity, place=f"{place}, box {number}")


def _pool(path: Path) -> frozenset[str]:
    """Return the names of the test pictures."""
    names = cells(load_variable(path, "pool"), str(path))
    return frozenset(text(name, f"{path}: entry {index}") for index, name in enumerate(names, start=1))


def _identities(folder: Path, split: str) -> _Identities:
    result: _Identities = {}
    if split in ("train", "all"):
        result |= _training_identities(folder / "Train.mat")
    if split in ("test", "all"):
        result |= _test_identities(folder / "TestG50.mat")
    return result


def _training_identities(path: Path) -> _Identities:
    """Read a cell for each person: its name, and its scenes."""
    result: _Identities = {}
    for index, cell in enumerate(cells(load_variable(path, "Train"), str(path)), start=1):
        place = f"{path}: person {index}"
        for person in records(cell, ("idname", "scene"), place):
            result |= _scenes(records(person["scene"], _SCENE, place), text(person["idname"], place), place)
    return result


def _test_identities(path: Path) -> _Identities:
    """Read the query of each person and its gallery, whose pictures without the person have no box."""
    result: _Identities = {}
    for index, test in enumerate(records(load_variable(path, "TestG50"), ("Query", "Gallery"), str(path)), start=1):
        place = f"{path}: query {index}"
        for query in records(test["Query"], (*_SCENE, "idname"), place):
            name = text(query["idname"], place)
            result |= _scenes([query, *records(test["Gallery"], _SCENE, place)], name, place)
    return result


_SCENE = ("imname", "idlocate")


def _scenes(scenes: Iterable[Mapping[str, Any]], person: str, place: str) -> _Identities:
    return {
        (text(scene["imname"], place), tuple(row)): person
        for scene in scenes
        for row in numbers(scene["idlocate"], 4, f"{place}: idlocate").tolist()
    }


_LAYOUT = """
ROOT/Image/SSM/s1.jpg ...
ROOT/annotation/Images.mat
ROOT/annotation/pool.mat                         names of the test pictures
ROOT/annotation/test/train_test/Train.mat        identities of the training pictures
ROOT/annotation/test/train_test/TestG50.mat      identities of the test pictures; for --split test and all

Still pictures; an identity is one person wherever it appears. Persons who are in one picture only, most of them, have
none. Positions count from 1 and are shifted; boxes are cut at the border of the picture. Sizes are not recorded, so the
pictures have to be there.
The 11206 training pictures are those of JDE and CL-MOT.
""".strip()
DATA_SETS = (
    DataSet(
        name="cuhk-sysu",
        summary="CUHK-SYSU, street snaps and films with identities",
        layout=_LAYOUT,
        open_source=open_cuhk_sysu,
        options=(
            Option("--split", {"default": "train", "choices": _SPLITS, "help": "default: %(default)s"}),
            ONLY_OPTION,
        ),
    ),
)
