"""Softmax over dot products with several positives per anchor (QDTrack)."""

from __future__ import annotations

import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from clmot_qd.errors import InputError
from clmot_qd.models.losses.pair_loss import AnchorTerms, PairLoss, Pairs
from clmot_qd.models.losses.pairwise import masked_logsumexp


@MODELS.register_module()
class MultiPositivePairLoss(PairLoss):
    """Implements Eq. (5) ('multi') and Eq. (3) ('one') of QDTrack.

    With s the dot product, p the positives and n the negatives of anchor v, the one term of v is

        multi: log(1 + sum_p sum_n exp(s_n - s_p)) = softplus(logsumexp_n s_n + logsumexp_p -s_p)
        one:   sum_p log(1 + sum_n exp(s_n - s_p)) = sum_p softplus(logsumexp_n s_n - s_p)

    averaged over the anchors that have a positive and a negative. The factored form of 'multi' needs O(N * M) memory
    where the double sum needs O(N * M * M), and cannot overflow. 'one' is the softmax with one positive, Eq. (2),
    once per positive.

    The embeddings are not normalised: the paper compares plain dot products.

    Args:
        positives: 'multi' or 'one'.
        loss_weight: factor on the result (0.25 in QDTrack).

    Raises:
        InputError: unknown `positives`.
    """

    def __init__(self, positives: str = "multi", loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        if positives not in ("multi", "one"):
            raise InputError(f"MultiPositivePairLoss: positives must be 'multi' or 'one', not {positives!r}")
        self.positives = positives

    def anchor_terms(self, pairs: Pairs) -> AnchorTerms:
        """One term per comparable anchor."""
        similarity = pairs.anchors @ pairs.targets.T
        negatives = masked_logsumexp(similarity, pairs.negative)
        terms = _joint if self.positives == "multi" else _one_by_one
        # Without a positive or a negative the exponent is as good as -inf, and the term 0 with gradient 0.
        comparable = pairs.comparable
        return AnchorTerms(terms(similarity, negatives, pairs.positive), comparable, comparable)


def _joint(similarity: Tensor, negatives: Tensor, positive: Tensor) -> Tensor:
    return F.softplus(negatives + masked_logsumexp(-similarity, positive))


def _one_by_one(similarity: Tensor, negatives: Tensor, positive: Tensor) -> Tensor:
    return F.softplus(negatives[:, None] - similarity).masked_fill(~positive, 0.0).sum(dim=1)
