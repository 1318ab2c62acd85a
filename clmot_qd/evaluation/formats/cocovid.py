"""CocoVID predictions: a list of ``image_id, category_id, bbox, score, instance_id``, which pycocotools loads too.

Tracks with masks have ``segmentation`` as well, as COCO has it: ``size`` and compressed ``counts``. Files of others may
have ``track_id`` in place of ``instance_id``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import repeat

from clmot_qd.datasets.mot_text import MotTable, PathLike
from clmot_qd.evaluation.formats.coco_lists import box_lines, image_rows, read_classes, read_list
from clmot_qd.evaluation.formats.entries import Entries, find_rows
from clmot_qd.evaluation.formats.image_index import ImageIndex, read_image_index
from clmot_qd.evaluation.formats.mask_column import read_masks
from clmot_qd.evaluation.formats.masks import check_size, rle_texts
from clmot_qd.evaluation.formats.sequences import by_sequence
from clmot_qd.evaluation.formats.writing import check_writable, rounded, write_array
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.geometry import with_area


def write(path: PathLike, truth: GroundTruth, tracks: Mapping[str, MotTable]) -> None:
    """Write the tracks of all videos into one file; image and category numbers are those of the annotation file.

    Raises:
        InputError: A prediction has no class or frame of the annotation file, or a mask of another size than its image.
    """
    write_array(path, _blocks(path, truth, read_image_index(truth), tracks))


def _blocks(
    path: PathLike, truth: GroundTruth, index: ImageIndex, tracks: Mapping[str, MotTable]
) -> Iterator[list[str]]:
    for sequence in index.sequences:
        if sequence in tracks:
            table = tracks[sequence]
            check_writable(path, truth, sequence, table)
            check_size(path, index, sequence, table)
            rest = (
                f'"instance_id": {identity}{end}' for identity, end in zip(table.ids.tolist(), _segmentations(table))
            )
            yield box_lines(
                index.ids[image_rows(index, sequence, table)], table, rounded(with_area(table.bboxes)), rest
            )


def _segmentations(table: MotTable) -> Iterator[str]:
    if table.masks is None:
        return repeat("")
    return (f', "segmentation": {text}' for text in rle_texts(table.masks))


def read(path: PathLike, truth: GroundTruth, masks: bool = False) -> dict[str, MotTable]:
    """Read one table for each sequence, rows in the order of the file.

    Args:
        path: The file.
        truth: What is predicted.
        masks: Read ``segmentation`` as well, where there is one.

    Raises:
        InputError: The file is malformed, or names an image or a category that the annotation file does not have.
    """
    entries = read_list(path)
    index = read_image_index(truth)
    ids = entries.identities(_identity_key(entries, index))
    images = find_rows(entries, "image_id", index.ids, truth.source)
    return by_sequence(
        entries,
        index,
        images,
        ids,
        entries.boxes("bbox"),
        read_masks(entries, "segmentation", index.sizes[images]) if masks else None,
        scores=entries.numbers("score"),
        class_ids=read_classes(entries, truth, index),
    )


def _identity_key(entries: Entries, index: ImageIndex) -> str:
    """Return ``track_id`` if entries have that alone; not where it may mean TAO, whose images have other numbers."""
    others = entries.some("track_id") and not entries.some("instance_id")
    return "track_id" if others and (index.ids == index.source_ids).all() else "instance_id"
