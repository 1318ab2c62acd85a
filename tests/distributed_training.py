"""Training of small models by any number of processes with one global batch, for test_distributed_training.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from axes import model_of
from mmdet.models.task_modules.samplers import RandomSampler
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import nn

SIZE = (64, 96)  # height, width
STEPS = 3
# Boxes of the four pictures of the global batch: with two processes five and two, with four one has none.
OBJECTS = (
    [[8, 8, 28, 48], [40, 10, 60, 50], [66, 14, 88, 60]],
    [[4, 20, 26, 56], [50, 6, 76, 50]],
    [],
    [[30, 10, 52, 54], [56, 12, 78, 58]],
)
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "triplets": ("centernet-embed", "triplet-hard", {}),
    "batch mean": ("centernet-embed", "nt-xent", dict(contrast_average="batch")),
    "active triplets": ("centernet-embed", "triplet-all", dict(contrast_average="batch")),
    "identities": ("centernet-embed", "identity", {}),
    "learnable weights": (
        "centernet-embed",
        "multi-positive",
        dict(
            task_weighting=dict(type="UncertaintyTaskWeighting"),
            projector=dict(type="Projector", in_channels=8, out_channels=4),
        ),
    ),
    "quasi-dense": ("faster-rcnn", "multi-positive", {}),
    "quasi-dense, batch mean": ("faster-rcnn", "triplet-hard", dict(contrast_average="batch")),
    "quasi-dense identities": ("faster-rcnn", "identity", {}),
    "cascade": ("cascade-rcnn", "nt-xent", {}),
    "dense": ("retinanet", "one-positive", {}),
    "fcos": ("fcos", "multi-positive", {}),
    "yolox": ("yolox", "multi-positive", {}),
    "frozen": ("faster-rcnn", "multi-positive", dict(freeze_detector=True)),
}
QUICK = ["triplets", "learnable weights", "quasi-dense", "dense"]
MORE = [case for case in CASES if case not in QUICK]


def train(rank: int, count: int, out: str) -> None:
    """Train on this process's share of the batch; the first process writes what came of it."""
    train_all(rank, count, out, QUICK)


def train_more(rank: int, count: int, out: str) -> None:
    train_all(rank, count, out, MORE)


def train_all(rank: int, count: int, out: str, cases: list[str]) -> None:
    init_default_scope("mmdet")
    RandomSampler.random_choice = evenly  # the draws of one process with all pictures are not those of two
    for case in cases:
        trained = train_one(rank, count, *CASES[case])
        if rank == 0:
            torch.save(trained, Path(out) / f"{case}-{count}.pth")


def evenly(self: RandomSampler, gallery: Any, num: int) -> Any:
    """In the place of a random choice."""
    chosen = torch.linspace(0, len(gallery) - 1, num).round().long()
    return gallery[chosen] if isinstance(gallery, torch.Tensor) else np.asarray(gallery)[chosen.numpy()]


def train_one(rank: int, count: int, detector: str, loss: str, changes: dict[str, Any]) -> tuple[dict, list]:
    """By how much each weight has changed, and the log of each step."""
    torch.manual_seed(0)
    config = model_of(detector, loss)
    config.merge_from_dict(changes)
    model = revert_sync_batchnorm(MODELS.build(config))
    model.init_weights()
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    start = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9))
    wrapped = MMDistributedDataParallel(model, device_ids=None, broadcast_buffers=False) if count > 1 else model
    logged = [wrapped.train_step(batch(step, rank, count), optimizer) for step in range(STEPS)]
    changed = {key: value - start[key] for key, value in model.state_dict().items()}
    return changed, [{key: float(value) for key, value in step.items()} for step in logged]


def batch(step: int, rank: int, count: int) -> dict[str, Any]:
    """A process's share of a step's four pairs."""
    pictures = torch.randint(0, 256, (4, 2, 3, *SIZE), generator=torch.Generator().manual_seed(step)).byte()
    share = slice(rank * 4 // count, (rank + 1) * 4 // count)
    samples = [pair(torch.tensor(boxes).float().reshape(-1, 4), 3 * step) for boxes in OBJECTS]
    return dict(inputs=list(pictures[share]), data_samples=samples[share])


def pair(boxes: torch.Tensor, shift: int) -> TrackDataSample:
    sample = TrackDataSample()
    sample.video_data_samples = [frame(boxes), frame(boxes + boxes.new_tensor([shift, 0, shift, 2]))]
    sample.set_metainfo(dict(key_frames_inds=[0], ref_frames_inds=[1]))
    return sample


def frame(boxes: torch.Tensor) -> DetDataSample:
    found = DetDataSample(metainfo=dict(img_shape=SIZE, ori_shape=SIZE, scale_factor=(1.0, 1.0), frame_id=0))
    labels = torch.zeros(len(boxes), dtype=torch.long)
    found.gt_instances = InstanceData(bboxes=boxes, labels=labels, instances_ids=torch.arange(1, len(boxes) + 1))
    return found
