"""A box and a mask stay where their object is in the picture, and with its id, through any sequence of steps."""

from __future__ import annotations

from typing import Any

import cv2
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from mmcv.transforms import Compose
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import BaseBoxes
from mmengine.registry import init_default_scope
from pictures import GROUND, INK, Scene, find_box, scenes, seed_everything

import clmot_qd  # noqa: F401 (registers the steps)
from clmot_qd.datasets.transforms.object_masks import ObjectMasks
from clmot_qd.geometry import boxes_to_network, boxes_to_original
from clmot_qd.models.heads.center_embed_head import decode_centers
from clmot_qd.models.heads.center_targets import locate_centers


@pytest.fixture(scope="module", autouse=True)
def _mmdet_scope() -> None:
    init_default_scope("mmdet")


seeds = st.integers(0, 2**32 - 1)
flips = st.builds(
    dict,
    type=st.just("TrackRandomFlip"),
    prob=st.just(1.0),
    direction=st.sampled_from(["horizontal", "vertical", "diagonal"]),
)
letterboxes = st.builds(
    dict,
    type=st.just("Letterbox"),
    scale=st.sampled_from([(64, 48), (50, 60), (33, 90)]),
    pad_value=st.just(GROUND),
)
affines = st.builds(
    dict,
    type=st.just("TrackRandomAffine"),
    border_val=st.just((GROUND,) * 3),
    bbox_clip_border=st.booleans(),
    max_rotate_degree=st.sampled_from([0.0, 5.0, 45.0]),
    scaling_ratio_range=st.sampled_from([(0.7, 1.4), (1.0, 1.0)]),
)
crops = st.builds(
    dict,
    type=st.just("RandomCrop"),
    crop_size=st.sampled_from([(50, 50), (90, 70), (400, 400)]),
    bbox_clip_border=st.booleans(),
    allow_negative_crop=st.just(True),
)
resizes = st.builds(
    dict,
    type=st.sampled_from(["Resize"]),
    scale=st.sampled_from([(150, 110), (240, 240)]),
    keep_ratio=st.booleans(),
    clip_object_border=st.just(False),
)
several = st.lists(st.one_of(affines, letterboxes, flips), max_size=2)
# OpenCV's INTER_AREA enlarges by area but for edges that fall on the border of two pixels: those may move by one.
enlarging = letterboxes.map(lambda step: step | dict(scale=(300, 250)))
STEPS = {"flip": flips, "letterbox": letterboxes, "affine": affines, "crop": crops, "resize": resizes}
# Pixels. A turned box has corners thinner than a pixel; shrinking by a warp leaves out pixels.
CENTRE, SIDE, TURNED_SIDE, MARGIN = 0.3, 0.5, 2.0, 3.0


def boxes_of(frame: dict[str, Any]) -> np.ndarray:
    boxes = frame["gt_bboxes"]
    return boxes.numpy() if isinstance(boxes, BaseBoxes) else boxes


def whole(frame: dict[str, Any]) -> set[int]:
    """The ids of objects that lie in the picture to the last corner."""
    (height, width), boxes = frame["img"].shape[:2], boxes_of(frame)
    inside = (boxes[:, :2] > MARGIN).all(axis=1) & (boxes[:, 2:] < np.array([width, height]) - MARGIN).all(axis=1)
    return set(frame["gt_instances_ids"][inside].tolist())


def check(frame: dict[str, Any], uncut: set[int], side: float, centre_error: float = CENTRE) -> None:
    """Each box that was never cut is where its channel says, and everything about an object has its length."""
    ids, boxes = frame["gt_instances_ids"].tolist(), boxes_of(frame)
    assert len(boxes) == len(set(ids)) == len(ids)
    np.testing.assert_array_equal(frame["gt_bboxes_labels"], (np.array(ids, int) - 1) * 10)
    np.testing.assert_array_equal(frame["gt_ignore_flags"], np.array(ids, int) % 2 == 0)
    assert frame["img_shape"] == frame["img"].shape[:2]
    for identity, box in zip(ids, boxes):
        if identity in uncut:
            centre, size = find_box(frame["img"], identity)
            np.testing.assert_allclose((box[:2] + box[2:]) / 2, centre, atol=centre_error)
            np.testing.assert_allclose(box[2:] - box[:2], size, atol=side)


def apply(frame: dict[str, Any], steps: list[dict[str, Any]], seed: int) -> tuple[dict[str, Any], set[int]]:
    """Run the steps one by one. -> the result, and the ids of objects that no step has cut."""
    seed_everything(seed % 2**32)
    uncut = whole(frame)
    for step in steps:
        frame = TRANSFORMS.build(step)(frame)
        uncut &= whole(frame)
    return frame, uncut


