"""Where an object is: Scalabel's boxes, polygons with Bezier curves and masks, as COCO has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pycocotools import mask as mask_api

from clmot_qd.datasets.converters.source import Box
from clmot_qd.datasets.converters.text_files import require_keys
from clmot_qd.errors import InputError
from clmot_qd.geometry import xyxy_to_xywh
from clmot_qd.masks import RleMasks
from clmot_qd.masks.checks import require_runs, require_size

#: COCO's: a list of polygons [x, y, x, y, ...], or a run-length encoded mask.
Segmentation = list[list[float]] | dict[str, Any]
Point = Sequence[float]

_PIECES = 8  # straight ones, in place of a curve


@dataclass(frozen=True)
class Shape:
    """An object's box x, y, w, h in pixels, its outline, if the label has one, and the pixels of its mask, if any."""

    bbox: list[float]
    segmentation: Segmentation | None = None
    area: int | None = None


def read_shape(label: dict[str, Any], place: str) -> Shape | None:
    """Read ``box2d``, ``poly2d`` and ``rle`` of a label; keys may be absent or null. Without ``box2d``, the box is that
    of the outline. None if there is neither.

    ``box2d`` has two corners, the second of which belongs to the box no more than the first one's neighbour: the width
    is x2 - x1, as TrackEval takes it. (Scalabel's own converter adds 1.)

    Raises:
        InputError: A value of the wrong kind.
    """
    segmentation = _segmentation(label, place)
    corners = None if label.get("box2d") is None else _corners(label["box2d"], place)
    if isinstance(segmentation, dict):
        masks = RleMasks.of([segmentation["counts"].encode()], segmentation["size"])
        return Shape(corners or xyxy_to_xywh(masks.boxes())[0].tolist(), segmentation, int(masks.areas()[0]) or None)
    if corners is None and segmentation is None:
        return None
    return Shape(corners or _around(segmentation or []), segmentation)


def join_parts(boxes: list[Box]) -> Iterator[Box]:
    """Make one box of those that have the same identity and class, if all of them are outlined by polygons."""
    first: dict[Any, Box] = {}
    for box in boxes:
        outline = box.fields.get("segmentation")
        whole = first.get((box.identity, box.category))
        if whole is None or not isinstance(outline, list):
            if isinstance(outline, list) and box.identity is not None:
                first[box.identity, box.category] = box
            yield box
            continue
        whole.fields["segmentation"] += outline
        whole.bbox = _around([_points_of(whole.bbox), _points_of(box.bbox)])


def _segmentation(label: dict[str, Any], place: str) -> Segmentation | None:
    if label.get("rle") is not None:
        return _mask(label["rle"], place)
    polygons = [_polygon(entry, place) for entry in label.get("poly2d") or () if _is_closed(entry, place)]
    return [polygon for polygon in polygons if len(polygon) >= 6] or None


def _corners(box: Any, place: str) -> list[float]:
    require_keys(box, ("x1", "y1", "x2", "y2"), f"{place}: box2d")
    x1, y1, x2, y2 = (_number(box[key], f"{place}: box2d.{key}") for key in ("x1", "y1", "x2", "y2"))
    return [x1, y1, x2 - x1, y2 - y1]


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{place} is {value!r}, no number; mend the file")
    return value


def _is_closed(entry: Any, place: str) -> bool:
    """Whether a ``poly2d`` is the outline of an area; others are lines."""
    require_keys(entry, ("vertices",), f"{place}: poly2d")
    return bool(entry.get("closed", True))


def _polygon(entry: dict[str, Any], place: str) -> list[float]:
    vertices = entry["vertices"]
    types = entry.get("types") or "L" * len(vertices)
    if len(types) != len(vertices) or set(types) - {"L", "C"}:
        raise InputError(f"{place}: poly2d has {len(vertices)} vertices of types {types!r}; one L or C for each")
    for vertex in vertices:
        if not isinstance(vertex, (list, tuple)) or len(vertex) != 2:
            raise InputError(f"{place}: poly2d: vertex {vertex!r} is no [x, y]")
    points = _with_curves(vertices, types, place)
    return [_number(value, f"{place}: poly2d.vertices") for point in points for value in point]


def _with_curves(vertices: Sequence[Point], types: str, place: str) -> Iterator[Point]:
    """Give the points of an outline: two control points C between two points L are a cubic curve."""
    index = 0
    while index < len(vertices):
        if types[index] == "L":
            yield vertices[index]
            index += 1
            continue
        if index == 0 or types[index + 1 : index + 2] != "C" or types[index + 2 : index + 3] == "C":
            raise InputError(f"{place}: poly2d.types {types!r}: a curve is two C between two L")
        end = vertices[(index + 2) % len(vertices)]
        yield from _curve(vertices[index - 1], vertices[index], vertices[index + 1], end)
        index += 2


def _curve(start: Point, first: Point, second: Point, end: Point) -> Iterator[Point]:
    """Give the points between start and end."""
    for piece in range(1, _PIECES):
        t = piece / _PIECES
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
        yield [
            sum(weight * point[axis] for weight, point in zip(weights, (start, first, second, end))) for axis in (0, 1)
        ]


def _mask(rle: Any, place: str) -> dict[str, Any]:
    require_keys(rle, ("counts", "size"), f"{place}: rle")
    counts, size = rle["counts"], rle["size"]
    if not isinstance(size, list) or len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise InputError(f"{place}: rle.size is {size!r}, not [height, width]")
    if not isinstance(counts, str | list):
        raise InputError(f"{place}: rle.counts is {type(counts).__name__}, no text")
    height, width = size
    require_size(height, width, f"{place}: rle")
    require_runs(counts, height, width, f"{place}: rle", fill=True)
    if isinstance(counts, list):
        counts = mask_api.frPyObjects({"counts": counts, "size": size}, *size)["counts"].decode()
    return {"size": size, "counts": counts}


def _around(polygons: Sequence[Sequence[float]]) -> list[float]:
    xs = [x for polygon in polygons for x in polygon[0::2]]
    ys = [y for polygon in polygons for y in polygon[1::2]]
    left, top = min(xs), min(ys)
    return [left, top, max(xs) - left, max(ys) - top]


def _points_of(bbox: Sequence[float]) -> list[float]:
    x, y, width, height = bbox
    return [x, y, x + width, y + height]
