"""The one mapping between network input and original image that models, evaluation and drawing share.

Boxes are xyxy in continuous pixels: pixel column 0 spans x from 0 to 1, so an image of width W spans 0 to W.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

# The smallest side that the five decimals of a result file can express.
_SMALLEST_SIDE = 1e-5

Array = TypeVar("Array")
"""A numpy array or a torch tensor: what comes in goes out. torch is not imported for it."""


def xywh_to_xyxy(bboxes: np.ndarray) -> np.ndarray:
    """Turn (n, 4) x, y, w, h, as in files, into two corners."""
    return np.hstack([bboxes[:, :2], bboxes[:, :2] + bboxes[:, 2:]])


def xyxy_to_xywh(bboxes: np.ndarray) -> np.ndarray:
    """Turn (n, 4) two corners into x, y, w, h, as in files."""
    return np.hstack([bboxes[:, :2], bboxes[:, 2:] - bboxes[:, :2]])


def with_area(bboxes: np.ndarray) -> np.ndarray:
    """Return boxes (n, 4) xywh whose sides stay positive in a result file: no reader takes a file with a side of 0.

    A side of 0 is what a Kalman filter makes of an object that shrinks faster than it can follow.
    """
    thin = (bboxes >= 0) & (bboxes < _SMALLEST_SIDE)
    thin[:, :2] = False
    return np.where(thin, _SMALLEST_SIDE, bboxes)


def boxes_to_original(bboxes: Array, scale_factor: Sequence[float], pad_param: Sequence[float]) -> Array:
    """Map boxes from the network input back to the original image: ``x = (x_net - left) / w_scale``, y likewise.

    The inverse of :class:`clmot_qd.datasets.transforms.Letterbox`, from the two metas it writes. Nothing is clipped.

    Args:
        bboxes: (..., 4) xyxy, pixels of the network input; numpy array or torch tensor of a floating type.
        scale_factor: ``(w_scale, h_scale)``, network pixels per original pixel.
        pad_param: ``(top, bottom, left, right)`` in network pixels. Padding that a preprocessor adds later at the
            right and the bottom changes nothing.

    Returns:
        (..., 4) xyxy, pixels of the original image; same type, dtype and device as ``bboxes``.
    """
    w_scale, h_scale = scale_factor[:2]
    top, _, left, _ = pad_param
    offset = _like(bboxes, (left, top, left, top))
    return (bboxes - offset) / _like(bboxes, (w_scale, h_scale, w_scale, h_scale))


def boxes_to_network(bboxes: Array, scale_factor: Sequence[float], pad_param: Sequence[float]) -> Array:
    """Map boxes from the original image to the network input; the inverse of :func:`boxes_to_original`.

    Args:
        bboxes: (..., 4) xyxy, pixels of the original image; numpy array or torch tensor of a floating type.
        scale_factor: as there.
        pad_param: as there.

    Returns:
        (..., 4) xyxy, pixels of the network input; same type, dtype and device as ``bboxes``.
    """
    w_scale, h_scale = scale_factor[:2]
    top, _, left, _ = pad_param
    return bboxes * _like(bboxes, (w_scale, h_scale, w_scale, h_scale)) + _like(bboxes, (left, top, left, top))


def scaling_of(meta: Mapping[str, Any]) -> tuple[Sequence[float], Sequence[float]]:
    """``scale_factor`` (w, h) and ``pad_param`` (top, bottom, left, right) of a frame's metainfo.

    Scale 1 and no padding where the pipeline wrote none (mmdet's ``Resize`` pads nothing).
    """
    return meta.get("scale_factor", (1.0, 1.0)), meta.get("pad_param", (0, 0, 0, 0))


def _like(bboxes: Any, values: tuple[float, ...]) -> Any:
    """``values`` as an array of the kind, dtype and device of ``bboxes``."""
    if hasattr(bboxes, "new_tensor"):
        return bboxes.new_tensor(values)
    return np.asarray(values, dtype=np.result_type(bboxes, np.float32))
