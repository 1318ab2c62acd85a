"""Classes of the model's head, of the data and of the checkpoint."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from axes import model_of
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from clmot_qd.apis.class_lists import (
    built_classes,
    check_class_count,
    configured_classes,
    explain_class_counts,
    head_classes,
    note_class_names,
    require_class_order,
)
from clmot_qd.errors import InputError

ROI, DENSE = "model.detector.roi_head.bbox_head", "model.detector.bbox_head"


@pytest.fixture(autouse=True, scope="module")
def _mmdet_scope() -> None:
    init_default_scope("mmdet")


def two_class_head() -> Any:
    """A model with nothing but a dense head of two classes."""
    head = nn.Module()
    head.num_classes = 2
    model = nn.Module()
    model.detector = nn.Module()
    model.detector.bbox_head = head
    return model


@pytest.mark.parametrize(
    ("detector", "keys"),
    [
        ("centernet-embed", [DENSE]),
        ("faster-rcnn", [ROI]),
        ("cascade-rcnn", [f"{ROI}.0", f"{ROI}.1", f"{ROI}.2"]),
        *((name, [DENSE]) for name in ("retinanet", "fcos", "yolox", "rtmdet")),
    ],
)
def test_every_detector_says_how_many_classes_it_finds(detector: str, keys: list[str]) -> None:
    model = MODELS.build(model_of(detector, "multi-positive"))
    assert head_classes(model) == {f"{key}.num_classes": 1 for key in keys}


def test_a_model_without_heads_says_nothing() -> None:
    assert head_classes(nn.Linear(1, 1)) == {}
    check_class_count(nn.Linear(1, 1), ("a",), "x")
    assert explain_class_counts(nn.Linear(1, 1), ("a", "b")) == ""


@pytest.mark.parametrize("classes", [("a",), ("a", "b", "c"), tuple("abcdefgh")])
def test_data_of_another_number_of_classes_are_refused(classes: tuple[str, ...]) -> None:
    message = (
        rf"^val_dataloader\.dataset\.metainfo\.classes: names {len(classes)} \(a.*\), but {DENSE}.num_classes is 2"
    )
    with pytest.raises(InputError, match=message) as raised:
        check_class_count(two_class_head(), classes, "val_dataloader")
    assert ("..." in str(raised.value)) == (len(classes) > 5)


def test_data_that_fit_or_do_not_say_are_fine() -> None:
    check_class_count(two_class_head(), ("a", "b"), "x")
    check_class_count(two_class_head(), (), "x")


@pytest.mark.parametrize("metainfo", [{"classes": ["a", "b"]}, {"classes": ()}, {"classes": None}, {}])
def test_the_classes_of_a_built_data_set(metainfo: dict) -> None:
    assert built_classes(SimpleNamespace(metainfo=metainfo)) == tuple(metainfo.get("classes") or ())
    assert built_classes(object()) == ()


def test_only_another_count_explains_another_shape() -> None:
    told = explain_class_counts(two_class_head(), ("a", "b", "c"))
    assert told == f"; it was trained on 3 classes (a, b, c), {DENSE}.num_classes is 2"
    assert explain_class_counts(two_class_head(), ("a", "b")) == ""
    assert explain_class_counts(two_class_head(), ()) == ""


def test_the_same_classes_in_another_order_are_refused() -> None:
    with pytest.raises(InputError, match=r"test_dataloader\.dataset\.metainfo\.classes: .* write \(car, bus\)"):
        require_class_order("x.pth", ("car", "bus"), ["bus", "car"], "test_dataloader")
    for trained, wanted in ((("car", "bus"), ["car", "bus"]), (("car", "bus"), ["car", "van"]), ((), ["car"])):
        require_class_order("x.pth", trained, wanted, "test_dataloader")


def test_other_names_are_worth_a_note() -> None:
    assert note_class_names(("person",), ["pedestrian"]) == (
        "it was trained on the classes (person), which are taken for (pedestrian)"
    )
    assert note_class_names(("person",), ["person"]) == ""
    assert note_class_names(("person", "car"), ["pedestrian"]) == ""
    assert note_class_names((), ["pedestrian"]) == ""


@pytest.mark.parametrize(
    ("dataset", "classes"),
    [
        (dict(metainfo=dict(classes=["a", "b"])), ("a", "b")),
        (dict(metainfo=dict(classes="classes.txt")), ()),
        (dict(metainfo=None), ()),
        (dict(type="RepeatDataset", dataset=dict(metainfo=dict(classes=("a",)))), ("a",)),
        (dict(type="ConcatDataset", datasets=[dict(), dict(metainfo=dict(classes=("a",)))]), ("a",)),
        (dict(type="ConcatDataset", datasets=[]), ()),
    ],
)
def test_the_classes_that_a_configuration_names(dataset: dict, classes: tuple[str, ...]) -> None:
    assert configured_classes(dataset) == classes


def test_classes_in_a_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("person\n\ntrolley\n")
    assert configured_classes(dict(metainfo=dict(classes=str(tmp_path / "classes.txt")))) == ("person", "trolley")
    assert configured_classes(dict(metainfo=dict(classes=str(tmp_path / "none.txt")))) == ()
