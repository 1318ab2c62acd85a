"""Deformable convolutions (v1 and v2) on CPUs: mmcv's results, several times faster.

mmcv fills the matrix of sampled columns value by value, in one thread. Here a sample of all channels is the weighted
sum of four cells' rows, and the matrix is made and multiplied piece by piece, so that it stays in the cache.

Legend: N images, C and O channels in and out, h x w cells of the input and H x W of the output, K taps of the kernel,
D deformable groups, g groups; P output cells of a piece, S = P * K * D samples, each of C / D channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from clmot_qd.errors import InputError
from clmot_qd.ops.weighted_rows import add_to_rows, exact, layout_of, map_of, rows_of, sum_rows

# Values (cells x taps x channels) of the matrix that exist at a time.
VALUES_AT_ONCE = 1 << 21

Pair = tuple[int, int]


class Sampling(NamedTuple):
    """The arguments of a convolution that are not tensors; pairs are vertical, horizontal."""

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    deform_groups: int = 1


def deform_conv2d(
    x: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor, bias: Tensor | None, sampling: Sampling
) -> Tensor:
    """A convolution whose taps are moved by ``offset`` and weighted by ``mask``; differentiable in all tensors.

    Like mmcv's it computes in the type of ``offset``, which autocast may have made a half precision.

    Args:
        x: (N, C, h, w), on the CPU; fastest where stored channels last.
        offset: (N, D * K * 2, H, W) in cells, vertical before horizontal.
        mask: (N, D * K, H, W); None for DCNv1.
        weight: (O, C / g, kernel height, kernel width).
        bias: (O,) or None.
        sampling: Stride, padding, dilation and groups.

    Returns:
        (N, O, H, W), stored as ``x`` is.

    Raises:
        InputError: Shapes do not fit together.
    """
    _check_shapes(x, offset, mask, weight, sampling)
    dtype = offset.dtype
    mask = torch.ones_like(offset[:, ::2]) if mask is None else mask.to(dtype)
    # Autocast would cast the multiplication once more.
    with torch.autocast("cpu", enabled=False):
        out = _DeformConv.apply(x.to(dtype), offset, mask, weight.to(dtype), sampling)
        return out if bias is None else out + bias.to(dtype)[:, None, None]


def _check_shapes(x: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor, sampling: Sampling) -> None:
    images, *sides = x.shape[:1] + x.shape[2:]
    axes = zip(sides, weight.shape[2:], sampling.stride, sampling.padding, sampling.dilation)
    grid = [(side + 2 * pad - reach * (taps - 1) - 1) // step + 1 for side, taps, step, pad, reach in axes]
    samples = sampling.deform_groups * weight.shape[2:].numel()
    channels = weight.shape[1] * sampling.groups
    expected: list[tuple[str, Tensor | None, list[int]]] = [
        ("input", x, [images, channels, *sides]),
        ("offset", offset, [images, 2 * samples, *grid]),
        ("mask", mask, [images, samples, *grid]),
    ]
    for name, tensor, shape in expected:
        if tensor is not None and (tensor.dim() != 4 or list(tensor.shape) != shape):
            raise InputError(f"deformable convolution: expected {name} of shape {shape}, got {list(tensor.shape)}")


class _DeformConv(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, sampling: Sampling) -> Tensor:
        ctx.save_for_backward(x, offset, mask, weight)
        ctx.sampling = sampling
        grid = _Grid.of(x, offset, weight, sampling)
        rows, moves, shares, matrices = grid.rows(x), rows_of(offset), rows_of(mask), grid.matrices(weight)
        out = x.new_empty(len(moves), len(weight))
        for piece in grid.pieces():
            samples = sum_rows(rows, *grid.corners(piece, moves[piece], shares[piece]))
            out[piece] = torch.bmm(grid.columns(samples), matrices).transpose(0, 1).flatten(1)
        return map_of(out, grid.out_shape, layout_of(x))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        # As forwards: whoever calls this inside autocast still gets gradients of full precision.
        with torch.autocast("cpu", enabled=False):
            return _gradients(ctx, grad_out)


def _gradients(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
    """Of every argument of :class:`_DeformConv`; None, and no work, for what needs none."""
    x, offset, mask, weight = ctx.saved_tensors
    for_x, for_offset, for_mask, for_weight, _ = ctx.needs_input_grad
    grid = _Grid.of(x, offset, weight, ctx.sampling)
    rows, moves, shares, matrices = grid.rows(x), rows_of(offset), rows_of(mask), grid.matrices(weight)
    grad_products = rows_of(grad_out)
    grad_rows = torch.zeros_like(rows, dtype=exact(x.dtype)) if for_x else None
    grad_matrices = torch.zeros_like(matrices, dtype=exact(x.dtype)) if for_weight else None
    grad_moves = torch.empty_like(moves) if for_offset else None
    grad_shares = torch.empty_like(shares) if for_mask else None
    for piece in grid.pieces():
        grad_product = grad_products[piece].unflatten(1, (grid.sampling.groups, -1)).transpose(0, 1)
        moved = moves[piece].detach().requires_grad_(for_offset), shares[piece].detach().requires_grad_(for_mask)
        with torch.enable_grad():
            cells, weights = grid.corners(piece, *moved)
            samples = sum_rows(rows, cells, weights)
        if grad_matrices is not None:
            grad_matrices += torch.bmm(grid.columns(samples.detach()).transpose(1, 2), grad_product)
        if grad_rows is None and not weights.requires_grad:
            continue
        grad_samples = grid.samples(torch.bmm(grad_product, matrices.transpose(1, 2)))
        if grad_rows is not None:
            add_to_rows(grad_rows, cells, weights.detach(), grad_samples)
        if weights.requires_grad:
            samples.backward(grad_samples)
        for grads, tensor in zip((grad_moves, grad_shares), moved):
            if grads is not None and tensor.grad is not None:
                grads[piece] = tensor.grad
    layout = layout_of(x)
    return (
        None if grad_rows is None else map_of(grad_rows.view(-1, x.shape[1]).to(x.dtype), x.shape, layout),
        None if grad_moves is None else map_of(grad_moves, offset.shape, layout),
        None if grad_shares is None else map_of(grad_shares, mask.shape, layout),
        None if grad_matrices is None else grid.weight(grad_matrices.to(weight.dtype)),
        None,
    )


@dataclass(frozen=True)
class _Grid:
    """Where the taps of every output cell lie, and how samples become the columns of a matrix and back."""

    in_shape: torch.Size
    out_shape: tuple[int, int, int, int]
    kernel: torch.Size
    sampling: Sampling

    @classmethod
    def of(cls, x: Tensor, offset: Tensor, weight: Tensor, sampling: Sampling) -> _Grid:
        height, width = offset.shape[2:]
        return cls(x.shape, (len(x), len(weight), height, width), weight.shape[2:], sampling)

    @property
    def taps(self) -> int:
        return self.kernel.numel()

    def pieces(self) -> Iterator[slice]:
        """Runs of output cells, counted over all images."""
        images, _, height, width = self.out_shape
        step = max(VALUES_AT_ONCE // (self.taps * self.in_shape[1]), 1)
        for start in range(0, images * height * width, step):
            yield slice(start, min(start + step, images * height * width))

    def rows(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N * h * w * D, C / D)."""
        return rows_of(x).view(-1, x.shape[1] // self.sampling.deform_groups)

    def corners(self, piece: slice, moves: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        """The four rows that each sample is interpolated from, and their weights, which are differentiable.

        Args:
            piece: Output cells.
            moves: Their offsets (P, D * K * 2).
            shares: Their masks (P, D * K).

        Returns:
            Rows (S, 4) int32 and weights (S, 4); cells outside the map weigh nothing.
        """
        _, _, height, width = self.in_shape
        image, *starts = self._starts(piece)
        moves = moves.to(exact(moves.dtype)).unflatten(1, (-1, self.taps, 2)).transpose(1, 2)
        shares = shares.to(moves.dtype).unflatten(1, (-1, self.taps)).transpose(1, 2)
        top, bottom = _neighbours(moves[..., 0] + starts[0], height)
        left, right = _neighbours(moves[..., 1] + starts[1], width)
        cells, weights = [], []
        for row, row_weight in (top, bottom):
            for column, column_weight in (left, right):
                cells.append(row * width + column)
                weights.append(row_weight * column_weight * shares)
        group = torch.arange(self.sampling.deform_groups, dtype=torch.int32)
        base = (image * (height * width))[:, None, None, None]
        rows = (torch.stack(cells, dim=-1) + base) * len(group) + group[:, None]
        return rows.view(-1, 4), torch.stack(weights, dim=-1).view(-1, 4)

    def _starts(self, piece: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Of output cells the image (P,), and row and column of every tap before it is moved, (P, K, 1) each."""
        _, _, height, width = self.out_shape
        cell = torch.arange(piece.start, piece.stop, dtype=torch.int32)
        image, row, column = cell // (height * width), cell // width % height, cell % width
        tap = torch.arange(self.taps, dtype=torch.int32)
        stride, padding, dilation = self.sampling[:3]
        rows = (row * stride[0] - padding[0])[:, None] + tap // self.kernel[1] * dilation[0]
        columns = (column * stride[1] - padding[1])[:, None] + tap % self.kernel[1] * dilation[1]
        return image, rows[..., None], columns[..., None]

    def columns(self, samples: Tensor) -> Tensor:
        """(S, C / D) -> what each group of the convolution multiplies, (g, P, K * C / g)."""
        groups = self.sampling.groups
        columns = samples.view(-1, self.taps, groups, self.in_shape[1] // groups)
        return columns.permute(2, 0, 1, 3).flatten(2)

    def samples(self, columns: Tensor) -> Tensor:
        """The inverse of :meth:`columns`."""
        split = columns.unflatten(2, (self.taps, -1)).permute(1, 2, 0, 3)
        return split.reshape(-1, self.in_shape[1] // self.sampling.deform_groups)

    def matrices(self, weight: Tensor) -> Tensor:
        """(O, C / g, kernel height, kernel width) -> (g, K * C / g, O / g)."""
        split = weight.flatten(2).unflatten(0, (self.sampling.groups, -1))
        return split.permute(0, 3, 2, 1).flatten(1, 2).contiguous()

    def weight(self, matrices: Tensor) -> Tensor:
        """The inverse of :meth:`matrices`."""
        split = matrices.unflatten(1, (self.taps, -1)).permute(0, 3, 2, 1)
        return split.reshape(-1, split.shape[2], *self.kernel)


def _neighbours(position: Tensor, length: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Along one axis the cells before and after each position, int32 inside the map, and their weights.

    A cell outside the map weighs nothing; its place is taken by one inside.
    """
    before = position.detach().floor()
    share = position - before
    on_first = (before >= 0) & (before < length)
    # A whole cell before the map the share is 0 but would have a gradient, which mmcv's has not.
    on_second = (position > -1) & (before < length - 1)
    cell = before.int()
    return (
        (cell.clamp(0, length - 1), (1 - share) * on_first),
        ((cell + 1).clamp(0, length - 1), share * on_second),
    )
