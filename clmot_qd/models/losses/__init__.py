"""Losses on embeddings, registered in mmdet's MODELS; pair masks are the only vocabulary they know."""

from clmot_qd.models.losses.contrast import cross_view_contrast, within_image_contrast
from clmot_qd.models.losses.cosine_margin_pair_loss import CosineMarginPairLoss
from clmot_qd.models.losses.identity_loss import IdentityClassifier
from clmot_qd.models.losses.multi_positive_pair_loss import MultiPositivePairLoss
from clmot_qd.models.losses.nt_xent_pair_loss import NTXentPairLoss
from clmot_qd.models.losses.pair_loss import PairLoss
from clmot_qd.models.losses.pair_masks import cross_view_masks, within_image_masks
from clmot_qd.models.losses.pairwise import unit_rows
from clmot_qd.models.losses.task_weighting import FixedTaskWeighting, UncertaintyTaskWeighting
from clmot_qd.models.losses.triplet_pair_loss import TripletPairLoss

__all__ = [
    "CosineMarginPairLoss",
    "FixedTaskWeighting",
    "IdentityClassifier",
    "MultiPositivePairLoss",
    "NTXentPairLoss",
    "PairLoss",
    "TripletPairLoss",
    "UncertaintyTaskWeighting",
    "cross_view_contrast",
    "cross_view_masks",
    "unit_rows",
    "within_image_contrast",
    "within_image_masks",
]
