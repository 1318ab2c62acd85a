"""Letterbox: the released table, pixels and boxes that move together, and the way back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from frame_builder import (
    GREY,
    centres_of,
    dotted_frame,
    find_dot,
    frame_with_blobs,
    make_frame,
    map_points,
    random_boxes,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures.mask import BitmapMasks

from clmot_qd.datasets.transforms import Letterbox
from clmot_qd.datasets.transforms.letterbox import letterbox_shape
from clmot_qd.geometry import boxes_to_original
from clmot_qd.letterbox import put_into_letterbox


# (height, width), ratio and half margins of the released code at 1088x608
@pytest.mark.parametrize(
    ("size", "ratio", "dw", "dh"),
    [
        ((1080, 1920), 0.562963, 3.5, 0),
        ((480, 640), 1.266667, 138.5, 0),
        ((720, 576), 0.844444, 301, 0),
        ((375, 1242), 0.876006, 0, 139.5),
    ],
)
def test_released_table(size, ratio, dw, dh):
    shape = letterbox_shape(*size, (1088, 608))
    top, bottom, left, right = shape.pad_param
    assert ((left + right) / 2, (top + bottom) / 2) == (dw, dh)
    assert right - left in (0, 1)
    assert bottom - top in (0, 1)
    assert shape.size == (1088 - 2 * dw, 608 - 2 * dh)
    for scale, side in zip(shape.scale_factor, (size[1], size[0])):
        assert abs(scale - ratio) * side <= 0.5 + 1e-3  # the side is rounded to whole pixels


def test_odd_margin_goes_right_and_below():
    assert letterbox_shape(1080, 1920, (1088, 608)).pad_param == (0, 0, 3, 4)
    assert letterbox_shape(375, 1242, (1088, 608)).pad_param == (139, 140, 0, 0)


def test_picture_and_margin_pixels():
    frame = make_frame(random_boxes(3, (480, 640)))
    results = Letterbox()(dict(frame))
    top, bottom, left, right = results["pad_param"]
    assert results["img"].shape == (608, 1088, 3)
    assert results["img_shape"] == (608, 1088)
    assert results["ori_shape"] == (480, 640)
    picture = results["img"][top : 608 - bottom, left : 1088 - right]
    np.testing.assert_array_equal(picture, cv2.resize(frame["img"], (811, 608), interpolation=cv2.INTER_AREA))
    margins = np.concatenate([results["img"][:, :left], results["img"][:, 1088 - right :]], axis=1)
    assert (margins == 128).all()


@pytest.mark.parametrize("size", [(1080, 1920), (480, 640), (375, 1242), (31, 47), (600, 20), (608, 1088), (9, 900)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_same_as_scaling_and_then_adding_a_border(size, mirrored):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = image[:, ::-1] if mirrored else image
    shape = letterbox_shape(*size, (1088, 608))
    scaled = cv2.resize(image, shape.size, interpolation=cv2.INTER_AREA)
    expected = cv2.copyMakeBorder(scaled, *shape.pad_param, borderType=cv2.BORDER_CONSTANT, value=(128,) * 3)
    found = Letterbox()({"img": image, "img_shape": size})["img"]
    np.testing.assert_array_equal(found, expected)
    assert found.flags.c_contiguous


@pytest.mark.parametrize("level", [300, -5, 128])
@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_margins_of_any_level_and_channels(level, channels):
    image = np.full((20, 40, *channels), 77, np.uint8)
    found = put_into_letterbox(image, letterbox_shape(20, 40, (40, 30)), level)
    assert found.shape == (30, 40, *channels)
    assert (found[:5] == min(max(level, 0), 255)).all()
    assert (found[5:25] == 77).all()


def test_grey_is_what_opencv_makes_of_the_released_value():
    pixel = cv2.copyMakeBorder(np.zeros((1, 1, 3), np.uint8), 1, 0, 0, 0, cv2.BORDER_CONSTANT, value=(127.5,) * 3)
    assert (pixel[0, 0] == Letterbox().pad_value).all()
    assert Letterbox().pad_value == GREY


@pytest.mark.parametrize("size", [(1080, 1920), (480, 640), (720, 576), (375, 1242)])
def test_dots_lie_at_box_centres(size):
    frame = dotted_frame(size)
    before = centres_of(frame["gt_bboxes"].numpy())
    results = Letterbox()(frame)
    after = centres_of(results["gt_bboxes"].numpy())
    np.testing.assert_allclose(map_points(results["homography_matrix"], before), after, atol=1e-3)
    found = np.array([find_dot(results["img"], centre) for centre in after])
    np.testing.assert_allclose(found, after, atol=0.05)


@pytest.mark.parametrize("size", [(108, 192), (48, 64), (72, 58), (37, 124), (300, 400)])
def test_masks_cover_the_pixels_that_the_picture_s_scaling_covers(size):
    frame = frame_with_blobs(size, 6)
    before = frame["gt_masks"].masks.copy()
    results = Letterbox((136, 76))(frame)
    shape = letterbox_shape(*size, (136, 76))
    assert results["gt_masks"].masks.shape == (6, 76, 136)
    for mask, after in zip(before, results["gt_masks"].masks):
        expected = put_into_letterbox(255 * mask, shape, 0) >= 128
        differ = (expected != after).sum()
        border = np.count_nonzero(cv2.morphologyEx(expected.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3))))
        assert differ <= 0.1 * border, (differ, border)


def test_an_object_that_the_scaling_steps_over_is_ignored():
    frame = frame_with_blobs((400, 500), 3, seed=2)
    frame["gt_ignore_flags"] = np.zeros(3, bool)
    bitmaps = frame["gt_masks"].masks
    bitmaps[1] = 0
    bitmaps[1, 200, 200] = 1  # a pixel; an eighth of it is left
    frame["gt_masks"] = BitmapMasks(bitmaps, 400, 500)
    results = Letterbox((50, 50))(frame)
    assert results["gt_ignore_flags"].tolist() == [False, True, False]
    assert len(results["gt_bboxes"]) == len(results["gt_masks"]) == 3


@given(height=st.integers(8, 2200), width=st.integers(8, 4000), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_way_back(height, width, seed):
    boxes = random_boxes(5, (height, width), seed)
    results = Letterbox(scale=(96, 64))(make_frame(boxes, image=np.zeros((height, width, 3), np.uint8)))
    moved, metas = results["gt_bboxes"].tensor, (results["scale_factor"], results["pad_param"])
    tolerance = 1e-4 * max(height, width)
    np.testing.assert_allclose(boxes_to_original(moved.numpy(), *metas), boxes, atol=tolerance)
    np.testing.assert_allclose(boxes_to_original(moved, *metas).numpy(), boxes, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_way_back_keeps_kind_dtype_and_shape(dtype):
    for boxes in (np.zeros((0, 4), dtype), torch.zeros((0, 4), dtype=getattr(torch, dtype))):
        back = boxes_to_original(boxes, (0.5, 0.25), (1, 2, 3, 4))
        assert type(back) is type(boxes)
        assert back.dtype == boxes.dtype
        assert back.shape == (0, 4)
    back = boxes_to_original(np.array([[3.0, 1, 13, 11]], dtype), (0.5, 0.25), (1, 2, 3, 4))
    np.testing.assert_allclose(back, [[0, 0, 20, 40]])
    whole = boxes_to_original(np.array([[3, 1, 13, 11]]), (0.5, 0.25), (1, 2, 3, 4))
    np.testing.assert_allclose(whole, [[0, 0, 20, 40]])


def test_boxes_are_not_clipped_and_may_be_absent():
    results = Letterbox(scale=(64, 64))(make_frame([[-10, -10, 50, 50]], size=(32, 32)))
    np.testing.assert_allclose(results["gt_bboxes"].numpy(), [[-20, -20, 100, 100]])
    frame = make_frame([], size=(32, 32))
    for key in ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags"):
        del frame[key]
    assert Letterbox(scale=(64, 64))(frame)["img"].shape == (64, 64, 3)


def test_a_sliver_keeps_a_pixel():
    assert letterbox_shape(2, 4000, (96, 64)).size == (96, 1)
    assert Letterbox(scale=(96, 64))(make_frame([], image=np.zeros((2, 4000, 3), np.uint8)))["img"].shape == (64, 96, 3)
