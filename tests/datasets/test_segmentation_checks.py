"""Masks of an annotation file, checked when a data set whose pipeline loads them is built."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmdet.registry import DATASETS
from tiny_data import write_tiny_data

from clmot_qd.datasets import segmentation_checks
from clmot_qd.datasets.segmentation_checks import loads_masks
from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks

pytestmark = pytest.mark.usefixtures("mmdet_scope")

STEPS = [dict(type="LoadFrame"), dict(type="LoadTrackAnnotations"), dict(type="LoadTrackMasks")]
PAIRS = [
    dict(type="ReferenceFrame", frame_range=1),
    dict(type="TransformBroadcaster", transforms=STEPS),
    dict(type="RequireCommonObject"),
    dict(type="PackTrackInputs"),
]
STILLS = [STEPS[0], dict(type="LoadAnnotations", with_bbox=True), STEPS[2], dict(type="WithinFrameTwoView")]
KINDS = {
    "CocoPairDataset": PAIRS,
    "CocoDetectionDataset": STILLS,
    "CocoIdentityDataset": [*STEPS, dict(type="SingleView")],
    "CocoVideoDataset": [dict(type="TransformBroadcaster", transforms=STEPS)],
}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_data(tmp_path, videos=1, frames=2)


def build(ann_file: Path, kind: str = "CocoPairDataset", **kwargs: Any) -> Any:
    root = str(ann_file.parent / "img")
    arguments = dict(type=kind, ann_file=str(ann_file), data_prefix=dict(img=root), pipeline=KINDS[kind])
    return DATASETS.build(arguments | dict(metainfo=dict(classes=("pedestrian", "car"))) | kwargs)


def change(ann_file: Path, how: Callable[[dict[str, Any]], object], index: int = 0) -> None:
    """Change an annotation in the file; 0 is a pedestrian, 1 a person, a class not asked for."""
    content = json.loads(ann_file.read_text())
    how(content["annotations"][index])
    ann_file.write_text(json.dumps(content))


def empty_mask() -> dict[str, Any]:
    (text,) = RleMasks.empty((96, 128), 1).texts()
    return dict(size=[96, 128], counts=text)


def drop(annotation: dict[str, Any]) -> None:
    del annotation["segmentation"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_mask_is_named_when_the_data_set_is_built(tiny: Path, kind: str) -> None:
    assert len(build(tiny, kind))
    change(tiny, drop)
    with pytest.raises(InputError, match=r"image 1 \(clip-1/000001.png\): annotation 1 has no segmentation") as error:
        build(tiny, kind)
    assert str(tiny) in str(error.value)
    assert build(tiny, kind, check_files=False) is not None


def test_a_pipeline_without_masks_reads_none(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmentation_checks, "read_segmentation", None)
    change(tiny, drop)
    assert len(build(tiny, pipeline=[PAIRS[0], dict(type="TransformBroadcaster", transforms=STEPS[:2])]))


@pytest.mark.parametrize("mark", [dict(iscrowd=1), dict(ignore=True)])
def test_crowds_and_ignored_objects_and_other_classes_need_none(tiny: Path, mark: dict[str, Any]) -> None:
    frames = len(build(tiny))
    change(tiny, lambda one: (drop(one), one.update(mark)))
    change(tiny, drop, index=1)
    assert len(build(tiny)) == frames


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (dict(size=[128, 96], counts="0"), "its mask is of size"),
        (dict(size=[96, 128], counts="PPPP"), "its mask is no list of runs"),
        ([[0, 0, 1e6, 1e6, 5, 5]], "a polygon is a list of numbers"),
        ("text", "neither polygons nor a mask"),
    ],
)
def test_wrong_masks_are_named(tiny: Path, value: Any, message: str) -> None:
    change(tiny, lambda one: one.update(segmentation=value))
    with pytest.raises(InputError, match=rf"tiny.json: image 1 \(.*\): annotation 1: .*{message}"):
        build(tiny)
    change(tiny, lambda one: one.update(iscrowd=1))
    with pytest.raises(InputError, match=message):
        build(tiny)


@pytest.mark.parametrize(
    "why", [dict(category_id=2), dict(ignore=True), dict(bbox=[3, 3, 0.5, 9]), dict(area=0), dict(bbox=[200, 9, 9, 9])]
)
@pytest.mark.parametrize("value", [None, [], "text"])
def test_what_mmdet_leaves_out_is_not_looked_at(tiny: Path, why: dict[str, Any], value: Any) -> None:
    change(tiny, lambda one: one.update(segmentation=value, **why))
    objects = [len(frame["instances"]) for frame in build(tiny).data_list[0]["images"]]
    change(tiny, lambda one: one.update(segmentation=[[9, 9, 30, 9, 30, 30]]))
    assert [len(frame["instances"]) for frame in build(tiny).data_list[0]["images"]] == objects


def test_masks_that_mmdet_loads_go_by_its_rules(tiny: Path) -> None:
    load = dict(type="LoadAnnotations", with_bbox=True, with_mask=True)
    change(tiny, lambda one: one.update(segmentation=[[0, 0, 500, 0, 500, 500]]))
    stills = build(tiny, "CocoDetectionDataset", pipeline=[STEPS[0], load])
    assert stills[0]["gt_masks"].masks[0].any()
    with pytest.raises(InputError, match="in or near the picture"):
        build(tiny)


def test_empty_masks_are_ignored_and_counted(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(segmentation_checks, "print_log", lambda line, *_: told.append(line))
    number = len(build(tiny)[0]["data_samples"][0].gt_instances)
    assert told == []
    change(tiny, lambda one: one.update(segmentation=empty_mask()))
    change(tiny, lambda one: one.update(segmentation=[[5, 5, 5, 5]]), index=2)
    change(tiny, lambda one: one.update(segmentation=empty_mask()), index=1)  # not asked for
    pairs = build(tiny)
    first = pairs.data_list[0]["images"][0]["instances"]
    assert sum(instance["ignore_flag"] for instance in first) == 2, "no pair is picked for them"
    key = pairs[0]["data_samples"][0]
    assert told == [f"{tiny}: 2 objects have a mask without a pixel and are ignored in training, annotation 1 first"]
    assert (len(key.gt_instances), len(key.ignored_instances)) == (number - 2, 2)
    assert not key.ignored_instances.masks.masks.any()
    assert key.gt_instances.masks.masks.any(axis=(1, 2)).all()


def test_masks_lie_on_what_they_were_made_of(tiny: Path) -> None:
    """The people of the tiny pictures are of one colour each."""
    sample = build(tiny, metainfo=dict(classes=("pedestrian",)))[0]
    picture = sample["inputs"][0].numpy()
    for mask in sample["data_samples"][0].gt_instances.masks:
        _, counts = np.unique(picture[:, mask.astype(bool)], axis=1, return_counts=True)
        assert counts.sum() == 37 * 21
        assert len(counts) <= 4  # others may stand before it, but no ground is seen


@pytest.mark.parametrize("kind", KINDS)
def test_steps_that_leave_masks_behind_are_refused_when_the_data_set_is_built(tiny: Path, kind: str) -> None:
    shifted = [*KINDS[kind], dict(type="RandomApply", transforms=[dict(type="RandomShift")])]
    with pytest.raises(InputError, match="mmdet's RandomShift moves pictures and boxes but not their masks"):
        build(tiny, kind, pipeline=shifted, check_files=False)


def test_steps_are_found_however_deep() -> None:
    def pipeline(*steps: Any) -> Any:
        return DATASETS.build(dict(type="CocoDetectionDataset", lazy_init=True, pipeline=list(steps))).pipeline

    load = dict(type="LoadAnnotations", with_bbox=True)
    deep = dict(type="RandomApply", transforms=[dict(type="TransformBroadcaster", transforms=STEPS)], prob=1.0)
    assert loads_masks(pipeline(STEPS[2]))
    assert loads_masks(pipeline(load, deep))
    assert not loads_masks(pipeline(dict(load, with_mask=True)))
    assert not loads_masks(pipeline(load, *STEPS[:2], dict(type="TransformBroadcaster", transforms=STEPS[:2])))
