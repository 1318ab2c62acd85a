"""What all pair losses share: the call, the number type, and the mean over anchors or over groups of anchors.

Legend: N anchors, M targets, C channels, G groups.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

from clmot_qd.models.process_counts import shared_count


class Pairs(NamedTuple):
    """The input of a pair loss in float32 or float64, with every anchor's group numbered from 0."""

    anchors: Tensor  # (N, C)
    targets: Tensor  # (M, C)
    positive: Tensor  # (N, M) bool
    negative: Tensor  # (N, M) bool
    membership: Tensor  # (N, G) bool, one True per row

    @property
    def comparable(self) -> Tensor:
        """(N,) bool: the anchor has at least one positive and at least one negative."""
        return self.positive.any(dim=1) & self.negative.any(dim=1)

    def group_sum(self, per_anchor: Tensor) -> Tensor:
        """(N,) -> (G,). A masked sum rather than `index_add`, which is not deterministic on CUDA."""
        return (self.membership * per_anchor[:, None]).sum(dim=0)


class AnchorTerms(NamedTuple):
    """The terms an anchor brings into the mean, as their sum and their number.

    A group without a valid anchor is left out; one with valid anchors but no term counts as 0.
    """

    total: Tensor  # (N,) float
    number: Tensor  # (N,) int or bool
    valid: Tensor  # (N,) bool


class PairLoss(nn.Module, ABC):
    """Base of the losses on pairs of embeddings; a subclass says which terms one anchor has.

    Args:
        loss_weight: factor on the result.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    @abstractmethod
    def anchor_terms(self, pairs: Pairs) -> AnchorTerms:
        """The terms of every anchor; N and M are at least 1."""

    def forward(
        self, anchors: Tensor, targets: Tensor, positive: Tensor, negative: Tensor, group: Tensor | None = None
    ) -> Tensor:
        """Mean of the terms of all anchors, times `loss_weight`; of those of all processes where several train.

        Half precision is raised to float32 and autocast is off inside, so the result is float32 (float64 stays).

        Args:
            anchors: (N, C) embeddings.
            targets: (M, C) embeddings; may be the same tensor as `anchors`.
            positive: (N, M) bool, pairs of one object.
            negative: (N, M) bool, pairs of different objects; disjoint from `positive`. A pair in neither is ignored.
            group: (N,) integer label per anchor, for instance its image. If given, the loss is taken of each group by
                itself and the result is the mean over the groups that have something to compare.

        Returns:
            () loss; 0 with a graph (zero gradient) when there is no term, N = 0 and M = 0 included. Not finite if any
            embedding is not, whether it is compared with another or not: then no gradient is to be trusted.

        Raises:
            ValueError: a mask is not (N, M).
        """
        shape = (len(anchors), len(targets))
        if positive.shape != shape or negative.shape != shape:
            given = f"positive {tuple(positive.shape)}, negative {tuple(negative.shape)}"
            raise ValueError(f"masks must be {shape}: {given}")
        with torch.autocast(device_type=anchors.device.type, enabled=False):
            anchors, targets = _at_least_float32(anchors), _at_least_float32(targets)
            total, number = self._sum(anchors, targets, positive, negative, group)
            # The graph where nothing is compared; and a model that diverged must not look like one without loss.
            total = total + 0.0 * (anchors.sum() + targets.sum())
            return self.loss_weight * total / shared_count(number.to(total.dtype))

    def _sum(
        self, anchors: Tensor, targets: Tensor, positive: Tensor, negative: Tensor, group: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Sum () of the terms, or of the groups' means, and how many there are."""
        if positive.numel() == 0:
            return anchors.new_zeros(()), anchors.new_zeros(())
        pairs = Pairs(anchors, targets, positive, negative, _membership(anchors, group))
        terms = self.anchor_terms(pairs)
        totals, numbers = pairs.group_sum(terms.total), pairs.group_sum(terms.number)
        if group is None:
            return totals.sum(), numbers.sum()
        return (totals / numbers.clamp(min=1)).sum(), (pairs.group_sum(terms.valid) > 0).sum()


def _at_least_float32(embeds: Tensor) -> Tensor:
    return embeds.to(torch.promote_types(embeds.dtype, torch.float32))


def _membership(anchors: Tensor, group: Tensor | None) -> Tensor:
    """(N, G) bool; a single group when none is given."""
    if group is None:
        return torch.ones(len(anchors), 1, dtype=torch.bool, device=anchors.device)
    _, index = group.unique(return_inverse=True)
    return F.one_hot(index).bool()


def build_pair_losses(loss_embed: dict[str, Any] | list[dict[str, Any]] | None) -> nn.ModuleDict:
    """``loss_embed`` of a configuration -> {name in the log: pair loss}."""
    configs = [] if loss_embed is None else loss_embed if isinstance(loss_embed, (list, tuple)) else [loss_embed]
    suffixes = ("", "_aux", *(f"_aux{n}" for n in range(2, len(configs))))
    return nn.ModuleDict({f"loss_embed{suffix}": MODELS.build(config) for suffix, config in zip(suffixes, configs)})
