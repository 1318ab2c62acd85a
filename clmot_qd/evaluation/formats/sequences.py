"""Entries of a result file, sorted into one table for each sequence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from clmot_qd.datasets.mot_text import FloatArray, IntArray, MotTable, find_duplicate, make_table
from clmot_qd.evaluation.formats.entries import Entries
from clmot_qd.evaluation.formats.image_index import ImageIndex
from clmot_qd.evaluation.formats.mask_column import MaskColumn


def by_sequence(
    entries: Entries,
    index: ImageIndex,
    images: IntArray,
    ids: IntArray,
    boxes: FloatArray,
    masks: MaskColumn | None = None,
    **columns: Any,
) -> dict[str, MotTable]:
    """Sort the entries into one table for each sequence; rows stay in the order of the file.

    Args:
        entries: For messages; one for each row.
        index: The images.
        images: (n,) rows of ``index``.
        ids: (n,) identities.
        boxes: (n, 4) x, y, w, h.
        masks: n masks; None where the file has boxes alone.
        columns: ``scores`` (n,) and ``class_ids`` (n,).

    Raises:
        InputError: An image has an identity twice, or a video masks of different sizes.
    """
    again = find_duplicate(images, ids)
    if again is not None:
        first = int(np.flatnonzero((images == images[again]) & (ids == ids[again]))[0])
        what = f"its identity stands in the same image already, in {entries.place(first)}"
        entries.fail(again, f"{what}; an identity stands at most once in an image")
    table = make_table(index.frames[images], ids, boxes, **columns)
    sequence = index.sequence[images]
    order = np.argsort(sequence, kind="stable")
    bounds = np.searchsorted(sequence[order], np.arange(len(index.sequences) + 1))
    tables = {}
    for name, start, stop in zip(index.sequences, bounds[:-1], bounds[1:]):
        rows = order[start:stop]
        outlines = None if masks is None else masks.of_video(rows, entries, index.size_of(name))
        tables[name] = replace(table.select(rows), masks=outlines)
    return tables
