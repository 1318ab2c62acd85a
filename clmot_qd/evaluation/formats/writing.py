"""Writing JSON result files line by line."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from clmot_qd.datasets.mot_text import FloatArray, MotTable, PathLike
from clmot_qd.errors import InputError
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.files import atomic_path

#: Digits after the point in the coordinates of result files; scores are written exactly.
DECIMALS = 5


def write_array(path: PathLike, blocks: Iterable[list[str]]) -> None:
    """Write a JSON array, one entry in a line, all or nothing.

    Args:
        path: The file.
        blocks: The entries, each the text of a JSON object, in blocks that fit into memory.
    """
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as handle:
        handle.write("[")
        separator = "\n"
        for block in blocks:
            if block:
                handle.write(separator + ",\n".join(block))
                separator = ",\n"
        handle.write("\n]\n")


def rounded(boxes: FloatArray) -> list[list[float]]:
    """Return boxes as lists of numbers with :data:`DECIMALS` digits after the point."""
    return np.round(boxes, DECIMALS).tolist()


def check_writable(path: PathLike, truth: GroundTruth, sequence: str, table: MotTable) -> None:
    """Check what JSON files need beyond MOT text: a known class for each prediction, a finite score, a known frame.

    Raises:
        InputError: A prediction lacks one.
    """
    unknown = ~np.isin(table.class_ids, list(truth.categories.values()))
    if unknown.any():
        number = table.class_ids[unknown.argmax()]
        known = ", ".join(truth.categories)
        what = "no class" if number == -1 else f"class number {number}, which {truth.source} does not have"
        raise InputError(f"{path}: {sequence}: a prediction has {what}; this format needs one of {known}")
    if not np.isfinite(table.scores).all():
        frame = table.frames[~np.isfinite(table.scores)][0]
        raise InputError(f"{path}: {sequence}, frame {frame}: a score is not finite; JSON has no such number")
    outside = ~np.isin(table.frames, truth.sequences[sequence].frames)
    if outside.any():
        frame = table.frames[outside][0]
        raise InputError(f"{path}: {sequence}: a prediction in frame {frame}, which {truth.source} does not have")
