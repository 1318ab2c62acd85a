"""RoIAlign on CPUs: mmcv's results, with many channels and small bins an order of magnitude faster.

mmcv visits sample by sample and channel by channel, in one thread. Here the samples of a bin are merged first: bilinear
interpolation and averaging are linear and separate into the two axes, so that a bin is a weighted sum over a small
window of cells whose weights are the product of a row's and a column's; all channels of a cell are then read at once.

Legend: R regions, N images, C channels, H x W cells of the map, a x b bins of a region, s samples of a bin along an
axis, k cells of a bin's window along an axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from clmot_qd.ops.weighted_rows import add_to_rows, exact, layout_of, map_of, rows_of, sum_rows

# Window cells of the regions that are pooled together: bounds the memory.
ENTRIES_AT_ONCE = 1 << 18
# Along an axis, windows up to this size are padded to one another rather than pooled in more and smaller groups.
SMALL_WINDOW = 4


class Pooling(NamedTuple):
    """The arguments of mmcv's RoIAlign that say where samples lie."""

    output_size: tuple[int, int]
    spatial_scale: float
    sampling_ratio: int
    aligned: bool


def roi_align(features: Tensor, rois: Tensor, pooling: Pooling) -> Tensor:
    """Average-pool regions of maps, as ``mmcv.ops.RoIAlign(pool_mode='avg')`` does; differentiable in the maps.

    Args:
        features: (N, C, H, W) of any floating type, on the CPU; fastest where stored channels last.
        rois: (R, 5) image index and xyxy in pixels of the network input; no negative width or height.
        pooling: Bins and sampling.

    Returns:
        (R, C, a, b), stored as the features are.
    """
    level_of = torch.zeros(len(rois), dtype=torch.long)
    return _RoIAlign.apply(rois, level_of, [pooling], layout_of(features), features)


def pool_levels(levels: Sequence[Tensor], rois: Tensor, level_of: Tensor, poolings: Sequence[Pooling]) -> Tensor:
    """Each region from one level of a pyramid, see :func:`roi_align`; the result is written once, where it belongs.

    Args:
        levels: L maps (N, C, H, W), each of its own size.
        rois: (R, 5).
        level_of: (R,) int64, 0 .. L - 1.
        poolings: One for each level, all of the same output size.

    Returns:
        (R, C, a, b), contiguous.
    """
    return _RoIAlign.apply(rois, level_of, poolings, torch.contiguous_format, *levels)


def sides_of(rois: Tensor, pooling: Pooling) -> tuple[Tensor, Tensor]:
    """Top left corners and sides of regions, (R, 2) each, x first, in cells; sides are negative for inverted boxes.

    The arithmetic follows mmcv's step by step: how many samples a bin gets is a rounded-up division.
    """
    corners = rois[:, 1:].to(exact(rois.dtype)) * pooling.spatial_scale - (0.5 if pooling.aligned else 0.0)
    sides = corners[:, 2:] - corners[:, :2]
    return corners[:, :2], sides if pooling.aligned else sides.clamp(min=1)


def windows_of(sides: Tensor, pooling: Pooling, size: Sequence[int]) -> Tensor:
    """Sides (R, 2) -> (R, 2) at most how many cells of a map of this ``size`` (H, W) the window of a bin has, x first.

    A region may be many times as large as its map; its windows are not.
    """
    bins, cells = sides.new_tensor(pooling.output_size[::-1]), sides.new_tensor([*size][::-1])
    return (sides / bins + 2).ceil().minimum(cells)


def entries_of(sides: Tensor, pooling: Pooling, size: Sequence[int]) -> Tensor:
    """Sides (R, 2) -> (R,) about how many cells the windows of a region's bins have together, see `windows_of`."""
    return windows_of(sides, pooling, size).prod(dim=1) * pooling.output_size[0] * pooling.output_size[1]


def samples_of(sides: Tensor, pooling: Pooling) -> Tensor:
    """(R, 2) sides -> (R,) how many samples a region's bins have together."""
    bins = sides.new_tensor(pooling.output_size[::-1])
    ratio = pooling.sampling_ratio
    return ((sides / bins).ceil() if ratio == 0 else torch.full_like(sides, ratio)).prod(dim=1) * bins.prod()


