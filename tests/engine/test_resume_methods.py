"""Both methods, from their own configurations: SIGKILL, then the stock resume, comes to the numbers of no stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from tiny_data import shrink, write_tiny_data
from toy_training import logged, state

from clmot_qd.apis.running import build_runner, load_config

METHODS = {
    "clmot_tiny_demo": {"model.task_weighting": dict(type="UncertaintyTaskWeighting", _delete_=True)},
    "qdtrack_tiny_demo": {},
    "qdtrack_within-frame_tiny_demo": {"default_hooks.checkpoint.by_epoch": False},
}


class Kill(Hook):
    """SIGKILL after so many iterations."""

    def __init__(self, iterations: int) -> None:
        self.iterations = iterations

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if runner.iter + 1 == self.iterations:
            os.kill(os.getpid(), signal.SIGKILL)


def short(name: str, data: Path, work_dir: Path, workers: int, **changes: Any) -> Config:
    """Two epochs of three iterations."""
    config = shrink(load_config(name), data)
    config.train_dataloader.update(batch_size=2, num_workers=workers, drop_last=True, persistent_workers=workers > 0)
    config.train_cfg.max_epochs = 2
    config.update(val_dataloader=None, val_cfg=None, val_evaluator=None)
    config.default_hooks.logger.interval = 1
    config.default_hooks.checkpoint.interval = 1
    config.log_level = "WARNING"
    config.work_dir = str(work_dir)
    config.experiment_name = f"{name}-{work_dir.name}"
    config.merge_from_dict(METHODS[name] | changes)
    return config


def run(config: Config, kill: int = 0) -> Runner:
    Visualizer._instance_dict.clear()  # mmengine keeps one per process, with the folder of the first run
    # Asking compilers for their versions, and formatting the configuration for each checkpoint, take most of the time.
    with mock.patch.object(Runner, "_log_env"), mock.patch.object(Config, "pretty_text", ""):
        runner = build_runner(config)
        if kill:
            runner.register_hook(Kill(kill))
        runner.train()
    return runner


def killed(config: Config, kill: int) -> None:
    """Run it in a process of its own."""
    process = os.fork()
    if not process:
        try:
            run(config, kill)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL


SECONDARY = pytest.param("qdtrack_within-frame_tiny_demo", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", ["clmot_tiny_demo", "qdtrack_tiny_demo", SECONDARY])
def test_killed_and_resumed(name: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)  # a process that was forked has no threads
    data = write_tiny_data(tmp_path / "data", videos=2, frames=3)
    reference = run(short(name, data, tmp_path / "reference", 0))
    killed(short(name, data, tmp_path / "run", 2), 5)
    config = short(name, data, tmp_path / "run", 0, resume=True, experiment_name="resumed")
    resumed = run(config)
    assert resumed.iter == reference.iter == 6
    assert state(resumed) == state(reference)
    expected, log = logged(tmp_path / "reference"), logged(tmp_path / "run")
    assert log.keys() == expected.keys()
    assert {2, 6} <= {step for step, _ in log}
    assert all(str(entry) == str(expected[key][0]) for key, entries in log.items() for entry in entries)
    weighting = [key for key in state(resumed) if "log_var" in key]
    assert len(weighting) == 2 * (name == "clmot_tiny_demo")
