"""QDTrack's key names through the years, detectors of mmdet, and whose checkpoint it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from axes import detector_of, model_of
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from public_keys import GENERATIONS, keys_of

from clmot_qd.apis.running import packaged_configs
from clmot_qd.checkpoints import OURS, convert_state_dict, is_detector_alone, recognise_source
from clmot_qd.errors import InputError

SOURCE = {"syscv-2021": "qdtrack", "syscv-2022": "qdtrack", "openmmlab": "mmdet"}
DETECTORS = ("faster-rcnn", "cascade-rcnn", "retinanet", "fcos", "yolox", "rtmdet")


@pytest.fixture(autouse=True, scope="module")
def _mmdet_scope() -> None:
    init_default_scope("mmdet")


def numbered(keys: list[str]) -> dict[str, torch.Tensor]:
    """Every tensor is its place in the list, so that a mix-up shows."""
    return {key: torch.tensor(float(n)) for n, key in enumerate(keys)}


def detector_state(name: str) -> dict[str, Any]:
    """A detector of mmdet as it is saved by itself."""
    return MODELS.build(Config(detector_of(name)[0])).state_dict()


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_becomes_the_names_of_the_model(generation: str) -> None:
    config = Config.fromfile(packaged_configs() / "_base_/models/qdtrack_faster-rcnn_r50_fpn.py")
    with torch.device("meta"):
        model = MODELS.build(config.model)
    converted = convert_state_dict(numbered(keys_of(generation)), SOURCE[generation])
    assert set(converted) == set(model.state_dict())
    assert [int(value) for value in converted.values()] == list(range(len(converted)))


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_generation_is_recognised_by_its_keys(generation: str) -> None:
    keys = keys_of(generation)
    assert recognise_source(keys) == (OURS if generation == "openmmlab" else "qdtrack")
    parallel = [f"module.{key}" for key in keys]
    assert recognise_source(parallel) == SOURCE[generation]
    assert not is_detector_alone(keys)
    assert not is_detector_alone(parallel)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_what_training_put_around_the_keys_is_taken_away(generation: str) -> None:
    plain = numbered(keys_of(generation))
    wrapped = {f"module.{key}": value for key, value in plain.items()}
    wrapped |= {"ema_" + key.replace(".", "_"): -value for key, value in plain.items()}
    source = SOURCE[generation]
    assert convert_state_dict(wrapped, source) == convert_state_dict(plain, source)


def test_mmtrack_has_the_names_of_mmdet() -> None:
    state = numbered(keys_of("openmmlab"))
    assert convert_state_dict(state, "mmtrack") == convert_state_dict(state, "mmdet") == state


@pytest.mark.parametrize("name", DETECTORS)
def test_a_plain_detector_becomes_the_detector_of_the_tracker(name: str) -> None:
    state = detector_state(name)
    assert recognise_source(state) == "mmdet"
    assert is_detector_alone(state)
    converted = convert_state_dict(state, "mmdet")
    tracker = MODELS.build(model_of(name, "multi-positive")).state_dict()
    assert set(converted) == {key for key in tracker if key.startswith("detector.")}
    assert all(converted[f"detector.{key}"] is value for key, value in state.items())


def test_a_detector_inside_a_tracker_is_no_detector_alone() -> None:
    """ByteTrack's files: the names are ours as they stand."""
    keys = [f"detector.{key}" for key in detector_state("yolox")]
    assert recognise_source(keys) == OURS
    assert not is_detector_alone(keys)


def test_early_fcos_gets_its_later_names() -> None:
    state = detector_state("fcos")
    early = {key.replace("bbox_head.conv_", "bbox_head.fcos_"): value for key, value in state.items()}
    assert set(early) != set(state)
    assert convert_state_dict(early, "mmdet") == convert_state_dict(state, "mmdet")


@pytest.mark.parametrize(
    ("keys", "source", "alone"),
    [
        (["base.base_layer.0.weight", "hm.0.weight", "id.0.weight"], "fairmot", False),
        (["module.base.base_layer.0.weight", "module.id.0.weight"], "fairmot", False),
        (["base.base_layer.0.weight", "hm.0.weight"], "centernet", True),
        (["base_layer.0.weight", "fc.weight"], "centernet", True),
        (["detector.backbone.stem.conv.weight", "detector.bbox_head.embed_head.0.weight"], OURS, False),
        (["backbone.conv1.weight", "head.fc.weight"], "mmdet", True),  # a classifier: its backbone is of use
        (["encoder.weight"], None, False),
        ([], None, False),
    ],
)
def test_whose_checkpoint_it_is(keys: list[str], source: str | None, alone: bool) -> None:
    assert recognise_source(keys) == source
    assert is_detector_alone(keys) == alone
    assert recognise_source(iter(keys)) == source


@pytest.mark.parametrize(
    ("state", "source", "message"),
    [
        (numbered(keys_of("openmmlab")), "qdtrack", "'detector.backbone.conv1.weight', are those of mmdet, which are"),
        (numbered(keys_of("syscv-2022")), "mmdet", "not a mmdet checkpoint.*are those of qdtrack; name the right"),
        (numbered(keys_of("syscv-2021")), "mmtrack", "not a mmtrack checkpoint.*are those of qdtrack"),
        ({"encoder.weight": torch.zeros(1)}, "mmdet", "'encoder.weight', are those of no project known here"),
        ({}, "qdtrack", "no tensor at all"),
        ({"a": torch.zeros(1)}, "vis4d", "source 'vis4d' is not known: .* clmot, fairmot, centernet, qdtrack, mmtrack"),
    ],
)
def test_a_wrong_source_is_told_with_the_right_one(state: dict, source: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        convert_state_dict(state, source)
    assert "\n" not in str(raised.value)
