"""Run lengths against pixels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from pycocotools import mask as mask_api

from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks, make_disjoint, make_frames_disjoint
from clmot_qd.masks.checks import require_runs


def pictures(count: int = 300) -> Iterator[tuple[np.ndarray, list[np.ndarray], list[tuple[int, int]]]]:
    """Small masks in a part of the picture each: empty, full, speckled, at its borders."""
    rng = np.random.default_rng(5)
    for _ in range(count):
        height, width = (int(side) for side in rng.integers(1, 12, 2))
        number = int(rng.integers(0, 5))
        whole = np.zeros((number, height, width), dtype=bool)
        crops, corners = [], []
        for bitmap in whole:
            left, top = int(rng.integers(0, width)), int(rng.integers(0, height))
            right, bottom = int(rng.integers(left, width + 1)), int(rng.integers(top, height + 1))
            crop = rng.random((bottom - top, right - left)) < rng.choice([0, 0.3, 0.7, 1])
            bitmap[top:bottom, left:right] = crop
            crops.append(crop)
            corners.append((left, top))
        yield whole, crops, corners


def test_crops_and_bitmaps_are_encoded_as_pycocotools_does() -> None:
    for whole, crops, corners in pictures():
        expected = [mask_api.encode(np.asfortranarray(bitmap.astype(np.uint8)))["counts"] for bitmap in whole]
        assert list(RleMasks.of_bitmaps(whole).counts) == expected
        assert list(RleMasks.of_crops(crops, corners, whole.shape[1:]).counts) == expected


def test_crops_are_the_bitmaps_within_the_boxes() -> None:
    for whole, _, _ in pictures():
        masks = RleMasks.of_bitmaps(whole)
        found = masks.crops()
        for bitmap, (crop, (left, top)), box in zip(whole, found, masks.boxes()):
            assert [left, top, left + crop.shape[1], top + crop.shape[0]] == box.tolist()
            assert np.array_equal(bitmap[top : top + crop.shape[0], left : left + crop.shape[1]], crop)
        crops, corners = [crop for crop, _ in found], [corner for _, corner in found]
        assert RleMasks.of_crops(crops, corners, masks.size).texts() == masks.texts()
    assert masks[[]].crops() == []


def test_crops_of_runs_that_nobody_needs() -> None:
    """Files may have runs of no pixel."""
    runs = [0, 0, 3, 0, 0, 2, 0, 4, 11]  # 20 pixels, columns of 4: on from 3 to 9
    masks = RleMasks.of([mask_api.frPyObjects({"counts": runs, "size": [4, 5]}, 4, 5)["counts"]], (4, 5))
    ((crop, corner),) = masks.crops()
    assert corner == (0, 0)
    assert np.array_equal(crop, masks.bitmaps()[0, :, :3])


@pytest.mark.parametrize("runs", [[63, 0], [0, 0, 63], [5, 0, 58], [5, 0, 8, 0, 50], [0, 2, 61, 0], [0, 0, 3, 2, 58]])
def test_runs_without_a_pixel_stay_in_the_picture(runs: list[int]) -> None:
    """pycocotools puts the boxes of some of them billions of pixels away."""
    masks = RleMasks.of([mask_api.frPyObjects({"counts": runs, "size": [7, 9]}, 7, 9)["counts"]], (7, 9))
    rows = RleMasks.cat([masks, RleMasks.of_bitmaps(np.ones((1, 7, 9)))])
    for (crop, (left, top)), box, bitmap in zip(rows.crops(), rows.boxes(), rows.bitmaps()):
        assert np.all((box >= 0) & (box <= [9, 7, 9, 7]))
        assert [left, top, left + crop.shape[1], top + crop.shape[0]] == box.tolist()
        assert np.array_equal(bitmap[top : top + crop.shape[0], left : left + crop.shape[1]], crop)
        assert bitmap.sum() == crop.sum()
    if not masks.areas()[0]:
        assert masks.boxes().tolist() == [[0, 0, 0, 0]]
    apart = make_disjoint(rows, np.array([1.0, 0.5])).masks
    assert apart.areas().tolist() == [masks.areas()[0], 63 - masks.areas()[0]]


def test_boxes_end_with_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pycocotools follows a run of no pixel at the end of the picture, as 2.0.11 does not."""
    monkeypatch.setattr(mask_api, "toBbox", lambda masks: np.array([[2.0, 1, 8, 6]] * len(masks)))
    assert RleMasks.of_bitmaps(np.ones((1, 7, 9))).boxes().tolist() == [[2, 1, 9, 7]]


def test_pixels_areas_boxes_and_overlaps_are_those_of_the_bitmaps() -> None:
    for whole, _, _ in pictures():
        masks = RleMasks.of_bitmaps(whole)
        assert np.array_equal(masks.bitmaps(), whole)
        assert masks.areas().tolist() == whole.sum(axis=(1, 2)).tolist()
        assert np.array_equal(masks.union().bitmaps()[0], whole.any(axis=0))
        for one, box in zip(whole, masks.boxes()):
            rows, columns = np.nonzero(one)
            expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else [0, 0, 0, 0]
            assert box.tolist() == expected
        iou, inside = masks.iou(masks), masks.inside(masks)
        for i, one in enumerate(whole):
            for j, two in enumerate(whole):
                common = (one & two).sum()
                assert iou[i, j] == pytest.approx(common / (one | two).sum() if common else 0)
                assert inside[i, j] == pytest.approx(common / one.sum() if common else 0)


