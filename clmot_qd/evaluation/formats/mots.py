"""MOTS text: a folder with ``SEQUENCE.txt``, one row for each mask, as MOTS20 and KITTI-MOTS want it.

The rows are those of :mod:`clmot_qd.datasets.mots_text`. Frames have the numbers of the ground truth (from 1 in MOTS20,
from 0 in KITTI-MOTS), identities those of the tracker. Boxes and scores have no place in it: what is read has the boxes
around the masks, and score 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from clmot_qd.datasets.mot_text import MotTable, PathLike
from clmot_qd.datasets.mots_text import IGNORE_CLASS, format_mots, read_mots
from clmot_qd.errors import InputError
from clmot_qd.evaluation.formats.image_index import read_image_index
from clmot_qd.evaluation.formats.masks import exclusive_masks, require_numbers
from clmot_qd.evaluation.formats.numbering import fit_identities, mots_classes, with_classes
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.evaluation.result_files import require_results, result_path
from clmot_qd.files import write_text

# TrackEval makes an array that is as long as the largest identity.
_LARGEST_ID = 1_000_000


def class_numbers(truth: GroundTruth) -> dict[int, int]:
    """See :func:`.numbering.mots_classes`."""
    return mots_classes(truth.categories)


def write(path: PathLike, truth: GroundTruth, tracks: Mapping[str, MotTable]) -> None:
    """Write one file for each sequence, an empty one where nothing was found.

    Masks of a frame share no pixel: one that several claim goes to the one of the highest score. Empty masks are left
    out. Both are counted and told in one line.

    Raises:
        InputError: ``path`` is the name of a file; predictions have no masks, masks of another size than the images,
            no class or no frame of the ground truth.
    """
    if Path(path).is_file() or Path(path).suffix == ".json":
        raise InputError(f"{path}: MOTS text is a folder with one SEQUENCE.txt per sequence; give a folder")
    index = read_image_index(truth) if truth.frame_index else None
    numbers = class_numbers(truth)
    tables = exclusive_masks(path, truth, index, tracks)
    for name, table in tables.items():
        ids = fit_identities(path, name, table.ids, 0, _LARGEST_ID)
        tables[name] = replace(with_classes(table, numbers), ids=ids)
    for name in truth.sequences:
        write_text(result_path(path, name, ".txt"), format_mots(tables[name]) if name in tables else "")


def read(path: PathLike, truth: GroundTruth) -> dict[str, MotTable]:
    """Read the file of every sequence; regions (class 10) are no predictions and are left out.

    Raises:
        InputError: One is missing or malformed, has masks of another size than the images, or a class that the ground
            truth does not have.
    """
    index = read_image_index(truth) if truth.frame_index else None
    numbers = {new: old for old, new in class_numbers(truth).items()}
    tables = {}
    for name, file in require_results(path, truth).items():
        size = None if index is None else index.size_of(name)
        first = int(truth.sequences[name].frames.min(initial=1))
        table = read_mots(file, first_frame=min(first, 1), size=size)
        table = table.select(np.flatnonzero(table.class_ids != IGNORE_CLASS))
        require_numbers(file, numbers, table.class_ids.tolist(), truth.source)
        tables[name] = with_classes(table, numbers)
    return tables