class _RoIAlign(Function):
    @staticmethod
    def forward(
        ctx: Any,
        rois: Tensor,
        level_of: Tensor,
        poolings: Sequence[Pooling],
        layout: torch.memory_format,
        *levels: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(rois, level_of)
        ctx.poolings, ctx.stored = poolings, [(x.shape, layout_of(x)) for x in levels]
        shape = (len(rois), levels[0].shape[1], *poolings[0].output_size)
        pooled = torch.empty(shape, dtype=levels[0].dtype, memory_format=layout)
        for number, (x, pooling) in enumerate(zip(levels, poolings)):
            members = (level_of == number).nonzero().squeeze(1)
            rows = rows_of(x) if len(members) else x
            for chosen, cells, weights in _windows(rois, members, pooling, x.shape):
                bags = sum_rows(rows, cells, weights)
                pooled[chosen] = bags.view(len(chosen), *pooling.output_size, -1).permute(0, 3, 1, 2)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_pooled: Tensor) -> tuple[Tensor | None, ...]:
        rois, level_of = ctx.saved_tensors
        grads = []
        for number, ((shape, layout), pooling) in enumerate(zip(ctx.stored, ctx.poolings)):
            members = (level_of == number).nonzero().squeeze(1)
            images, channels, height, width = shape
            grad_rows = grad_pooled.new_zeros(images * height * width, channels, dtype=exact(grad_pooled.dtype))
            for chosen, cells, weights in _windows(rois, members, pooling, shape):
                add_to_rows(grad_rows, cells, weights, rows_of(grad_pooled[chosen]))
            grads.append(map_of(grad_rows.to(grad_pooled.dtype), shape, layout))
        return None, None, None, None, *grads


def _windows(
    rois: Tensor, members: Tensor, pooling: Pooling, shape: torch.Size
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Of the regions ``members`` some at a time: which (r,), and their bins' cells and weights.

    Yields:
        Indices (r,) of ``rois``, and two (r * a * b, cells of a window).
    """
    _, _, height, width = shape
    for chosen in _groups(members, windows_of(sides_of(rois[members], pooling)[1], pooling, shape[2:]), pooling):
        starts, sides = sides_of(rois[chosen], pooling)
        rows, row_weights = _axis(starts[:, 1], sides[:, 1], pooling.output_size[0], height, pooling.sampling_ratio)
        columns, column_weights = _axis(
            starts[:, 0], sides[:, 0], pooling.output_size[1], width, pooling.sampling_ratio
        )
        rows = rows + (rois[chosen, 0].int() * height)[:, None, None]
        cells = rows[:, :, None, :, None] * width + columns[:, None, :, None, :]
        weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
        size = rows.shape[2] * columns.shape[2]
        yield chosen, cells.view(-1, size), weights.view(-1, size)


def _groups(members: Tensor, windows: Tensor, pooling: Pooling) -> list[Tensor]:
    """Regions with windows of about one width and one height, cut by :data:`ENTRIES_AT_ONCE`.

    In a group all windows take the room of the widest times the highest: a wide one among high ones would be large.
    So they are at most twice as large, along an axis, as the smallest of their group (or :data:`SMALL_WINDOW`).
    """
    sizes = windows.clamp(min=SMALL_WINDOW).log2().ceil()
    # One number for both axes: no map is 2 ** 64 cells long.
    kinds = sizes[:, 0] * 64 + sizes[:, 1]
    kinds, order = kinds.sort()
    entries = sizes[order].sum(dim=1).exp2().double() * pooling.output_size[0] * pooling.output_size[1]
    parts = (entries.cumsum(0) // ENTRIES_AT_ONCE).long()
    key = torch.stack([kinds.long(), parts])
    return list(members[order].split(key.unique_consecutive(dim=1, return_counts=True)[1].tolist()))


def _axis(start: Tensor, side: Tensor, bins: int, length: int, sampling_ratio: int) -> tuple[Tensor, Tensor]:
    """Along one axis the cells (r, bins, k) int32 that every bin is averaged from, and their weights (r, bins, k)."""
    low, high, fraction, weight = _samples(start, side, bins, length, sampling_ratio)
    used = weight > 0
    first = low.masked_fill(~used, length - 1).amin(dim=2, keepdim=True)
    size = int((high - first).masked_fill(~used, 0).amax()) + 1
    entries = (torch.cat([low, high], dim=2) - first).clamp(0, size - 1)
    weights = weight.new_zeros(*first.shape[:2], size)
    weights.scatter_add_(2, entries, torch.cat([(1 - fraction) * weight, fraction * weight], dim=2))
    return (first + torch.arange(size)).clamp(max=length - 1).int(), weights


def _samples(
    start: Tensor, side: Tensor, bins: int, length: int, sampling_ratio: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Along one axis, (r, bins, s): cells before and after each sample, the share of the latter, the sample's weight.

    Samples more than a cell outside the map, and those that a region has fewer of than others, weigh nothing.
    """
    bin_side = (side / bins)[:, None, None]
    count = torch.full_like(bin_side, sampling_ratio) if sampling_ratio > 0 else bin_side.ceil()
    number = torch.arange(max(int(count.max()), 1), dtype=side.dtype)
    position = start[:, None, None] + torch.arange(bins)[:, None] * bin_side
    position = position + (number + 0.5) * bin_side / count.clamp(min=1)
    used = (number < count) & (position >= -1) & (position <= length)
    position = position.clamp(0, length - 1)
    low = position.floor()
    cells = low.long()
    return cells, (cells + 1).clamp(max=length - 1), position - low, used / count.clamp(min=1)
