"""Checkpoints of this package and of others: into a model to test, and as the start of training."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from axes import detector_of, model_of
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from reference_weights import reference_state_dict

from clmot_qd.apis import TrackingInferencer
from clmot_qd.apis.loading import check_load_from, load_weights, require_training_state
from clmot_qd.apis.running import load_config
from clmot_qd.checkpoints import read_checkpoint
from clmot_qd.errors import InputError


@pytest.fixture(autouse=True, scope="module")
def _mmdet_scope() -> None:
    init_default_scope("mmdet")


def tracker(detector: str = "faster-rcnn", seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return MODELS.build(model_of(detector, "multi-positive"))


def saved(path: Path, state: dict[str, torch.Tensor], classes: tuple[str, ...] = ()) -> str:
    torch.save({"state_dict": state, "meta": {"dataset_meta": {"classes": classes}}}, path)
    return str(path)


def coco_detector(path: Path, name: str = "faster-rcnn", classes: int = 80) -> str:
    """A detector of mmdet by itself."""
    config = detector_of(name)[0]
    config.get("roi_head", config)["bbox_head"]["num_classes"] = classes
    return saved(path, MODELS.build(Config(config)).state_dict(), tuple(f"class-{n}" for n in range(classes)))


def syscv(model: Any) -> dict[str, torch.Tensor]:
    """The names of 2021."""
    names = {key: key.replace("track_head.embed_head", "roi_head.track_head") for key in model.state_dict()}
    return {names[key].removeprefix("detector."): value for key, value in model.state_dict().items()}


# ------------------------------------------------------------------------------------------------------- to be tested
def test_a_public_tracker_loads_without_a_separate_step(tmp_path: Path) -> None:
    trained, model = tracker(seed=1), tracker(seed=2)
    path = saved(tmp_path / "public.pth", syscv(trained), ("person",))
    line = load_weights(model, path, ("pedestrian",))
    count = len(model.state_dict())
    assert line == (
        f"{path}: {count} tensors loaded; keys of qdtrack renamed; it was trained on the classes (person), which are "
        "taken for (pedestrian)"
    )
    assert all(torch.equal(value, trained.state_dict()[key]) for key, value in model.state_dict().items())


def test_our_own_needs_no_words(tmp_path: Path) -> None:
    path = saved(tmp_path / "own.pth", tracker().state_dict(), ("person",))
    assert load_weights(tracker(), path, ["person"]).endswith("tensors loaded")


def test_a_public_fairmot_checkpoint_loads_as_it_is(test_data: Path, tmp_path: Path) -> None:
    public = reference_state_dict(json.loads((test_data / "dla34_state_dict_shapes.json").read_text()), seed=3)
    options = {"model.detector.bbox_head.embed_channels": public["id.2.bias"].numel()}
    model = MODELS.build(load_config("clmot_dla34_40e_mot17", options).model)
    assert "; keys of fairmot renamed" in load_weights(model, saved(tmp_path / "fairmot.pth", public))
    assert torch.equal(model.detector.bbox_head.embed_head[2].bias, public["id.2.bias"])


@pytest.mark.parametrize("classes", [1, 80])
def test_a_detector_alone_cannot_track(classes: int, tmp_path: Path) -> None:
    model = tracker()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    message = r"det\.pth: holds a detector alone: all \d+ tensors of the embeddings are missing .*track_head.*load_from"
    with pytest.raises(InputError, match=message) as raised:
        load_weights(model, coco_detector(tmp_path / "det.pth", classes=classes))
    assert "\n" not in str(raised.value)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_detector_alone_cannot_track_by_its_centres_either(tmp_path: Path) -> None:
    model = tracker("centernet-embed")
    state = {key: value for key, value in model.detector.state_dict().items() if "embed_head" not in key}
    with pytest.raises(InputError, match=r"detector alone.*detector\.bbox_head\.embed_head"):
        load_weights(model, saved(tmp_path / "det.pth", state))


def test_a_whole_tracker_of_another_kind_is_no_detector(tmp_path: Path) -> None:
    """They share the backbone's keys."""
    path = saved(tmp_path / "clmot.pth", MODELS.build(load_config("clmot_tiny_demo").model).state_dict())
    model = MODELS.build(load_config("qdtrack_tiny_demo").model)
    with pytest.raises(InputError, match=r"not a checkpoint of this model \((?!0 )\d+ tensors fit.*was trained with"):
        load_weights(model, path)


def test_nothing_that_fits_is_no_detector(tmp_path: Path) -> None:
    path = saved(tmp_path / "else.pth", {"encoder.weight": torch.zeros(1)})
    with pytest.raises(InputError, match=r"not a checkpoint of this model \(0 tensors fit"):
        load_weights(tracker(), path)


