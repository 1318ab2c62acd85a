"""A QuasiDenseMOT small enough to run in milliseconds, and samples for it."""

from __future__ import annotations

from typing import Any

import torch
from axes import model_of
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

SIZE = (64, 96)  # height, width
BOXES = [[8, 8, 28, 48], [40, 10, 60, 50], [66, 14, 88, 60]]


def build(detector: str = "faster-rcnn", loss: str = "multi-positive", seed: int = 0, **changes: Any) -> Any:
    """The tiny model; ``changes`` are keys of its configuration in dotted form with ``__`` for the dots."""
    init_default_scope("mmdet")
    torch.manual_seed(seed)
    config = model_of(detector, loss)
    config.merge_from_dict({key.replace("__", "."): value for key, value in changes.items()})
    model = MODELS.build(config)
    model.init_weights()
    return model


def frame(boxes: list = BOXES, ids: list[int] | None = None, labels: list[int] | None = None, **meta: Any) -> Any:
    """One frame with its objects; the network input is the original image unless ``meta`` says otherwise."""
    shapes = dict(batch_input_shape=SIZE, img_shape=SIZE, ori_shape=SIZE, pad_shape=SIZE, scale_factor=(1.0, 1.0))
    sample = DetDataSample(metainfo=shapes | dict(frame_id=0, video_id=1) | meta)
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([0] * len(boxes) if labels is None else labels, dtype=torch.long),
        instances_ids=torch.tensor(list(range(len(boxes))) if ids is None else ids, dtype=torch.long),
    )
    return sample


def sample_of(*frames: DetDataSample, key: int = 0) -> TrackDataSample:
    """Frames as one sample."""
    sample = TrackDataSample()
    sample.video_data_samples = list(frames)
    sample.set_metainfo(dict(key_frames_inds=[key], ref_frames_inds=[i for i in range(len(frames)) if i != key]))
    return sample


def images(count: int = 1, views: int = 2, seed: int = 0) -> torch.Tensor:
    """(N, T, 3, H, W)."""
    return torch.rand(count, views, 3, *SIZE, generator=torch.Generator().manual_seed(seed))


def total(losses: dict[str, Any]) -> torch.Tensor:
    """What mmengine would minimise."""
    parts = [sum(v) if isinstance(v, list) else v for k, v in losses.items() if "loss" in k]
    return sum(parts)
