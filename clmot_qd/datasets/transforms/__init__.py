"""Pipeline steps: load a frame, two views of it or a reference beside it, jitter, letterbox, warp, given boxes."""

from .colour import ColourJitterHSV
from .letterbox import Letterbox
from .load_frame import LoadFrame
from .public_detections import LoadPublicDetections
from .random_affine import TrackRandomAffine
from .random_flip import TrackRandomFlip
from .reference_frame import ReferenceFrame, RequireCommonObject
from .two_view import SingleView, WithinFrameTwoView

__all__ = [
    "ColourJitterHSV",
    "Letterbox",
    "LoadFrame",
    "LoadPublicDetections",
    "ReferenceFrame",
    "RequireCommonObject",
    "SingleView",
    "TrackRandomAffine",
    "TrackRandomFlip",
    "WithinFrameTwoView",
]