def test_half_of_the_embeddings_are_another_mistake(tmp_path: Path) -> None:
    state = syscv(tracker())
    state.pop("roi_head.track_head.fc_embed.weight")
    path = saved(tmp_path / "half.pth", state, ("of", "another", "list"))
    with pytest.raises(InputError, match=r"not a checkpoint of this model.*1 missing.*embed_head\.fc_embed") as raised:
        load_weights(tracker(), path)
    assert "trained on" not in str(raised.value)


def test_other_classes_are_named_where_the_shape_is_wrong(tmp_path: Path) -> None:
    config = model_of("faster-rcnn", "multi-positive")
    config.detector.roi_head.bbox_head.num_classes = 3
    path = saved(tmp_path / "three.pth", MODELS.build(config).state_dict(), ("car", "bus", "van"))
    told = r"it was trained on 3 classes \(car, bus, van\), model\.detector\.roi_head\.bbox_head\.num_classes is 1"
    with pytest.raises(InputError, match=rf"not a checkpoint of this model.*of another shape.*{told}"):
        load_weights(tracker(), path)
    with pytest.raises(InputError, match=rf"load_from: .*has shape.*{told}"):
        check_load_from(tracker(), path)


def test_a_public_tracker_on_other_classes_is_refused_as_our_own(tmp_path: Path) -> None:
    """Leaving tensors out of a whole tracker is for the user to ask for (convert_checkpoint --config)."""
    config = model_of("faster-rcnn", "multi-positive")
    config.detector.roi_head.bbox_head.num_classes = 3
    path = saved(tmp_path / "three.pth", syscv(MODELS.build(config)))
    for load, what in ((load_weights, "not a checkpoint of this model"), (check_load_from, "has shape")):
        with pytest.raises(InputError, match=what):
            load(tracker(), path)


def test_classes_in_another_order_load_nothing(tmp_path: Path) -> None:
    config = model_of("retinanet", "multi-positive")
    config.detector.bbox_head.num_classes = 2
    model = MODELS.build(config)
    state = {key: value + 1 for key, value in model.state_dict().items()}
    path = saved(tmp_path / "two.pth", state, ("car", "bus"))
    with pytest.raises(InputError, match=r"^val_dataloader\.dataset\.metainfo\.classes: .*another order.*\(car, bus\)"):
        load_weights(model, path, ("bus", "car"), "val_dataloader")
    assert not torch.equal(model.detector.backbone.conv1.weight, state["detector.backbone.conv1.weight"])


def test_keys_of_which_some_are_strange_are_told_with_the_file(tmp_path: Path) -> None:
    state = {"base.base_layer.0.weight": torch.zeros(1), "extra.weight": torch.zeros(1)}
    path = saved(tmp_path / "odd.pth", state)
    for load in (load_weights, check_load_from):
        with pytest.raises(InputError, match=r"odd\.pth: this is not a centernet checkpoint.*'extra\.weight'"):
            load(tracker(), path)


def test_the_inferencer_compares_the_classes_too(tmp_path: Path) -> None:
    two = {
        "model.detector.bbox_head.num_classes": 2,
        "test_dataloader.dataset.metainfo": {"classes": ["person", "car"]},
    }
    tracking = TrackingInferencer("clmot_tiny_demo", options=two, optimize=False)
    assert tracking.classes == ("person", "car")
    path = saved(tmp_path / "two.pth", tracking.model.state_dict(), ("car", "person"))
    with pytest.raises(InputError, match="another order"):
        TrackingInferencer("clmot_tiny_demo", path, options=two)
    with pytest.raises(InputError, match=r"test_dataloader\.dataset\.metainfo\.classes: names 1 \(pedestrian\)"):
        TrackingInferencer("clmot_tiny_demo", options={"model.detector.bbox_head.num_classes": 2})


# ----------------------------------------------------------------------------------------------- the start of training
@pytest.mark.parametrize("name", ["faster-rcnn", "retinanet", "fcos", "yolox", "rtmdet"])
def test_training_may_start_from_a_detector_of_other_classes(name: str, tmp_path: Path) -> None:
    report = check_load_from(tracker(name), coco_detector(tmp_path / "coco.pth", name), ("pedestrian",))
    assert "keys of a detector of mmdet renamed; for another number of classes, so left out" in report
    assert "0 unexpected, 0 of another shape" in report
    assert "missing     track_head.embed_head.fc_embed.weight" in report
    assert "missing     detector.backbone" not in report


