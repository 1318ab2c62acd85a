"""TrackRandomAffine: pixels, boxes, ids, labels and flags stay together; the filter is the released one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from frame_builder import (
    centres_of,
    dotted_frame,
    find_dot,
    frame_with_blobs,
    make_frame,
    map_points,
    random_boxes,
    seed_everything,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms import TransformBroadcaster

from clmot_qd.datasets.transforms import TrackRandomAffine
from clmot_qd.datasets.transforms.homography import about
from clmot_qd.datasets.transforms.object_masks import ObjectMasks

SIZE = (304, 544)
STILL = {
    "max_rotate_degree": 0,
    "max_translate_ratio": 0,
    "scaling_ratio_range": (1, 1),
    "max_shear_degree": 0,
}


def frame_with_ids(boxes: np.ndarray, size: tuple[int, int] = SIZE) -> dict:
    frame = make_frame(boxes, size, image=np.zeros((*size, 3), np.uint8))
    return {**frame, "gt_instances_ids": np.arange(1, len(frame["gt_bboxes"]) + 1)}


def naive_filter(boxes: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> dict[int, list[float]]:
    """id -> warped box, by the released rule, one box at a time."""
    height, width = size
    kept = {}
    for number, (x1, y1, x2, y2) in enumerate(boxes.tolist(), start=1):
        corners = map_points(matrix, np.array([(x1, y1), (x2, y1), (x1, y2), (x2, y2)]))
        left, right = np.clip([corners[:, 0].min(), corners[:, 0].max()], 0, width)
        top, bottom = np.clip([corners[:, 1].min(), corners[:, 1].max()], 0, height)
        w, h, area_before = right - left, bottom - top, (x2 - x1) * (y2 - y1)
        if w > 4 and h > 4 and w * h / area_before > 0.1 and max(w / h, h / w) < 10:
            kept[number] = [left, top, right, bottom]
    return kept


@pytest.mark.parametrize("seed", range(25))
def test_against_a_naive_loop(seed):
    boxes = random_boxes(80, SIZE, seed).astype(np.float32)
    seed_everything(seed)
    results = TrackRandomAffine()(frame_with_ids(boxes))
    expected = naive_filter(boxes, results["homography_matrix"], SIZE)
    assert results["gt_instances_ids"].tolist() == list(expected)
    np.testing.assert_allclose(results["gt_bboxes"].numpy(), list(expected.values()), atol=2e-3)
    kept = results["gt_instances_ids"] - 1
    np.testing.assert_array_equal(results["gt_bboxes_labels"], kept % 3)
    np.testing.assert_array_equal(results["gt_ignore_flags"], kept % 5 == 4)


@pytest.mark.parametrize("seed", range(12))
def test_dots_lie_at_box_centres(seed):
    frame = dotted_frame((608, 1088), seed)
    frame["gt_instances_ids"] = np.arange(len(frame["gt_bboxes"]))
    before = centres_of(frame["gt_bboxes"].numpy())
    seed_everything(seed)
    results = TrackRandomAffine(bbox_clip_border=False)(frame)
    after = centres_of(results["gt_bboxes"].numpy())
    expected = map_points(results["homography_matrix"], before[results["gt_instances_ids"]])
    np.testing.assert_allclose(after, expected, atol=2e-3)
    inside = ((after > 20) & (after < np.array([1088, 608]) - 20)).all(axis=1)
    assert inside.sum() > 5
    found = np.array([find_dot(results["img"], centre) for centre in after[inside]])
    np.testing.assert_allclose(found, after[inside], atol=0.08)


@given(count=st.integers(0, 30), seed=st.integers(0, 10**6), clip=st.booleans(), as_array=st.booleans())
@settings(max_examples=60, deadline=None)
def test_everything_about_an_object_has_one_length(count, seed, clip, as_array):
    frame = frame_with_ids(random_boxes(count, (60, 90), seed), (60, 90))
    frame["gt_ignore_flags"] = np.ones(count, bool)
    if as_array:  # LoadTrackAnnotations gives numpy boxes
        frame["gt_bboxes"] = frame["gt_bboxes"].numpy()
    seed_everything(seed)
    results = TrackRandomAffine(bbox_clip_border=clip)(frame)
    assert isinstance(results["gt_bboxes"], np.ndarray) == as_array
    keys = ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags", "gt_instances_ids")
    assert len({len(results[key]) for key in keys}) == 1


# Two boxes on a 304x544 image that is not moved: one on each side of a limit.
@pytest.mark.parametrize(
    ("dropped", "kept"),
    [
        ((50, 50, 54, 90), (50, 50, 54.1, 90)),  # w > 4
        ((50, 50, 90, 54), (50, 50, 90, 54.1)),  # h > 4
        ((50, 50, 150, 60), (50, 50, 149, 60)),  # aspect < 10
        ((-90, 50, 10, 70), (-80, 50, 20, 70)),  # area > .1 of the area before
        ((-50, 50, -1, 90), (-15, 50, 25, 90)),  # outside
    ],
)
def test_limits_of_the_filter(dropped, kept):
    results = TrackRandomAffine(**STILL)(frame_with_ids(np.array([dropped, kept])))
    assert results["gt_instances_ids"].tolist() == [2]


def test_clipping_is_a_choice_and_the_centre_decides_without_it():
    boxes = np.array(
        [(-40, 50, 60, 120), (-60, 50, 40, 120), (500, 100, 600, 200), (50, -60, 99, 40), (50, 260, 99, 360)]
    )
    clipped = TrackRandomAffine(**STILL)(frame_with_ids(boxes))
    visible = [(0, 50, 60, 120), (0, 50, 40, 120), (500, 100, 544, 200), (50, 0, 99, 40), (50, 260, 99, 304)]
    np.testing.assert_allclose(clipped["gt_bboxes"].numpy(), visible, atol=1e-4)
    whole = TrackRandomAffine(**STILL, bbox_clip_border=False)(frame_with_ids(boxes))
    assert whole["gt_instances_ids"].tolist() == [1]
    np.testing.assert_allclose(whole["gt_bboxes"].numpy(), boxes[:1], atol=1e-4)


def test_still_warp_changes_no_pixel():
    frame = make_frame([], SIZE)
    results = TrackRandomAffine(**STILL)(dict(frame))
    np.testing.assert_array_equal(results["img"], frame["img"])


def test_turns_and_scales_about_the_centre():
    for seed in range(20):
        seed_everything(seed)
        results = TrackRandomAffine(max_translate_ratio=0)(frame_with_ids([]))
        centre = map_points(results["homography_matrix"], [(272, 152)])
        np.testing.assert_allclose(centre, [(272, 152)], atol=1e-3)


def test_ranges():
    drawn = []
    for seed in range(300):
        seed_everything(seed)
        drawn.append(TrackRandomAffine(max_shear_degree=0)(frame_with_ids([]))["homography_matrix"])
    matrices = np.array(drawn)
    scale = np.sqrt(np.linalg.det(matrices[:, :2, :2]))
    angle = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    shift = (matrices @ [272, 152, 1])[:, :2] - [272, 152]
    limits = ((scale, 0.5, 1.2), (angle, -5, 5), (shift[:, 0], -54.4, 54.4), (shift[:, 1], -30.4, 30.4))
    for values, low, high in limits:
        slack = 0.05 * (high - low)
        assert low - 1e-3 <= values.min() < low + slack
        assert high - slack < values.max() <= high + 1e-3


def test_uncovered_pixels_are_grey():
    results = TrackRandomAffine(**{**STILL, "scaling_ratio_range": (0.5, 0.5)})(frame_with_ids([]))
    assert (results["img"][0, 0] == 128).all()
    assert (results["img"][152, 272] == 0).all()
    assert results["img_shape"] == SIZE


@pytest.mark.parametrize("share", [True, False])
def test_frames_share_the_draw_only_if_asked_to(share):
    frames = {"img": [np.zeros((40, 60, 3), np.uint8)] * 2}
    seed_everything(3)
    step = TransformBroadcaster([TrackRandomAffine()], share_random_params=share)
    one, two = step(frames)["homography_matrix"]
    assert np.array_equal(one, two) == share


def test_masks_move_with_the_picture_and_leave_with_their_boxes():
    left = 0
    for seed in range(12):
        frame = frame_with_blobs((120, 170), 9, seed)
        before = frame["gt_masks"].masks.copy()
        seed_everything(seed)
        results = TrackRandomAffine(max_rotate_degree=20, max_translate_ratio=0.4)(frame)
        rows = results["gt_instances_ids"] - 1
        left += len(before) - len(rows)
        assert results["gt_masks"].masks.shape == (len(rows), 120, 170)
        local = about(-0.5, -0.5, results["homography_matrix"])[:2]
        for row, mask in zip(rows, results["gt_masks"].masks):
            whole = cv2.warpAffine(255 * before[row], local, (170, 120))
            assert (mask != (whole >= 128)).sum() <= 2  # OpenCV rounds the map to a 32nd of a pixel
    assert left > 3


def test_an_object_whose_pixels_all_leave_the_picture_is_ignored():
    """Its box is still there: the object had pixels at the far end of it alone."""
    frame = frame_with_ids(np.array([(-60, 50, 60, 120), (-60, 150, 60, 220)]))
    bitmaps = np.zeros((2, *SIZE), np.uint8)
    bitmaps[0, 60:110, :2] = bitmaps[1, 160:200, 50:60] = 1
    frame["gt_masks"], frame["gt_ignore_flags"] = ObjectMasks(bitmaps, *bitmaps.shape[1:]), np.array([False, False])
    results = TrackRandomAffine(**{**STILL, "scaling_ratio_range": (1.2, 1.2)})(frame)
    assert results["gt_instances_ids"].tolist() == [1, 2]
    assert results["gt_ignore_flags"].tolist() == [True, False]
    assert results["gt_masks"].masks[0].sum() == 0


def test_repr_names_all_arguments():
    assert repr(TrackRandomAffine()).endswith("min_bbox_size=4.0, min_area_ratio=0.1, max_aspect_ratio=10.0)")