@pytest.mark.parametrize("name", STEPS)
@given(scene=scenes(), data=st.data(), seed=seeds)
def test_a_box_stays_with_its_object(name: str, scene: Scene, data: st.DataObject, seed: int) -> None:
    result, uncut = apply(scene.frame(), [data.draw(STEPS[name])], seed)
    check(result, uncut, TURNED_SIDE if name == "affine" else SIDE)


@given(scene=scenes(), step=enlarging)
def test_and_in_a_letterbox_that_enlarges(scene: Scene, step: dict[str, Any]) -> None:
    result, uncut = apply(scene.frame(), [step], 0)
    check(result, uncut, 2.0, centre_error=1.0)


@given(scene=scenes(), steps=st.lists(st.one_of(*STEPS.values()), min_size=2, max_size=4), seed=seeds)
def test_so_it_does_through_any_sequence_of_steps(scene: Scene, steps: list[dict[str, Any]], seed: int) -> None:
    result, uncut = apply(scene.frame(), steps, seed)
    turns = sum(step["type"] == "TrackRandomAffine" for step in steps)
    check(result, uncut, TURNED_SIDE + len(steps) if turns < 2 else 1e9)  # the hull of a hull is too large
    matrix = result["homography_matrix"]
    for identity, box in zip(result["gt_instances_ids"].tolist(), boxes_of(result)):
        if identity in uncut:
            x1, y1, x2, y2 = scene.boxes[identity - 1]
            moved = matrix @ [(x1 + x2) / 2, (y1 + y2) / 2, 1.0]
            np.testing.assert_allclose((box[:2] + box[2:]) / 2, moved[:2], atol=0.02)


@given(scene=scenes(), steps=several, seed=seeds, mirror=st.booleans())
def test_two_views_show_the_same_objects_under_the_same_ids(
    scene: Scene, steps: list[dict[str, Any]], seed: int, mirror: bool
) -> None:
    """Identities are numbers of annotations, from 1 as the channels are; those of the data are not read."""
    frame = scene.frame()
    frame["gt_instances_ids"] = np.full(len(scene.boxes), 99)
    views = TRANSFORMS.build(dict(type="WithinFrameTwoView", mirror_ref=mirror))(frame)
    start = [{name: values[view] for name, values in views.items()} for view in range(2)]
    together = dict(type="TransformBroadcaster", share_random_params=False, transforms=steps)
    results = Compose([together])(views) if steps else views
    turns = sum(step["type"] == "TrackRandomAffine" for step in steps)
    for view in range(2):
        result = {name: values[view] for name, values in results.items()}
        uncut = whole(start[view]) & whole(result) if len(steps) < 2 else set()
        check(result, uncut, TURNED_SIDE if turns else SIDE)


def masked(scene: Scene) -> dict[str, Any]:
    """A frame whose channels show a mask each, in ink or not at all: the box without its upper left quarter."""
    frame = scene.frame()
    bitmaps = (np.moveaxis(frame["img"], 2, 0)[: len(scene.boxes)] >= GROUND + INK / 2).astype(np.uint8)
    for bitmap, (x1, y1, x2, y2) in zip(bitmaps, scene.boxes):
        bitmap[: max(0, round((y1 + y2) / 2)), : max(0, round((x1 + x2) / 2))] = 0
    channels = [*bitmaps, *np.zeros((3 - len(bitmaps), *scene.size), np.uint8)]
    frame.update(
        img=np.ascontiguousarray(GROUND + INK * np.stack(channels, axis=2)),
        gt_masks=ObjectMasks(bitmaps, *bitmaps.shape[1:]),
    )
    return ignored(frame)


def ignored(frame: dict[str, Any]) -> dict[str, Any]:
    return TRANSFORMS.build(dict(type="IgnoreEmptyMasks"))(frame)


