"""Convert a folder of MOTChallenge sequences into one CocoVID annotation file.

The file serves training (mmdet's ``CocoDataset`` reads it as still images) and testing (videos) alike::

    videos       id, name, width, height, fps, length
    images       id, video_id, frame_id (0-based, consecutive), mot_frame_id (number in the source), file_name,
                 width, height
    annotations  id, image_id, video_id, category_id, instance_id, bbox [x, y, w, h], area, iscrowd, ignore,
                 visibility, mot_conf, mot_class_id
    categories   id (MOT's class number), name

Boxes are those of the source, not rounded, not shifted by one. Boxes with mark 0 are kept with ``ignore`` true.
``instance_id`` counts from 1 over the whole file and is the same whichever half of the frames is converted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from clmot_qd.datasets.mot_layout import Frame, MotSequence, find_sequences, list_frames
from clmot_qd.datasets.mot_text import MOT_CLASSES, MotTable, PathLike, make_table, read_ground_truth
from clmot_qd.errors import InputError
from clmot_qd.files import write_text

Split = Literal["all", "first-half", "second-half"]
CocoVid = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class SequenceSummary:
    """What was converted of one sequence.

    ``boxes`` include the ``ignored`` ones (mark 0); ``dropped`` rows name frames before the first or after the last
    image.
    """

    name: str
    frames: int
    boxes: int
    identities: int
    ignored: int
    dropped: int
    has_ground_truth: bool


def convert_mot(
    root: PathLike,
    out: PathLike,
    *,
    sequences: Sequence[str] | None = None,
    classes: Sequence[str] = MOT_CLASSES,
    detector: str | None = None,
    split: Split = "all",
    identities: bool = True,
    progress: Callable[[str], None] = lambda line: None,
) -> list[SequenceSummary]:
    """Convert the sequences below ``root`` and write them to ``out`` (JSON), all or nothing.

    Args:
        root: Folder of the sequence folders (``MOT17/train``); file names in ``out`` are relative to it.
        out: The file to write.
        sequences: Names of the sequences to take; None takes all.
        classes: Names of the classes to keep. The scoring of MOT16, MOT17 and MOT20 matches predictions with the boxes
            of all classes before it removes those on distractors, hence the default; training picks its classes itself.
        detector: Keep this one of MOT17's three copies: ``"DPM"``, ``"FRCNN"`` or ``"SDP"``.
        split: Of each sequence with n frames, the first n // 2 + 1, the others, or all. These are the halves of the
            published half/half protocol (CenterTrack, ByteTrack, mmdet), whose first half is the larger one.
        identities: False leaves ``instance_id`` out.
        progress: Is given one line per sequence.

    Returns:
        One summary per sequence.

    Raises:
        InputError: Unknown class, sequence or detector, malformed ground truth, missing or unreadable images.
    """
    if split not in ("all", "first-half", "second-half"):
        raise InputError(f"split {split!r} must be all, first-half or second-half")
    builder = _Builder(_class_ids(classes), identities)
    found = find_sequences(root, sequences, detector)
    for index, sequence in enumerate(found, start=1):
        progress(f"{sequence.name} ({index} of {len(found)})")
        builder.add(sequence, Path(root), split)
    write_text(out, json.dumps(builder.data))
    return builder.summaries


def format_summary(summaries: Sequence[SequenceSummary]) -> str:
    """Lay the summaries out as a table with a last row of sums, followed by what deserves a remark."""
    width = max(len("sequence"), *(len(summary.name) for summary in summaries))
    header = f"{'sequence':<{width}}{'frames':>9}{'boxes':>9}{'identities':>12}{'ignored':>9}"
    counts = np.array([[row.frames, row.boxes, row.identities, row.ignored] for row in summaries])
    names = [row.name for row in summaries] + ["all"]
    rows = [
        f"{name:<{width}}{frames:>9}{boxes:>9}{ids:>12}{ignored:>9}"
        for name, (frames, boxes, ids, ignored) in zip(names, [*counts, counts.sum(axis=0)])
    ]
    return "\n".join([header, *rows, *_remarks(summaries)])


def _remarks(summaries: Sequence[SequenceSummary]) -> list[str]:
    remarks = []
    for row in summaries:
        if row.dropped:
            remarks.append(f"{row.name}: {row.dropped} rows of gt.txt dropped, their frames lie outside the images")
        if not row.has_ground_truth:
            remarks.append(f"{row.name}: no gt/gt.txt, frames only")
        elif not row.boxes:
            remarks.append(f"{row.name}: no box in gt/gt.txt")
    return remarks


class _Builder:
    """Grows one CocoVID dictionary sequence by sequence; ids are positions, from 1."""

    def __init__(self, class_ids: Sequence[int], identities: bool) -> None:
        self.class_ids = class_ids
        self.identities = identities
        self.summaries: list[SequenceSummary] = []
        self.data: CocoVid = {"videos": [], "images": [], "annotations": [], "categories": []}
        self.data["categories"] = [{"id": number, "name": MOT_CLASSES[number - 1]} for number in class_ids]
        self._instances = 0

    def add(self, sequence: MotSequence, root: Path, split: Split) -> None:
        """Append one sequence."""
        frames = list_frames(sequence)
        boxes = _read_boxes(sequence, self.identities)
        inside = _rows_with_image(sequence, boxes, frames)
        kept = boxes.select(inside & np.isin(boxes.class_ids, self.class_ids))
        instances = self._number_instances(kept)
        frames = _take_half(sequence, frames, split)
        first_image = len(self.data["images"]) + 1
        self._add_frames(sequence, root, frames)
        rows = np.isin(kept.frames, [frame.number for frame in frames])
        self._add_boxes(kept.select(rows), instances[rows], frames, first_image)
        self._summarise(sequence, len(frames), kept.select(rows), dropped=int((~inside).sum()))

    def _number_instances(self, boxes: MotTable) -> np.ndarray:
        """Return (n,) identities that no sequence before has used."""
        unique, positions = np.unique(boxes.ids, return_inverse=True)
        numbers = positions + self._instances + 1
        self._instances += len(unique)
        return numbers

    def _add_frames(self, sequence: MotSequence, root: Path, frames: Sequence[Frame]) -> None:
        width, height = _image_size(frames[0].path)
        video = len(self.data["videos"]) + 1
        size = {"width": width, "height": height}
        entry = {"id": video, "name": sequence.name, **size, "fps": sequence.info.frame_rate, "length": len(frames)}
        self.data["videos"].append(entry)
        images = self.data["images"]
        for index, frame in enumerate(frames):
            name = frame.path.relative_to(root).as_posix()
            numbers = {"id": len(images) + 1, "video_id": video, "frame_id": index, "mot_frame_id": frame.number}
            images.append({**numbers, "file_name": name, **size})

    def _add_boxes(self, boxes: MotTable, instances: np.ndarray, frames: Sequence[Frame], first_image: int) -> None:
        order = np.argsort(boxes.frames, kind="stable")
        boxes, instances = boxes.select(order), instances[order]
        images = np.searchsorted([frame.number for frame in frames], boxes.frames) + first_image
        columns = {
            "image_id": images,
            "category_id": boxes.class_ids,
            "bbox": boxes.bboxes,
            "area": boxes.bboxes[:, 2] * boxes.bboxes[:, 3],
            "ignore": boxes.scores == 0,
            "visibility": boxes.visibility,
            "mot_conf": boxes.scores,
            "mot_class_id": boxes.class_ids,
        }
        if self.identities:
            columns["instance_id"] = instances
        constant = {"video_id": len(self.data["videos"]), "iscrowd": 0}
        annotations = self.data["annotations"]
        rows = zip(*(column.tolist() for column in columns.values()))
        first = len(annotations) + 1
        annotations.extend({"id": first + i, **constant, **dict(zip(columns, row))} for i, row in enumerate(rows))

    def _summarise(self, sequence: MotSequence, frames: int, boxes: MotTable, dropped: int) -> None:
        self.summaries.append(
            SequenceSummary(
                name=sequence.name,
                frames=frames,
                boxes=len(boxes),
                identities=len(np.unique(boxes.ids)) if self.identities else 0,
                ignored=int((boxes.scores == 0).sum()),
                dropped=dropped,
                has_ground_truth=sequence.ground_truth.exists(),
            )
        )


def _class_ids(names: Sequence[str]) -> list[int]:
    for name in names:
        if name not in MOT_CLASSES:
            raise InputError(f"class {name!r} is none of MOT's: {', '.join(MOT_CLASSES)}")
    return [number for number, name in enumerate(MOT_CLASSES, start=1) if name in names]


def _read_boxes(sequence: MotSequence, identities: bool) -> MotTable:
    if not sequence.ground_truth.exists():
        return make_table(np.empty(0), np.empty(0), np.empty((0, 4)))
    return read_ground_truth(sequence.ground_truth, identities=identities, allow_empty=True)


def _rows_with_image(sequence: MotSequence, boxes: MotTable, frames: Sequence[Frame]) -> np.ndarray:
    """Return the mask of rows to keep: parts of sequences are distributed with the ground truth of the whole.

    A frame that is missing between two others is no such part but a mistake.
    """
    numbers = np.array([frame.number for frame in frames])
    inside = (boxes.frames >= numbers[0]) & (boxes.frames <= numbers[-1])
    if len(boxes) and not inside.any():
        span = f"images {numbers[0]} to {numbers[-1]}"
        raise InputError(f"{sequence.ground_truth}: no row belongs to {span} of {sequence.image_folder}; check both")
    missing = np.setdiff1d(boxes.frames[inside], numbers)
    if missing.size:
        what = f"frame {missing[0]} has ground truth, but no image in {sequence.image_folder}"
        raise InputError(f"{sequence.ground_truth}: {what}; add the image or remove its rows")
    return inside


def _take_half(sequence: MotSequence, frames: list[Frame], split: Split) -> list[Frame]:
    middle = len(frames) // 2 + 1
    half = {"all": frames, "first-half": frames[:middle], "second-half": frames[middle:]}[split]
    if not half:
        raise InputError(f"{sequence.folder}: {len(frames)} frames leave none for the {split}; leave the sequence out")
    return half


def _image_size(path: Path) -> tuple[int, int]:
    """Return (width, height) as OpenCV will load the image in training, EXIF rotation included."""
    image = cv2.imread(str(path))
    if image is None:
        raise InputError(f"{path}: not a readable image; replace it")
    return image.shape[1], image.shape[0]
