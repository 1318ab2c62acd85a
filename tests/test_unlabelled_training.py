"""Training from two views of a frame gives the same bits whatever the identity labels say."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from tiny_data import shrink, write_tiny_data

from clmot_qd.apis.running import build_runner, load_config


def train(ann_file: Path, work_dir: Path) -> dict[str, torch.Tensor]:
    config = shrink(load_config("clmot_tiny_demo"), ann_file)
    config.work_dir = str(work_dir)
    config.train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=2)
    config.val_dataloader = config.val_cfg = config.val_evaluator = None
    config.test_dataloader = config.test_cfg = config.test_evaluator = None
    config.randomness = dict(seed=5, deterministic=True)
    runner = build_runner(config)
    runner.train()
    return runner.model.state_dict()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def reference(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    return train(data, tmp_path_factory.mktemp("reference"))


@pytest.mark.parametrize("change", ["deleted", "shuffled"])
def test_identity_labels_are_not_read(change: str, data: Path, reference: dict, tmp_path: Path) -> None:
    content = json.loads(data.read_text())
    ids = [a["instance_id"] for a in content["annotations"]]
    random.Random(1).shuffle(ids)
    for annotation, identity in zip(content["annotations"], ids):
        if change == "deleted":
            del annotation["instance_id"]
        else:
            annotation["instance_id"] = identity
    path = data.parent / f"{change}.json"
    path.write_text(json.dumps(content))
    trained = train(path, tmp_path)
    different = [k for k, v in trained.items() if not torch.equal(v, reference[k])]
    assert different == []


def test_the_comparison_would_notice_another_box(data: Path, reference: dict, tmp_path: Path) -> None:
    content = json.loads(data.read_text())
    content["annotations"][0]["bbox"][0] += 3.0
    path = data.parent / "moved.json"
    path.write_text(json.dumps(content))
    trained = train(path, tmp_path)
    assert any(not torch.equal(v, reference[k]) for k, v in trained.items())
