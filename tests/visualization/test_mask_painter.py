"""Drawn masks: which pixels change and how, what lies over what, sizes."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from test_draw import GREY, grey, has_colour, touched, tracks

from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks
from clmot_qd.trackers import Tracks
from clmot_qd.visualization import TrackDrawer, id_color
from clmot_qd.visualization.mask_painter import OPACITY, paint_masks


def blobs(count: int, height: int = 240, width: int = 320, seed: int = 0) -> np.ndarray:
    """(n, H, W) bool; ellipses with a hole, some cut by the border."""
    rng = np.random.default_rng(seed)
    bitmaps = np.zeros((count, height, width), np.uint8)
    for bitmap in bitmaps:
        middle = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = (int(rng.integers(8, width // 6)), int(rng.integers(8, height // 5)))
        cv2.ellipse(bitmap, middle, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        cv2.circle(bitmap, middle, 4, 0, -1)
    return bitmaps.astype(bool)


def painted(bitmaps: np.ndarray, frame: np.ndarray, colours: list[tuple[int, int, int]], line: int) -> np.ndarray:
    """The same by whole pictures, pixel by pixel."""
    result = frame.astype(float)
    for bitmap, colour in zip(bitmaps, colours):
        inner = bitmap.copy()
        for y, x in np.argwhere(bitmap):
            around = bitmap[max(y - line, 0) : y + line + 1, max(x - line, 0) : x + line + 1]
            inner[y, x] = around.size == (2 * line + 1) ** 2 and around.all()
        result[inner] = OPACITY * np.array(colour) + (1 - OPACITY) * frame[inner]
        result[bitmap & ~inner] = colour
    return result


@pytest.mark.parametrize("line", [1, 3])
def test_every_pixel_is_the_one_of_whole_bitmaps(line: int) -> None:
    bitmaps = blobs(9, 120, 160)
    frame = np.random.default_rng(1).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    colours = [id_color(row) for row in range(9)]
    canvas = frame.copy()
    paint_masks(canvas, RleMasks.of_bitmaps(bitmaps), colours, line)
    assert np.abs(canvas - painted(bitmaps, frame, colours, line)).max() <= 1
    assert not touched(frame, canvas)[~bitmaps.any(axis=0)].any()


def with_masks(boxes: dict[int, tuple[float, float, float, float]], bitmaps: np.ndarray) -> Tracks:
    return replace(tracks(boxes), masks=RleMasks.of_bitmaps(bitmaps))


def disc(x: int, y: int, radius: int = 30) -> np.ndarray:
    return cv2.circle(np.zeros((240, 320), np.uint8), (x, y), radius, 1, -1)


def fill_of(identity: int, background: int = GREY) -> tuple[int, int, int]:
    blue, green, red = (round(OPACITY * value + (1 - OPACITY) * background) for value in id_color(identity))
    return blue, green, red


def test_a_mask_is_tinted_by_its_identity_and_outlined() -> None:
    frame = grey()
    found = with_masks({7: (70, 70, 131, 131)}, disc(100, 100)[None])
    drawn = TrackDrawer(trail_frames=0, show_boxes=False).draw(frame, found)
    assert (frame == GREY).all()
    assert has_colour(drawn[100:101, 100:101], fill_of(7))
    assert has_colour(drawn[99:102, 128:131], id_color(7)), "the outline"
    assert not touched(frame, drawn)[131:].any()
    changed = touched(frame, drawn)
    changed[:75, :110] = False  # the label's plate
    assert (changed <= disc(100, 100).astype(bool)).all(), "nothing outside of the mask"


def test_the_near_mask_hides_the_one_behind_it() -> None:
    """Mixed with the picture, not with the other one; whatever the order of the tracks."""
    shapes = {1: disc(100, 100), 2: disc(120, 120)}
    boxes = {1: (70.0, 70.0, 131.0, 131.0), 2: (90.0, 90.0, 151.0, 151.0)}
    for order in ([1, 2], [2, 1]):
        found = with_masks({key: boxes[key] for key in order}, np.stack([shapes[key] for key in order]))
        drawn = TrackDrawer(trail_frames=0).draw(grey(), found)
        assert has_colour(drawn[110:111, 110:111], fill_of(2))


def test_boxes_and_labels_lie_over_masks() -> None:
    wall = np.ones((1, 240, 320), np.uint8)
    drawn = TrackDrawer(trail_frames=0).draw(grey(), with_masks({4: (100, 80, 160, 200)}, wall))
    assert has_colour(drawn[120:180, 99:102], id_color(4))
    plate = drawn[66:79, 102:106].astype(int)
    assert (np.abs(plate - id_color(4)).max(axis=-1) < 12).any()


def test_a_colour_stays_with_its_identity() -> None:
    drawer = TrackDrawer(trail_frames=0)
    for step in range(3):
        x = 60 + 50 * step
        found = with_masks({5: (x - 30, 70, x + 31, 131), 9 + step: (0, 200, 20, 239)}, np.stack([disc(x, 100)] * 2))
        drawn = drawer.draw(grey(), found.select(np.array([0])))
        assert has_colour(drawn[100:101, x : x + 1], fill_of(5))


@pytest.mark.parametrize(("boxes", "masks"), [(True, False), (False, True), (False, False)])
def test_each_can_be_left_out(boxes: bool, masks: bool) -> None:
    drawer = TrackDrawer(trail_frames=0, show_boxes=boxes, show_masks=masks, show_ids=False)
    drawn = drawer.draw(grey(), with_masks({5: (40, 40, 161, 161)}, disc(100, 100)[None]))
    assert has_colour(drawn[100:101, 100:101], fill_of(5)) == masks
    assert has_colour(drawn[90:110, 38:43], id_color(5)) == boxes
    assert touched(grey(), drawn).any() == (boxes or masks)


def test_scale_enlarges_masks_with_the_picture() -> None:
    shape = np.zeros((1, 80, 100), np.uint8)
    shape[0, 30:60, 40:50] = 1
    for scale in (3.0, 1.7, 0.5):
        drawer = TrackDrawer(trail_frames=0, scale=scale, show_boxes=False, show_ids=False)
        frame = grey(80, 100)
        changed = touched(
            grey(*drawer._enlarged(frame).shape[:2]), drawer.draw(frame, with_masks({6: (40, 30, 50, 60)}, shape))
        )
        rows, columns = np.nonzero(changed)
        edges = [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1]
        np.testing.assert_allclose(edges, np.array([30, 60, 40, 50]) * scale, atol=0.51)
        assert changed.sum() >= 0.97 * (edges[1] - edges[0]) * (edges[3] - edges[2])


def test_enlarged_round_masks_are_smooth() -> None:
    """A disc of 9 pixels, six times as large: the outline has no steps of six pixels."""
    shape = cv2.circle(np.zeros((40, 40), np.uint8), (20, 20), 9, 1, -1)
    drawer = TrackDrawer(trail_frames=0, scale=6, show_boxes=False, show_ids=False)
    drawn = drawer.draw(grey(40, 40), with_masks({6: (11, 11, 30, 30)}, shape[None]))
    changed = touched(grey(240, 240), drawn).astype(np.uint8)
    widths = changed.sum(axis=1).astype(int)
    assert np.abs(np.diff(widths[74:110])).max() < 8
    blocky = cv2.resize(shape, (240, 240), interpolation=cv2.INTER_NEAREST)
    assert (changed & blocky).sum() / (changed | blocky).sum() > 0.93


def test_masks_without_a_pixel_draw_nothing() -> None:
    found = replace(tracks({3: (10, 10, 40, 40), 4: (50, 50, 60, 90)}), masks=RleMasks.empty((240, 320), 2))
    for scale in (1.0, 2.0):
        drawn = [TrackDrawer(scale=scale, show_masks=shown).draw(grey(), found) for shown in (True, False)]
        np.testing.assert_array_equal(*drawn)
    nothing = found.select(np.array([], int))
    assert (TrackDrawer().draw(grey(), nothing) == GREY).all()


def test_tracks_without_masks_look_as_ever() -> None:
    found = tracks({3: (10, 10, 90, 140)})
    np.testing.assert_array_equal(TrackDrawer().draw(grey(), found), TrackDrawer(show_masks=False).draw(grey(), found))


def test_masks_of_another_picture_are_refused() -> None:
    found = with_masks({1: (1, 1, 9, 9)}, np.ones((1, 10, 20), np.uint8))
    with pytest.raises(InputError, match="masks of 20 x 10 pixels on a picture of 320 x 240"):
        TrackDrawer().draw(grey(), found)
