"""TAO's result file: a list of ``image_id, category_id, bbox, score, track_id, video_id``, numbers as TAO gives them.

Source: docs/evaluation.md of https://github.com/TAO-Dataset/tao. ``track_id`` is unique over all videos.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from clmot_qd.datasets.mot_text import MotTable, PathLike
from clmot_qd.evaluation.formats.coco_lists import box_lines, image_rows, read_classes, read_list
from clmot_qd.evaluation.formats.entries import find_rows
from clmot_qd.evaluation.formats.image_index import ImageIndex, read_image_index
from clmot_qd.evaluation.formats.sequences import by_sequence
from clmot_qd.evaluation.formats.writing import check_writable, rounded, write_array
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.geometry import with_area


def write(path: PathLike, truth: GroundTruth, tracks: Mapping[str, MotTable]) -> None:
    """Write the tracks of all videos into one file; tracks are numbered from 1, each number once in the file.

    Raises:
        InputError: A prediction has no class or frame of the annotation file.
    """
    write_array(path, _blocks(path, truth, read_image_index(truth), tracks))


def _blocks(
    path: PathLike, truth: GroundTruth, index: ImageIndex, tracks: Mapping[str, MotTable]
) -> Iterator[list[str]]:
    used = 0
    for sequence, video in zip(index.sequences, index.video_ids.tolist()):
        if sequence not in tracks:
            continue
        table = tracks[sequence]
        check_writable(path, truth, sequence, table)
        unique, numbers = np.unique(table.ids, return_inverse=True)
        images = index.source_ids[image_rows(index, sequence, table)]
        rest = (f'"track_id": {number}, "video_id": {video}' for number in (used + 1 + numbers).tolist())
        yield box_lines(images, table, rounded(with_area(table.bboxes)), rest)
        used += len(unique)


def read(path: PathLike, truth: GroundTruth) -> dict[str, MotTable]:
    """Read one table for each sequence, rows in the order of the file.

    ``video_id`` may be missing; where it is given, it must be the image's.

    Raises:
        InputError: The file is malformed, or names an image or a category that the annotation file does not have.
    """
    entries = read_list(path, "track_id")
    index = read_image_index(truth)
    images = find_rows(entries, "image_id", index.source_ids, truth.source)
    if len(entries) and entries.has("video_id"):
        given, videos = entries.integers("video_id"), np.append(index.video_ids, -1)[index.sequence[images]]
        wrong = (given != videos) & (index.sequence[images] >= 0)
        entries.refuse(wrong, lambda i: f"video_id is {given[i]}, but the image belongs to video {videos[i]}")
    return by_sequence(
        entries,
        index,
        images,
        entries.identities("track_id"),
        entries.boxes("bbox"),
        scores=entries.numbers("score"),
        class_ids=read_classes(entries, truth, index),
    )
