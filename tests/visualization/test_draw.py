"""Drawn tracks: where colour lands, what stays untouched, colours of identities, sheets."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import supervision

from clmot_qd.errors import InputError
from clmot_qd.trackers import Tracks
from clmot_qd.visualization import TrackDrawer, contact_sheet, id_color, save_png

GREY = 90


def tracks(boxes: dict[int, tuple[float, float, float, float]], label: int = 0) -> Tracks:
    count = len(boxes)
    return Tracks(
        instances_id=np.array(list(boxes), np.int64),
        bboxes=np.array(list(boxes.values()), np.float32).reshape(count, 4),
        scores=np.full(count, 0.87, np.float32),
        labels=np.full(count, label, np.int64),
        detection_index=np.arange(count),
    )


def grey(height: int = 240, width: int = 320) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def touched(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (before != after).any(axis=2)


def has_colour(region: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(region.astype(int) - colour).max(axis=-1) < 12).any())


def lab(ids: range) -> np.ndarray:
    bgr = np.array([[id_color(track_id) for track_id in ids]], np.float32) / 255
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2Lab)[0]


def test_id_colours_depend_on_the_id_alone_and_neighbours_are_far_apart() -> None:
    assert [id_color(7), id_color(10**12)] == [id_color(7), id_color(10**12)]
    colours = lab(range(200))
    assert np.linalg.norm(colours[1:] - colours[:-1], axis=1).min() > 45
    for start in range(0, 200 - 24, 5):
        window = colours[start : start + 24]
        gaps = np.linalg.norm(window[:, None] - window[None], axis=2)
        assert gaps[~np.eye(24, dtype=bool)].min() > 25
    assert all(isinstance(value, int) and 0 <= value <= 255 for value in id_color(-3))


def test_the_box_is_drawn_where_it_is_and_the_frame_is_not_changed() -> None:
    frame = grey()
    drawn = TrackDrawer(trail_frames=0).draw(frame, tracks({4: (100, 80, 160, 200)}))
    assert (frame == GREY).all()
    for region in (drawn[120:180, 98:102], drawn[120:180, 158:162], drawn[198:202, 110:150], drawn[78:82, 130:158]):
        assert has_colour(region, id_color(4))
    assert not touched(frame, drawn)[84:196, 104:156].any(), "the inside stays visible"
    assert not touched(frame, drawn)[205:].any()
    assert not touched(frame, drawn)[:, 170:].any()


@pytest.mark.parametrize("box", [(-40, -30, 20, 60), (300, 200, 400, 300), (-50, -50, 400, 300), (310, -5, 319, 10)])
def test_label_plates_stay_inside(box: tuple[float, float, float, float]) -> None:
    def plate_size(box: tuple[float, float, float, float]) -> int:
        canvas = TrackDrawer(trail_frames=0, class_names=["pedestrian"]).draw(grey(), tracks({11: box}))
        colour = (np.abs(canvas.astype(int) - id_color(11)).max(axis=2) < 3).astype(np.uint8)
        opened = cv2.morphologyEx(colour, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        return int(opened.sum())

    assert plate_size(box) == pytest.approx(plate_size((100, 100, 150, 180)), rel=0.15)


def test_plates_of_crowds_stay_inside_too() -> None:
    """Forty tracks in the left middle, and one in a corner: its plate is as large as elsewhere."""

    def plate(box: tuple[float, float, float, float]) -> int:
        crowd = {24 * key: (2.0, 100.0, 10.0, 120.0) for key in range(40)}
        drawn = TrackDrawer(trail_frames=0, class_names=["person"]).draw(grey(480, 640), tracks(crowd | {11: box}))
        colour = (np.abs(drawn.astype(int) - id_color(11)).max(axis=2) < 3).astype(np.uint8)
        return int(cv2.morphologyEx(colour, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).sum())

    for corner in ((600, 5), (630, -20), (-30, -20), (620, 300), (635, 470)):
        box = (*corner, corner[0] + 30.0, corner[1] + 60.0)
        assert plate(box) == pytest.approx(plate((300, 200, 330, 260)), rel=0.15), corner


def test_labels_say_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    original = supervision.LabelAnnotator.annotate
    monkeypatch.setattr(
        supervision.LabelAnnotator,
        "annotate",
        lambda self, *args, labels: (texts.extend(labels), original(self, *args, labels=labels))[1],
    )
    boxes = {5: (50.0, 50.0, 90.0, 100.0)}
    TrackDrawer().draw(grey(), tracks(boxes))
    TrackDrawer(show_scores=True, class_names=["car", "bus"]).draw(grey(), tracks(boxes, label=1))
    TrackDrawer(class_names=["car"]).draw(grey(), tracks(boxes, label=3))
    TrackDrawer(show_scores=True, show_ids=False).draw(grey(), tracks(boxes))
    assert texts == ["5", "5 bus 0.87", "5 class 3", "0.87"]
    TrackDrawer(show_ids=False).draw(grey(), tracks(boxes))
    assert len(texts) == 4, "nothing to write, no plate"


@pytest.mark.parametrize(("count", "moved"), [(30, True), (31, False)])
def test_labels_of_crowds_are_not_moved_apart(monkeypatch: pytest.MonkeyPatch, count: int, moved: bool) -> None:
    asked: list[bool] = []
    original = supervision.LabelAnnotator.annotate
    monkeypatch.setattr(
        supervision.LabelAnnotator,
        "annotate",
        lambda self, *args, **options: (asked.append(self.smart_position), original(self, *args, **options))[1],
    )
    TrackDrawer().draw(grey(), tracks({key: (5.0 * key, 50.0, 5.0 * key + 4, 90.0) for key in range(count)}))
    assert asked == [moved]


def test_trails_follow_the_bottom_centre_and_end() -> None:
    drawer = TrackDrawer(trail_frames=4)
    for step in range(6):
        drawn = drawer.draw(grey(), tracks({3: (20 + 40 * step, 100, 40 + 40 * step, 180)}))
    strength = np.abs(drawn.astype(int) - GREY).max(axis=2)[174:187]
    middles = [strength[:, 50 + 40 * step].max() for step in range(5)]
    assert middles[0] == 0, "older than trail_frames"
    assert min(middles[1:]) > 50, middles
    assert not touched(grey(), drawn)[190:].any()
    for _ in range(5):
        drawn = drawer.draw(grey(), Tracks.empty())
    assert (drawn == GREY).all(), "nothing is left of a track that is gone"


def test_a_track_that_comes_back_is_not_joined_to_where_it_was_long_ago() -> None:
    drawer = TrackDrawer(trail_frames=5)
    for _ in range(4):
        drawer.draw(grey(), tracks({3: (20, 100, 40, 180)}))
    for _ in range(5):
        drawer.draw(grey(), Tracks.empty())
    drawn = drawer.draw(grey(), tracks({3: (260, 100, 280, 180)}))
    assert not touched(grey(), drawn)[:, 50:240].any(), "the last of the four lies six frames back"
    for _ in range(3):
        drawer.draw(grey(), Tracks.empty())
    drawn = drawer.draw(grey(), tracks({3: (60, 100, 80, 180)}))
    assert touched(grey(), drawn)[:, 100:240].any(), "a gap within the trail is bridged"


def test_a_trail_belongs_to_one_identity() -> None:
    drawer = TrackDrawer()
    drawer.draw(grey(), tracks({3: (20, 100, 40, 180)}))
    drawn = drawer.draw(grey(), tracks({4: (260, 100, 280, 180)}))
    assert not touched(grey(), drawn)[:, 50:250].any()


def test_near_figures_lie_over_those_behind_them() -> None:
    boxes = {1: (100.0, 100.0, 180.0, 200.0), 2: (140.0, 60.0, 220.0, 150.0)}
    for order in ([1, 2], [2, 1]):
        drawn = TrackDrawer(trail_frames=0).draw(grey(), tracks({key: boxes[key] for key in order}))
        assert has_colour(drawn[149:150, 179:180], id_color(1)), "where the two outlines cross"


def test_letters_can_be_read_on_every_plate() -> None:
    for track_id in range(24):
        drawn = TrackDrawer(trail_frames=0).draw(grey(), tracks({track_id: (100, 100, 150, 180)}))
        plate = drawn[88:98, 100:112].astype(int)
        luma = plate @ np.array([0.114, 0.587, 0.299])
        assert luma.max() - luma.min() > 60, track_id


def test_the_palette_of_the_trail_is_the_one_of_the_box() -> None:
    drawer = TrackDrawer(trail_frames=5)
    drawer.draw(grey(), tracks({31: (20, 100, 40, 180)}))
    drawn = drawer.draw(grey(), tracks({31: (220, 100, 240, 180)}))
    assert has_colour(drawn[178:183, 100:150], id_color(31))


def test_drawing_without_the_library_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(InputError, match="pip install supervision"):
        TrackDrawer()


def test_memory_of_the_trails_is_bounded() -> None:
    drawer = TrackDrawer(trail_frames=5)
    for step in range(200):
        drawer.draw(grey(40, 60), tracks({step: (10, 10, 20, 30), 10_000: (30, 10, 40, 30)}))
    assert len(drawer._annotators._trace.trace.xy) <= 2 * 6


def test_reset_forgets_trails() -> None:
    drawer = TrackDrawer()
    drawer.draw(grey(), tracks({1: (10, 10, 30, 60)}))
    drawer.reset()
    first = drawer.draw(grey(), tracks({1: (210, 110, 230, 160)}))
    np.testing.assert_array_equal(first, TrackDrawer().draw(grey(), tracks({1: (210, 110, 230, 160)})))


def test_no_trails_when_switched_off() -> None:
    drawer = TrackDrawer(trail_frames=0)
    drawer.draw(grey(), tracks({1: (10, 10, 30, 60)}))
    drawn = drawer.draw(grey(), tracks({1: (210, 110, 230, 160)}))
    assert not touched(grey(), drawn)[:, :200].any()


def test_lines_grow_with_the_picture() -> None:
    def line_width(height: int) -> int:
        frame = grey(height, height)
        box = tuple(np.array([0.3, 0.3, 0.7, 0.7]) * height)
        drawn = TrackDrawer(trail_frames=0).draw(frame, tracks({2: box}))
        row = drawn[height // 2, : height // 2]
        return int((np.abs(row.astype(int) - id_color(2)).max(axis=1) < 60).sum())

    assert line_width(200) <= 2
    assert line_width(2160) > line_width(200) + 2


def test_scale_enlarges_picture_and_boxes_together() -> None:
    drawn = TrackDrawer(trail_frames=0, scale=3).draw(grey(80, 100), tracks({6: (20, 30, 40, 70)}))
    assert drawn.shape == (240, 300, 3)
    assert has_colour(drawn[140:180, 57:63], id_color(6))
    assert has_colour(drawn[207:213, 70:110], id_color(6))


def test_boxes_far_outside_do_no_harm() -> None:
    drawn = TrackDrawer().draw(grey(), tracks({1: (-1e12, -1e12, 1e12, 1e12), 2: (5000, 5000, 5100, 5200)}))
    assert drawn.shape == (240, 320, 3)


@pytest.mark.parametrize("arguments", [{"trail_frames": -1}, {"scale": 0}])
def test_wrong_settings_are_named(arguments: dict) -> None:
    with pytest.raises(InputError, match=next(iter(arguments))):
        TrackDrawer(**arguments)


def test_contact_sheet_places_every_picture() -> None:
    pictures = [np.full((20 + 5 * index, 40, 3), 30 * index, np.uint8) for index in range(5)]
    sheet = contact_sheet(pictures, columns=2)
    cell = sheet.shape[0] // 3, sheet.shape[1] // 2
    assert cell[0] >= 40
    assert cell[1] >= 40
    for index, picture in enumerate(pictures):
        row, column = divmod(index, 2)
        middle = sheet[row * cell[0] + cell[0] // 2, column * cell[1] + cell[1] // 2]
        assert (middle == picture[0, 0]).all()
        tile = sheet[row * cell[0] : (row + 1) * cell[0], column * cell[1] : (column + 1) * cell[1]]
        assert (tile == picture[0, 0]).all(axis=2).sum() == picture.shape[0] * picture.shape[1]
    assert (sheet[2 * cell[0] :, cell[1] :] > 240).all(), "the last place stays empty"


def test_captions_stand_above_their_pictures() -> None:
    pictures = [grey(60, 80)] * 2
    plain, captioned = contact_sheet(pictures, 2), contact_sheet(pictures, 2, ["A", ""])
    strip = captioned.shape[0] - plain.shape[0]
    assert strip > 5
    half = captioned.shape[1] // 2
    assert captioned[:strip, :half].min() < 100
    assert captioned[:strip, half:].min() > 240


def test_contact_sheet_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="0 pictures"):
        contact_sheet([], 2)
    with pytest.raises(InputError, match="0 columns"):
        contact_sheet([grey()], 0)
    with pytest.raises(InputError, match="2 captions for 1 pictures"):
        contact_sheet([grey()], 1, ["a", "b"])


def test_save_png(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    save_png(tmp_path / "new" / "picture.png", picture)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "new" / "picture.png")), picture)
    with pytest.raises(InputError, match="change the name"):
        save_png(tmp_path / "picture.jpg", picture)
