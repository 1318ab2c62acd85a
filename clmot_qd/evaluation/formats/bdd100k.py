"""BDD100K's result file (Scalabel frames): ``name, videoName, frameIndex, labels[id, category, score, box2d, rle]``.

Source: doc/source/evaluate.rst of https://github.com/bdd100k/bdd100k, "Multiple Object Tracking" and, for ``rle`` (of
tracks with masks), "Segmentation Tracking". All videos may stand in one file, or each in one of its own. Every frame is
listed, also where nothing was found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import accumulate, repeat
from pathlib import Path, PurePosixPath

import numpy as np

from clmot_qd.datasets.mot_text import FloatArray, IntArray, MotTable, PathLike
from clmot_qd.errors import InputError
from clmot_qd.evaluation.formats.coco_lists import image_rows
from clmot_qd.evaluation.formats.entries import Entries
from clmot_qd.evaluation.formats.image_index import ImageIndex, read_image_index
from clmot_qd.evaluation.formats.mask_column import MaskColumn, read_masks
from clmot_qd.evaluation.formats.masks import exclusive_masks, rle_texts
from clmot_qd.evaluation.formats.sequences import by_sequence
from clmot_qd.evaluation.formats.writing import check_writable, rounded, write_array
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.evaluation.result_files import result_path
from clmot_qd.files import read_json
from clmot_qd.geometry import with_area, xywh_to_xyxy, xyxy_to_xywh


def write(path: PathLike, truth: GroundTruth, tracks: Mapping[str, MotTable]) -> None:
    """Write one file if ``path`` ends in ``.json``, else a folder with ``VIDEO.json`` for each video.

    BDD100K's tools pass over a frame whose masks share pixels: of tracks with masks, a pixel that several claim goes to
    the one of the highest score, and labels without a pixel are left out. Both are counted and told in one line.

    Raises:
        InputError: A prediction has no class or frame of the annotation file, or a mask of another size than its image;
            or the annotation file has no ``file_name``.
    """
    index = read_image_index(truth)
    with_masks = {name: table for name, table in tracks.items() if table.masks is not None}
    tracks = {**tracks, **exclusive_masks(path, truth, index, with_masks)}
    videos = (_video_lines(path, truth, index, name, tracks.get(name)) for name in index.sequences)
    if Path(path).suffix == ".json":
        write_array(path, videos)
        return
    for name, lines in zip(index.sequences, videos):
        write_array(result_path(path, name, ".json"), [lines])


def _video_lines(
    path: PathLike, truth: GroundTruth, index: ImageIndex, sequence: str, table: MotTable | None
) -> list[str]:
    rows = index.rows_of(sequence)
    labels: dict[int, list[str]] = {row: [] for row in rows.tolist()}
    if table is not None:
        check_writable(path, truth, sequence, table)
        for row, label in zip(image_rows(index, sequence, table).tolist(), _label_texts(truth, table)):
            labels[row].append(label)
    index.require_names(sequence)
    video = json.dumps(sequence)
    return [
        f'{{"videoName": {video}, "name": {json.dumps(index.names[row])}, "frameIndex": {index.frame_indices[row]}, '
        f'"labels": [{", ".join(found)}]}}'
        for row, found in labels.items()
    ]


def _label_texts(truth: GroundTruth, table: MotTable) -> Iterator[str]:
    categories = {number: json.dumps(name) for name, number in truth.categories.items()}
    corners = xywh_to_xyxy(with_area(table.bboxes))
    columns = (table.ids.tolist(), table.class_ids.tolist(), table.scores.tolist(), rounded(corners))
    ends = repeat("}") if table.masks is None else (f', "rle": {text}}}' for text in rle_texts(table.masks))
    for identity, number, score, (x1, y1, x2, y2), end in zip(*columns, ends):
        box = f'{{"x1": {x1}, "y1": {y1}, "x2": {x2}, "y2": {y2}}}'
        yield f'{{"id": "{identity}", "category": {categories[number]}, "score": {score!r}, "box2d": {box}{end}'


def read(path: PathLike, truth: GroundTruth, masks: bool = False) -> dict[str, MotTable]:
    """Read one table for each sequence from a file or a folder of files; other videos' files are left alone.

    A frame is found by the last part of its ``name``, or without it by ``frameIndex`` (``index`` in older files). A
    file without ``videoName`` is about the video it is named after. A label without ``score`` gets 1. Where labels have
    ``rle`` and no ``box2d``, the box is that around the mask.

    Args:
        path: File or folder.
        truth: What is predicted.
        masks: Read ``rle`` as well, where there is one.

    Raises:
        InputError: A file is malformed, or names a frame, a video or a class that the annotation file does not have.
    """
    index = read_image_index(truth)
    if not Path(path).is_dir():
        return _read_file(path, truth, index, masks)
    files = {name: result_path(path, name, ".json") for name in index.sequences}
    missing = [file for file in files.values() if not file.is_file()]
    if missing:
        raise InputError(f"{missing[0]}: no such file; every video needs one, even if its labels are empty")
    return {name: _read_file(file, truth, index, masks)[name] for name, file in files.items()}


def _read_file(path: PathLike, truth: GroundTruth, index: ImageIndex, with_masks: bool) -> dict[str, MotTable]:
    frames = _frames(path)
    images = _find_images(frames, index)
    counts = [len(row.get("labels") or ()) for row in frames.rows]
    starts = list(accumulate(counts, initial=0))
    labels = Entries(
        path,
        [label for row in frames.rows for label in row.get("labels") or ()],
        lambda i: _place(starts, i),
    )
    images = np.repeat(images, counts)
    with_boxes = labels.some("box2d")
    masks = read_masks(labels, "rle", index.sizes[images]) if with_masks or not with_boxes else None
    boxes = _around(labels, masks) if masks is not None and not with_boxes else _boxes(labels)
    return by_sequence(
        labels,
        index,
        images,
        labels.identities("id"),
        boxes,
        masks,
        scores=labels.numbers("score", default=1.0),
        class_ids=_class_numbers(labels, truth),
    )


def _boxes(labels: Entries) -> FloatArray:
    corners = Entries(labels.path, labels.column("box2d"), lambda i: f"{labels.place(i)}.box2d")
    x1, y1, x2, y2 = (corners.numbers(key) for key in ("x1", "y1", "x2", "y2"))
    boxes = np.column_stack([x1, y1, x2 - x1, y2 - y1])
    labels.check_boxes("box2d", boxes)
    return boxes


def _around(labels: Entries, masks: MaskColumn) -> FloatArray:
    """Return the boxes around masks, for files without boxes."""
    boxes = xyxy_to_xywh(masks.boxes())
    labels.refuse(boxes[:, 2] == 0, lambda i: "its rle has no pixel, and it has no box2d; remove the label")
    return boxes


def _frames(path: PathLike) -> Entries:
    data = read_json(path)
    frames = data.get("frames") if isinstance(data, dict) else data
    if not isinstance(frames, list):
        raise InputError(f"{path}: no list of frames; BDD100K's files are one, or have one under 'frames'")
    entries = Entries(path, frames)
    wrong = next((i for i, frame in enumerate(frames) if not isinstance(frame, dict)), None)
    if wrong is not None:
        entries.fail(wrong, f"a frame is an object with videoName, name and labels, not {frames[wrong]!r}")
    wrong = next((i for i, frame in enumerate(frames) if not isinstance(frame.get("labels") or [], list)), None)
    if wrong is not None:
        entries.fail(wrong, f"labels is {frames[wrong]['labels']!r}; it must be a list")
    return entries


def _place(starts: list[int], label: int) -> str:
    frame = int(np.searchsorted(starts, label, side="right")) - 1
    return f"[{frame}].labels[{label - starts[frame]}]"


def _find_images(frames: Entries, index: ImageIndex) -> IntArray:
    """Return the image (f,) of each frame as a row of ``index``; each image at most once."""
    by_name = {key: row for row, key in enumerate(zip(index.videos, index.names))}
    by_number = {key: row for row, key in enumerate(zip(index.videos, index.frame_indices.tolist()))}
    rows: dict[int, int] = {}
    for position, frame in enumerate(frames.rows):
        video = frame.get("videoName", Path(frames.path).stem)
        if not isinstance(video, str):
            frames.fail(position, f"videoName is {video!r}; it must be text")
        if "name" in frame:
            what, row = frame["name"], by_name.get((video, PurePosixPath(str(frame["name"])).name))
        else:
            what = frame.get("frameIndex", frame.get("index"))
            row = by_number.get((video, what)) if isinstance(what, int | float) else None
        if row is None:
            where = f"video {video!r}" if video in index.videos else f"video {video!r} (it has none of that name)"
            frames.fail(position, f"frame {what!r} of {where} is not in {index.source}; mend name and videoName")
        if row in rows:
            frames.fail(position, f"frame {what!r} of video {video!r} stands in [{rows[row]}] already; remove one")
        rows[row] = position
    return np.fromiter(rows, dtype=np.int64, count=len(rows))


def _class_numbers(labels: Entries, truth: GroundTruth) -> IntArray:
    names = labels.column("category")
    numbers = np.array(
        [truth.categories.get(name, -1) if isinstance(name, str) else -1 for name in names], dtype=np.int64
    )
    known = ", ".join(truth.categories)
    labels.refuse(numbers == -1, lambda i: f"category {names[i]!r} is none of {truth.source}, which has {known}")
    return numbers
