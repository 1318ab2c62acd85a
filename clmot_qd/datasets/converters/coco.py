"""Plain COCO detection files: COCO itself, Objects365, what labelling tools export; and CocoVID files once more."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.folder_videos import folder_videos
from clmot_qd.datasets.converters.json_stream import stream_json
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box, Counts, Frame, Source
from clmot_qd.datasets.converters.splits import Part, read_parts
from clmot_qd.datasets.converters.text_files import require_keys
from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError

Entry = dict[str, Any]
# Further keys that are kept, by list.
_KEPT = {
    "annotations": ("segmentation", "visibility", "difficulty", "track_id"),
    "images": ("mot_frame_id", "source_id", "frame_index"),
    "videos": ("fps", "source_id", "neg_category_ids", "not_exhaustive_category_ids"),
    "categories": ("merged",),
}
_NEEDED = ("bbox", "category_id", "iscrowd", "ignore", "area", "instance_id", "id", *_KEPT["annotations"][1:])
PUBLISHED = {
    "instances_train2017.json": Counts(images=118287, origin="cocodataset.org"),
    "instances_val2017.json": Counts(images=5000, origin="cocodataset.org"),
}


@dataclass
class _File:
    """What is read of the file; annotations by image, reduced to what is used."""

    path: Path
    images: dict[Any, Entry] = field(default_factory=dict)
    annotations: dict[Any, list[Entry]] = field(default_factory=dict)
    categories: dict[Any, str] = field(default_factory=dict)
    videos: dict[Any, str] = field(default_factory=dict)
    kept: dict[str, dict[str, Entry]] = field(default_factory=lambda: {"videos": {}, "categories": {}})


def open_coco(
    root: PathLike,
    report: Report,
    *,
    ann: PathLike,
    map: Sequence[str] | None = None,
    only_mapped: bool = False,
    drop_empty: bool = False,
    no_segmentation: bool = False,
    video_from_folder: bool = False,
    only: PathLike | None = None,
    split_ratio: float | None = None,
    part: Part = "first",
    keep_outside: bool = False,
) -> Source:
    """Open a COCO file.

    Args:
        root: Folder of the pictures, which the file's ``file_name`` are relative to.
        report: Where remarks go.
        ann: The file.
        map: ``OLD=NEW``: class OLD of the file is called NEW. Several OLD with one NEW become one class.
        only_mapped: Leave out classes that ``map`` does not name.
        drop_empty: Leave out pictures without a box.
        no_segmentation: Leave ``segmentation`` out.
        video_from_folder: Pictures of one folder are one video.
        only: File with the names of the pictures, or of the videos, to take, one on each line.
        split_ratio: Split pictures, or whole videos, at random into two parts, of which the first has this share. Names
            decide, so that the same names give the same parts.
        part: The part to take: ``first`` or ``second``.
        keep_outside: Boxes reach beyond the picture as they stand, as in the files of whole-body data sets.

    Raises:
        InputError: A file is missing or damaged, or ``map`` names a class that is not there.
    """
    path = Path(ann)
    content = _read(path, not no_segmentation, report)
    names, categories = _classes(content, map or (), only_mapped)
    places = _places(content, video_from_folder)
    units = {key: place[0] or content.images[key]["file_name"] for key, place in places.items()}
    taken = read_parts(
        units, {key: entry["file_name"] for key, entry in content.images.items()}, only, split_ratio, part
    )
    whole = only is None and split_ratio is None and not drop_empty
    return Source(
        title=path.name,
        categories=categories,
        frames=_frames(content, names, {key: places[key] for key in places if key in taken}, drop_empty, report),
        images=Path(root),
        report=report,
        total=len(taken),
        videos=content.kept["videos"],
        outside="keep" if keep_outside else "clip",
        category_fields={
            names[key]: content.kept["categories"][old] for key, old in content.categories.items() if key in names
        },
        published=PUBLISHED.get(path.name) if whole else None,
    )


def _read(path: Path, segmentation: bool, report: Report) -> _File:
    content = _File(path)
    needed = (*_NEEDED, "segmentation") if segmentation else _NEEDED
    index = {"images": 0, "annotations": 0, "categories": 0, "videos": 0}
    for kind, entry in stream_json(path):
        if kind in index:
            place = f"{path}: {kind}[{index[kind]}]"
            index[kind] += 1
            _take(content, kind, entry, place, needed)
    if not content.images or not content.categories:
        raise InputError(f"{path}: not in COCO format: it needs the lists 'images', 'annotations' and 'categories'")
    _require_different_files(content)
    for image in [image for image in content.annotations if image not in content.images]:
        for entry in content.annotations.pop(image):
            kind = "annotation of an image that the file does not list"
            report.note("skipped", kind, _place(content, entry), f"image_id {image}")
    return content


def _take(content: _File, kind: str, entry: Any, place: str, needed: Sequence[str]) -> None:
    """Keep an entry of one of the lists."""
    if kind == "annotations":
        require_keys(entry, ("image_id", "category_id"), place)
        image = _key(entry, "image_id", place)
        content.annotations.setdefault(image, []).append({key: entry[key] for key in needed if key in entry})
        return
    name = "file_name" if kind == "images" else "name"
    require_keys(entry, ("id", name), place)
    if not isinstance(entry[name], str):
        raise InputError(f"{place}: {name} is {entry[name]!r}, no text")
    entries: dict[Any, Any] = getattr(content, kind)
    key = _key(entry, "id", place)
    if key in entries:
        raise InputError(f"{place}: id {key} is used twice; give every entry its own")
    entries[key] = entry if kind == "images" else entry["name"]
    if kind != "images":
        content.kept[kind][entry["name"]] = {name: entry[name] for name in _KEPT[kind] if name in entry}


def _key(entry: Entry, name: str, place: str) -> Any:
    if not isinstance(entry[name], (int, str)):
        raise InputError(f"{place}: {name} is {entry[name]}, which is neither a number nor a text")
    return entry[name]


def _require_different_files(content: _File) -> None:
    images: dict[str, Any] = {}
    for key, entry in content.images.items():
        other = images.setdefault(entry["file_name"], key)
        if other != key:
            what = f"images {other} and {key} are both {entry['file_name']}"
            raise InputError(f"{content.path}: {what}; give the boxes of a picture to one image")


def _classes(content: _File, pairs: Sequence[str], only_mapped: bool) -> tuple[dict[Any, str], dict[str, int]]:
    """Return category id -> new name, and new name -> id: the lowest of those that it is made of."""
    renamed = dict(_pair(pair) for pair in pairs)
    known = set(content.categories.values())
    for old in renamed:
        if old not in known:
            raise InputError(f"--map: {content.path} has no class {old!r}; its classes are {', '.join(sorted(known))}")
    names = {key: renamed.get(old, old) for key, old in content.categories.items() if old in renamed or not only_mapped}
    categories: dict[str, int] = {}
    for key in sorted(names):
        categories.setdefault(names[key], key)
    return names, categories


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise InputError(f"--map {text}: write OLD=NEW")
    return old, new


def _places(content: _File, from_folder: bool) -> dict[Any, tuple[str | None, int]]:
    """Return image id -> (video or None, place in time), images of one video together."""
    if from_folder:
        keys = {PurePosixPath(entry["file_name"]): key for key, entry in content.images.items()}
        return {keys[name]: place for name, place in folder_videos(keys).items()}
    places = {key: _recorded_place(content, entry) for key, entry in content.images.items()}
    order = {video: index for index, video in enumerate(dict.fromkeys(video for video, _ in places.values()))}
    return dict(sorted(places.items(), key=lambda item: order[item[1][0]]))


def _recorded_place(content: _File, entry: Entry) -> tuple[str | None, int]:
    """Return what a CocoVID file says; in any other file all images are still pictures."""
    if entry.get("video_id") not in content.videos:
        return None, 0
    if "frame_id" not in entry:
        raise InputError(f"{content.path}: image {entry['id']}: a video_id, but no frame_id")
    return content.videos[entry["video_id"]], entry["frame_id"]


def _frames(
    content: _File, names: Mapping[Any, str], places: Mapping[Any, tuple[str | None, int]], drop: bool, report: Report
) -> Iterator[Frame]:
    for key, (video, number) in places.items():
        image = content.images[key]
        boxes = [box for entry in content.annotations.pop(key, []) for box in _boxes(content, entry, names, report)]
        if drop and not boxes:
            continue
        place = f"{content.path}: image {key}"
        yield Frame(
            file_name=image["file_name"],
            width=_pixels(image, "width", place),
            height=_pixels(image, "height", place),
            boxes=boxes,
            video=video,
            number=number,
            place=place,
            fields={"source_id": key} | {name: image[name] for name in _KEPT["images"] if name in image},
        )


def _pixels(image: Entry, key: str, place: str) -> int:
    value = image.get(key) or 0
    if not (isinstance(value, (int, float)) and float(value).is_integer() and value >= 0):
        raise InputError(f"{place}: {key} {value!r} is no number of pixels; correct it, or take it out")
    return int(value)


def _boxes(content: _File, entry: Entry, names: Mapping[Any, str], report: Report) -> list[Box]:
    """Return an annotation as a box; none if it is of no box or of a class that is not wanted."""
    category, bbox, place = entry["category_id"], entry.get("bbox"), _place(content, entry)
    if category in content.categories and category not in names:
        return []
    if not (isinstance(bbox, list) and len(bbox) == 4 and all(isinstance(value, (int, float)) for value in bbox)):
        report.note("skipped", "annotation whose bbox is not four numbers", place, str(bbox))
        return []
    box = Box(
        bbox=bbox,
        category=names.get(category, str(category)),
        identity=entry.get("instance_id"),
        ignore=bool(entry.get("ignore", False)),
        crowd=bool(entry.get("iscrowd", False)),
        place=place,
        fields={key: entry[key] for key in _KEPT["annotations"] if key in entry},
    )
    if "segmentation" in entry and math.isfinite(entry.get("area", math.nan)):
        box.fields["area"] = entry["area"]  # of the outline, which the size classes of COCO's AP go by
    return [box]


def _place(content: _File, entry: Entry) -> str:
    return f"{content.path}: annotation {entry.get('id', 'without id')}"


_LAYOUT = """
ANN.json                                       images, annotations, categories; CocoVID's videos too
ROOT/FILE_NAME                                 pictures; FILE_NAME as the file has it

