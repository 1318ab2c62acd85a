"""Trackers: numbers in, identities out. numpy and scipy only; no torch, no image, no model."""

from .jde_tracker import JDETracker
from .tracks import Tracks

__all__ = ["JDETracker", "Tracks"]
