"""Classification of identities: the supervised baseline CL-MOT compares with (FairMOT's embedding loss)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

from clmot_qd.errors import InputError
from clmot_qd.models.losses.pairwise import unit_rows
from clmot_qd.models.process_counts import shared_count


@MODELS.register_module()
class IdentityClassifier(nn.Module):
    """Cross entropy over all identities of the training set: softmax(W (emb_scale * embeds / |embeds|) + b).

    Differs from the released CL-MOT, which froze the classifier at its random initialisation by mistake.

    Args:
        num_ids: number of identities of the training set; the data counts them from 1 to num_ids.
        embed_channels: C.
        emb_scale: factor on the unit embeddings; 'auto' is FairMOT's sqrt(2) * ln(num_ids - 1), which needs 3 or more.
        loss_weight: factor on the result.
        frozen: keep the classifier as initialised (the released CL-MOT); only the embeddings learn.

    Raises:
        InputError: `num_ids` too small for the scale, or an `emb_scale` that is neither 'auto' nor positive.
    """

    def __init__(
        self,
        num_ids: int,
        embed_channels: int,
        emb_scale: float | str = "auto",
        loss_weight: float = 1.0,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.num_ids = num_ids
        self.emb_scale = _resolve_scale(emb_scale, num_ids)
        self.loss_weight = loss_weight
        self.classifier = nn.Linear(embed_channels, num_ids).requires_grad_(not frozen)

    def forward(self, embeds: Tensor, ids: Tensor) -> Tensor:
        """Mean cross entropy over the embeddings that have an identity, times `loss_weight`.

        Args:
            embeds: (N, C) embeddings, normalised here (no change for unit rows).
            ids: (N,) identities from 1 to num_ids; 0 or less has none and is ignored.

        Returns:
            () loss; 0 with a graph when no embedding has an identity.

        Raises:
            InputError: an id above num_ids.
        """
        known = ids > 0
        classes = ids[known].long() - 1
        if len(classes) and int(classes.max()) >= self.num_ids:
            raise InputError(
                f"identity {int(classes.max()) + 1} in the training data, but IdentityClassifier has "
                f"num_ids={self.num_ids}: set num_ids to the number of identities in the annotation file, or more"
            )
        with torch.autocast(device_type=embeds.device.type, enabled=False):
            logits = self.classifier(self.emb_scale * unit_rows(embeds[known].to(self.classifier.weight.dtype)))
            total = F.cross_entropy(logits, classes, reduction="sum")
            return self.loss_weight * total / shared_count(total.new_tensor(float(len(classes))))


def _resolve_scale(emb_scale: float | str, num_ids: int) -> float:
    if emb_scale == "auto":
        if num_ids < 3:
            raise InputError(f"IdentityClassifier: num_ids={num_ids} has no 'auto' scale; set emb_scale to a number")
        return math.sqrt(2) * math.log(num_ids - 1)
    if isinstance(emb_scale, str) or emb_scale <= 0:
        raise InputError(f"IdentityClassifier: emb_scale must be 'auto' or a positive number, not {emb_scale!r}")
    return float(emb_scale)