An image needs id and file_name; without width and height its picture is looked at. An annotation needs image_id,
category_id and bbox. iscrowd, ignore, area, segmentation, instance_id and the keys that scoring by BDD100K, TAO and
Waymo needs are kept where they are there, other keys are not. Category ids stay, gaps included; a class made of
several takes the lowest of their ids. Ids of images are counted anew; the old one becomes source_id, unless there is
one already. Boxes are cut at the border of the picture; --keep-outside leaves them: for MOTChallenge, CrowdHuman, TAO
and the like.
--video-from-folder: the folder of a picture is its video, its frames are in natural order of their names.
""".strip()

DATA_SETS = (
    DataSet(
        name="coco",
        summary="plain COCO detection files: COCO, Objects365, labelling tools",
        layout=_LAYOUT,
        open_source=open_coco,
        options=(
            Option("--ann", {"required": True, "metavar": "FILE", "help": "COCO file"}),
            Option(
                "--map",
                {
                    "nargs": "+",
                    "metavar": "OLD=NEW",
                    "help": "rename classes; several of one new name become one class",
                },
            ),
            Option("--only-mapped", {"action": "store_true", "help": "leave out classes that --map does not name"}),
            Option("--drop-empty", {"action": "store_true", "help": "leave out pictures without a box"}),
            Option("--no-segmentation", {"action": "store_true", "help": "leave out segmentation (less memory)"}),
            Option("--keep-outside", {"action": "store_true", "help": "boxes beyond the border stay as they are"}),
            Option("--video-from-folder", {"action": "store_true", "help": "each folder of pictures is a video"}),
            Option("--only", {"metavar": "FILE", "help": "take the pictures or videos named in FILE, one on a line"}),
            Option(
                "--split-ratio",
                {"type": float, "metavar": "SHARE", "help": "split pictures, or whole videos, at random in two parts"},
            ),
            Option(
                "--part",
                {"default": "first", "choices": ("first", "second"), "help": "part to take; the first has SHARE"},
            ),
        ),
    ),
)
