"""What TAO's and the CocoVID result files share: a list with one entry per box, images by number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clmot_qd.datasets.mot_text import IntArray, MotTable, PathLike
from clmot_qd.errors import InputError
from clmot_qd.evaluation.formats.entries import Entries
from clmot_qd.evaluation.formats.image_index import ImageIndex
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.evaluation.result_files import AS_FOLDER
from clmot_qd.files import read_json


def read_list(path: PathLike, *keys: str) -> Entries:
    """Read a file that holds a list of boxes, each with what the formats share and with ``keys``.

    Raises:
        InputError: It does not, or an entry lacks a key.
    """
    data = read_json(path)
    if not isinstance(data, list):
        what = f"the top level is a {type(data).__name__}; it must be a list of predictions"
        raise InputError(f"{path}: {what}; of track_video take tracks_mots.txt or tracks.txt: {AS_FOLDER}")
    entries = Entries(path, data)
    for key in ("image_id", "category_id", "bbox", "score", *keys):
        entries.column(key)
    return entries


def read_classes(entries: Entries, truth: GroundTruth, index: ImageIndex) -> IntArray:
    """Return the class numbers (n,), merged classes replaced where the annotation file does not list them.

    Raises:
        InputError: The annotation file does not have one.
    """
    numbers = entries.integers("category_id")
    for old, new in index.merged.items():
        numbers[numbers == old] = new
    known = np.isin(numbers, list(truth.categories.values()))
    entries.refuse(~known, lambda i: f"category_id {numbers[i]} is no category of {truth.source}; remove or mend it")
    return numbers


def image_rows(index: ImageIndex, sequence: str, table: MotTable) -> IntArray:
    """Return the image (n,) of each prediction of a sequence as a row of ``index``."""
    rows = index.rows_of(sequence)
    return rows[np.searchsorted(index.frames[rows], table.frames)]


def box_lines(images: IntArray, table: MotTable, boxes: list[list[float]], rest: Iterator[str]) -> list[str]:
    """Return the text of the entries; ``rest`` gives what stands after the keys that the formats share."""
    columns = (images.tolist(), table.class_ids.tolist(), boxes, table.scores.tolist(), rest)
    return [
        f'{{"image_id": {image}, "category_id": {category}, "bbox": {box}, "score": {score!r}, {more}}}'
        for image, category, box, score, more in zip(*columns)
    ]
