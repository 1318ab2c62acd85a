"""TAO (Tracking Any Object): all classes of its files, or those that occur in it."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clmot_qd.datasets.annotation_entries import merged_classes
from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box, Counts, Frame, Source
from clmot_qd.datasets.converters.text_files import read_json, require_keys
from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError
from clmot_qd.files import write_text

FILES = {"train": "train.json", "validation": "validation.json", "test": "test_without_annotations.json"}
#: So many classes occur in train, validation and test (https://github.com/TAO-Dataset/tao, issue 11; QDTrack, 4.1).
OCCURRING = 482

_PUBLISHED = {
    "train": Counts(videos=500, origin="https://github.com/TAO-Dataset/tao, issue 15 (QDTrack's 400 do not add up)"),
    "validation": Counts(videos=988, origin="QDTrack, section 4.1"),
    "test": Counts(videos=1419, origin="QDTrack, section 4.1"),
}
Entry = dict[str, Any]


def open_tao(
    root: PathLike,
    report: Report,
    *,
    split: str = "train",
    annotations: PathLike | None = None,
    frames: PathLike | None = None,
    classes_from: Sequence[PathLike] | None = None,
    write_classes: PathLike | None = None,
) -> Source:
    """Open a TAO file.

    TAO's list of classes is that of LVIS v0.5, of which not all occur. A class that another one lists under ``merged``
    counts as that one, as in TAO's own scoring. Boxes stay as they stand, beyond the border of the picture too.

    Args:
        root: Folder of the annotation files.
        report: Where remarks go.
        split: ``train``, ``validation`` or ``test`` (which has no annotations).
        annotations: The file, if it is called otherwise.
        frames: Folder of the pictures; None means ``frames`` beside ``root``.
        classes_from: Keep the classes that occur in any of these files (below ``root`` or anywhere): those with
            annotations; of a file without annotations, such as ``test_categories.json``, all that it lists.
        write_classes: Write the names of the classes to this file, one on a line, when all has been read.

    Raises:
        InputError: A file that cannot be read, is not TAO's, or names what it does not list.
    """
    if split not in FILES:
        raise InputError(f"split {split!r} must be {', '.join(FILES)}")
    root = Path(root)
    path = _place(root, FILES[split] if annotations is None else annotations)
    data = _read(path, ("images", "videos", "categories"))
    categories = _categories(path, data)
    if classes_from is not None:
        kept = _occurring([_place(root, file) for file in classes_from])
        categories = {name: number for name, number in categories.items() if number in kept}
        if len(categories) != OCCURRING:
            report.note("kept", f"list of classes other than the {OCCURRING} of TAO", str(path), f"{len(categories)}")
    reader = _Reader(path, data, categories, report)
    return Source(
        title=f"TAO {path.stem if annotations else split}",
        categories=categories,
        frames=reader.frames(None if write_classes is None else Path(write_classes)),
        images=root.parent / "frames" if frames is None else Path(frames),
        report=report,
        total=len(data["images"]),
        videos=reader.video_fields(),
        outside="keep",
        category_fields={
            category["name"]: {"merged": category["merged"]}
            for category in data["categories"]
            if category.get("merged")
        },
        published=_PUBLISHED.get(split) if annotations is None else None,
    )


def _place(root: Path, file: PathLike) -> Path:
    """Return a file below ``root``, or else where it says."""
    return root / file if (root / file).exists() or not Path(file).exists() else Path(file)


class _Reader:
    """One file, in memory."""

    def __init__(self, path: Path, data: Entry, categories: Mapping[str, int], report: Report) -> None:
        self.path = path
        self.data = data
        self.report = report
        self.kept = {number: name for name, number in categories.items()}
        self.merged = merged_classes(data["categories"])
        self.listed = {category["id"] for category in data["categories"]}
        self.videos = {video["id"]: video for video in self._entries("videos", ("id", "name"))}
        self.tracks = {track["id"]: track for track in self._entries("tracks", ("id", "category_id"))}

    def video_fields(self) -> dict[str, Entry]:
        """Return name -> what the entry of the video gets beside the usual."""
        keys = ("neg_category_ids", "not_exhaustive_category_ids")
        return {
            video["name"]: {"source_id": video["id"]} | {key: video.get(key, []) for key in keys}
            for video in self.videos.values()
        }

    def frames(self, classes: Path | None) -> Iterator[Frame]:
        """Give all frames, video by video; write the names of the classes at the end."""
        boxes: dict[int, list[Box]] = defaultdict(list)
        images: dict[int, list[Entry]] = defaultdict(list)
        for image in self._entries("images", ("id", "video_id", "file_name", "frame_index")):
            if image["video_id"] not in self.videos:
                raise InputError(f"{self.path}: image {image['id']}: no video {image['video_id']} in 'videos'")
            images[image["video_id"]].append(image)
        known = {image["id"] for image in self.data["images"]}
        for annotation in self._entries("annotations", ("id", "image_id", "category_id", "bbox", "track_id")):
            if annotation["image_id"] not in known:
                place = f"{self.path}: annotation {annotation['id']}"
                raise InputError(f"{place}: no image {annotation['image_id']} in 'images'")
            if (box := self._box(annotation)) is not None:
                boxes[annotation["image_id"]].append(box)
        for video, entries in images.items():
            for image in entries:
                yield self._frame(image, self.videos[video]["name"], boxes.pop(image["id"], []))
        if classes is not None:
            write_text(classes, "".join(f"{name}\n" for name in self.kept.values()))

    def _frame(self, image: Entry, video: str, boxes: list[Box]) -> Frame:
        return Frame(
            file_name=image["file_name"],
            width=image.get("width", 0),
            height=image.get("height", 0),
            boxes=boxes,
            video=video,
            number=image["frame_index"],
            place=f"{self.path}: image {image['id']}",
            fields={"source_id": image["id"], "frame_index": image["frame_index"]},
        )

    def _box(self, annotation: Entry) -> Box | None:
        """Return the box; None if its class is not wanted."""
        place = f"{self.path}: annotation {annotation['id']}"
        number = self._class(annotation)
        if number in self.listed and number not in self.kept:
            return None
        track = self.tracks.get(annotation["track_id"])
        if track is not None and self._class(track) != number:
            detail = f"{self._class(track)}, not {number}"
            self.report.note("kept", "box of another class than its track's", place, detail)
        return Box(
            bbox=four_numbers(annotation["bbox"], place),
            category=self.kept.get(number, f"number {number}"),
            identity=annotation["track_id"],
            crowd=bool(annotation.get("iscrowd", 0)),
            place=place,
            fields={"track_id": annotation["track_id"]},
        )

    def _class(self, entry: Entry) -> int:
        number: int = entry["category_id"]
        return self.merged.get(number, number)

    def _entries(self, key: str, needed: tuple[str, ...]) -> Iterator[Entry]:
        """Give the entries of a list; no two of them have one id."""
        seen: set[int] = set()
        for position, entry in enumerate(self.data.get(key) or ()):
            place = f"{self.path}: {key}[{position}]"
            require_keys(entry, needed, place)
            if entry["id"] in seen:
                raise InputError(f"{place}: id {entry['id']} stands in an earlier entry already; remove one of them")
            seen.add(entry["id"])
            yield entry


def _read(path: Path, needed: tuple[str, ...]) -> Entry:
    data = read_json(path)
    require_keys(data, needed, str(path))
    for position, category in enumerate(data["categories"]):
        place = f"{path}: categories[{position}]"
        require_keys(category, ("id", "name"), place)
        if type(category["id"]) is not int or not isinstance(category["name"], str):
            raise InputError(f"{place}: id {category['id']!r} and name {category['name']!r} are no number and text")
    return data


def _categories(path: Path, data: Entry) -> dict[str, int]:
    """Return the name -> number of each class that is not merged into another one, in the order of the file."""
    merged = merged_classes(data["categories"])
    result: dict[str, int] = {}
    numbers = {category["id"] for category in data["categories"]}
    if len(numbers) < len(data["categories"]):
        raise InputError(f"{path}: two categories have one id; give each its own")
    for category in data["categories"]:
        if category["id"] in merged:
            continue
        if category["name"] in result:
            raise InputError(f"{path}: two classes are called {category['name']!r}; rename or merge one")
        result[category["name"]] = category["id"]
    return result


def _occurring(paths: Sequence[Path]) -> set[int]:
    """Return the numbers of the classes that occur in any of these files."""
    result: set[int] = set()
    for path in paths:
        data = _read(path, ("categories",))
        annotations = data.get("annotations")
        entries, key = (annotations, "category_id") if annotations else (data["categories"], "id")
        merged = merged_classes(data["categories"])
        result |= {merged.get(entry[key], entry[key]) for entry in entries}
    return result


def four_numbers(bbox: Any, place: str) -> Sequence[float]:
    """Return a box of a COCO file as it stands: one without an area, say, is counted and left out later.

    Raises:
        InputError: It is not four numbers, or one of them is greater than a double can be.
    """
    if isinstance(bbox, list) and len(bbox) == 4 and all(type(side) is float or _is_whole(side) for side in bbox):
        return bbox
    raise InputError(f"{place}: bbox is {bbox!r}, not [x, y, w, h]; mend the file")


def _is_whole(side: Any) -> bool:
    return type(side) is int and abs(side) <= sys.float_info.max


_LAYOUT = """
ROOT/train.json, ROOT/validation.json     annotations, as downloaded; ROOT is data/tao/annotations, say
ROOT/test_without_annotations.json        the test set
ROOT/test_categories.json                 its classes
ROOT/../frames/train/YFCC100M/VIDEO/frame0391.jpg ...

