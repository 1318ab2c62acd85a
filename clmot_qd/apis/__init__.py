"""Using the package from Python: running configurations, tracking frames, reading and writing video.

The names below are imported when they are asked for: most modules of this package need none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clmot_qd.apis.inferencer import TrackingInferencer
    from clmot_qd.apis.onnx_inferencer import OnnxTrackingInferencer
    from clmot_qd.apis.tracking_session import FrameDetections, TrackingSession

__all__ = ["FrameDetections", "OnnxTrackingInferencer", "TrackingInferencer", "TrackingSession"]

_HOMES = {
    "FrameDetections": "tracking_session",
    "OnnxTrackingInferencer": "onnx_inferencer",
    "TrackingInferencer": "inferencer",
    "TrackingSession": "tracking_session",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
