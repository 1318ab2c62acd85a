"""Average precision of boxes over the classes that really occur; the core behind ``VideoDetectionMetric``.

Matching and averaging are pycocotools'. What is ours: which classes are averaged, and that ``ignore`` counts like
``iscrowd`` (pycocotools reads the latter alone).
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clmot_qd.datasets.mot_text import FloatArray, IntArray, PathLike
from clmot_qd.errors import InputError
from clmot_qd.evaluation.formats.entries import Entries
from clmot_qd.files import read_json, write_json

_AT_50, _AT_75 = 0, 5  # of the IoU thresholds 0.5, 0.55 ... 0.95
_AREAS = ("", "_s", "_m", "_l")  # all, up to 32 x 32 pixels, up to 96 x 96, larger
_COLUMNS = ("AP", "AP50", "AP75", "AP_s", "AP_m", "AP_l", "AR")


@dataclass(frozen=True)
class Detections:
    """The n boxes found in one image.

    Args:
        bboxes: (n, 4) x, y, w, h in pixels of the original image.
        scores: (n,).
        class_ids: (n,) category numbers of the annotation file.
    """

    bboxes: FloatArray
    scores: FloatArray
    class_ids: IntArray


@dataclass(frozen=True)
class DetectionTruth:
    """The true boxes.

    Args:
        source: The annotation file, for messages.
        categories: Name -> number.
        image_ids: Numbers of the images.
        annotations: ``image_id, category_id, bbox`` (xywh), ``area, iscrowd`` of each box; a crowd is neither to be
            found nor wrong to find.
    """

    source: str
    categories: Mapping[str, int]
    image_ids: frozenset[int]
    annotations: Sequence[Mapping[str, Any]]

    def occurring(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return those of the classes that have a box to be found.

        Raises:
            InputError: The file does not list one, or none of them has a box.
        """
        for name in names:
            if name not in self.categories:
                raise InputError(f"{self.source}: no class {name!r}; it has {', '.join(self.categories)}")
        present = {entry["category_id"] for entry in self.annotations if not entry["iscrowd"]}
        found = tuple(name for name in names if self.categories[name] in present)
        if not found:
            raise InputError(f"{self.source}: no box of {', '.join(names)} to be found; is this a test set?")
        return found


def read_detection_truth(path: PathLike) -> DetectionTruth:
    """Read a COCO or CocoVID annotation file.

    Raises:
        InputError: It is missing, no JSON, or lacks a key.
    """
    data = read_json(path)
    if not isinstance(data, dict):
        raise InputError(f"{path}: no annotation file, its top level is a {type(data).__name__}")
    images = _section(path, data, "images").integers("id")
    annotations = _section(path, data, "annotations")
    categories = _section(path, data, "categories")
    for row in data["annotations"]:
        if isinstance(row, dict) and row.get("area", 0) is None:  # as good as none
            del row["area"]
    boxes, classes = annotations.fours("bbox").tolist(), annotations.integers("category_id")
    areas = annotations.numbers("area", default=0.0).tolist()
    places = annotations.integers("image_id")
    annotations.refuse(~np.isin(places, images), lambda i: f"image_id {places[i]} is not in images")
    crowd = [bool(row.get("iscrowd") or row.get("ignore")) for row in annotations.rows]
    entries = [
        {
            "id": i,
            "image_id": image,
            "category_id": category,
            "bbox": box,
            "area": area if "area" in row else box[2] * box[3],
            "iscrowd": int(lost),
        }
        for i, (row, image, category, box, area, lost) in enumerate(
            zip(annotations.rows, places.tolist(), classes.tolist(), boxes, areas, crowd), start=1
        )
    ]
    names = categories.column("name")
    odd = np.array([not isinstance(name, str | int) for name in names], dtype=bool)
    categories.refuse(odd, lambda i: f"name is {names[i]!r}; it must be text")
    numbers = dict(zip(map(str, names), categories.integers("id").tolist()))
    return DetectionTruth(str(path), numbers, frozenset(images.tolist()), entries)


def _section(path: PathLike, data: Mapping[str, Any], key: str) -> Entries:
    if not isinstance(data.get(key), list):
        raise InputError(f"{path}: no list {key!r}; give a COCO or CocoVID annotation file")
    return Entries(path, data[key], lambda i: f"{key}[{i}]")


