"""JDETracker's optional stages: birth threshold, low scores, confirmation, boxes of the detector."""

from typing import Any

import numpy as np
import pytest

from clmot_qd.errors import InputError
from clmot_qd.trackers import JDETracker, Tracks

LOOKS = np.eye(8)


class Scene:
    """Feeds boxes of 40 x 100 pixels, each (look, x, score), to a tracker."""

    def __init__(self, **arguments: Any) -> None:
        self.tracker = JDETracker(**arguments)
        self.frame = 0

    def see(self, *objects: tuple[int, float, float], label: int = 0) -> Tracks:
        self.frame += 1
        looks, left = [entry[0] for entry in objects], np.array([entry[1] for entry in objects], dtype=float)
        boxes = np.column_stack((left, np.full(len(left), 50.0), left + 40, np.full(len(left), 150.0)))
        scores, labels = [entry[2] for entry in objects], np.full(len(left), label)
        return self.tracker.update(boxes, scores, labels, LOOKS[looks], self.frame)


def ids(tracks: Tracks) -> list[int]:
    return tracks.instances_id.tolist()


# --- births -----------------------------------------------------------------------------------------------------------


def test_births_can_need_more_than_the_rest_of_a_track() -> None:
    scene = Scene(conf_thr=0.4, init_thr=0.6)
    assert ids(scene.see((0, 100, 0.6), (1, 300, 0.61))) == [1]
    assert ids(scene.see((0, 100, 0.6), (1, 300, 0.41))) == [1]
    assert len(scene.tracker._state) == 1


# --- low scores -------------------------------------------------------------------------------------------------------


def test_low_scores_hold_on_to_tracks_by_overlap() -> None:
    """Another look: the box moves along, the appearance stays."""
    for threshold, expected in ((None, []), (0.3, []), (0.1, [1])):
        scene = Scene(conf_thr=0.4, low_conf_thr=threshold)
        scene.see((0, 100, 0.9))
        scene.see((0, 100, 0.9))
        tracks = scene.see((1, 106, 0.3))
        assert ids(tracks) == expected
        np.testing.assert_array_equal(scene.tracker._state.embeds, LOOKS[:1])
    assert tracks.scores == pytest.approx(0.3)
    assert tracks.detection_index.tolist() == [0]
    assert 103 < tracks.bboxes[0, 0] < 106


def test_low_scores_never_start_or_confirm_tracks_and_find_no_lost_ones() -> None:
    scene = Scene(conf_thr=0.4, low_conf_thr=0.1)
    assert ids(scene.see((0, 100, 0.3))) == []
    scene.see((0, 100, 0.9))  # unconfirmed
    assert ids(scene.see((0, 100, 0.3))) == []
    assert len(scene.tracker._state) == 0
    scene = Scene(conf_thr=0.4, low_conf_thr=0.1)
    scene.see((0, 100, 0.9))
    scene.see()
    assert ids(scene.see((0, 100, 0.3))) == []
    assert ids(scene.see((0, 100, 0.9))) == [1]


def test_the_overlap_limit_of_low_scores() -> None:
    """Shifted by s, boxes 40 wide are 1 - (40 - s) / (40 + s) apart."""
    for shift, expected in ((9, [1]), (11, [])):  # 0.37, 0.43
        scene = Scene(low_conf_thr=0.1, low_iou_thr=0.4)
        scene.see((0, 100, 0.9))
        assert ids(scene.see((0, 100 + shift, 0.3))) == expected


def test_low_scores_come_after_high_ones_and_keep_to_classes() -> None:
    scene = Scene(low_conf_thr=0.1)
    scene.see((0, 100, 0.9))
    tracks = scene.see((0, 100, 0.3), (0, 108, 0.9))
    assert (ids(tracks), tracks.detection_index.tolist()) == ([1], [1])
    assert ids(scene.see((0, 108, 0.3), label=1)) == []


# --- confirmation -----------------------------------------------------------------------------------------------------


def test_tracks_are_shown_from_the_asked_for_detection_on() -> None:
    for wanted in (1, 2, 3, 4):
        scene = Scene(confirm_frames=wanted)
        scene.see()
        shown = [ids(scene.see((0, 100 + 3 * step, 0.9))) for step in range(5)]
        assert shown == [[]] * (wanted - 1) + [[1]] * (6 - wanted)


def test_those_of_the_first_frame_are_shown_at_once() -> None:
    scene = Scene(confirm_frames=4)
    assert ids(scene.see((0, 100, 0.9))) == ids(scene.see((0, 100, 0.9))) == [1]


def test_a_miss_before_confirmation_ends_the_track() -> None:
    scene = Scene(confirm_frames=3)
    scene.see()
    scene.see((0, 100, 0.9))
    scene.see((0, 100, 0.9))
    scene.see()
    assert len(scene.tracker._state) == 0
    shown = [ids(scene.see((0, 100, 0.9))) for _ in range(3)]
    assert shown == [[], [], [2]]


def test_a_track_on_its_way_to_confirmation_is_predicted() -> None:
    """Without, its box would fall behind an object that moves by half its width in each frame."""
    scene = Scene(confirm_frames=7, unconfirmed_thr=0.8)
    scene.see()
    for step in range(6):
        scene.see((step, 100 + 20 * step, 0.9))
        assert scene.tracker._state.ids.tolist() == [1]
        speed = scene.tracker._state.mean[0, 4]
        assert (speed > 3) == (step >= 2)  # two positions make a speed, in the frame after


# --- boxes ------------------------------------------------------------------------------------------------------------


def test_boxes_of_the_detector_can_be_shown() -> None:
    for smooth in (True, False):
        scene = Scene(smooth_boxes=smooth)
        scene.see((0, 100, 0.9), (1, 300, 0.9))
        tracks = scene.see((2, 700, 0.2), (1, 310, 0.9), (0, 110, 0.9))
        assert ids(tracks) == [1, 2]
        exact = tracks.bboxes[:, 0].tolist() == [110, 310]
        assert exact != smooth


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"init_thr": 0.3}, r"^init_thr: expected a number from 0.4 to 1, got 0.3$"),
        ({"low_conf_thr": 0.5}, r"^low_conf_thr: expected a number from 0 to 0.4, got 0.5$"),
        ({"low_iou_thr": 2}, r"^low_iou_thr: expected "),
        ({"confirm_frames": 0}, r"^confirm_frames: expected a number from 1"),
        ({"confirm_frames": 1.5}, r"^confirm_frames: expected a whole number"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        JDETracker(**arguments)
