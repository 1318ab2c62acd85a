"""What hooks into mmengine's training, validation and test loops."""

from .visualization_hook import TrackingVisualizationHook

__all__ = ["TrackingVisualizationHook"]
