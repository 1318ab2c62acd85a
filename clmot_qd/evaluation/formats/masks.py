"""Masks of predictions as result files need them: of the size of the images, and disjoint where that is asked for."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence

from clmot_qd.datasets.mot_text import MotTable, PathLike
from clmot_qd.errors import InputError
from clmot_qd.evaluation.formats.image_index import ImageIndex
from clmot_qd.evaluation.formats.writing import check_writable
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.evaluation.mask_tables import Repairs, ready_table, require_same_size
from clmot_qd.masks import RleMasks

logger = logging.getLogger(__name__)


def rle_texts(masks: RleMasks) -> Iterator[str]:
    """Give each mask as the text of a JSON object."""
    size = list(masks.size)
    return (f'{{"size": {size}, "counts": {json.dumps(text)}}}' for text in masks.texts())


def check_size(path: PathLike, index: ImageIndex, sequence: str, table: MotTable) -> None:
    """Check that the masks of a sequence, if it has some, are of the size of its images.

    Raises:
        InputError: They are not.
    """
    if table.masks is None or not len(table):
        return
    size = index.size_of(sequence)
    if size is not None:
        require_same_size(table.masks, size, "its pictures", f"{path}: {sequence}")


def exclusive_masks(
    path: PathLike, truth: GroundTruth, index: ImageIndex | None, tracks: Mapping[str, MotTable]
) -> dict[str, MotTable]:
    """Return the predictions with masks that are not empty, no two of which share a pixel of an image.

    A pixel goes to the mask of the highest score. What was changed is counted and told in one line.

    Args:
        path: For messages.
        truth: The sequences.
        index: Their images; None where the ground truth has none.
        tracks: Sequence -> predictions. Sequences without any are left out.

    Raises:
        InputError: There are predictions without masks, or not of the size of the images, or what
            :func:`~clmot_qd.evaluation.formats.writing.check_writable` refuses.
    """
    repairs = Repairs()
    found = {name: tracks[name] for name in truth.sequences if len(tracks.get(name, ()))}
    for name, table in found.items():
        check_writable(path, truth, name, table)
        if table.masks is None:
            what = "predictions without masks, which this format is made of"
            raise InputError(f"{path}: {name}: {what}; use a model with a mask head, or a format for boxes")
        if index is not None:
            check_size(path, index, name, table)
    ready = {name: ready_table(table, True, repairs) for name, table in found.items()}
    if str(repairs):
        logger.warning("%s: %s", path, repairs)
    return ready


def require_numbers(path: PathLike, numbers: Mapping[int, int], class_ids: Sequence[int], source: str) -> None:
    """Check that a file's class numbers are known.

    Raises:
        InputError: One is not.
    """
    unknown = sorted(set(class_ids) - set(numbers))
    if unknown:
        known = ", ".join(map(str, sorted(numbers)))
        raise InputError(f"{path}: class {unknown[0]} is none of {source}, whose classes have the numbers {known} here")
