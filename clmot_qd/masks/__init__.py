"""Masks of objects as run lengths, the form they have everywhere between the network and the disk."""

from .disjoint import Disjoint, make_disjoint
from .rle import RleMasks

__all__ = ["Disjoint", "RleMasks", "make_disjoint"]
