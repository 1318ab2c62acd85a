"""The tracking models."""

from clmot_qd.models.mot.clmot import CLMOT
from clmot_qd.models.mot.quasi_dense_mot import QuasiDenseMOT

__all__ = ["CLMOT", "QuasiDenseMOT"]
