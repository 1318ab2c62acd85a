"""Stills of LVIS with the objects of COCO that LVIS does not have, as detectors for TAO are trained on.

The recipe is that of TAO (scripts/detectors/merge_coco_with_lvis.py of https://github.com/TAO-Dataset/tao), which
QDTrack follows: the pictures are those of LVIS; to each that has LVIS annotations come the COCO annotations whose class
LVIS has (the synset says so) and whose mask overlaps with none of LVIS, of any class, by more than 0.7 IoU.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from pycocotools import mask as mask_api

from clmot_qd.datasets.annotation_entries import is_box
from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.json_stream import stream_json
from clmot_qd.datasets.converters.lvis_classes import Class, choose_classes, keep_listed, read_short_lists, read_synsets
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box, Frame, Source
from clmot_qd.datasets.converters.tao import four_numbers
from clmot_qd.datasets.converters.text_files import require_keys
from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError
from clmot_qd.masks.checks import areas_among, require_polygons, require_runs, require_size

Entry = dict[str, Any]
IOU_THR = 0.7


@dataclass(slots=True)
class _Object:
    """An annotation without what is not needed of it; ``mask`` is run-length encoded."""

    number: int
    category: int
    bbox: Sequence[float]
    area: float
    crowd: bool
    mask: bytes


def open_lvis_coco(
    root: PathLike,
    report: Report,
    *,
    lvis: PathLike | None = None,
    coco: PathLike | None = None,
    synsets: PathLike | None = None,
    class_list: PathLike | None = None,
    tao: PathLike | None = None,
    iou_thr: float = IOU_THR,
) -> Source:
    """Open LVIS (v0.5 or v1) and COCO.

    Args:
        root: Folder with ``annotations`` and ``train2017``.
        report: Where remarks go.
        lvis: Annotations of LVIS; None means ``annotations/lvis_v0.5_train.json``.
        coco: Annotations of COCO; None means ``annotations/instances_train2017.json``.
        synsets: LVIS's table from names of COCO's classes to synsets; None means ``annotations/coco_to_synset.json``.
        class_list: File with the names of the classes to keep, one on a line; None keeps all.
        tao: A file of TAO, whose names and numbers the classes get by way of their synsets; needed for LVIS v1, whose
            names and numbers are others.
        iou_thr: COCO's annotation is left out if its mask overlaps with one of LVIS by more than this.

    Raises:
        InputError: A file that cannot be read or is of another kind.
    """
    folder = Path(root) / "annotations"
    lvis = folder / "lvis_v0.5_train.json" if lvis is None else Path(lvis)
    coco = folder / "instances_train2017.json" if coco is None else Path(coco)
    synsets = folder / "coco_to_synset.json" if synsets is None else Path(synsets)
    images, categories = read_short_lists(lvis)
    classes = choose_classes(categories, None if tao is None else Path(tao))
    if class_list is not None:
        classes = keep_listed(classes, Path(class_list))
    merge = _Merge(lvis, images, coco, read_synsets(synsets), categories, iou_thr)
    return Source(
        title="LVIS + COCO",
        categories=dict(classes.values()),
        frames=merge.frames(classes),
        images=Path(root) / "train2017",
        report=report,
        total=len(images),
    )


class _Merge:
    """The annotations of both, picture by picture. Both are in memory, their masks run-length encoded."""

    def __init__(
        self,
        lvis: Path,
        images: Mapping[int, Entry],
        coco: Path,
        synsets: Mapping[str, Entry],
        categories: Sequence[Entry],
        iou_thr: float,
    ) -> None:
        self.lvis = lvis
        self.coco = coco
        self.images = images
        self.synsets = synsets
        self.listed = {category["id"] for category in categories}
        by_synset = {category["synset"]: category["id"] for category in categories}
        #: COCO's number of a class -> LVIS's.
        self.from_coco = {
            entry["coco_cat_id"]: by_synset[entry["synset"]]
            for entry in synsets.values()
            if entry["synset"] in by_synset
        }
        self.iou_thr = iou_thr

    def frames(self, classes: Mapping[int, Class]) -> Iterator[Frame]:
        """Give the pictures of LVIS with the objects of ``classes`` (LVIS's number -> name and number)."""
        added = self._objects(self.coco)
        own = self._objects(self.lvis)
        for number, image in self.images.items():
            size = [image["height"], image["width"]]
            mine = own.pop(number, [])
            boxes = self._boxes(self.lvis, mine, classes)
            boxes += self._boxes(self.coco, self._new(added.pop(number, []), mine, size), classes)
            place = f"{self.lvis}: image {number}"
            yield Frame(
                file_name=_file_name(image, place),
                width=image["width"],
                height=image["height"],
                boxes=boxes,
                place=place,
                fields=_lists_of_classes(image, classes),
            )

    def _objects(self, path: Path) -> dict[int, list[_Object]]:
        """Read the annotations of pictures that LVIS has, with LVIS's numbers of classes."""
        result: dict[int, list[_Object]] = defaultdict(list)
        for key, entry in stream_json(path):
            if key == "categories" and path == self.coco:
                self._check_category(entry)
            if key != "annotations":
                continue
            require_keys(entry, ("id", "image_id", "category_id", "bbox"), f"{path}: an annotation")
            image = self.images.get(entry["image_id"])
            category = self.from_coco.get(entry["category_id"]) if path == self.coco else entry["category_id"]
            if image is not None and category is not None:
                result[entry["image_id"]].append(_object(entry, category, image, f"{path}: annotation {entry['id']}"))
        return result

    def _check_category(self, entry: Entry) -> None:
        known = self.synsets.get(entry["name"])
        if known is None or known["coco_cat_id"] != entry["id"]:
            raise InputError(
                f"{self.coco}: class {entry['id']} {entry['name']!r} is another one in the table of synsets"
            )

    def _new(self, coco: list[_Object], lvis: list[_Object], size: list[int]) -> list[_Object]:
        """Return COCO's objects that LVIS does not have; none where LVIS has no objects at all, as in the recipe."""
        if not coco or not lvis:
            return []
        ious = mask_api.iou(
            [{"size": size, "counts": found.mask} for found in coco],
            [{"size": size, "counts": found.mask} for found in lvis],
            [0] * len(lvis),
        )
        return [found for found, highest in zip(coco, np.max(ious, axis=1)) if highest <= self.iou_thr]

    def _boxes(self, path: Path, objects: Sequence[_Object], classes: Mapping[int, Class]) -> list[Box]:
        return [
            Box(
                bbox=found.bbox,
                category=classes[found.category][0] if found.category in classes else f"number {found.category}",
                crowd=found.crowd,
                place=f"{path}: annotation {found.number}",
                fields={"area": found.area},
            )
            for found in objects
            if found.category in classes or found.category not in self.listed
        ]


def _object(entry: Entry, category: int, image: Entry, place: str) -> _Object:
    bbox = four_numbers(entry["bbox"], place)
    require_size(image["height"], image["width"], f"{place}, its image")
    try:
        mask = _mask(entry.get("segmentation"), bbox, image["height"], image["width"], place)
    except InputError:
        raise
    except Exception as error:  # pycocotools raises a bare one for what it does not know
        raise InputError(f"{place}: segmentation is neither polygons nor a mask ({error})") from error
    area = entry.get("area", bbox[2] * bbox[3])
    if type(area) not in (int, float):
        raise InputError(f"{place}: area is {area!r}, no number")
    return _Object(entry["id"], category, bbox, area, bool(entry.get("iscrowd", 0)), mask)


def _mask(segmentation: Any, bbox: Sequence[float], height: int, width: int, place: str) -> bytes:
    """Return the run-length encoded mask; that of the box where there is none."""
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        require_runs(counts, height, width, place, fill=True)
        whole = {"counts": counts, "size": [height, width]}
        return counts.encode() if isinstance(counts, str) else mask_api.frPyObjects(whole, height, width)["counts"]
    polygons = segmentation or []
    require_polygons(polygons, height, width, place)
    areas = areas_among(polygons)
    if not areas:
        box = bbox if is_box(bbox) else (0, 0, 0, 0)  # one that is left out later covers nothing
        left, top, right, bottom = (float(value) for value in _within(box, height, width))
        areas = [[left, top, right, top, right, bottom, left, bottom]]
    return mask_api.merge(mask_api.frPyObjects(areas, height, width))["counts"]


def _within(bbox: Sequence[float], height: int, width: int) -> tuple[float, float, float, float]:
    """Return the corners of a box, cut at the border of the picture."""
    (x, y, w, h), (right, bottom) = bbox, (width, height)
    sides = ((x, right), (y, bottom), (x + w, right), (y + h, bottom))
    left, top, far, low = (min(max(value, 0), side) for value, side in sides)
    return left, top, far, low


def _file_name(image: Entry, place: str) -> str:
    """Return 000000000009.jpg: ``file_name`` in v0.5 is COCO_train2014_000000000009.jpg, v1 has ``coco_url`` alone."""
    name = image.get("file_name") or image.get("coco_url")
    if not isinstance(name, str):
        raise InputError(f"{place} has neither 'file_name' nor 'coco_url'")
    return PurePosixPath(name).name.rsplit("_", 1)[-1]


def _lists_of_classes(image: Entry, classes: Mapping[int, Class]) -> dict[str, list[int]]:
    keys = ("neg_category_ids", "not_exhaustive_category_ids")
    return {key: [classes[number][1] for number in image[key] if number in classes] for key in keys if key in image}


_LAYOUT = """
ROOT/annotations/lvis_v0.5_train.json       or --lvis FILE
ROOT/annotations/instances_train2017.json   COCO; or --coco FILE
ROOT/annotations/coco_to_synset.json        of https://github.com/lvis-dataset/lvis-api (folder data); or --synsets FILE
ROOT/train2017/000000000009.jpg ...         COCO's pictures, which are those of LVIS

Stills without identities. To each picture of LVIS that has annotations come the annotations of COCO whose class LVIS
has (by synset) and whose mask overlaps with none of LVIS by more than 0.7 IoU: the recipe of TAO. Outlines are not
written; "area" is that of the mask. The masks of both files are in memory meanwhile: less than a gigabyte.

  --class-list data/tao/annotations/tao_classes.txt   keeps these classes: the 482 of the configurations
  --tao data/tao/annotations/train.json               names and numbers classes as TAO does, by synset: LVIS v1
                                                      needs it, and so do classes that TAO merges into others
""".strip()

DATA_SETS = (
    DataSet(
        name="lvis-coco",
        summary="LVIS v0.5 or v1 with the objects of COCO that it lacks, to train detectors for TAO",
        layout=_LAYOUT,
        open_source=open_lvis_coco,
        options=(
            Option("--lvis", {"metavar": "FILE", "help": "annotations of LVIS"}),
            Option("--coco", {"metavar": "FILE", "help": "annotations of COCO"}),
            Option("--synsets", {"metavar": "FILE", "help": "table from names of COCO's classes to synsets"}),
            Option("--class-list", {"metavar": "FILE", "help": "names of the classes to keep, one on a line"}),
            Option("--tao", {"metavar": "FILE", "help": "file of TAO, to name and number classes as it does"}),
            Option(
                "--iou-thr",
                {
                    "type": float,
                    "default": IOU_THR,
                    "help": "COCO's annotation is left out above this IoU with one of LVIS (default: %(default)s)",
                },
            ),
        ),
    ),
)
