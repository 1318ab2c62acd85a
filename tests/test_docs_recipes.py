"""The code of the contributing recipes does what they say: a loss, a tracker, a detector and a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from docs_pages import PAGES, blocks_of
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from clmot_qd.apis.running import packaged_configs
from clmot_qd.datasets.converters import Report, convert
from clmot_qd.datasets.converters.catalogue import DataSet

PAGE = next(page for page in PAGES if page.name == "contributing.md")


def recipe(words: str) -> str:
    """The Python block of the page that has these words."""
    return next(block.text for block in blocks_of(PAGE) if block.language == "python" and words in block.text)


def run(words: str, module: str) -> dict[str, Any]:
    """Run a block as the module that the page says it is."""
    scope = {"__name__": module, "__package__": module.rpartition(".")[0]}
    exec(compile(recipe(words), str(PAGE), "exec"), scope)
    return scope


def test_the_loss_is_the_mean_over_pairs_by_hand() -> None:
    scope = run("class ContrastivePairLoss", "clmot_qd.models.losses.contrastive_pair_loss")
    MODELS.module_dict.pop("ContrastivePairLoss")
    anchors = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    targets = torch.tensor([[0.0, 1.0], [0.3, 0.4]])
    positive = torch.tensor([[True, False], [False, False]])
    negative = torch.tensor([[False, True], [True, True]])
    # First anchor: 1^2 to its positive, (1 - 0.5)^2 to its negative; the second has no positive and is left out.
    loss = scope["ContrastivePairLoss"](margin=1.0)(anchors, targets, positive, negative)
    assert loss.item() == pytest.approx((1 + 0.25) / 2)
    loss.backward()
    assert anchors.grad[1].abs().sum() == 0


def test_the_tracker_follows_what_overlaps() -> None:
    tracker = run("class OverlapTracker", "clmot_qd.trackers.overlap_tracker")["OverlapTracker"]()
    boxes = np.array([[0, 0, 10, 20], [50, 0, 60, 20]], float)
    first = tracker.update(boxes, [0.9, 0.9], [0, 0], None, 0)
    second = tracker.update(boxes[::-1] + 2, [0.9, 0.9], [0, 0], None, 1)
    third = tracker.update(boxes[:1] + 30, [0.9], [0], None, 2)
    assert first.instances_id.tolist() == [0, 1]
    assert second.bboxes[0].tolist() == [2, 2, 12, 22]
    assert third.instances_id.tolist() == [2]


def test_the_detector_is_a_configuration_that_builds() -> None:
    folder = packaged_configs() / "_base_" / "models"
    text = recipe("qdtrack_dense_parts.py").replace('"./', f'"{folder}/')
    config = Config.fromstring(text, ".py")
    init_default_scope("mmdet")
    model = MODELS.build(config.model)
    assert type(model.detector).__name__ == "ATSS"
    assert model.detector.bbox_head.num_classes == 1
    assert set(config) <= {"model", "weights", "num_classes"}


def test_the_data_set_is_converted(tmp_path: Path) -> None:
    scope = run("def open_my_set", "clmot_qd.datasets.converters.my_set")
    assert isinstance(scope["DATA_SETS"][0], DataSet)
    box = {"xywh": [1, 2, 10, 20], "class": "person", "id": 7}
    entries = [{"file": f"a/{n}.jpg", "video": "a", "time": n, "boxes": [box]} for n in (1, 2)]
    (tmp_path / "labels.json").write_text(json.dumps(entries))
    (tmp_path / "pictures" / "a").mkdir(parents=True)
    for entry in entries:
        cv2.imwrite(str(tmp_path / "pictures" / entry["file"]), np.zeros((40, 60, 3), np.uint8))
    conversion = convert(scope["open_my_set"](tmp_path, Report()), tmp_path / "out.json")
    counts = conversion.counts()
    assert (counts.images, counts.boxes, counts.identities, counts.videos) == (2, 2, 1, 1)
