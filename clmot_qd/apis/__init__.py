"""Using the package from Python: running configurations, tracking frames, reading and writing video."""

from clmot_qd.apis.inferencer import TrackingInferencer
from clmot_qd.apis.onnx_inferencer import OnnxTrackingInferencer
from clmot_qd.apis.tracking_session import FrameDetections, TrackingSession

__all__ = ["FrameDetections", "OnnxTrackingInferencer", "TrackingInferencer", "TrackingSession"]
