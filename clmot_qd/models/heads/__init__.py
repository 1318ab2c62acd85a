"""Heads that read embeddings."""

from clmot_qd.models.heads.center_embed_head import CenterEmbedHead
from clmot_qd.models.heads.quasi_dense_head import QuasiDenseHead

__all__ = ["CenterEmbedHead", "QuasiDenseHead"]
