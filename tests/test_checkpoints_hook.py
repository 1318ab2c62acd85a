"""Foreign checkpoints through the loaders of mmengine and torch, without a separate step."""

from __future__ import annotations

import copy
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from axes import detector_of, model_of
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from clmot_qd.checkpoints import adapt_to_model, install_foreign_keys_hook, rename_foreign

DENSE_AND_CASCADE = ("cascade-rcnn", "retinanet", "fcos", "yolox", "rtmdet")


@pytest.fixture(autouse=True, scope="module")
def _mmdet_scope() -> None:
    init_default_scope("mmdet")


def build(detector: str = "faster-rcnn", seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return MODELS.build(model_of(detector, "multi-positive"))


def detector_file(name: str, classes: int, path: Path) -> dict[str, torch.Tensor]:
    """A detector's own checkpoint, trained on other classes."""
    config = detector_of(name)[0]
    heads = config["roi_head"]["bbox_head"] if "roi_head" in config else config["bbox_head"]
    for head in heads if isinstance(heads, list) else [heads]:
        head["num_classes"] = classes
    torch.manual_seed(7)
    state = MODELS.build(Config(config)).state_dict()
    torch.save({"state_dict": state, "meta": {"dataset_meta": {"classes": [f"c{n}" for n in range(classes)]}}}, path)
    return state


def as_generation(state: dict[str, torch.Tensor], generation: str) -> dict[str, torch.Tensor]:
    """Our names -> those of a public generation."""
    head = {"syscv-2021": "roi_head.track_head.", "syscv-2022": "track_head.track_head."}.get(generation)
    renamed = {}
    for key, value in state.items():
        if head:
            key = key.replace("track_head.embed_head.", head)
        if generation == "syscv-2021":
            key = key.removeprefix("detector.")
        renamed[f"module.{key}" if generation == "parallel" else key] = value
    return renamed


@pytest.fixture
def log() -> list[str]:
    """What mmengine logs from here on."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    MMLogger.get_current_instance().addHandler(handler)
    yield lines
    MMLogger.get_current_instance().removeHandler(handler)


@pytest.mark.parametrize("generation", ["syscv-2021", "syscv-2022", "openmmlab", "parallel"])
def test_mmengine_loads_every_generation(generation: str, tmp_path: Path) -> None:
    trained, model = build(seed=1), build(seed=2)
    torch.save({"state_dict": as_generation(trained.state_dict(), generation)}, tmp_path / "public.pth")
    load_checkpoint(model, str(tmp_path / "public.pth"), map_location="cpu", strict=True)
    for key, value in trained.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


@pytest.mark.parametrize("generation", ["syscv-2021", "syscv-2022", "parallel"])
def test_torch_loads_them_strictly(generation: str) -> None:
    trained, model = build(seed=1), build(seed=2)
    public = as_generation(trained.state_dict(), generation)
    keys = list(public)
    model.load_state_dict(public)
    assert list(public) == keys, "the caller's dictionary has changed"
    assert torch.equal(model.track_head.embed_head.fc_embed.weight, trained.track_head.embed_head.fc_embed.weight)


def test_our_own_checkpoints_pass_untouched(log: list[str]) -> None:
    model = build()
    state = model.state_dict()
    assert rename_foreign(state)[0] is state
    assert adapt_to_model(state, model)[0] is state
    assert adapt_to_model(state, model)[1] == ""
    log.clear()
    load_state_dict(model, state, strict=True)
    assert log == []


def test_what_nobody_knows_is_left_to_the_loader() -> None:
    state = {"encoder.weight": torch.zeros(1)}
    assert rename_foreign(state)[0] is state
    result = build().load_state_dict(state, strict=False)
    assert result.unexpected_keys == ["encoder.weight"]


@pytest.mark.parametrize("name", ["faster-rcnn", *DENSE_AND_CASCADE])
def test_a_detector_on_other_classes_starts_the_tracker(name: str, tmp_path: Path, log: list[str]) -> None:
    given = detector_file(name, 80, tmp_path / "coco.pth")
    model = build(name, seed=2)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    load_checkpoint(model, str(tmp_path / "coco.pth"), map_location="cpu", logger="current")
    after = model.state_dict()
    left_out = [key for key in given if given[key].shape != before[f"detector.{key}"].shape]
    assert left_out, "the detectors have the same classes"
    for key, value in after.items():
        name_there = key.removeprefix("detector.")
        same_as = given[name_there] if name_there in given and name_there not in left_out else before[key]
        assert torch.equal(value, same_as), key
    (line,) = [line for line in log if line.startswith("checkpoint: keys of a detector of mmdet renamed")]
    named = line.partition("started at random: ")[2].split(", ")
    assert named == [f"detector.{key}" for key in left_out]
    assert not any("size mismatch" in line or "unexpected key" in line for line in log)
    (missing,) = [line for line in log if "missing keys in source state_dict" in line]
    assert "track_head.embed_head.fc_embed.weight" in missing
    assert "backbone" not in missing


def test_a_detector_on_the_same_classes_keeps_its_head(tmp_path: Path, log: list[str]) -> None:
    given = detector_file("faster-rcnn", 1, tmp_path / "person.pth")
    model = build(seed=2)
    load_checkpoint(model, str(tmp_path / "person.pth"), map_location="cpu")
    assert torch.equal(model.detector.roi_head.bbox_head.fc_cls.weight, given["roi_head.bbox_head.fc_cls.weight"])
    assert "checkpoint: keys of a detector of mmdet renamed" in log


def test_a_wider_network_is_not_a_matter_of_classes() -> None:
    """Only the last layers of heads depend on the classes; everything else that does not fit stays to be told."""
    state = {
        key.removeprefix("detector."): value for key, value in build().state_dict().items() if "track_head" not in key
    }
    state["backbone.conv1.weight"] = torch.zeros(99, *state["backbone.conv1.weight"].shape[1:])
    state["neck.fpn_convs.0.conv.bias"] = torch.zeros(99)
    state["roi_head.bbox_head.shared_fcs.1.weight"] = torch.zeros(99, 98)
    state["rpn_head.rpn_cls.weight"] = torch.zeros(3, 16, 3, 3)
    adapted, note = adapt_to_model(state, build())
    assert {f"detector.{key}" for key in state} == set(adapted)
    assert "number of classes" not in note


def test_parts_that_we_have_not_are_told_by_our_names(log: list[str]) -> None:
    public = as_generation(build().state_dict(), "syscv-2021") | {"roi_head.mask_head.conv.weight": torch.zeros(1)}
    result = build().load_state_dict(public, strict=False)
    assert result.unexpected_keys == ["detector.roi_head.mask_head.conv.weight"]
    assert result.missing_keys == []


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_of_the_model_understands_them_too(copied: Any) -> None:
    """mmengine's EMA hook loads into a copy."""
    trained = build(seed=1)
    model = copied(build(seed=2))
    model.load_state_dict(as_generation(trained.state_dict(), "syscv-2021"))
    assert torch.equal(model.detector.backbone.conv1.weight, trained.detector.backbone.conv1.weight)


def test_inside_another_module_the_prefix_stays() -> None:
    trained = build(seed=1)
    outer = nn.ModuleDict({"inner": build(seed=2), "other": nn.Linear(1, 1)})
    public = {f"inner.{key}": value for key, value in as_generation(trained.state_dict(), "syscv-2021").items()}
    outer.load_state_dict(public | {f"other.{key}": value for key, value in nn.Linear(1, 1).state_dict().items()})
    assert torch.equal(outer["inner"].detector.backbone.conv1.weight, trained.detector.backbone.conv1.weight)


def test_one_hook_is_enough_for_any_model() -> None:
    model = nn.Module()
    model.detector = nn.ModuleDict({"backbone": nn.Linear(2, 3)})
    install_foreign_keys_hook(model)
    state = nn.Linear(2, 3).state_dict()
    model.load_state_dict({f"backbone.{key}": value for key, value in state.items()})
    assert torch.equal(model.detector["backbone"].weight, state["weight"])


def test_both_models_have_it() -> None:
    for detector in ("faster-rcnn", "centernet-embed"):
        model = build(detector)
        state = {key.removeprefix("detector."): value for key, value in model.detector.state_dict().items()}
        result = model.load_state_dict(state, strict=False)
        assert result.unexpected_keys == []