def test_disjoint_masks_are_painted_from_the_lowest_to_the_highest_score() -> None:
    rng = np.random.default_rng(6)
    changed = 0
    for whole, _, _ in pictures():
        scores = rng.random(len(whole)).round(1)
        before = RleMasks.of_bitmaps(whole)
        after = make_disjoint(before, scores)
        owner = np.full(whole.shape[1:], -1)
        for row in np.argsort(-scores, kind="stable")[::-1]:
            owner[whole[row]] = row
        for row, one in enumerate(after.masks.bitmaps()):
            assert np.array_equal(one, owner == row)
            assert after.trimmed[row] == (one.sum() < whole[row].sum())
            if not after.trimmed[row]:
                assert after.masks.counts[row] == before.counts[row]
        changed += int(after.trimmed.sum())
    assert changed > 10


def test_masks_of_a_video_are_disjoint_picture_by_picture() -> None:
    rng = np.random.default_rng(8)
    masks = RleMasks.of_bitmaps(rng.random((60, 9, 7)) < 0.5)
    frames, scores = rng.integers(3, 20, 60), rng.random(60).round(1)
    found = make_frames_disjoint(frames, masks, scores)
    for frame in set(frames.tolist()):
        rows = np.flatnonzero(frames == frame)
        expected = make_disjoint(masks[rows], scores[rows])
        assert found.masks[rows].texts() == expected.masks.texts()
        assert found.trimmed[rows].tolist() == expected.trimmed.tolist()
    assert found.trimmed.any()
    assert len(make_frames_disjoint(frames[:0], masks[[]], scores[:0]).masks) == 0


def test_compressed_runs_are_read_as_pycocotools_writes_them() -> None:
    rng = np.random.default_rng(7)
    for _ in range(200):
        height, width = (int(side) for side in rng.integers(1, 400, 2))
        bitmap = rng.random((height, width)) < rng.choice([0.001, 0.1, 0.9])
        text = RleMasks.of_bitmaps(bitmap[None]).texts()[0]
        require_runs(text, height, width, "here", fill=True)
        with pytest.raises(InputError, match="runs that fill"):
            require_runs(text, height + 1, width, "here", fill=True)


def test_they_are_a_field_of_instance_data_and_are_picked_like_arrays() -> None:
    whole = np.zeros((3, 4, 5), dtype=bool)
    whole[np.arange(3), 1, np.arange(3)] = True
    masks = RleMasks.of_bitmaps(whole)
    found = InstanceData(scores=torch.tensor([0.1, 0.9, 0.5]), masks=masks)
    assert found[found.scores > 0.3].masks.texts() == masks.texts()[1:]
    assert InstanceData.cat([found, found]).masks.texts() == 2 * masks.texts()
    assert masks[1] == {"size": [4, 5], "counts": masks.texts()[1]}, "as JSON has it"
    assert json.loads(json.dumps([*masks])) == [masks[0], masks[1], masks[2]]
    assert np.array_equal(mask_api.decode([*masks]).transpose(2, 0, 1), whole)
    for one in (torch.tensor(1), np.array(1), np.int64(1), torch.tensor(-2)):
        assert masks[one] == masks[1]
    assert masks[::-1].texts() == masks.texts()[::-1]
    assert masks.shape == (3,)


def test_empty_masks() -> None:
    nothing = RleMasks.empty((4, 5))
    assert nothing.bitmaps().shape == (0, 4, 5)
    assert nothing.areas().shape == (0,)
    assert nothing.boxes().shape == (0, 4)
    two = RleMasks.empty((4, 5), 2)
    assert two.areas().tolist() == [0, 0]
    assert two.iou(two).tolist() == [[0, 0], [0, 0]]
    assert nothing.iou(two).shape == (0, 2)


def test_masks_of_different_pictures_are_neither_joined_nor_compared() -> None:
    one, two = RleMasks.empty((4, 5), 1), RleMasks.empty((5, 4), 1)
    with pytest.raises(InputError, match="masks of 4 x 5 and of 5 x 4 pixels"):
        RleMasks.cat([one, two])
    with pytest.raises(InputError, match="5 x 4 pixels are compared with masks of 4 x 5"):
        one.iou(two)


@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5, 1), (0,)])
def test_bitmaps_of_another_shape_are_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=re.escape(f"bitmaps of the shape {shape}: they must be (n, H, W); give a")):
        RleMasks.of_bitmaps(np.ones(shape))
    assert RleMasks.of_bitmaps(np.ones((4, 5))[None]).areas().tolist() == [20]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_pixels_that_are_no_number_are_told(kind: type) -> None:
    bitmaps = np.zeros((2, 4, 5), kind)
    bitmaps[1, 2:, 3] = 0.5
    assert RleMasks.of_bitmaps(bitmaps).areas().tolist() == [0, 2]
    bitmaps[1, 0, 0] = np.nan
    with pytest.raises(InputError, match="bitmaps have NaN among their pixels"):
        RleMasks.of_bitmaps(bitmaps)


def test_runs_may_be_text() -> None:
    masks = RleMasks.of_bitmaps(np.eye(4, dtype=bool).reshape(4, 2, 2))
    again = RleMasks.of(masks.texts(), masks.size)
    assert again.texts() == masks.texts()
    assert list(again.counts) == list(masks.counts)
    assert np.array_equal(again.bitmaps(), masks.bitmaps())
    assert [dict(one) for one in again] == [dict(one) for one in masks]


def test_nothing_is_not_joined() -> None:
    with pytest.raises(InputError, match=r"no masks to join.*RleMasks.empty\(size\)"):
        RleMasks.cat([])
