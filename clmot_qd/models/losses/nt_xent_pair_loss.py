"""Normalised temperature-scaled cross entropy over pairs (SimCLR, as CL-MOT uses it)."""

from __future__ import annotations

import torch.nn.functional as F
from mmdet.registry import MODELS

from clmot_qd.errors import InputError
from clmot_qd.models.losses.pair_loss import AnchorTerms, PairLoss, Pairs
from clmot_qd.models.losses.pairwise import cosine_similarities, masked_logsumexp


@MODELS.register_module()
class NTXentPairLoss(PairLoss):
    """Implements the NT-Xent row of Table 2 of CL-MOT in the form its released code computes.

    With s the cosine over the temperature, every positive pair (i, p) of an anchor with a negative is one term

        -log( exp(s_ip) / (exp(s_ip) + sum_n exp(s_in)) ) = log(1 + exp(logsumexp_n s_in - s_ip))

    and the result is the mean over these pairs; other positives of the anchor are not in the denominator. (Table 2
    prints the positive inside the sum over n and leaves it out of the denominator; the form above is SimCLR's.)

    The cosine normalises the embeddings, which changes nothing for unit rows. Memory is O(N * M).

    Args:
        temperature: larger is softer, so that easy negatives count nearly as much as hard ones. The paper names no
            value, the release uses 0.5.
        loss_weight: factor on the result.

    Raises:
        InputError: `temperature` is not positive.
    """

    def __init__(self, temperature: float = 0.5, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        if temperature <= 0:
            raise InputError(f"NTXentPairLoss: temperature must be positive, not {temperature}")
        self.temperature = temperature

    def anchor_terms(self, pairs: Pairs) -> AnchorTerms:
        """One term per positive pair of an anchor that has a negative."""
        similarity = cosine_similarities(pairs.anchors, pairs.targets) / self.temperature
        terms = F.softplus(masked_logsumexp(similarity, pairs.negative)[:, None] - similarity)
        comparable = pairs.comparable
        used = pairs.positive & comparable[:, None]
        return AnchorTerms(terms.masked_fill(~used, 0.0).sum(dim=1), used.sum(dim=1), comparable)
