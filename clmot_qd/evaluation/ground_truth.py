"""What predictions are scored against, read from a CocoVID file or from a folder of MOTChallenge sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from clmot_qd.datasets.annotation_entries import is_box
from clmot_qd.datasets.mot_layout import find_sequences, natural_key
from clmot_qd.datasets.mot_text import (
    LAST_FRAME,
    MOT_CLASSES,
    IntArray,
    MotTable,
    PathLike,
    find_duplicate,
    make_table,
    read_ground_truth,
)
from clmot_qd.errors import InputError, expecting_form
from clmot_qd.evaluation.protocols import MOT_DISTRACTORS
from clmot_qd.evaluation.true_masks import TrueMasks
from clmot_qd.files import read_json


@dataclass(frozen=True)
class SequenceTruth:
    """The frames of a sequence and the true boxes in them.

    Args:
        frames: (T,) numbers of the frames, ascending, as result files use them.
        boxes: Boxes of all classes; score 0 marks those that are not to be considered. Identities are -1 where the
            source has none. With masks if they were asked for.
        difficulty: (n,) one for each box, 1 = easy, as Waymo grades objects; None where the source has none.
    """

    frames: IntArray
    boxes: MotTable
    difficulty: IntArray | None = None

    def difficulties(self) -> IntArray:
        """Return (n,) the difficulty of each box; 1 where the source has none."""
        return np.ones(len(self.boxes), dtype=np.int64) if self.difficulty is None else self.difficulty


@dataclass(frozen=True)
class GroundTruth:
    """The sequences of a data set.

    Args:
        source: The file or folder, for messages.
        categories: Name -> number of the classes, as in ``MotTable.class_ids``.
        sequences: Name -> truth, in the order of the source.
        frame_index: (video id, frame id) of a CocoVID file -> (sequence, frame number); empty for other sources.
    """

    source: str
    categories: Mapping[str, int]
    sequences: Mapping[str, SequenceTruth]
    frame_index: Mapping[tuple[int, int], tuple[str, int]] = field(default_factory=dict)

    def class_numbers(self, names: Sequence[str], asked: str = "") -> list[int]:
        """Return the numbers of classes.

        Args:
            names: Of the classes.
            asked: Who asks for them and what to set, for names that the user did not write.

        Raises:
            InputError: A name that the source does not have.
        """
        for name in names:
            if name not in self.categories:
                end = f"; {asked}" if asked else ""
                raise InputError(f"{self.source}: no class {name!r}; it has {', '.join(self.categories)}{end}")
        return [self.categories[name] for name in names]

    def known_numbers(self, names: Sequence[str]) -> list[int]:
        """Return the numbers of those of the classes that the source has."""
        return [self.categories[name] for name in names if name in self.categories]

    def distractor_numbers(self, names: Sequence[str] | None, usual: Sequence[str] = MOT_DISTRACTORS) -> list[int]:
        """Return the numbers of distractor classes; None takes those of ``usual`` that the source has."""
        return self.known_numbers(usual) if names is None else self.class_numbers(names)

    def occurring_classes(self) -> tuple[str, ...]:
        """Return the names of the classes that have a box to score against, in the order of ``categories``."""
        boxes = [truth.boxes for truth in self.sequences.values()]
        numbers = {number for table in boxes for number in table.class_ids[table.scores != 0].tolist()}
        return tuple(name for name, number in self.categories.items() if number in numbers)

    def require_scorable(self, classes: Sequence[str]) -> None:
        """Check that the classes occur and that their boxes have identities, each at most once in a frame.

        Raises:
            InputError: They do not.
        """
        numbers = self.class_numbers(classes)
        total = 0
        for name, truth in self.sequences.items():
            boxes = truth.boxes.select(np.isin(truth.boxes.class_ids, numbers) & (truth.boxes.scores != 0))
            _require_identities(f"{self.source}: {name}", boxes)
            total += len(boxes)
        if not total:
            names = ", ".join(classes) or "any class"
            raise InputError(f"{self.source}: no box of {names} to score against; is this a test set?")

    def require_difficulties(self) -> None:
        """Check that objects are graded.

        Raises:
            InputError: They are not.
        """
        if all(truth.difficulty is None for truth in self.sequences.values()):
            raise InputError(f"{self.source}: no annotation has a 'difficulty', which this protocol's levels need")


def _require_identities(place: str, boxes: MotTable) -> None:
    if (boxes.ids < 0).any():
        frame = boxes.frames[(boxes.ids < 0).argmax()]
        raise InputError(f"{place}: frame {frame} has a box without identity (instance_id); tracks cannot be scored")
    again = find_duplicate(boxes.frames, boxes.ids)
    if again is not None:
        what = f"frame {boxes.frames[again]} has identity {boxes.ids[again]} twice"
        raise InputError(f"{place}: {what}; an identity stands at most once in a frame")


def read_mot_root(root: PathLike, sequences: Sequence[str] | None = None, detector: str | None = None) -> GroundTruth:
    """Read the ground truth of MOTChallenge sequences; images are not needed.

    A sequence has the frames 1 to seqLength of its seqinfo.ini, or to the last one of its gt.txt.

    Args:
        root: Folder of the sequence folders.
        sequences: Names of those to take; None takes all.
        detector: Keep this one of MOT17's three copies.

    Raises:
        InputError: No sequence, or one without a gt/gt.txt that can be read.
    """
    found = find_sequences(root, sequences, detector)
    truths = {}
    for sequence in found:
        boxes = read_ground_truth(sequence.ground_truth, allow_empty=True)
        last = max(sequence.info.length or 0, int(boxes.frames.max(initial=0)))
        if last > LAST_FRAME:
            what = f"a box in frame {last}: frames are counted from 1 up to {LAST_FRAME}"
            raise InputError(f"{sequence.ground_truth}: {what}; mend its row")
        truths[sequence.name] = SequenceTruth(np.arange(1, last + 1), boxes)
    categories = {name: number for number, name in enumerate(MOT_CLASSES, start=1)}
    return GroundTruth(str(root), categories, truths)


def read_cocovid(path: PathLike, masks: bool = False) -> GroundTruth:
    """Read a CocoVID annotation file (the schema is that of :mod:`clmot_qd.datasets.mot_to_cocovid`).

    Frames are numbered by ``mot_frame_id``; a file without it by ``frame_id``, from 1.

    Args:
        path: The file.
        masks: Read ``segmentation`` as well: COCO's masks, or polygons, which become masks of the picture's size.

    Raises:
        InputError: The file is missing, is no JSON or lacks a key; a mask is malformed or not of its picture's size.
            The message names it.
    """
    with expecting_form(lambda: str(path)):
        return _parse(path, _load(path), masks)


def _parse(path: PathLike, data: dict[str, Any], masks: bool) -> GroundTruth:
    categories = {entry["name"]: entry["id"] for entry in _entries(path, data, "categories", ("id", "name"))}
    videos = {entry["id"]: entry["name"] for entry in _entries(path, data, "videos", ("id", "name"))}
    if len(set(videos.values())) != len(data["videos"]):
        raise InputError(f"{path}: videos must differ in id and in name; rename those that do not")
    images = _entries(path, data, "images", ("id", "video_id", "frame_id"))
    numbers = _number_frames(path, videos, images)
    places = {image["id"]: (image["video_id"], number) for image, number in zip(images, numbers)}
    annotations = _entries(path, data, "annotations", ("id", "image_id", "category_id", "bbox"))
    boxes = _group_boxes(path, places, annotations, TrueMasks(path, images, annotations) if masks else None)
    frames: dict[int, list[int]] = {video: [] for video in videos}
    for video, number in places.values():
        frames[video].append(number)
    order = sorted(videos, key=lambda video: natural_key(videos[video]))
    return GroundTruth(
        source=str(path),
        categories=categories,
        sequences={videos[video]: SequenceTruth(np.sort(frames[video]), *boxes(video)) for video in order},
        frame_index={
            (image["video_id"], image["frame_id"]): (videos[image["video_id"]], number)
            for image, number in zip(images, numbers)
        },
    )


def _load(path: PathLike) -> dict[str, Any]:
    data = read_json(path, if_missing="check ann_file")
    if not isinstance(data, dict):
        raise InputError(f"{path}: no CocoVID annotation file, its top level is a {type(data).__name__}")
    return data


def _entries(path: PathLike, data: dict[str, Any], section: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Return a list of the file after checking that all its entries have the keys."""
    if section not in data:
        raise InputError(f"{path}: no key {section!r}; give a CocoVID annotation file")
    for index, entry in enumerate(data[section]):
        for key in keys:
            if key not in entry:
                raise InputError(f"{path}: {section}[{index}] has no key {key!r}; add it")
            if type(entry[key]) is float and entry[key].is_integer():  # as pandas writes whole numbers
                entry[key] = int(entry[key])
        if "name" in keys and not isinstance(entry["name"], str | int):
            raise InputError(f"{path}: {section}[{index}] has the name {entry['name']!r}; it must be text")
        if "name" in keys:
            entry["name"] = str(entry["name"])
    return data[section]


