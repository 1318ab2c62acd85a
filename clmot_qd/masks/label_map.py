"""Masks of a picture whose pixels say which object they belong to, as MOTS and BDD100K have them in PNG files."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .rle import RleMasks


def masks_of_label_map(labels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], RleMasks]:
    """Encode the pixels of each number other than 0; what comes out shares no pixel and is not empty.

    Args:
        labels: (H, W) whole numbers.

    Returns:
        (n,) the numbers that occur, ascending, and n masks.
    """
    from pycocotools import mask as mask_api

    height, width = labels.shape
    columns = labels.ravel(order="F")
    starts = np.flatnonzero(np.diff(columns, prepend=~columns[:1]))  # of runs of one number
    numbers, owner = np.unique(columns[starts], return_inverse=True)
    ends = np.append(starts[1:], len(columns))
    order = np.argsort(owner, kind="stable")
    edges = np.stack([starts, ends], axis=1)[order]
    first = np.searchsorted(owner[order], np.arange(len(numbers) + 1))
    runs = [_runs(edges[one:two].ravel(), len(columns)) for one, two in pairwise(first)]
    kept = numbers != 0
    coded = [{"size": [height, width], "counts": mine} for mine, keep in zip(runs, kept) if keep]
    masks = [one["counts"] for one in mask_api.frPyObjects(coded, height, width)] if coded else []
    return numbers[kept], RleMasks.of(masks, (height, width))


def _runs(edges: npt.NDArray[np.int64], pixels: int) -> list[int]:
    """Run lengths, background first, of a mask whose runs begin and end at the edges."""
    runs: list[int] = np.diff(edges, prepend=0, append=pixels).tolist()
    return runs if runs[-1] else runs[:-1]  # as pycocotools writes a mask that ends with the picture
