"""Trackers: numbers in, identities out. numpy and scipy only; no torch, no image, no model."""

from .bisoftmax_tracker import BiSoftmaxTracker
from .jde_tracker import JDETracker
from .tao_bisoftmax_tracker import TAOBiSoftmaxTracker
from .tracks import Tracks

__all__ = ["BiSoftmaxTracker", "JDETracker", "TAOBiSoftmaxTracker", "Tracks"]
