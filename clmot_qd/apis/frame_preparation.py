"""From a frame to the network's input: the test pipeline, then the model's data preprocessor without its detours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from clmot_qd.apis.tracking_session import Frame

# Image loaders that a test pipeline may begin with; frames from memory replace them.
FILE_LOADERS = ("LoadFrame", "LoadImageFromFile", "mmdet.LoadImageFromFile")


@dataclass(frozen=True, eq=False)
class PreparedFrame:
    """One frame behind the test pipeline.

    Attributes:
        packed: What the pipeline gave: ``inputs`` (1, 3, h, w) and ``data_samples``, a ``TrackDataSample``.
        image: (1, 3, H, W) float32, normalised and padded; None where this is done for a whole batch, on the device.
    """

    packed: dict[str, Any]
    image: Tensor | None = None


class FramePreparation:
    """Runs a test pipeline on frames from memory, and gives the network what the model's preprocessor would give it.

    mmdet's ``TrackDataPreprocessor`` copies a picture five times and lays it out by channel. Here the pixels stay as
    the camera wrote them, side by side with their channels, which is torch's ``channels_last``: the same numbers.
    On the CPU that is done frame by frame (:meth:`prepare`, in a thread that reads ahead), on GPUs for a batch, which
    travels there as bytes.

    Args:
        pipeline: Takes and gives the ``results`` of a data set, see :func:`for_arrays`.
        preprocessor: ``model.data_preprocessor``.
        device: Where the network is.
        optimize: False leaves everything to the preprocessor; so does one of another class than mmdet's.
        channels_last: Give images in that layout; False: contiguous ones.
    """

    def __init__(
        self,
        pipeline: Callable[[dict], dict],
        preprocessor: Any,
        device: str,
        optimize: bool = True,
        channels_last: bool = True,
    ) -> None:
        from mmdet.models.data_preprocessors import TrackDataPreprocessor

        self.pipeline = pipeline
        self._preprocessor = preprocessor
        self._device = torch.device(device)
        self._optimize = optimize and type(preprocessor) is TrackDataPreprocessor
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._prepares_frames = self._device.type == "cpu"

    def prepare(self, frame: Frame) -> PreparedFrame:
        """Everything that needs no other frame; may be called by several threads."""
        packed = self.pipeline(as_results(frame))
        if self._prepares_frames and self._knows(packed):
            return PreparedFrame(packed, self._normalise(_pixels(packed)[None]))
        return PreparedFrame(packed)

    def batch(self, prepared: Sequence[PreparedFrame]) -> tuple[Tensor, list[Any]]:
        """The network's input (N, 3, H, W) and a ``DetDataSample`` for each frame, all of one size."""
        if not all(self._knows(frame.packed) for frame in prepared):
            packed = {key: [frame.packed[key] for frame in prepared] for key in ("inputs", "data_samples")}
            data = self._preprocessor(packed)
            return data["inputs"].flatten(0, 1), [sample[0] for sample in data["data_samples"]]
        done = [frame.image for frame in prepared if frame.image is not None]
        images = _join(done) if done else self._normalise(self._uploaded(prepared))
        samples = [frame.packed["data_samples"][0] for frame in prepared]
        shape = (images.shape[2], images.shape[3])
        for sample in samples:
            sample.set_metainfo(dict(batch_input_shape=shape, pad_shape=shape))
        return images, samples

    def _knows(self, packed: dict[str, Any]) -> bool:
        """Whether it is what pipelines give: bytes of three channels."""
        inputs = packed["inputs"]
        return self._optimize and inputs.dtype == torch.uint8 and inputs.shape[:2] == (1, 3)

    def _uploaded(self, prepared: Sequence[PreparedFrame]) -> Tensor:
        """(N, h, w, 3) bytes on the device, copied from pinned memory, so that nobody waits for it."""
        pictures = torch.stack([_pixels(frame.packed) for frame in prepared])
        if self._device.type == "cuda":
            pictures = pictures.pin_memory()
        return pictures.to(self._device, non_blocking=True)

    def _normalise(self, pictures: Tensor) -> Tensor:
        """(N, h, w, 3) bytes -> (N, 3, H, W) float32, padded at the right and the bottom."""
        rules = self._preprocessor
        values = (pictures.flip(-1) if rules._channel_conversion else pictures).float()
        if rules._enable_normalize:
            values = values.sub_(rules.mean.flatten()).div_(rules.std.flatten())
        height, width = values.shape[1:3]
        below, right = (-height % rules.pad_size_divisor, -width % rules.pad_size_divisor)
        images = values.permute(0, 3, 1, 2).contiguous(memory_format=self._layout)
        return F.pad(images, (0, right, 0, below), value=rules.pad_value) if below or right else images


def for_arrays(pipeline: Sequence[dict]) -> list[dict]:
    """The steps of a test pipeline with its image loader replaced by one that takes the image from memory."""
    swapped = []
    for step in pipeline:
        step = dict(step)
        if step["type"] in FILE_LOADERS:
            step = dict(type="mmdet.LoadImageFromNDArray")
        elif "transforms" in step:
            step["transforms"] = for_arrays(step["transforms"])
        swapped.append(step)
    return swapped


def as_results(frame: Frame) -> dict[str, list]:
    """What a video data set would hand to the pipeline for this frame, whose number is not known yet."""
    # The length is not known either; nothing downstream of the pipeline reads it for tracking.
    values = dict(img=frame, img_path="", img_id=0, frame_id=0, video_id=0, video_length=1, ori_video_length=1)
    return {name: [value] for name, value in values.items()}


def _pixels(packed: dict[str, Any]) -> Tensor:
    """(h, w, 3) bytes, in the memory that the pipeline filled."""
    return packed["inputs"][0].permute(1, 2, 0)


def _join(images: Sequence[Tensor]) -> Tensor:
    return images[0] if len(images) == 1 else torch.cat(list(images))
