"""The pairs of a training batch as a person can look at them: pictures, boxes, masks, identities, origins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mmdet.structures import DetDataSample, TrackDataSample
from torch import Tensor

from clmot_qd.masks import RleMasks


@dataclass(frozen=True)
class View:
    """One view of a training sample, as the network is about to get it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        bboxes: (n, 4) xyxy, pixels of ``image``; objects that are ignored in training are not among them.
        ids: (n,) what tells which objects of two views are the same.
        caption: Where the picture comes from.
        masks: n of them, of the size of ``image``, if the pipeline loads masks.
    """

    image: npt.NDArray[np.uint8]
    bboxes: npt.NDArray[np.float64]
    ids: npt.NDArray[np.int64]
    caption: str
    masks: RleMasks | None = None


def pairs_of(data_batch: Mapping[str, Any], limit: int) -> list[list[View]]:
    """The first ``limit`` samples of a batch of the training data, before the model's data preprocessor.

    Args:
        data_batch: ``inputs``, N tensors (T, 3, H, W) in OpenCV's channel order, and ``data_samples``, N
            ``TrackDataSample`` of T frames with ``gt_instances``. T is 2, or 1 for the supervised baseline.
        limit: At most so many samples.

    Returns:
        Per sample its views, the key view first.
    """
    samples = list(zip(data_batch["inputs"], data_batch["data_samples"]))[:limit]
    return [_views(inputs, sample) for inputs, sample in samples]


def _views(inputs: Tensor, sample: TrackDataSample) -> list[View]:
    key = sample.metainfo.get("key_frames_inds", [0])[0]  # mmdet's frame samplers order the frames by time
    order = [key, *(index for index in range(len(inputs)) if index != key)]
    return [_view(inputs[index], sample[index]) for index in order]


def _view(pixels: Tensor, frame: DetDataSample) -> View:
    objects = frame.gt_instances
    return View(
        image=_picture(pixels.detach().cpu().numpy()),
        bboxes=np.asarray(_array(objects.bboxes), dtype=np.float64).reshape(-1, 4),
        ids=np.asarray(_array(objects.instances_ids), dtype=np.int64).reshape(-1),
        caption=_caption(frame.metainfo),
        masks=RleMasks.of_bitmaps(objects.masks.to_ndarray()) if "masks" in objects else None,
    )


def _array(values: Any) -> Any:
    """Plain numbers of what may be a box structure, a tensor or an array already."""
    values = getattr(values, "tensor", values)
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else values


def _picture(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """(3, H, W) BGR -> (H, W, 3) RGB. What a pipeline has normalised already is stretched to the range of a picture."""
    image = pixels[::-1].transpose(1, 2, 0)
    if image.dtype != np.uint8:
        low, high = float(image.min()), float(image.max())
        image = np.round((image - low) * (255 / max(high - low, 1e-6)))
    return np.ascontiguousarray(image, dtype=np.uint8)


def _caption(metainfo: Mapping[str, Any]) -> str:
    """The picture's file with the folders that tell the sequence, or the image id."""
    path = metainfo.get("img_path")
    if not path:
        return f"image {metainfo.get('img_id', '?')}"
    parts = [part for part in Path(path).parts if part != "img1"]  # MOTChallenge's folder of every sequence
    return "/".join(parts[-2:])
