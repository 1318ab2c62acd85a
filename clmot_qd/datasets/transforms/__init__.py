"""Pipeline steps: load a frame, make two views of it, colour jitter, letterbox, random affine warp."""

from .colour import ColourJitterHSV
from .letterbox import Letterbox
from .load_frame import LoadFrame
from .random_affine import TrackRandomAffine
from .two_view import SingleView, WithinFrameTwoView

__all__ = [
    "ColourJitterHSV",
    "Letterbox",
    "LoadFrame",
    "SingleView",
    "TrackRandomAffine",
    "WithinFrameTwoView",
]
