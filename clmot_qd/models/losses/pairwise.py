"""Distances and similarities between rows, and the masked sums of exponentials that the softmax losses need.

Legend: N anchors, M targets, C channels. Everything here takes O(N * M) memory, forward and backward, and has finite
gradients everywhere: at distance 0, at zero norm and for an empty mask row as well.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _EuclideanDistances(torch.autograd.Function):
    """`torch.cdist` with another backward: its own one needs an (N, M, C) buffer on CUDA.

    The product form would lose distances under 3e-4 to cancellation in float32: the forward takes differences, or, on
    CPUs, where that is ten times faster, the products in float64.
    """

    @staticmethod
    def forward(ctx: Any, anchors: Tensor, targets: Tensor) -> Tensor:
        by_products = anchors.device.type == "cpu" and anchors.dtype == torch.float32
        distances = (_distances_by_products if by_products else _distances_by_differences)(anchors, targets)
        ctx.save_for_backward(anchors, targets, distances)
        return distances

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Sum over j of g_ij (a_i - t_j) / d_ij, and its mirror image for the targets, as matrix products.

        Under sqrt(eps) (3e-4 for float32) the products resolve no direction any more; there the gradient goes to 0
        with the distance instead of growing into noise.
        """
        anchors, targets, distances = ctx.saved_tensors
        weights = grad / distances.clamp(min=torch.finfo(distances.dtype).eps ** 0.5)
        grad_anchors = weights.sum(dim=1)[:, None] * anchors - weights @ targets
        grad_targets = weights.sum(dim=0)[:, None] * targets - weights.T @ anchors
        return grad_anchors, grad_targets


def _distances_by_differences(anchors: Tensor, targets: Tensor) -> Tensor:
    return torch.cdist(anchors, targets, compute_mode="donot_use_mm_for_euclid_dist")


def _distances_by_products(anchors: Tensor, targets: Tensor) -> Tensor:
    """d^2 = |a|^2 + |t|^2 - 2 a t in float64, which resolves distances down to 1e-7 of the rows' lengths."""
    left, right = anchors.double(), targets.double()
    lengths = left.square().sum(dim=1)[:, None] + right.square().sum(dim=1)
    return torch.addmm(lengths, left, right.T, alpha=-2).clamp_(min=0).sqrt_().to(anchors.dtype)


def euclidean_distances(anchors: Tensor, targets: Tensor) -> Tensor:
    """(N, C), (M, C) -> (N, M) Euclidean distances, Eq. (4) of CL-MOT. The gradient at distance 0 is 0."""
    return _EuclideanDistances.apply(anchors, targets)


def unit_rows(embeds: Tensor, eps: float = 1e-12) -> Tensor:
    """(N, C) -> (N, C) rows of length 1; a row shorter than `eps` is returned as it is, with its gradient unscaled."""
    norm = embeds.norm(dim=1, keepdim=True)
    return embeds / torch.where(norm > eps, norm, torch.ones_like(norm))


def cosine_similarities(anchors: Tensor, targets: Tensor) -> Tensor:
    """(N, C), (M, C) -> (N, M) cosines; a row of zeros has cosine 0 with everything."""
    return unit_rows(anchors) @ unit_rows(targets).T


class _MaskedLogSumExp(torch.autograd.Function):
    """The forward keeps the softmax, which is the gradient: no exponential is taken twice.

    Entries outside of the mask never meet the exponential: filled with the lowest number they made it far slower.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, mask: Tensor) -> Tensor:
        lowest, outside = torch.finfo(values.dtype).min, ~mask
        peak = values.masked_fill(outside, lowest).amax(dim=1, keepdim=True)
        peak = torch.where(peak.isfinite(), peak, 0)  # inf - inf is NaN
        weights = (values - peak).masked_fill_(outside, 0).exp_().masked_fill_(outside, 0)
        total = weights.sum(dim=1, keepdim=True)
        ctx.save_for_backward(weights.div_(total.clamp(min=1)))  # a finite peak alone brings 1
        return torch.where(mask.any(dim=1, keepdim=True), peak + total.log(), lowest)[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad[:, None] * ctx.saved_tensors[0], None


def masked_logsumexp(values: Tensor, mask: Tensor) -> Tensor:
    """(N, M), (N, M) bool -> (N,) log of the sum of exp(values) over the mask.

    An empty row gives the lowest finite number instead of -inf, through which the backward would carry NaN. NaN and
    infinities in the mask give what `torch.logsumexp` gives: a model that diverged must not look like one without loss.
    """
    if values.shape[1] == 0:
        return values.sum(dim=1) + torch.finfo(values.dtype).min
    return _MaskedLogSumExp.apply(values, mask)