def test_the_log_says_what_the_classes_were_called(tmp_path: Path) -> None:
    report = check_load_from(tracker(), coco_detector(tmp_path / "one.pth", classes=1), ("pedestrian",))
    assert "; it was trained on the classes (class-0), which are taken for (pedestrian);" in report


def test_training_may_start_from_a_public_tracker(tmp_path: Path) -> None:
    report = check_load_from(tracker(), saved(tmp_path / "public.pth", syscv(tracker())))
    assert "keys of qdtrack renamed" in report
    assert "0 missing, 0 unexpected, 0 of another shape" in report


def test_another_network_is_refused_though_it_is_a_detector(tmp_path: Path) -> None:
    path = coco_detector(tmp_path / "retinanet.pth", "retinanet")
    with pytest.raises(InputError, match=r"load_from: .*'detector\.neck\.\S+' has shape .* the model wants"):
        check_load_from(tracker(), path)


def test_the_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "else.pth", {"encoder.weight": torch.zeros(1)})
    with pytest.raises(InputError, match=r"another model: no tensor fits .*its first key: encoder\.weight"):
        check_load_from(tracker(), path)


def test_weights_alone_cannot_be_resumed(tmp_path: Path) -> None:
    path = saved(tmp_path / "public.pth", tracker().state_dict())
    with pytest.raises(InputError, match=r"public\.pth: holds weights without the state of a training run.*load_from="):
        require_training_state(path)
    torch.save({"state_dict": tracker().state_dict(), "meta": {}, "message_hub": {}}, path)
    require_training_state(path)


# ---------------------------------------------------------------------------------------------------------- addresses
@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def website(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address."""
    folder = tmp_path / "site"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_address_is_downloaded_once(downloads: Path, website: tuple[Path, str]) -> None:
    folder, address = website
    address += "/public.pth?download=1"
    saved(folder / "public.pth", syscv(tracker(seed=1)), ("person",))
    assert "tensors loaded; keys of qdtrack renamed" in load_weights(tracker(), address)
    (kept,) = downloads.iterdir()
    assert re.fullmatch(r"[0-9a-f]{8}-public\.pth", kept.name)  # another address may have a file of this name
    (folder / "public.pth").unlink()
    assert "keys of qdtrack renamed" in check_load_from(tracker(), address)
    assert read_checkpoint(address).classes == ("person",)


def test_an_address_without_a_file_leaves_nothing_behind(downloads: Path, website: tuple[Path, str]) -> None:
    with pytest.raises(InputError, match=r"none\.pth: cannot be downloaded \(HTTP Error 404"):
        check_load_from(tracker(), f"{website[1]}/none.pth")
    assert not downloads.exists()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://127.0.0.1:9/none.pth", r"cannot be downloaded \(.+\)"),
        ("https://127.0.0.1:9/none.pth", r"cannot be downloaded \(.+\)"),
        ("nonsense://x/none.pth", "not an address that checkpoints are fetched from; use https://.*"),
        ("file:///no/none.pth", "not an address that checkpoints are fetched from; use https://.*"),
    ],
)
def test_an_address_that_gives_nothing_is_told(downloads: Path, address: str, told: str) -> None:
    with pytest.raises(InputError, match=rf"^{address}: {told}$") as raised:
        load_weights(tracker(), address)
    assert "\n" not in str(raised.value)
    assert not downloads.exists() or list(downloads.iterdir()) == []


def test_the_schemes_of_mmengine_are_left_to_it(downloads: Path) -> None:
    assert check_load_from(tracker(), "open-mmlab://resnet50") == "load_from: open-mmlab://resnet50"
    assert not downloads.exists()


@pytest.mark.parametrize(
    ("meta", "classes"),
    [
        ({"dataset_meta": {"classes": ("a", "b")}}, ("a", "b")),
        ({"dataset_meta": {"CLASSES": ["a"]}}, ("a",)),
        ({"CLASSES": ("a",)}, ("a",)),
        ({"CLASSES": ("x",), "dataset_meta": {"classes": ["a"]}}, ("a",)),
        ({"dataset_meta": None, "CLASSES": ("a",)}, ("a",)),
        ({"dataset_meta": {"classes": None}}, ()),
        ({"CLASSES": "a"}, ()),
        ({"CLASSES": [1, 2]}, ()),
        (None, ()),
    ],
)
def test_the_classes_in_a_file_of_any_age(meta: Any, classes: tuple[str, ...], tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": torch.zeros(1)}, "meta": meta}, tmp_path / "a.pth")
    assert read_checkpoint(tmp_path / "a.pth").classes == classes
