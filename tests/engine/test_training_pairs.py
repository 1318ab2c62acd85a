"""What is read from a batch, and how it is drawn."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from mmengine.visualization import Visualizer

from clmot_qd.datasets.transforms.object_masks import ObjectMasks
from clmot_qd.engine.pair_drawing import draw_pairs
from clmot_qd.engine.training_pairs import View, pairs_of
from clmot_qd.masks import RleMasks
from clmot_qd.visualization import id_color

HEADER, GAP, WIDTH = 30, 12, 200
DARK = 40


def frame(ids: list[int], boxes: list[list[float]], path: str) -> DetDataSample:
    sample = DetDataSample(metainfo=dict(img_path=path))
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.zeros(len(ids)), instances_ids=torch.tensor(ids)
    )
    sample.ignored_instances = InstanceData(bboxes=torch.tensor([[1.0, 1, 9, 9]]), instances_ids=torch.tensor([99]))
    return sample


def batch(frames: list[DetDataSample], key: int = 0) -> dict:
    """Each frame is of its own colour: blue 10 * (position + 1), green 20, red 30."""
    pixels = torch.zeros(len(frames), 3, 6, 10, dtype=torch.uint8)
    pixels[:] = torch.tensor([0, 20, 30], dtype=torch.uint8)[None, :, None, None]
    pixels[:, 0] = 10 * torch.arange(1, len(frames) + 1, dtype=torch.uint8)[:, None, None]
    sample = TrackDataSample(metainfo=dict(key_frames_inds=[key]))
    sample.video_data_samples = frames
    return dict(inputs=[pixels, pixels], data_samples=[sample, sample])


def test_views_come_key_first_in_rgb_without_ignored_objects() -> None:
    two = [frame([4, 7], [[0, 0, 2, 3], [1, 1, 4, 4]], "a/MOT17-02/img1/000005.jpg"), frame([], [], "000001.jpg")]
    for key in (0, 1):
        (views,) = pairs_of(batch(two, key), 1)
        first, second = views if key == 0 else views[::-1]
        assert np.array_equal(first.image, np.full((6, 10, 3), [30, 20, 10]))
        assert np.array_equal(second.image, np.full((6, 10, 3), [30, 20, 20]))
        assert first.ids.tolist() == [4, 7]
        assert first.bboxes.tolist() == [[0, 0, 2, 3], [1, 1, 4, 4]]
        assert (len(second.ids), second.bboxes.shape) == (0, (0, 4))
        assert (first.caption, second.caption) == ("MOT17-02/000005.jpg", "000001.jpg")
    assert len(pairs_of(batch(two), 5)) == 2
    assert [len(views) for views in pairs_of(batch(two[:1]), 5)] == [1, 1]


def test_box_structures_and_normalised_pixels_can_be_shown() -> None:
    one = frame([3], [[0, 0, 2, 3]], "a.jpg")
    one.gt_instances.bboxes = HorizontalBoxes(one.gt_instances.bboxes)
    given = batch([one])
    given["inputs"] = [torch.linspace(-2, 3, 180).reshape(1, 3, 6, 10)] * 2
    (view,) = pairs_of(given, 1)[0]
    assert view.bboxes.tolist() == [[0, 0, 2, 3]]
    assert (view.image.min(), view.image.max()) == (0, 255)
    assert view.image[0, 0].tolist() == [171, 85, 0], "blue comes first in what the network gets"


def test_masks_are_those_of_the_objects_in_use() -> None:
    one = frame([3, 4], [[0, 0, 2, 3], [1, 1, 4, 4]], "a.jpg")
    bitmaps = np.zeros((2, 6, 10), np.uint8)
    bitmaps[0, :3, :2] = bitmaps[1, 1:4, 1:4] = 1
    for masks in (BitmapMasks(bitmaps, 6, 10), ObjectMasks(bitmaps, 6, 10)):
        one.gt_instances.masks = masks
        (found,) = pairs_of(batch([one]), 1)[0]
        assert found.masks is not None
        assert np.array_equal(found.masks.bitmaps(), bitmaps == 1)
    (without,) = pairs_of(batch([frame([3], [[0, 0, 2, 3]], "a.jpg")]), 1)[0]
    assert without.masks is None


# ---- drawing -----------------------------------------------------------------------------------------------------


def view(ids: list[int], boxes: list[list[float]], caption: str = "a/1.jpg", size: tuple[int, int] = (50, 100)) -> View:
    bboxes = np.array(boxes, dtype=float).reshape(-1, 4)
    return View(np.full((*size, 3), DARK, np.uint8), bboxes, np.array(ids, dtype=np.int64), caption)


def drawn(*pairs: list[View]) -> np.ndarray:
    return draw_pairs(Visualizer(), pairs, WIDTH)


def has(picture: np.ndarray, colour: tuple[int, int, int], x: float, y: float, off: int = 40) -> bool:
    """Whether the colour (RGB) is near a point of a 100 x 50 view whose left upper corner is (0, 0) in the picture."""
    part = picture[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].astype(int)
    return bool((np.abs(part - colour).max(axis=2) < off).any())


def rgb(identity: int) -> tuple[int, int, int]:
    blue, green, red = id_color(identity)
    return red, green, blue


def test_the_same_object_has_one_colour_and_a_line_between_the_views() -> None:
    key, ref = view([5, 8], [[10, 10, 30, 40], [60, 10, 80, 40]]), view([5, 9], [[40, 20, 60, 50], [0, 0, 20, 30]])
    picture = drawn([key, ref])
    assert picture.shape == (HEADER + 100 + GAP, 2 * WIDTH + 3 * GAP, 3)
    left, right = GAP, 2 * GAP + WIDTH
    for start, box in ((left, key.bboxes[0]), (right, ref.bboxes[0])):
        x0, y0, x1, y1 = box * 2  # views of width 100 are drawn 200 wide
        for x, y in ((x1, (y0 + y1) / 2), ((x0 + x1) / 2 + 5, y1)):
            assert has(picture, rgb(5), start + x, HEADER + min(y, 99))
    # Halfway between the middles of the two boxes.
    middle = (left + 40 + right + 100) / 2, HEADER + (50 + 70) / 2
    assert has(picture, rgb(5), *middle, off=70)  # lines let some of the ground through
    # Alone: grey, in dashes; no colour of its own anywhere.
    for start, box, identity in ((left, key.bboxes[1], 8), (right, ref.bboxes[1], 9)):
        edge = picture[HEADER + int(box[1]) * 2 + 22 : HEADER + int(box[3]) * 2, start + int(box[2]) * 2]
        grey = np.ptp(edge.astype(int), axis=1) == 0
        assert grey.mean() > 0.7, "an object without a partner is coloured"  # lines of others cross it
        assert edge[grey].max() > 120 > edge[grey].min(), "no dashes"
        assert not (np.abs(picture.astype(int) - rgb(identity)).max(axis=2) < 12).any()


def test_masks_have_the_colours_of_their_boxes() -> None:
    def with_masks(one: View, *areas: tuple[slice, slice]) -> View:
        bitmaps = np.zeros((len(areas), *one.image.shape[:2]), bool)
        for bitmap, area in zip(bitmaps, areas):
            bitmap[area] = True
        return replace(one, masks=RleMasks.of_bitmaps(bitmaps))

    boxes = [[10, 10, 30, 40], [60, 10, 80, 40]]
    key, ref = view([5, 8], boxes), view([5, 9], boxes)
    areas = np.s_[15:35, 12:28], np.s_[15:35, 62:78]
    picture = drawn([with_masks(key, *areas), with_masks(ref, *areas)])
    plain = drawn([key, ref])
    mixed = 0.45 * np.array(rgb(5)) + 0.55 * DARK
    for left in (GAP, 2 * GAP + WIDTH):
        assert np.abs(picture[HEADER + 65, left + 30].astype(float) - mixed).max() < 3
        grey = picture[HEADER + 65, left + 145].astype(int)
        assert np.ptp(grey) == 0
        assert grey[0] > DARK + 30, "an object without a partner is grey"
    changed = (picture != plain).any(axis=2)
    inside = np.zeros_like(changed)
    for left in (GAP, 2 * GAP + WIDTH):
        inside[HEADER + 28 : HEADER + 72, left + 22 : left + 58] = True
        inside[HEADER + 28 : HEADER + 72, left + 122 : left + 158] = True
    assert changed.any()
    assert not changed[~inside].any()


def test_pairs_lie_below_each_other_and_one_view_stands_alone() -> None:
    box = [10.0, 10, 30, 40]
    single = drawn([view([5], [box])])
    assert single.shape == (HEADER + 100 + GAP, WIDTH + 2 * GAP, 3)
    assert has(single, rgb(5), GAP + 60, HEADER + 50)
    two = drawn([view([5], [box]), view([5], [box])], [view([6], [box]), view([7], [box])])
    step = HEADER + 100 + GAP
    assert two.shape[0] == 2 * step
    assert has(two, rgb(5), GAP + 60, HEADER + 50)
    assert not has(two, rgb(5), GAP + 60, step + HEADER + 50)
    assert (two[[HEADER + 90, step + HEADER + 90], GAP + 180] == DARK).all(), "no picture where a pair belongs"
    tall = drawn([view([5], [box], size=(50, 100))], [view([6], [box], size=(100, 100))])
    assert tall.shape[0] == 2 * (HEADER + GAP) + 100 + 200
    assert has(tall, rgb(6), GAP + 60, step + HEADER + 50)


def test_what_reaches_beyond_the_picture_stays_inside() -> None:
    picture = drawn([view([5], [[-3, -3, 103, 53]]), view([], [])])
    margins = [picture[:, : GAP - 3], picture[HEADER + 103 :], picture[HEADER:, GAP + WIDTH + 3 : 2 * GAP + WIDTH - 1]]
    for margin in margins:
        assert margin.min() > 200, "a box was drawn over the edge"


def test_captions_may_hold_anything() -> None:
    long = drawn([view([], [], "folder/" + 40 * "x" + ".jpg")])
    assert (long[:HEADER, GAP : GAP + WIDTH] < 100).any()
    assert long[: HEADER - 2, GAP + WIDTH :].min() > 200, "a caption runs out of its view"
    plain, dollars = (drawn([view([], [], caption)]) for caption in ("a$x_{$", r"$\frac$/人.jpg"))
    assert (plain[:HEADER] < 100).any()
    assert (dollars[:HEADER] < 100).any()


@pytest.mark.parametrize("identity", range(24))
def test_numbers_can_be_read_on_their_plates(identity: int) -> None:
    picture = drawn([view([identity], [[10, 20, 90, 45]])])
    plate = picture[HEADER + 42 : HEADER + 54, GAP + 23 : GAP + 33].astype(float)
    grey = cv2.cvtColor(plate.astype(np.uint8), cv2.COLOR_RGB2GRAY)
    assert np.ptp(grey.astype(int)) > 60
