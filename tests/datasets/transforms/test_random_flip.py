"""TrackRandomFlip: mmdet's RandomFlip, in contiguous memory."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from frame_builder import frame_with_blobs, make_frame, random_boxes, seed_everything
from mmdet.datasets.transforms import RandomFlip
from mmdet.structures.mask import PolygonMasks

from clmot_qd.datasets.transforms import TrackRandomFlip
from clmot_qd.datasets.transforms.random_flip import FLIP_CODES

SIZE = (46, 70)


@pytest.mark.parametrize("direction", FLIP_CODES)
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64, np.int64, np.float16, bool])
def test_the_parent_s_result_in_contiguous_memory(direction: str, kind: type) -> None:
    frame = make_frame(random_boxes(3, SIZE), size=SIZE)
    highest = 2**40 if kind is np.int64 else 256 if kind is not bool else 2
    frame["img"] = np.random.default_rng(0).integers(0, highest, (*SIZE, 3)).astype(kind)
    original = frame["img"].copy()
    expected = RandomFlip(prob=1.0, direction=direction)(copy.deepcopy(frame))
    found = TrackRandomFlip(prob=1.0, direction=direction)(frame)
    assert found.keys() == expected.keys()
    np.testing.assert_array_equal(found["img"], expected["img"])
    np.testing.assert_array_equal(found["gt_bboxes"].numpy(), expected["gt_bboxes"].numpy())
    np.testing.assert_array_equal(found["homography_matrix"], expected["homography_matrix"])
    assert (found["flip"], found["flip_direction"]) == (True, direction)
    assert found["img"].flags.c_contiguous
    assert found["img"].dtype == kind
    assert not np.array_equal(found["img"], original)


@pytest.mark.parametrize("direction", FLIP_CODES)
@pytest.mark.parametrize("count", [0, 3])
def test_the_parent_s_masks(direction: str, count: int) -> None:
    frame = frame_with_blobs(SIZE, count)
    before = frame["gt_masks"]
    expected = RandomFlip(prob=1.0, direction=direction)(copy.deepcopy(frame))["gt_masks"]
    found = TrackRandomFlip(prob=1.0, direction=direction)(frame)["gt_masks"]
    np.testing.assert_array_equal(found.masks, expected.masks)
    assert (found.height, found.width) == SIZE
    assert not np.shares_memory(found.masks, before.masks)


def test_polygons_are_left_to_the_parent() -> None:
    frame = make_frame(random_boxes(1, SIZE), size=SIZE)
    frame["gt_masks"] = PolygonMasks([[np.array([1.0, 2, 10, 2, 5, 9])]], *SIZE)
    (polygon,) = TrackRandomFlip(prob=1.0)(frame)["gt_masks"].masks[0]
    assert polygon.tolist() == [69, 2, 60, 2, 65, 9]


def test_the_parent_s_random_numbers() -> None:
    frame = make_frame(random_boxes(1, SIZE), size=SIZE)
    flips = []
    for kind in (RandomFlip, TrackRandomFlip):
        seed_everything(3)
        step = kind(prob=[0.3, 0.2, 0.1], direction=list(FLIP_CODES))
        flips.append([step(copy.deepcopy(frame))["flip_direction"] for _ in range(40)])
    assert flips[0] == flips[1]
    assert {None, *FLIP_CODES} == set(flips[0])


def test_a_grey_picture_keeps_its_axis() -> None:
    frame = make_frame([], size=SIZE)
    frame["img"] = frame["img"][..., :1]
    assert TrackRandomFlip(prob=1.0)(frame)["img"].shape == (*SIZE, 1)
