"""Using the package from Python: running configurations, tracking frames, reading and writing video."""

from clmot_qd.apis.inferencer import TrackingInferencer

__all__ = ["TrackingInferencer"]