Frames are a second apart; their place in time is "frame_index", and no other frames are listed. Boxes stay as they
stand. Classes keep TAO's numbers and names, which are those of LVIS v0.5; a class that another one lists under "merged"
counts as that one. Entries keep the numbers of the source: "source_id" of videos and images, "track_id" of annotations;
videos their "neg_category_ids" and "not_exhaustive_category_ids", classes their "merged", which track AP needs.

Of the 1230 classes 482 occur. The configurations are for these:
  --classes-from train.json validation.json test_categories.json --write-classes ROOT/tao_classes.txt
keeps the classes that have annotations in a file, or that a file without annotations lists. A remark says so if these
are not 482.
""".strip()

DATA_SETS = (
    DataSet(
        name="tao",
        summary="TAO (Tracking Any Object)",
        layout=_LAYOUT,
        open_source=open_tao,
        options=(
            Option("--split", {"default": "train", "choices": tuple(FILES), "help": "default: %(default)s"}),
            Option("--annotations", {"metavar": "FILE", "help": "annotation file, if it is called otherwise"}),
            Option("--frames", {"metavar": "FOLDER", "help": "folder of the pictures (default: ROOT/../frames)"}),
            Option(
                "--classes-from",
                {"nargs": "+", "metavar": "FILE", "help": "keep the classes that occur in these files, below ROOT"},
            ),
            Option("--write-classes", {"metavar": "FILE", "help": "write the names of the classes there"}, writes=True),
        ),
    ),
)