def check_masks(frame: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    """Each mask is where its channel's ink is, but for a pixel at the border for each step that scales."""
    ids, masks = frame["gt_instances_ids"], frame["gt_masks"].masks
    assert len(masks) == len(ids) == len(boxes_of(frame))
    assert masks.shape[1:] == frame["img"].shape[:2] == (frame["gt_masks"].height, frame["gt_masks"].width)
    np.testing.assert_array_equal(frame["gt_bboxes_labels"], (ids - 1) * 10)
    np.testing.assert_array_equal(frame["gt_ignore_flags"] | (ids % 2 == 0), ~masks.any(axis=(1, 2)) | (ids % 2 == 0))
    scaling = sum(step["type"] not in ("TrackRandomFlip", "RandomCrop") for step in steps)
    for identity, mask in zip(ids.tolist(), masks):
        ink = (frame["img"][..., identity - 1] >= GROUND + INK / 2).astype(np.uint8)
        grown, shrunk = (how(ink, np.ones((3, 3)), iterations=scaling) for how in (cv2.dilate, cv2.erode))
        assert (mask <= grown).all()
        assert (mask >= shrunk).all()
        if scaling == 1:
            border = np.count_nonzero(cv2.morphologyEx(ink, cv2.MORPH_GRADIENT, np.ones((3, 3))))
            assert np.count_nonzero(mask != ink) <= 2 + 0.4 * border


@given(scene=scenes(), steps=st.lists(st.one_of(*STEPS.values()), min_size=1, max_size=3), seed=seeds)
def test_a_mask_stays_on_its_pixels(scene: Scene, steps: list[dict[str, Any]], seed: int) -> None:
    seed_everything(seed)
    frame = masked(scene)
    for step in steps:
        frame = TRANSFORMS.build(step)(frame)
    check_masks(ignored(frame), steps)


@given(scene=scenes(), steps=several, seed=seeds, mirror=st.booleans())
def test_so_it_does_in_two_views(scene: Scene, steps: list[dict[str, Any]], seed: int, mirror: bool) -> None:
    seed_everything(seed)
    views = TRANSFORMS.build(dict(type="WithinFrameTwoView", mirror_ref=mirror))(masked(scene))
    for view in range(2):
        frame = {name: values[view] for name, values in views.items()}
        for step in steps:
            frame = TRANSFORMS.build(step)(frame)
        check_masks(ignored(frame), steps)


@given(
    boxes=st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 4), max_size=5),
    scale=st.tuples(st.floats(0.01, 50), st.floats(0.01, 50)),
    pad=st.tuples(*[st.integers(0, 500)] * 4),
    tensor=st.booleans(),
)
def test_there_and_back_again(boxes: list[Any], scale: Any, pad: Any, tensor: bool) -> None:
    original: Any = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    original = torch.from_numpy(original) if tensor else original
    for first, second in ((boxes_to_network, boxes_to_original), (boxes_to_original, boxes_to_network)):
        back = second(first(original, scale, pad), scale, pad)
        np.testing.assert_allclose(np.asarray(back), np.asarray(original), rtol=1e-9, atol=1e-6)


@given(data=st.data(), stride=st.sampled_from([1, 4, 8]), classes=st.integers(1, 3))
def test_decoding_the_targets_gives_the_boxes(data: st.DataObject, stride: int, classes: int) -> None:
    """CenterNet's maps hold a box exactly: cell, offset within it, and size; one object in a cell."""
    height, width = data.draw(st.integers(2, 12)), data.draw(st.integers(2, 12))
    inside = st.tuples(st.floats(0, width * stride, exclude_max=True), st.floats(0, height * stride, exclude_max=True))
    objects = data.draw(
        st.lists(
            st.tuples(inside, st.tuples(*[st.floats(0.5, 60)] * 2), st.integers(0, classes - 1)), min_size=1, max_size=6
        )
    )
    bboxes = torch.tensor([(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (x, y), (w, h), _ in objects])
    labels = torch.tensor([label for *_, label in objects])
    centers = locate_centers([bboxes], [labels], (height, width), (height * stride, width * stride))
    assume(len(centers.cell.unique()) == len(objects))
    heatmap, maps = torch.zeros(1, classes, height * width), torch.zeros(2, 1, 2, height * width)
    heatmap[0, centers.label, centers.cell] = 1.0
    for flat, values in zip(maps, (centers.size, centers.offset)):
        flat[0][:, centers.cell] = values.T
    shaped = [part.reshape(1, -1, height, width) for part in (heatmap, *maps)]
    found = decode_centers(*shaped, topk=min(len(objects), height * width), kernel=3)
    expected = {
        (int(cell), int(label)): box for cell, label, box in zip(centers.cell, centers.label, bboxes[centers.index])
    }
    assert {(int(cell), int(label)) for cell, label in zip(found.cells[0], found.labels[0])} == set(expected)
    for cell, label, box in zip(found.cells[0], found.labels[0], found.bboxes[0]):
        torch.testing.assert_close(box * stride, expected[int(cell), int(label)], rtol=1e-5, atol=1e-3)
