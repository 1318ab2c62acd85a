"""The tracking models."""

from clmot_qd.models.mot.clmot import CLMOT

__all__ = ["CLMOT"]
