"""Pipeline steps: load a frame and masks, two views or a reference beside it, jitter, letterbox, warp, given boxes."""

from .colour import ColourJitterHSV
from .letterbox import Letterbox
from .load_frame import LoadFrame
from .load_masks import IgnoreEmptyMasks, LoadTrackMasks
from .public_detections import LoadPublicDetections
from .random_affine import TrackRandomAffine
from .random_flip import TrackRandomFlip
from .reference_frame import ReferenceFrame, RequireCommonObject
from .two_view import SingleView, WithinFrameTwoView

__all__ = [
    "ColourJitterHSV",
    "IgnoreEmptyMasks",
    "Letterbox",
    "LoadFrame",
    "LoadPublicDetections",
    "LoadTrackMasks",
    "ReferenceFrame",
    "RequireCommonObject",
    "SingleView",
    "TrackRandomAffine",
    "TrackRandomFlip",
    "WithinFrameTwoView",
]