def _number_frames(path: PathLike, videos: Mapping[int, str], images: Sequence[dict[str, Any]]) -> list[int]:
    """Return the number of each image within its video, as result files will use it."""
    for index, image in enumerate(images):
        if image["video_id"] not in videos:
            raise InputError(f"{path}: images[{index}] names video {image['video_id']}, which is not in videos")
    if all("mot_frame_id" in image for image in images):
        numbers = [image["mot_frame_id"] for image in images]
    else:
        from_zero = {image["video_id"] for image in images if image["frame_id"] == 0}
        numbers = [image["frame_id"] + (image["video_id"] in from_zero) for image in images]
    seen: set[tuple[int, int]] = set()
    for image, number in zip(images, numbers):
        if (image["video_id"], number) in seen:
            raise InputError(f"{path}: video {videos[image['video_id']]} has two images of frame {number}; remove one")
        seen.add((image["video_id"], number))
    return numbers


def _group_boxes(
    path: PathLike,
    places: Mapping[int, tuple[int, int]],
    annotations: Sequence[dict[str, Any]],
    masks: TrueMasks | None,
) -> Callable[[int], tuple[MotTable, IntArray | None]]:
    """Return a function video id -> boxes and their difficulty, in the order of the file.

    Args:
        path: For messages.
        places: Image id -> video id, frame number.
        annotations: Entries of the file.
        masks: Their masks, if they were asked for.
    """
    for index, entry in enumerate(annotations):
        if entry["image_id"] not in places:
            raise InputError(f"{path}: annotations[{index}] names image {entry['image_id']}, which is not in images")
        if not is_box(entry["bbox"]):
            what = "it must be [x, y, w, h], finite numbers, w and h 0 or greater"
            raise InputError(f"{path}: annotations[{index}] has bbox {entry['bbox']}; {what}")
        identity = entry.get("instance_id")
        if not (identity.is_integer() if isinstance(identity, float) else isinstance(identity, int | None)):
            raise InputError(f"{path}: annotations[{index}] has instance_id {entry['instance_id']!r}; it must be whole")
    where = np.array([places[entry["image_id"]] for entry in annotations], dtype=np.int64).reshape(-1, 2)
    table = make_table(
        frames=where[:, 1],
        ids=np.array([-1 if entry.get("instance_id") is None else int(entry["instance_id"]) for entry in annotations]),
        bboxes=np.array([entry["bbox"] for entry in annotations]),
        scores=np.array([not (entry.get("ignore") or entry.get("iscrowd")) for entry in annotations]),
        class_ids=np.array([entry["category_id"] for entry in annotations]),
    )
    difficulty = _difficulties(path, annotations)
    order = np.argsort(where[:, 0], kind="stable")
    videos = where[order, 0]

    def boxes_of(video: int) -> tuple[MotTable, IntArray | None]:
        rows = order[slice(*np.searchsorted(videos, (video, video + 1)))]
        boxes = replace(table.select(rows), masks=None if masks is None else masks.of_video(video, rows))
        return boxes, None if difficulty is None else difficulty[rows]

    return boxes_of


def _difficulties(path: PathLike, annotations: Sequence[dict[str, Any]]) -> IntArray | None:
    """Return (n,) the difficulty of each annotation; None if none has one."""
    missing = [index for index, entry in enumerate(annotations) if "difficulty" not in entry]
    if len(missing) == len(annotations):
        return None
    if missing:
        raise InputError(f"{path}: annotations[{missing[0]}] has no key 'difficulty', which others have; add it")
    return np.array([entry["difficulty"] for entry in annotations], dtype=np.int64)
