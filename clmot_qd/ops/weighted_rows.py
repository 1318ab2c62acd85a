"""Weighted sums of a feature map's cells, the one step that RoIAlign and deformable convolutions have in common.

Legend: a *row* is the channels of one cell, so that a map is a matrix of cells x channels and a sum of rows reads
memory in long runs; a *bag* is the cells that one sampled value is summed from. torch has a compiled, vectorised kernel
for this: ``embedding_bag``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def rows_of(maps: Tensor) -> Tensor:
    """(N, C, H, W) -> (N * H * W, C); a view where the map is stored channels last, a copy otherwise."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]).contiguous()


def map_of(rows: Tensor, shape: Sequence[int], layout: torch.memory_format) -> Tensor:
    """The inverse of :func:`rows_of`: (N * H * W, C) -> ``shape`` (N, C, H, W), stored in this layout."""
    images, channels, height, width = shape
    if layout is torch.channels_last:
        return rows.view(images, height, width, channels).permute(0, 3, 1, 2)
    maps = rows.new_empty(images, channels, height * width)
    # torch transposes matrices block by block, stacks of them several times slower.
    for one, part in zip(maps, rows.view(images, height * width, channels)):
        one.copy_(part.t())
    return maps.view(images, channels, height, width)


def layout_of(maps: Tensor) -> torch.memory_format:
    """How maps are stored: channels last, or anything else."""
    last = maps.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def exact(dtype: torch.dtype) -> torch.dtype:
    """float32 in place of the half precisions, in which positions and long sums would be coarse."""
    return torch.promote_types(dtype, torch.float32)


def sum_rows(rows: Tensor, cells: Tensor, weights: Tensor) -> Tensor:
    """Bag by bag the weighted sum of its rows; differentiable in the weights.

    Args:
        rows: (cells, C).
        cells: (bags, k) int32, each a row; half the time of int64.
        weights: (bags, k).

    Returns:
        (bags, C).
    """
    return F.embedding_bag(cells, rows, per_sample_weights=weights.to(rows.dtype), mode="sum")


def add_to_rows(rows: Tensor, cells: Tensor, weights: Tensor, bags: Tensor) -> None:
    """The transpose of :func:`sum_rows`: every bag's value, weighted, is added to its rows, in place.

    Sorting the bags' entries by cell turns this into another sum of rows, many times faster than scattering.

    Args:
        rows: (cells, C), changed in place.
        cells: (bags, k) int32.
        weights: (bags, k).
        bags: (bags, C).
    """
    if not cells.numel():
        return
    ordered, order = cells.flatten().sort()
    first, last = int(ordered[0]), int(ordered[-1])
    starts = torch.searchsorted(ordered, torch.arange(first, last + 1, dtype=ordered.dtype), out_int32=True)
    sources = (order // cells.shape[1]).int()
    spread = weights.flatten()[order].to(bags.dtype)
    rows[first : last + 1] += F.embedding_bag(sources, bags, starts, per_sample_weights=spread, mode="sum")
