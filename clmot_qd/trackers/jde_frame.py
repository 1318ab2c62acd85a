"""One frame as the JDE tracker's rounds see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .detections import Detections
from .kalman import xyxy_to_cxcyah
from .pairs import Pairs
from .similarity import unit_rows


class JDEFrame(NamedTuple):
    """The detections of one frame, with what the rounds compare: (n, 4) cx cy a h, and (n, C) unit rows or None."""

    frame_id: int
    detections: Detections
    measurements: np.ndarray
    unit_embeds: np.ndarray | None

    @classmethod
    def observed(cls, frame_id: int, detections: Detections) -> JDEFrame:
        """Derive the measurements and the unit embeddings."""
        unit = None if detections.embeds is None else unit_rows(detections.embeds)
        return cls(frame_id, detections, xyxy_to_cxcyah(detections.bboxes), unit)


# (t,) tracks, frame, (d,) rows of its detections -> costs of the pairs that come into question, out of (t, d)
CostFunction = Callable[[np.ndarray, JDEFrame, np.ndarray], Pairs]
