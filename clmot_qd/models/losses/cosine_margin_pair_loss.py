"""Squared error of cosines against 1 and 0 with mined negatives (auxiliary loss of QDTrack)."""

from __future__ import annotations

import torch
from mmdet.registry import MODELS
from torch import Tensor

from clmot_qd.errors import InputError
from clmot_qd.models.losses.pair_loss import AnchorTerms, PairLoss, Pairs
from clmot_qd.models.losses.pairwise import cosine_similarities


@MODELS.register_module()
class CosineMarginPairLoss(PairLoss):
    """Implements Eq. (6) of QDTrack with the margins and the mining of its released code.

    With c the cosine of a pair and P the number of positive pairs, the mean over all positive pairs and the
    `neg_pos_ub` * P costliest negative pairs (cost 0 counts as well) of

        positive: (1 - clamp(c - pos_margin, 0, 1))^2        negative: clamp(c - neg_margin, 0, 1)^2

    Mined among all pairs of the call, or of the group where groups are given; without a positive pair there is no
    negative one either, unless all are kept. The cosine normalises the embeddings. Memory is O(N * M).

    Args:
        neg_pos_ub: at most so many negatives per positive; 0 or less keeps all.
        pos_margin: subtracted from the cosine of positives (0: the target is cosine 1).
        neg_margin: negatives under this cosine cost nothing.
        hard_mining: the costliest negatives; otherwise a random choice.
        clamp_positives: as released, a positive pair with a cosine under `pos_margin` has cost 1 and no gradient.
            False takes the clamp away for positives: Eq. (6) as printed.
        loss_weight: factor on the result.

    Raises:
        InputError: a negative margin.
    """

    def __init__(
        self,
        neg_pos_ub: float = 3,
        pos_margin: float = 0.0,
        neg_margin: float = 0.1,
        hard_mining: bool = True,
        clamp_positives: bool = True,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        if min(pos_margin, neg_margin) < 0:
            raise InputError(
                f"CosineMarginPairLoss: pos_margin and neg_margin must be 0 or more, not {pos_margin} and {neg_margin}"
            )
        self.neg_pos_ub = neg_pos_ub
        self.pos_margin = pos_margin
        self.neg_margin = neg_margin
        self.hard_mining = hard_mining
        self.clamp_positives = clamp_positives

    def anchor_terms(self, pairs: Pairs) -> AnchorTerms:
        """One term per positive pair and per kept negative pair."""
        cosine = cosine_similarities(pairs.anchors, pairs.targets)
        positive_cost = (1 - self._positive_score(cosine)) ** 2
        negative_cost = (cosine - self.neg_margin).clamp(0, 1) ** 2
        kept = self._kept_negatives(negative_cost.detach(), pairs)
        total = (positive_cost * pairs.positive + negative_cost * kept).sum(dim=1)
        number = (pairs.positive | kept).sum(dim=1)
        return AnchorTerms(total, number, number > 0)

    def _positive_score(self, cosine: Tensor) -> Tensor:
        score = cosine - self.pos_margin
        return score.clamp(0, 1) if self.clamp_positives else score

    def _kept_negatives(self, cost: Tensor, pairs: Pairs) -> Tensor:
        """(N, M) bool: in every group the `neg_pos_ub` * P negatives that come first, by cost or by chance."""
        if self.neg_pos_ub <= 0:
            return pairs.negative
        rows, columns = pairs.negative.nonzero(as_tuple=True)
        priority = cost[rows, columns] if self.hard_mining else torch.rand(len(rows), device=cost.device)
        budget = (self.neg_pos_ub * pairs.group_sum(pairs.positive.sum(dim=1))).long()
        group = pairs.membership.int().argmax(dim=1)[rows]
        first = _first_of_each_group(priority, group, budget)
        kept = torch.zeros_like(pairs.negative)
        kept[rows[first], columns[first]] = True
        return kept


def _first_of_each_group(priority: Tensor, group: Tensor, budget: Tensor) -> Tensor:
    """Indices of the `budget[g]` largest of each group g; priority (K,) from 0 to 1, group (K,), budget (G,)."""
    if len(budget) == 1:  # a GPU is waited for once, for the number; bincount and the boolean index below wait as well
        return priority.topk(min(int(budget[0]), len(priority)), sorted=False).indices
    order = (2 * group - priority.double()).argsort()
    sizes = torch.bincount(group, minlength=len(budget))
    rank = torch.arange(len(order), device=order.device) - (sizes.cumsum(0) - sizes)[group[order]]
    return order[rank < budget[group[order]]]
