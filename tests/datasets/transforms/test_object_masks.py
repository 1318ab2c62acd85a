"""ObjectMasks: mmdet's BitmapMasks in small, the same pixels after every step but for the border when scaled."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from frame_builder import frame_with_blobs
from hypothesis import given
from hypothesis import strategies as st
from mmdet.structures.mask import BitmapMasks, PolygonMasks, mask_target
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from clmot_qd.datasets.transforms.homography import about
from clmot_qd.datasets.transforms.object_masks import ObjectMasks, Part
from clmot_qd.errors import InputError


def both(size: tuple[int, int] = (24, 37), count: int = 5, seed: int = 0) -> tuple[ObjectMasks, BitmapMasks]:
    """Blobs in a picture, one of them empty, in either form."""
    rng = np.random.default_rng(seed)
    bitmaps = np.zeros((count, *size), np.uint8)
    for bitmap in bitmaps[1:]:
        x, y = rng.integers(0, size[1]), rng.integers(0, size[0])
        bitmap[y : y + rng.integers(1, 15), x : x + rng.integers(1, 15)] = 1
        bitmap *= rng.random(size) < 0.8
    return ObjectMasks(bitmaps, *size), BitmapMasks(bitmaps, *size)


def same(found: BitmapMasks, expected: BitmapMasks) -> None:
    assert (len(found), found.height, found.width) == (len(expected), expected.height, expected.width)
    assert found.masks.dtype == np.uint8
    np.testing.assert_array_equal(found.masks, expected.masks)


boxes = st.tuples(*[st.integers(-5, 45)] * 4).map(lambda edges: np.array(edges))
STEPS = {
    "flip": st.sampled_from(["horizontal", "vertical", "diagonal"]).map(lambda how: (how,)),
    "crop": boxes.filter(lambda b: b[0] < 37 and b[1] < 24 and b[2] > b[0] and b[3] > b[1]).map(lambda box: (box,)),
    "pad": st.sampled_from([((24, 37),), ((30, 40),), ((30, 40), 1)]),
    "expand": st.just((40, 50, 3, 4)),
    "resize": st.just(((24, 37),)),
    "rescale": st.just((1.0,)),
}


@pytest.mark.parametrize("name", STEPS)
@given(data=st.data(), seed=st.integers(0, 99), count=st.sampled_from([0, 1, 5]))
def test_steps_are_the_parent_s(name: str, data: st.DataObject, seed: int, count: int) -> None:
    arguments = data.draw(STEPS[name])
    ours, theirs = both(count=count, seed=seed)
    same(getattr(ours, name)(*arguments), getattr(theirs, name)(*arguments))
    same(ours, theirs)  # and left as they were


@pytest.mark.parametrize(
    "index",
    [2, -1, slice(1, 4), [0, 3], np.array([4, 4, 0]), np.array([], int), np.arange(5) > 2, torch.tensor([1, 3])],
)
def test_picking_is_the_parent_s(index: Any) -> None:
    ours, theirs = both()
    same(ours[index], theirs[index])
    assert all(np.array_equal(one, two) for one, two in zip(ours, theirs))
    assert ours.areas.tolist() == theirs.areas.tolist()


def test_fields_of_an_instance_data() -> None:
    ours, theirs = both()
    picked = InstanceData(masks=ours)[torch.arange(5) > 1]
    same(picked.masks, theirs[2:])
    joined = InstanceData.cat([picked, InstanceData(masks=ours)])
    same(joined.masks, BitmapMasks.cat([theirs[2:], theirs]))
    assert torch.equal(ours.to_tensor(torch.float32, "cpu"), theirs.to_tensor(torch.float32, "cpu"))


def test_they_travel_light() -> None:
    frame = frame_with_blobs((200, 300), 5)
    masks = frame["gt_masks"]
    sent = pickle.dumps(masks)
    same(pickle.loads(sent), masks)
    same(copy.deepcopy(masks), masks)
    small = masks[masks.areas < 500]
    assert len(pickle.dumps(small)) < 0.05 * len(pickle.dumps(BitmapMasks(small.masks, 200, 300)))


@given(seed=st.integers(0, 9999), clip=st.booleans(), binarize=st.booleans())
def test_targets_are_the_parent_s_wherever_boxes_lie(seed: int, clip: bool, binarize: bool) -> None:
    """Boxes beyond the masks and the picture, on parts at its borders."""
    rng = np.random.default_rng(seed)
    ours, theirs = both(size=(24, 37), count=int(rng.integers(1, 6)), seed=seed)
    corners = rng.uniform(-15, 35, (12, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0, 40, (12, 2))], axis=1).astype(np.float32)
    boxes = boxes.clip(0, [37, 24, 37, 24]).astype(np.float32) if clip else boxes
    given = boxes, (7, 5), rng.integers(0, len(ours), 12)
    found, expected = (one.crop_and_resize(*given, binarize=binarize) for one in (ours, theirs))
    assert (found.masks.dtype, found.height, found.width) == (expected.masks.dtype, 7, 5)
    shares = theirs.crop_and_resize(*given, binarize=False).masks
    close = (shares > 0.4999) & (shares < 0.5001) if binarize else abs(found.masks - shares) < 1e-4
    assert np.all(close | (found.masks == expected.masks))  # boxes are counted from elsewhere, and rounded there


def test_targets_of_nothing() -> None:
    ours, theirs = both()
    for masks, boxes in ((0, 0), (0, 2), (5, 0)):
        given = torch.zeros(boxes, 4), (7, 5), torch.zeros(boxes, dtype=torch.long)
        found, expected = (one[:masks].crop_and_resize(*given) for one in (ours, theirs))
        same(found, expected)
    assert not ours[:1].crop_and_resize(np.array([[0.0, 0, 9, 9]]), (7, 5), np.array([0])).masks.any()


def test_targets_of_a_mask_head_are_the_same() -> None:
    ours, theirs = both(size=(60, 80), seed=3)
    proposals = torch.tensor([[5.0, 5, 40, 50], [0, 0, 80, 60], [-3, 2, 20, 70]])
    rows = torch.tensor([1, 4, 3])
    given = [[proposals], [rows], [ours], ConfigDict(mask_size=28)]
    targets = mask_target(*given)
    given[2] = [theirs]
    assert torch.equal(targets, mask_target(*given))


@pytest.mark.parametrize("size", [(33, 50), (60, 90), (24, 20), (100, 37), (7, 9)])
def test_scaled_masks_are_centred_where_the_picture_is(size: tuple[int, int]) -> None:
    """Against each mask as a picture of its own, and nearer to it than the parent's on the whole."""
    frame = frame_with_blobs((48, 72), 8, seed=1)
    ours = frame["gt_masks"]
    theirs = BitmapMasks(ours.masks, 48, 72)
    pictures = [cv2.resize(255 * mask, size[::-1], interpolation=cv2.INTER_LINEAR) >= 128 for mask in ours.masks]
    errors = [np.count_nonzero(one.resize(size).masks != np.array(pictures)) for one in (ours, theirs)]
    assert errors[0] <= 0.01 * np.sum(pictures) + 10
    assert errors[0] <= errors[1]
    assert ours.rescale(size[::-1]).masks.shape == theirs.rescale(size[::-1]).masks.shape


