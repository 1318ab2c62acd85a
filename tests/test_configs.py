"""Every configuration builds, trains a step on tiny pictures, and tests."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from locations import REPOSITORY
from mmengine.config import Config
from mmengine.runner import Runner
from tiny_data import shrink, write_tiny_data

from clmot_qd.apis.running import build_runner, find_config, load_config
from clmot_qd.models.mot import QuasiDenseMOT
from clmot_qd.models.mot.tracking_model import TrackingModel
from clmot_qd.trackers import BiSoftmaxTracker

CONFIGS = sorted(p for p in (REPOSITORY / "configs").rglob("*.py") if "_base_" not in p.parts)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_data(tmp_path_factory.mktemp("tiny"), videos=1)


@pytest.fixture(scope="module")
def done() -> set[str]:
    """What was trained and tested before, see :func:`is_new`."""
    return set()


@pytest.fixture(autouse=True)
def no_pretty_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Formatting a configuration for the log takes longer than building its model."""
    monkeypatch.setattr(Config, "pretty_text", property(repr))


def one_step(path: Path, tiny: Path, work_dir: Path) -> Config:
    config = shrink(load_config(str(path)), tiny)
    config.work_dir = str(work_dir)
    config.load_from = None
    config.default_hooks.checkpoint = None  # a fifth of a gigabyte each
    config.train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=1)
    config.param_scheduler = []  # warm-ups begin with steps that round to nothing
    config.val_dataloader = config.val_cfg = config.val_evaluator = None
    if config.model.type == "QuasiDenseMOT":
        rules = config.model.detector.test_cfg
        rules = rules.get("rcnn", rules)
        rules.score_thr = 0.0 if rules.score_thr > 0.001 else rules.score_thr  # what is untrained is unsure
    if config.model.tracker.type in ("BiSoftmaxTracker", "TAOBiSoftmaxTracker"):
        config.model.tracker.update(init_score_thr=0.0, obj_score_thr=0.0)
    return config


def is_new(done: set[str], *parts: Any) -> bool:
    """Whether these parts of a shrunk configuration have not been run yet.

    Configurations that differ in the names of files alone, or in the tracker alone, would train the same step again.
    """
    text = repr(parts)
    new = text not in done
    done.add(text)
    return new


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_config_trains_and_tests(path: Path, tiny: Path, tmp_path: Path, done: set[str]) -> None:
    config = one_step(path, tiny, tmp_path)
    network = {key: value for key, value in config.model.items() if key != "tracker"}
    train = is_new(done, network, config.train_dataloader, config.optim_wrapper)
    test = is_new(done, config.model, config.test_dataloader, config.test_evaluator)
    runner = build_runner(config)
    if train:
        check_training(runner)
    if test:
        metrics = runner.test()
        accuracy = "MOTSA" if config.test_evaluator.get("iou_type") == "segm" else "MOTA"
        wanted = {"AP50"} if config.test_evaluator.type == "TrackMapMetric" else {"HOTA", accuracy, "IDF1"}
        assert wanted <= {key.split("/")[-1] for key in metrics}
        # An untrained centre head finds boxes without an area.
        if isinstance(runner.model, QuasiDenseMOT) and isinstance(runner.model.tracker, BiSoftmaxTracker):
            assert runner.model.tracker._next_id > 0, "no track began"


def check_training(runner: Runner) -> None:
    runner.model.init_weights()  # else "before" is what construction left, and everything moves
    before = {k: v.clone() for k, v in runner.model.state_dict().items()}
    runner.train()
    after = runner.model.state_dict()
    moved = [k for k in before if before[k].is_floating_point() and not torch.equal(before[k], after[k])]
    losses = {k: v.current() for k, v in runner.message_hub.log_scalars.items() if "loss" in k}
    assert all(math.isfinite(v) for v in losses.values()), losses
    assert_learned(runner.model, moved, losses)


def assert_learned(model: TrackingModel, moved: list[str], losses: dict[str, float]) -> None:
    """The step reached the embeddings, and the detector unless it is frozen."""
    quasi_dense = isinstance(model, QuasiDenseMOT)
    if getattr(model, "train_masks_only", False):
        assert moved, "no gradient reached the mask head"
        assert all(k.startswith("detector.roi_head.mask_head.") for k in moved), "what is frozen has moved"
        assert losses.keys() == {"train/loss", "train/loss_mask"}
        return
    if quasi_dense and model.mask_thr is not None:
        assert losses["train/loss_mask"] > 0
        assert any(k.startswith("detector.roi_head.mask_head.") for k in moved), "no gradient reached the mask head"
    embedding = "track_head.embed_head." if quasi_dense else "detector.bbox_head.embed_head."
    assert any(k.startswith(embedding) for k in moved), "no gradient reached the embeddings"
    wanted = {"loss", *model.loss_embed} | ({"loss_id"} if model.id_head is not None else set())
    assert {f"train/{name}" for name in wanted} <= losses.keys()
    if quasi_dense and len(model.loss_embed):
        assert losses["train/loss_embed"] > 0, "no two regions were compared"
    if getattr(model, "freeze_detector", False):
        assert all(k.startswith(embedding) for k in moved), "the frozen detector has moved"
        assert len(losses) == len(wanted), "the frozen detector has losses"
        return
    head = ("detector.bbox_head.", "detector.roi_head.")
    assert any(k.startswith("detector.backbone.") for k in moved), "training left the backbone as it was"
    assert any(k.startswith(head) and not k.startswith(embedding) for k in moved), "nor did the detector's head learn"
    assert quasi_dense or "train/loss_center_heatmap" in losses


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
