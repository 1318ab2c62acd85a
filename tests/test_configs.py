"""Every configuration builds, trains a step on tiny pictures, and tests."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from locations import REPOSITORY
from mmengine.config import Config
from tiny_data import shrink, write_tiny_data

from clmot_qd.apis.running import build_runner, find_config, load_config

CONFIGS = sorted(p for p in (REPOSITORY / "configs").rglob("*.py") if "_base_" not in p.parts)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_data(tmp_path_factory.mktemp("tiny"), videos=1)


def one_step(path: Path, tiny: Path, work_dir: Path) -> Config:
    config = shrink(load_config(str(path)), tiny)
    config.work_dir = str(work_dir)
    config.load_from = None
    config.default_hooks.checkpoint = None  # a fifth of a gigabyte each
    config.train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=1)
    config.val_dataloader = config.val_cfg = config.val_evaluator = None
    return config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_config_trains_and_tests(path: Path, tiny: Path, tmp_path: Path) -> None:
    runner = build_runner(one_step(path, tiny, tmp_path))
    before = {k: v.clone() for k, v in runner.model.state_dict().items()}
    runner.train()
    after = runner.model.state_dict()
    moved = [k for k in before if before[k].is_floating_point() and not torch.equal(before[k], after[k])]
    assert any(k.startswith("detector.backbone.") for k in moved), "training left the backbone as it was"
    assert any(k.startswith("detector.bbox_head.embed_head.") for k in moved), "no gradient reached the embeddings"
    losses = {k: v.current() for k, v in runner.message_hub.log_scalars.items() if "loss" in k}
    assert {"train/loss", "train/loss_center_heatmap"} <= losses.keys()
    assert all(math.isfinite(v) for v in losses.values()), losses
    metrics = runner.test()
    assert {"HOTA", "MOTA", "IDF1"} <= {key.split("/")[-1] for key in metrics}


def test_names_are_unique_and_found_without_a_path() -> None:
    assert len({p.stem for p in CONFIGS}) == len(CONFIGS)
    for path in CONFIGS:
        assert Path(find_config(path.stem)).resolve() == path
        assert Path(find_config(path.name)).resolve() == path


def test_the_paper_configuration_has_the_numbers_of_the_paper() -> None:
    config = load_config("clmot_dla34_40e_mix")
    assert config.model.loss_embed == dict(type="TripletPairLoss", margin=0.3, mining="hard")
    assert config.model.detector.bbox_head.embed_channels == 512
    assert (config.train_cfg.max_epochs, config.param_scheduler[0].milestones) == (40, [20, 30])
    assert config.optim_wrapper.optimizer == dict(type="Adam", lr=1e-4)
    assert config.train_dataloader.batch_size == 8
    assert config.input_size == (1088, 608)
    assert config.optim_wrapper.keys() == {"type", "optimizer"}
    finetune = load_config("clmot_dla34_10e_mot17-finetune")
    assert finetune.train_cfg.max_epochs == 10


def test_configurations_are_short() -> None:
    for path in (REPOSITORY / "configs").rglob("*.py"):
        limit = 90 if "_base_" in path.parts else 40
        assert len(path.read_text().splitlines()) <= limit, path
