"""Decoders that mmdet lacks."""

from clmot_qd.models.necks.dla_neck import DLANeck

__all__ = ["DLANeck"]
