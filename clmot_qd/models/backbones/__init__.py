"""Encoders that mmdet lacks."""

from clmot_qd.models.backbones.dla import DLA

__all__ = ["DLA"]
