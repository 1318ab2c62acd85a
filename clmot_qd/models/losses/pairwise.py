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

    The forward takes differences, not the product form, which would lose distances under 3e-4 to cancellation.
    """

    @staticmethod
    def forward(ctx: Any, anchors: Tensor, targets: Tensor) -> Tensor:
        distances = torch.cdist(anchors, targets, compute_mode="donot_use_mm_for_euclid_dist")
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


def masked_logsumexp(values: Tensor, mask: Tensor) -> Tensor:
    """(N, M), (N, M) bool -> (N,) log of the sum of exp(values) over the mask.

    An empty row gives the lowest finite number instead of -inf, through which the backward would carry NaN.
    """
    return values.masked_fill(~mask, torch.finfo(values.dtype).min).logsumexp(dim=1)