@pytest.mark.parametrize("seed", range(6))
def test_warped_masks_are_the_warped_pictures(seed: int) -> None:
    frame = frame_with_blobs((50, 70), 10, seed)
    rng = np.random.default_rng(seed)
    matrix = np.vstack([rng.normal(np.eye(2, 3), 0.3), [0, 0, 1]])
    matrix[:2, 2] = rng.uniform(-20, 20, 2)
    warped = frame["gt_masks"].warp(matrix, 40, 60)
    for before, after in zip(frame["gt_masks"].masks, warped.masks):
        whole = cv2.warpAffine(255 * before, about(-0.5, -0.5, matrix)[:2], (60, 40)) >= 128
        assert (whole != after).sum() <= 2 + 0.02 * whole.sum()  # OpenCV rounds the map to a 32nd of a pixel
    assert np.array_equal(warped.are_empty(), ~warped.masks.any(axis=(1, 2)))


def test_a_window_beside_a_mask_holds_nothing_of_it() -> None:
    masks = ObjectMasks.of_parts([Part(np.ones((3, 3), np.uint8), 2, 2)], 20, 20)
    for window in ([5, 0, 20, 20], [0, 5, 20, 20], [0, 0, 2, 20], [0, 0, 20, 2]):
        assert masks.crop(np.array(window)).are_empty().tolist() == [True]
    assert masks.crop(np.array([4, 4, 20, 20])).areas.tolist() == [1]
    assert masks.warp(np.diag([1.0, 1.0, 1.0]) + np.array([[0, 0, 18.0], [0, 0, 0], [0, 0, 0]]), 20, 20).are_empty()[0]


def test_other_forms() -> None:
    ours, theirs = both()
    assert ObjectMasks.of(ours) is ours
    same(ObjectMasks.of(theirs), theirs)
    with pytest.raises(InputError, match="PolygonMasks: load them with LoadTrackMasks"):
        ObjectMasks.of(PolygonMasks([], 4, 4))
