"""Triplet loss with hard mining or over all triplets (CL-MOT)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from clmot_qd.errors import InputError
from clmot_qd.models.losses.pair_loss import AnchorTerms, PairLoss, Pairs
from clmot_qd.models.losses.pairwise import euclidean_distances


@MODELS.register_module()
class TripletPairLoss(PairLoss):
    """Implements Eq. (5) of CL-MOT ('hard') and the triplet-all row of its Table 2 ('all').

    With d the Euclidean distance and m the margin, the terms of anchor i are

        hard: max(max_p d_ip - min_n d_in + m, 0)                       mean over anchors with a positive and a negative
        all:  d_ip - d_in + m for every p, n for which it is positive   mean over these active triplets

    An anchor of CL-MOT has one positive, its other view; with several the farthest is taken ('hard'). Table 2 divides
    triplet-all by |B|; the mean over active triplets is what the released code does, and does not grow with the crowd.

    The embeddings are taken as given, not normalised: CL-MOT normalises them before the loss, and the output of its
    projection head enters as it is. Memory is O(N * M) in both cases.

    Args:
        margin: how much nearer the positive shall be than any negative; unit vectors are at most 2 apart.
        mining: 'hard' or 'all'.
        loss_weight: factor on the result.

    Raises:
        InputError: unknown `mining`.
    """

    def __init__(self, margin: float = 0.3, mining: str = "hard", loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        if mining not in ("hard", "all"):
            raise InputError(f"TripletPairLoss: mining must be 'hard' or 'all', not {mining!r}")
        self.margin = margin
        self.mining = mining

    def anchor_terms(self, pairs: Pairs) -> AnchorTerms:
        """One term per comparable anchor ('hard') or one per active triplet ('all')."""
        distances = euclidean_distances(pairs.anchors, pairs.targets)
        terms = self._hardest_triplet if self.mining == "hard" else self._all_triplets
        return terms(distances, pairs)

    def _hardest_triplet(self, distances: Tensor, pairs: Pairs) -> AnchorTerms:
        farthest_positive = distances.masked_fill(~pairs.positive, -torch.inf).amax(dim=1)
        nearest_negative = distances.masked_fill(~pairs.negative, torch.inf).amin(dim=1)
        # Without a positive or a negative the difference is -inf, which the hinge makes 0 with gradient 0.
        total = F.relu(farthest_positive - nearest_negative + self.margin)
        comparable = pairs.comparable
        return AnchorTerms(total, comparable, comparable)

    def _all_triplets(self, distances: Tensor, pairs: Pairs) -> AnchorTerms:
        """Sum over active triplets from sorted negatives: positive p has k active ones, the k nearest of its row.

        They add k * (d_ip + m) - (sum of the k smallest d_in), exact in value and gradient without an (N, M, M) tensor.
        """
        negatives = distances.masked_fill(~pairs.negative, torch.inf).sort(dim=1).values
        reach = distances + self.margin
        active = torch.searchsorted(negatives.detach(), reach.detach()) * pairs.positive
        nearest_sums = F.pad(negatives.cumsum(dim=1), (1, 0))
        total = active * reach - nearest_sums.gather(1, active)
        return AnchorTerms(total.sum(dim=1), active.sum(dim=1), pairs.comparable)
