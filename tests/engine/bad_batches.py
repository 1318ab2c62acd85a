"""Training of one weight on batches of which one is spoiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, OPTIM_WRAPPERS
from mmengine.runner import Runner
from torch import Tensor, nn


@MODELS.register_module(force=True)
class OneWeight(BaseModel):
    """The loss is the mean of weight * input; a negative input has a finite loss with a gradient that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.idle = nn.Parameter(torch.ones(2))
        self.seen: list[Tensor] = []

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        self.seen.append(self.weight.detach().clone())
        values = torch.stack(list(inputs)).float()
        if mode == "predict":
            return {"loss": values.mean() * torch.nan} if self.training else data_samples
        steep = (self.weight * (values.min() < 0) * 0).sum().sqrt() if values.min() < 0 else 0.0
        return dict(
            loss_embed=self.weight.mean() * 0.5,
            loss_wh=[self.weight.sum() * 0.25, self.weight.mean() * values.abs().mean() + steep + 0 * self.idle.sum()],
            hint=torch.tensor(torch.nan),
        )


@OPTIM_WRAPPERS.register_module(force=True)
class ScaledOptimWrapper(OptimWrapper):
    """Steps as mmengine's ``AmpOptimWrapper``, which needs a GPU."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loss_scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        self.loss_scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs: Any) -> None:
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update()


def sample(number: int) -> TrackDataSample:
    """Two frames of a video, called by the number of the sample."""
    frames = [DetDataSample(metainfo=dict(img_path=f"clip/{number}{view}.jpg")) for view in "ab"]
    track = TrackDataSample()
    track.video_data_samples = frames
    return track


def runner_of(
    folder: Path, values: list[float], wrapper: dict[str, Any] | None = None, launcher: str = "none", **hook: Any
) -> Runner:
    """A run of one epoch, a batch of two samples at a time, in the order of the values."""
    data = [dict(inputs=torch.tensor(value), data_samples=sample(n)) for n, value in enumerate(values)]
    loader = dict(
        batch_size=2,
        dataset=data,
        sampler=dict(type="DefaultSampler", shuffle=False),
        collate_fn=dict(type="pseudo_collate"),
    )
    return Runner(
        model=dict(type="OneWeight"),
        work_dir=str(folder),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.1)) | (wrapper or {}),
        default_hooks=dict(checkpoint=None, finite_loss=dict(type="mmdet.FiniteLossHook", **hook)),
        randomness=dict(seed=0),
        launcher=launcher,
        experiment_name=f"{folder.name}-{folder.parent.name}",
        log_level="ERROR",
    )
