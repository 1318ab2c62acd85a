"""Steps of one model on a made-up batch: what a process of :mod:`clmot_qd.benchmark.training` runs."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clmot_qd.benchmark.cases import peak_memory, report_figures

_OBJECTS = 25  # in each picture


def measure(
    config: str, changes: dict[str, Any], bfloat16: bool, size: tuple[int, int, int], device: str, steps: int
) -> None:
    """Train for a few steps and print the median time of one, without the first, and the peak memory.

    Args:
        config: Name of a packaged configuration, or ``"mmdet"``.
        changes: Keys of the model's configuration in dotted form.
        bfloat16: Mixed precision.
        size: Width and height of the pictures, pixels, and pairs of them in a step.
        device: "cpu" or "cuda".
        steps: Counted ones.
    """
    torch.manual_seed(0)
    model = _built(config, changes).to(device).train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-4, momentum=0.9)
    seconds = []
    for step in range(steps + 1):
        data = model.data_preprocessor(_batch(size, step), training=True)
        started = _now(device)
        with torch.autocast(device, dtype=torch.bfloat16) if bfloat16 else nullcontext():
            losses = model(**data, mode="loss")
        total, _ = model.parse_losses(losses)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        seconds.append(_now(device) - started)
    cuda = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else None
    report_figures(float(np.median(seconds[1:])), peak_memory() if cuda is None else cuda)


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _built(config: str, changes: dict[str, Any]) -> Any:
    """The model with random weights."""
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    from clmot_qd.apis.running import load_config

    init_default_scope("mmdet")
    settings = _stock_config() if config == "mmdet" else load_config(config)
    settings.merge_from_dict({f"model.{key}": value for key, value in changes.items()})
    _drop_weights(settings.model)
    return MODELS.build(settings.model)


def _stock_config() -> Any:
    """mmdet's own QDTrack: the same network, samplers and losses."""
    import mmdet
    from mmengine.config import Config

    path = Path(mmdet.__file__).parent / ".mim/configs/qdtrack/qdtrack_faster-rcnn_r50_fpn_4e_base.py"
    return Config.fromfile(path)


def _drop_weights(config: Any) -> None:
    """No checkpoints to download, at any depth."""
    if isinstance(config, dict):
        config.pop("init_cfg", None)
        for value in config.values():
            _drop_weights(value)


def _batch(size: tuple[int, int, int], seed: int) -> dict[str, list]:
    """Pairs of noise with the same people in both views, as the training data come."""
    width, height, pairs = size
    random = np.random.default_rng(seed)
    samples = [_pair(random, width, height) for _ in range(pairs)]
    pixels = [torch.from_numpy(random.integers(0, 256, (2, 3, height, width), dtype=np.uint8)) for _ in samples]
    return dict(inputs=pixels, data_samples=samples)


def _pair(random: np.random.Generator, width: int, height: int) -> Any:
    from mmdet.structures import TrackDataSample

    corners = random.uniform(0, (width - 40, height - 100), (_OBJECTS, 2))
    boxes = torch.from_numpy(np.hstack([corners, corners + np.array([40, 100])])).float()
    sample = TrackDataSample(metainfo=dict(key_frames_inds=[0], ref_frames_inds=[1]))
    sample.video_data_samples = [_view(boxes, (height, width)) for _ in range(2)]
    return sample


def _view(boxes: torch.Tensor, shape: tuple[int, int]) -> Any:
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    sample = DetDataSample(metainfo=dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0), frame_id=0))
    labels, ids = torch.zeros(len(boxes), dtype=torch.long), torch.arange(1, len(boxes) + 1)
    sample.gt_instances = InstanceData(bboxes=boxes.clone(), labels=labels, instances_ids=ids)
    sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=labels[:0])
    return sample
