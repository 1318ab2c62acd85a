"""JSON files of detections, in any of these forms.

* COCO results: ``[{"image_id": 7, "category_id": 1, "bbox": [x, y, w, h], "score": 0.9}, ...]``, together with the
  CocoVID annotation file that says which video and frame an image is;
* a list of detections: ``[{"video": "a", "frame": 1, "bbox": [x, y, w, h], "score": 0.9, "class": "car"}, ...]``;
* videos by name: ``{"a": [{"frame": 1, "bbox": [x, y, w, h]}, ...], "b": [...]}``.

``video`` (a list without it is about one video), ``score`` (1) and ``class`` are optional; so is ``embedding``, a list
of numbers, in all three. ``xyxy`` may stand instead of ``bbox``: ``[x1, y1, x2, y2]``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clmot_qd.datasets.detections.tables import Rows
from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError
from clmot_qd.files import read_json


@dataclass(frozen=True)
class Images:
    """What an annotation file says of COCO results: image id -> (video, frame number), category id -> name."""

    places: Mapping[int | str, tuple[str, int]]
    categories: Mapping[int | str, str]


def read_json_rows(path: PathLike, images: Images | None = None) -> Rows:
    """Read a JSON file.

    Args:
        path: The file.
        images: Of the annotation file; COCO results need it.

    Raises:
        InputError: The file is truncated or of another form; the message names line or entry.
    """
    content = read_json(path)
    if isinstance(content, dict):
        named: list[tuple[str | None, Any]] = list(content.items())
    else:
        named = [(None, content)]
    if not all(isinstance(part, list) for _, part in named):
        raise InputError(f"{path}: the top level must be a list of detections or {{video: list of detections}}")
    entries = [(f"{path}: {name or ''}[{n}]", name, entry) for name, part in named for n, entry in enumerate(part)]
    return _to_rows(path, entries, images)


Entry = tuple[str, str | None, Any]  # place, video, detection


def _to_rows(path: PathLike, entries: Sequence[Entry], images: Images | None) -> Rows:
    for place, _, entry in entries:
        if not isinstance(entry, dict):
            raise InputError(f"{place}: a detection must be an object with frame (or image_id) and bbox")
    if entries and "image_id" in entries[0][2]:
        entries = [_placed(*entry, path, images) for entry in entries]
    count = len(entries)
    embeds = _column(entries, "embedding", lambda value: np.asarray(value, dtype=np.float32), None)
    _check_widths(entries, embeds)
    videos = [entry.get("video", video) for _, video, entry in entries]
    named = any(video is not None for video in videos)
    _same_everywhere(entries, "video", [video is not None for video in videos])
    classes = _column(entries, "class", str, None)
    return Rows(
        place=lambda row: entries[row][0],
        frames=np.array(_column(entries, "frame", float), dtype=np.float64).reshape(count),
        bboxes=np.array([_box(place, entry) for place, _, entry in entries], dtype=np.float64).reshape(count, 4),
        scores=np.array(_column(entries, "score", float, 1.0), dtype=np.float64).reshape(count),
        videos=[str(video) for video in videos] if named else None,
        classes=None if not classes or classes[0] is None else classes,
        embeds=None if not embeds or embeds[0] is None else np.stack(embeds),
    )


def _placed(place: str, _: str | None, entry: dict[str, Any], path: PathLike, images: Images | None) -> Entry:
    """Return a COCO result with the names and numbers that its ids stand for."""
    if images is None:
        raise InputError(f"{path}: COCO results name images by id; give the annotation file as well (--ann)")
    image: Any = entry.get("image_id")
    category: Any = entry.get("category_id")
    if not isinstance(image, int | str) or image not in images.places:
        raise InputError(f"{place}: image_id {image} is not in the annotation file; give the one they were made with")
    if not isinstance(category, int | str) or category not in images.categories:
        raise InputError(f"{place}: category_id {category} is not in the annotation file; give the right one")
    video, frame = images.places[image]
    return place, video, {**entry, "video": video, "frame": frame, "class": images.categories[category]}


_REQUIRED = object()


def _column(entries: Sequence[Entry], key: str, convert: Callable[[Any], Any], default: Any = _REQUIRED) -> list[Any]:
    """Return what every detection says under ``key``; an optional key is there everywhere or nowhere."""
    present = [key in entry for _, _, entry in entries]
    if default is _REQUIRED and not all(present):
        raise InputError(f"{entries[present.index(False)][0]}: no key {key!r}; add it")
    _same_everywhere(entries, key, present)
    if not any(present):
        return [default] * len(entries)
    values = []
    for place, _, entry in entries:
        try:
            values.append(convert(entry[key]))
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{place}: {key} is {entry[key]!r}; it must be a number") from None
    return values


def _same_everywhere(entries: Sequence[Entry], key: str, present: Sequence[bool]) -> None:
    if any(present) and not all(present):
        raise InputError(f"{entries[present.index(False)][0]}: no key {key!r}, which other detections have; add it")


def _box(place: str, entry: dict[str, Any]) -> list[float]:
    """Return the box, xyxy."""
    key = "xyxy" if "xyxy" in entry else "bbox"
    try:
        box = [float(value) for value in entry[key]]
    except (KeyError, TypeError, ValueError, OverflowError):
        box = []
    if len(box) != 4:
        raise InputError(f"{place}: {key} is {entry.get(key)}; it must be four numbers")
    return box if key == "xyxy" else [box[0], box[1], box[0] + box[2], box[1] + box[3]]


def _check_widths(entries: Sequence[Entry], embeds: Sequence[Any]) -> None:
    for (place, _, _), vector in zip(entries, embeds):
        if vector is not None and (vector.ndim != 1 or vector.shape != embeds[0].shape):
            raise InputError(f"{place}: embedding of shape {vector.shape}; the first has {embeds[0].shape}")
