"""Heads that read embeddings."""

from clmot_qd.models.heads.center_embed_head import CenterEmbedHead

__all__ = ["CenterEmbedHead"]
