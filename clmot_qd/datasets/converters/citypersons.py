"""CityPersons: persons in the still pictures of Cityscapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.mat_files import cells, load_variable, numbers, records, text
from clmot_qd.datasets.converters.picture_lists import ONLY_OPTION, PictureList
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box, Counts, Frame, Source
from clmot_qd.datasets.converters.text_files import read_json, require_box, require_folder, require_keys
from clmot_qd.errors import InputError

_SIZE = (2048, 1024)
_CLASSES = ("ignore", "pedestrian", "rider", "sitting person", "person (other)", "person group")
_PERSONS = _CLASSES[1:5]
_ORIGIN = "CityPersons (CVPR 2017); persons of all four classes"
_PUBLISHED = {
    "train": Counts(images=2975, boxes=19654, origin=_ORIGIN),
    "val": Counts(images=500, boxes=3938, origin=_ORIGIN),
}


def open_citypersons(
    root: Path, report: Report, *, split: str = "train", merge: bool = False, only: Path | None = None
) -> Source:
    """Open CityPersons, from its MATLAB files or from its JSON files.

    Args:
        root: Folder of the data set.
        report: Where remarks go.
        split: ``train`` or ``val``.
        merge: Riders, sitting persons and others become pedestrians.
        only: Take the pictures named in this file only.

    Raises:
        InputError: No annotations; when read, entries that are none.
    """
    folder = root / "gtBboxCityPersons" / split
    listed = PictureList(only)
    frames = _json_frames(folder) if folder.is_dir() else _matlab_frames(_matlab_file(root, split), split)
    return Source(
        title=f"CityPersons {split}",
        categories={"pedestrian": 1} if merge else {name: _CLASSES.index(name) for name in _PERSONS},
        frames=_chosen(frames, listed, merge, report),
        images=root / "leftImg8bit" / split,
        report=report,
        total=_PUBLISHED[split].images,
        outside="keep",
        published=_PUBLISHED[split] if only is None else None,
    )


def _chosen(frames: Iterable[Frame], listed: PictureList, merge: bool, report: Report) -> Iterator[Frame]:
    for frame in frames:
        if not listed.takes(Path(frame.file_name).stem):
            continue
        for box in frame.boxes:
            box.category = "pedestrian" if merge and box.category in _PERSONS else box.category
        yield frame
    listed.finish(report)


def _matlab_file(root: Path, split: str) -> Path:
    name = f"anno_{split}.mat"
    return root / name if (root / name).exists() else root / "annotations" / name


def _matlab_frames(path: Path, split: str) -> Iterator[Frame]:
    entries = cells(load_variable(path, f"anno_{split}_aligned"), str(path))
    for index, cell in enumerate(entries, start=1):
        place = f"{path}: picture {index}"
        one = records(cell, ("im_name", "bbs"), place)
        if len(one) != 1:
            raise InputError(f"{place}: {len(one)} entries where one should be")
        name = text(one[0]["im_name"], f"{place}: im_name")
        rows = numbers(one[0]["bbs"], 10, f"{place} ({name}): bbs").tolist()
        boxes = [_matlab_box(row, f"{place} ({name}), box {number}") for number, row in enumerate(rows, start=1)]
        # The files write a city in more than one way; the picture's name begins with that of its folder.
        yield Frame(f"{name.split('_')[0]}/{name}", *_SIZE, boxes, place=place)


def _matlab_box(row: Sequence[float], place: str) -> Box:
    label = row[0]
    name = _CLASSES[int(label)] if label in range(len(_CLASSES)) else f"{label:g}"
    return _box(name, row[1:5], row[6:10], place)


def _json_frames(folder: Path) -> Iterator[Frame]:
    files = sorted(require_folder(folder, "a folder for each city").glob("*/*_gtBboxCityPersons.json"))
    for path in files:
        content = read_json(path)
        require_keys(content, ("imgWidth", "imgHeight", "objects"), str(path))
        name = path.name.replace("_gtBboxCityPersons.json", "_leftImg8bit.png")
        if not isinstance(content["objects"], list):
            raise InputError(f"{path}: 'objects' is no list")
        boxes = [_json_box(label, f"{path}: object {index}") for index, label in enumerate(content["objects"])]
        yield Frame(f"{path.parent.name}/{name}", content["imgWidth"], content["imgHeight"], boxes, place=str(path))


def _json_box(label: Any, place: str) -> Box:
    require_keys(label, ("label", "bbox"), place)
    bbox, visible = (require_box(value, place) for value in (label["bbox"], label.get("bboxVis", label["bbox"])))
    return _box(str(label["label"]), bbox, visible, place)


def _box(name: str, bbox: Sequence[float], visible: Sequence[float], place: str) -> Box:
    area = bbox[2] * bbox[3]
    visibility = min(visible[2] * visible[3] / area, 1.0) if area > 0 else 1.0
    return Box(
        bbox=bbox,
        category="pedestrian" if name in ("ignore", "person group") else name,
        ignore=name == "ignore",
        crowd=name == "person group",
        place=place,
        fields={"visibility": visibility},
    )


_LAYOUT = """
ROOT/annotations/anno_train.mat      or ROOT/anno_train.mat; anno_val.mat likewise
ROOT/gtBboxCityPersons/train/aachen/aachen_000000_000019_gtBboxCityPersons.json ...    or these: taken if they are there
ROOT/leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png ...

Pedestrians, riders, sitting persons and others are classes of their own, or all pedestrians (--merge). Groups get
"iscrowd", regions to be ignored (posters, reflections) "ignore"; both are of the class "pedestrian". Boxes of
pedestrians and riders are whole bodies and stay as they are at the border of the picture. Without pictures:
--images trust takes 2048x1024. There are no identities.
The 2500 pictures of JDE and CL-MOT are those of its list: --only citypersons.train.
""".strip()
DATA_SETS = (
    DataSet(
        name="citypersons",
        summary="CityPersons, the persons of Cityscapes",
        layout=_LAYOUT,
        open_source=open_citypersons,
        options=(
            Option("--split", {"default": "train", "choices": ("train", "val"), "help": "default: %(default)s"}),
            Option("--merge", {"action": "store_true", "help": "riders, sitting and other persons become pedestrians"}),
            ONLY_OPTION,
        ),
    ),
)