@dataclass(frozen=True)
class DetectionScores:
    """Percentages; NaN is not defined (no box of that size).

    Args:
        by_class: Class -> ``AP`` (mean over the IoU thresholds 0.5, 0.55 ... 0.95), ``AP50``, ``AP75``, ``AP_s`` (area
            up to 32 x 32 pixels), ``AP_m`` (up to 96 x 96), ``AP_l``, ``AR``.
    """

    by_class: Mapping[str, Mapping[str, float]]

    def overall(self) -> dict[str, float]:
        """Return the mean over the classes for which each number is defined."""
        return {key: _mean([row[key] for row in self.by_class.values()]) for key in _COLUMNS}

    def flat(self) -> dict[str, float]:
        """Return the means, and with several classes ``NAME/AP`` ... of each, for a logger."""
        rows = self.by_class if len(self.by_class) > 1 else {}
        return self.overall() | {f"{name}/{key}": value for name, row in rows.items() for key, value in row.items()}

    def table(self) -> str:
        """Lay out one row for each class and one for their mean."""
        rows = {**self.by_class, f"MEAN OF {len(self.by_class)}": self.overall()}
        width = max(map(len, ("detection", *rows)))
        lines = [f"{'detection':<{width}}" + "".join(f"{column:>8}" for column in _COLUMNS)]
        for name, row in rows.items():
            cells = (f"{'-':>8}" if math.isnan(row[key]) else f"{row[key]:>8.2f}" for key in _COLUMNS)
            lines.append(f"{name:<{width}}" + "".join(cells))
        return "\n".join(lines)

    def write_json(self, path: PathLike) -> None:
        """Write everything; what is not defined becomes null."""
        write_json(path, {"detection": {"overall": self.overall(), "classes": self.by_class}})


def detection_ap(
    truth: DetectionTruth,
    found: Mapping[int, Detections],
    classes: Sequence[str],
    max_detections: int = 100,
) -> DetectionScores:
    """Compute average precision.

    Args:
        truth: The true boxes. Every image of the file counts; one that is not in ``found`` was left without detections.
        found: Image number -> what was found there. Boxes of other classes are left out.
        classes: Names of the classes that the detector knows; those without a box in the file are not averaged.
        max_detections: Best detections of an image and class that count; 100 is COCO's number.

    Raises:
        InputError: An image or a class that the file does not have.
    """
    unknown = next((image for image in found if image not in truth.image_ids), None)
    if unknown is not None:
        raise InputError(f"{truth.source}: no image {unknown}; detect in the images that ann_file describes")
    names = truth.occurring(classes)
    numbers = [truth.categories[name] for name in names]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluated = _evaluate(truth, found, numbers, max_detections)
    position = {number: index for index, number in enumerate(sorted(numbers))}
    return DetectionScores({name: _row(evaluated, position[number]) for name, number in zip(names, numbers)})


def _evaluate(
    truth: DetectionTruth, found: Mapping[int, Detections], numbers: Sequence[int], max_detections: int
) -> Mapping[str, FloatArray]:
    """Return pycocotools' arrays: precision (10, 101, classes, areas, 1) and recall (10, classes, areas, 1)."""
    from pycocotools.cocoeval import COCOeval

    images = sorted(truth.image_ids)
    evaluation = COCOeval(_as_coco(truth, truth.annotations), _as_coco(truth, _entries(found)), "bbox")
    evaluation.params.imgIds = images
    evaluation.params.catIds = sorted(numbers)
    evaluation.params.maxDets = [max_detections]
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval


def _as_coco(truth: DetectionTruth, annotations: Sequence[Mapping[str, Any]]) -> Any:
    """Return an index of pycocotools. It marks the entries as it likes, so it gets copies."""
    from pycocotools.coco import COCO

    coco = COCO()
    coco.dataset = {
        "images": [{"id": image} for image in truth.image_ids],
        "categories": [{"id": number, "name": name} for name, number in truth.categories.items()],
        "annotations": [dict(entry) for entry in annotations],
    }
    coco.createIndex()
    return coco


def _entries(found: Mapping[int, Detections]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for image, boxes in found.items():
        columns = zip(boxes.bboxes.tolist(), boxes.scores.tolist(), boxes.class_ids.tolist())
        for box, score, number in columns:
            known = {"image_id": image, "category_id": number, "bbox": box, "score": score}
            entries.append({"id": len(entries) + 1, "area": box[2] * box[3], "iscrowd": 0, **known})
    return entries


def _row(evaluated: Mapping[str, FloatArray], index: int) -> dict[str, float]:
    precision = evaluated["precision"][:, :, index, :, 0]
    row = {f"AP{area}": _percent(precision[:, :, i]) for i, area in enumerate(_AREAS)}
    row |= {"AP50": _percent(precision[_AT_50, :, 0]), "AP75": _percent(precision[_AT_75, :, 0])}
    return row | {"AR": _percent(evaluated["recall"][:, index, 0, 0])}


def _percent(values: FloatArray) -> float:
    """Return the mean in percent; pycocotools marks what is not defined by -1, at all thresholds alike."""
    return 100 * float(values.mean()) if values.min() >= 0 else math.nan


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan
