"""A test pipeline and its data preprocessor in numpy and OpenCV: what the runtime of an ONNX file does to a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from clmot_qd.letterbox import letterbox_shape, put_into_letterbox

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}
RESIZES = ("letterbox", "keep_ratio", "stretch", "none")


@dataclass(frozen=True)
class Prepared:
    """A frame as the network takes it, and the way back."""

    image: np.ndarray
    """(3, H, W) float32."""
    image_shape: tuple[int, int]
    """(height, width) of the picture, without what the last padding added below and right."""
    scale_factor: tuple[float, float]
    """(w, h), network pixels per pixel of the frame."""
    pad_param: tuple[int, int, int, int]
    """(top, bottom, left, right) of the letterbox, network pixels."""


@dataclass(frozen=True)
class Preprocess:
    """From a frame to the network's input.

    Args:
        resize: ``'letterbox'``: our :class:`Letterbox`; ``'keep_ratio'`` and ``'stretch'``: mmdet's ``Resize`` with and
            without ``keep_ratio``; ``'none'``.
        scale: (width, height) of the letterbox, or what ``Resize`` calls ``scale``.
        interpolation: Of ``Resize``, by mmcv's names; the letterbox always takes OpenCV's INTER_AREA.
        letterbox_value: Grey level of the letterbox's margins.
        mean: Subtracted from each channel; None normalises nothing.
        std: The rest is divided by it.
        to_rgb: The network takes RGB; frames are BGR.
        pad_divisor: Height and width are padded to multiples of it, below and right, after normalisation.
        pad_value: With this value.
    """

    resize: str
    scale: tuple[int, int]
    interpolation: str = "bilinear"
    letterbox_value: int = 128
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    to_rgb: bool = False
    pad_divisor: int = 1
    pad_value: float = 0.0

    def __call__(self, frame: np.ndarray) -> Prepared:
        """(H, W, 3) uint8 BGR -> the network's input."""
        picture, scale_factor, pad_param = self._resized(frame)
        image = self._normalised(picture).transpose(2, 0, 1)
        height, width = picture.shape[:2]
        below, right = -height % self.pad_divisor, -width % self.pad_divisor
        if below or right:
            image = np.pad(image, ((0, 0), (0, below), (0, right)), constant_values=np.float32(self.pad_value))
        return Prepared(np.ascontiguousarray(image), (height, width), scale_factor, pad_param)

    def _resized(self, frame: np.ndarray) -> tuple[np.ndarray, tuple[float, float], tuple[int, int, int, int]]:
        height, width = frame.shape[:2]
        if self.resize == "letterbox":
            shape = letterbox_shape(height, width, self.scale)
            return put_into_letterbox(frame, shape, self.letterbox_value), shape.scale_factor, shape.pad_param
        size = {"keep_ratio": _fitted(width, height, self.scale), "stretch": self.scale, "none": (width, height)}
        new_width, new_height = size[self.resize]
        if (new_width, new_height) != (width, height):
            frame = cv2.resize(frame, (new_width, new_height), interpolation=INTERPOLATIONS[self.interpolation])
        return frame, (new_width / width, new_height / height), (0, 0, 0, 0)

    def _normalised(self, picture: np.ndarray) -> np.ndarray:
        picture = (picture[..., ::-1] if self.to_rgb else picture).astype(np.float32)
        if self.mean is None:
            return picture
        return (picture - np.array(self.mean, dtype=np.float32)) / np.array(self.std, dtype=np.float32)

    def as_json(self) -> dict[str, Any]:
        """The settings as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Preprocess:
        """The reverse of :meth:`as_json`.

        Raises:
            TypeError, ValueError: A setting is missing, unknown or of the wrong kind.
        """
        given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        made = cls(**given)
        if made.resize not in RESIZES or made.interpolation not in INTERPOLATIONS:
            raise ValueError(f"resize={made.resize!r}, interpolation={made.interpolation!r}")
        return made


def _fitted(width: int, height: int, scale: tuple[int, int]) -> tuple[int, int]:
    """The largest size of that ratio whose longer and shorter side fit those of ``scale``, as mmcv rounds it."""
    ratio = min(max(scale) / max(height, width), min(scale) / min(height, width))
    return int(width * ratio + 0.5), int(height * ratio + 0.5)
