"""Masks of objects as run lengths, the form they have everywhere between the network and the disk."""

from .disjoint import Disjoint, make_disjoint, make_frames_disjoint
from .rle import RleMasks
from .segmentation import has_segmentation, read_runs, read_segmentation

__all__ = [
    "Disjoint",
    "RleMasks",
    "has_segmentation",
    "make_disjoint",
    "make_frames_disjoint",
    "read_runs",
    "read_segmentation",
]
