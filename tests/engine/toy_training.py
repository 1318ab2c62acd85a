"""Training of a few numbers in milliseconds, with every kind of random draw, that can be stopped anywhere."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import random
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from clmot_qd.apis.running import load_config
from clmot_qd.engine.stateless_randomness import seed_globally

NUMBER = itertools.count()
CLOCKS = ("time", "memory")


class Killed(BaseException):
    """What stands for the end of the process."""


class ToyData(BaseDataset):
    """Numbers with noise from each of the three global generators; some are refused and drawn again."""

    def __init__(self, length: int = 10, first: int = 0) -> None:
        self.length, self.first = length, first
        super().__init__(lazy_init=True, serialize_data=False)

    def load_data_list(self) -> list[dict]:
        return [dict(number=self.first + i) for i in range(self.length)]

    def prepare_data(self, idx: int) -> Any:
        noise = [random.random(), np.random.rand(), float(torch.rand(()))]  # noqa: NPY002
        if noise[0] < 0.2:
            return None
        return dict(inputs=torch.tensor([float(self.get_data_info(idx)["number"]), *noise]))


class ToyModel(BaseModel):
    """A layer, batch normalisation and dropout; draws once more from numpy's generator."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 1))

    def forward(self, inputs: list[torch.Tensor], mode: str = "loss") -> Any:
        out = self.layers(torch.stack(inputs))
        if mode == "loss":
            return dict(loss=(out - np.random.rand()).square().mean())  # noqa: NPY002
        return [float(value) for value in out]


class ToyMetric(BaseMetric):
    """The mean of what the model says: a better one every time, if it falls."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.extend(data_samples)

    def compute_metrics(self, results: list) -> dict:
        return dict(mean=float(np.mean(results)))


class Stop(Hook):
    """Ends the run at a moment of its course: after so many calls of its methods."""

    priority = "VERY_LOW"

    def __init__(self, moment: int) -> None:
        self.moment, self.count = moment, 0

    def _tick(self, *args: Any, **kwargs: Any) -> None:
        self.count += 1
        if self.count == self.moment:
            raise Killed

    before_train_iter = after_train_iter = before_val_iter = after_val_iter = _tick
    before_train_epoch = after_train_epoch = before_val_epoch = after_val_epoch = before_save_checkpoint = _tick


@functools.cache
def _packaged() -> Config:
    return load_config("clmot_tiny_demo")


def toy_config(**changes: Any) -> Config:
    """Four epochs of five batches, a validation after the second and the last; the hooks of every configuration."""
    packaged = _packaged()
    hooks = {key: packaged.default_hooks[key] for key in ("timer", "param_scheduler", "sampler_seed", "exact_resume")}
    hooks["logger"] = dict(type="LoggerHook", interval=1)
    hooks["checkpoint"] = dict(packaged.default_hooks.checkpoint, interval=1, max_keep_ckpts=2)
    sampler = dict(type="DefaultSampler", shuffle=True)
    loader = dict(batch_size=2, num_workers=0, dataset=ToyData(), sampler=sampler)
    config = Config(
        dict(
            train_dataloader=loader,
            val_dataloader=dict(
                batch_size=4, num_workers=0, dataset=ToyData(4, 50), sampler=dict(type="DefaultSampler")
            ),
            train_cfg=dict(type=packaged.train_cfg.type, max_epochs=4, val_interval=2),
            val_cfg=dict(type="ValLoop"),
            val_evaluator=dict(type=ToyMetric),
            optim_wrapper=dict(optimizer=dict(type="Adam", lr=0.01)),
            param_scheduler=[dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=7)],
            default_hooks=hooks,
            default_scope="mmdet",
            log_processor=dict(window_size=3),
            log_level="WARNING",
            randomness=dict(seed=3),
        )
    )
    config.merge_from_dict(copy.deepcopy(changes))
    return config


def train(config: Config, work_dir: Path, stop: Stop | None = None, resume: bool = False) -> Runner | None:
    """Run it; None if it was stopped. `stop` counts the moments."""
    seed_globally([next(NUMBER)])  # a process of its own would not have the state in which the last run left them
    keys = {key: value for key, value in config._cfg_dict.items() if key not in ("default_hooks", "custom_hooks")}
    custom_hooks = list(config.get("custom_hooks", []))
    with mock.patch.object(Runner, "_log_env"):  # asks compilers for their versions
        runner = Runner(
            model=dict(type=ToyModel),
            work_dir=str(work_dir),
            resume=resume,
            default_hooks=dict(config.default_hooks),
            custom_hooks=[*custom_hooks, stop or Stop(0)],
            experiment_name=f"toy{next(NUMBER)}",
            **keys,
        )
    try:
        runner.train()
    except Killed:
        return None
    return runner


def state(runner: Runner | None) -> dict[str, Any]:
    """All numbers that training has come to."""
    assert runner is not None, "stopped before its end"
    weights = {name: value.tolist() for name, value in runner.model.state_dict().items()}
    return dict(weights, optimizer=str(runner.optim_wrapper.state_dict()), iter=runner.iter, epoch=runner.epoch)


def checkpoints(work_dir: Path) -> dict[str, list]:
    """By name, the weights in it."""
    files = {path.name: torch.load(path, weights_only=False) for path in work_dir.glob("*.pth")}
    return {name: [value.tolist() for value in file["state_dict"].values()] for name, file in files.items()}


def logged(work_dir: Path) -> dict[tuple[int, bool], list[dict[str, Any]]]:
    """By step, and whether it is of a validation: what was logged there, once for each time it was done."""
    lines: dict[tuple[int, bool], list[dict[str, Any]]] = {}
    for file in sorted(work_dir.rglob("scalars.json")):
        for line in file.read_text().splitlines():
            entry = {key: value for key, value in json.loads(line).items() if not key.endswith(CLOCKS)}
            lines.setdefault((entry["step"], "loss" not in entry), []).append(entry)
    return lines
