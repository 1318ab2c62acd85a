"""Position, motion and regression beside appearance: every row of QDTrack Table 5 is a choice of arguments."""

from typing import Any

import numpy as np
import pytest
from bisoftmax_scene import LOOKS, Scene, Seen, ids
from test_bisoftmax_oracle import random_stream

from clmot_qd.errors import InputError
from clmot_qd.trackers import BiSoftmaxTracker
from clmot_qd.trackers.cues import regressed_boxes
from clmot_qd.trackers.similarity import bisoftmax, pairwise_iou

POSITION = {"appearance_weight": 0, "iou_weight": 1}


def iou_of_shift(shift: float) -> float:
    """IoU of two boxes 40 wide, one of them shifted."""
    return (40 - shift) / (40 + shift)


def test_overlap_alone_needs_no_embeddings() -> None:
    for shift, expected in ((13, [0]), (14, [1])):  # IoU 0.509, 0.481
        scene = Scene(**POSITION)
        scene.see(Seen(0, 100), embeds=None)
        assert ids(scene.see(Seen(0, 100 + shift), embeds=None)) == expected


def test_overlap_alone_looks_at_no_embeddings() -> None:
    scene = Scene(**POSITION)
    scene.see(Seen(0, 100), embeds=LOOKS[:1])
    assert ids(scene.see(Seen(1, 100), embeds=LOOKS[:1, :3])) == [0]
    assert ids(scene.see(Seen(1, 100), embeds=None)) == [0]
    assert scene.tracker._memory.embeds.shape == (1, 0)


def test_appearance_is_the_default_to_the_last_bit() -> None:
    plain, weighted = BiSoftmaxTracker(), BiSoftmaxTracker(appearance_weight=3.7)
    moving = BiSoftmaxTracker(motion="kalman", low_score_thr=1.0)  # 1.0: no score is larger, no box is compared
    for frame, arrays in enumerate(random_stream(5)):
        expected = plain.update(*arrays, frame)
        for tracker in (weighted, moving):
            tracks = tracker.update(*arrays, frame)
            np.testing.assert_array_equal(tracks.instances_id, expected.instances_id)
            np.testing.assert_array_equal(tracks.bboxes, expected.bboxes)
            np.testing.assert_array_equal(tracker._memory.embeds, plain._memory.embeds)


def test_similarity_is_the_weighted_mean() -> None:
    """Against the sums written out: 2 parts appearance, 3 parts overlap; backdrops have a place, too."""
    rng, scene = np.random.default_rng(0), Scene(appearance_weight=2, iou_weight=3)
    scene.see(Seen(0, 100), Seen(1, 130), Seen(2, 160, 0.6))
    tracker, embeds = scene.tracker, rng.standard_normal((2, 8))
    assert (len(tracker._memory), len(tracker._backdrops)) == (2, 1)
    now = np.array([[105.0, 50, 145, 150], [150, 60, 190, 160]])
    found, asked = tracker._admit(now, [0.9, 0.8], [0, 0], embeds, 1, -np.inf)[1], LOOKS[:3]
    then = np.array([[100.0, 50, 140, 150], [130, 50, 170, 150], [160, 50, 200, 150]])
    expected = (2 * bisoftmax(embeds @ asked.T) + 3 * pairwise_iou(now, then)) / 5
    similarity = tracker.cues.similarity(found, tracker._candidates(tracker._memory, None))
    np.testing.assert_allclose(similarity, expected, rtol=1e-6)


def test_overlap_tells_look_alikes_apart() -> None:
    scene = Scene(iou_weight=1)
    scene.see(Seen(0, 100, 0.95), Seen(0, 300))
    tracks = scene.see(Seen(0, 103), Seen(0, 303, 0.95))
    assert ids(tracks) == [0, 1]
    assert tracks.bboxes[:, 0].tolist() == [103, 303]


def test_overlap_keeps_classes_apart() -> None:
    scene = Scene(**POSITION)
    scene.see(Seen(0, 100, label=0))
    assert ids(scene.see(Seen(0, 100, label=1))) == [1]


# --- motion -----------------------------------------------------------------------------------------------------------


def test_the_filter_carries_boxes_on() -> None:
    """20 pixels a frame and hidden for three: 80 pixels from its last box, and found with motion only."""
    for motion, expected in (("kalman", [0]), (None, [1])):
        scene = Scene(**POSITION, motion=motion, match_score_thr=0.3)
        for step in range(10):
            scene.see(Seen(0, 100 + 15 * step))
        scene.nothing(3)
        assert ids(scene.see(Seen(0, 100 + 15 * 13))) == expected


def test_the_filter_carries_boxes_over_a_gap() -> None:
    scene = Scene(**POSITION, motion="kalman", match_score_thr=0.3)
    for step in range(10):
        scene.see(Seen(0, 100 + 15 * step), frame=step)
    assert ids(scene.see(Seen(0, 100 + 15 * 13), frame=13)) == [0]


def test_a_lost_track_stops_growing() -> None:
    """An object that came nearer by 8 % a frame is hidden for nine frames: its box waits at the size it had."""
    tracker = BiSoftmaxTracker(**POSITION, motion="kalman", memo_tracklet_frames=30, match_score_thr=0.9)
    heights = 100 * 1.08 ** np.arange(10)

    def see(frame: int, height: float) -> list[int]:
        box = [[500 - height / 5, 300 - height / 2, 500 + height / 5, 300 + height / 2]]
        return ids(tracker.update(box, [0.9], [0], None, frame))

    for frame, height in enumerate(heights):
        tracker.match_score_thr = 0.5
        see(frame, height)
    tracker.match_score_thr = 0.9
    for frame in range(10, 19):
        tracker.update([], [], [], None, frame)
    expected = tracker._candidates(tracker._expected_memory(19), None).bboxes
    assert expected[0, 3] - expected[0, 1] == pytest.approx(heights[-1] * 1.05, rel=0.05)
    assert see(19, expected[0, 3] - expected[0, 1]) == [0]


def test_a_prediction_changes_nothing_that_is_stored() -> None:
    """Growing objects, one of them lost: looking at the next frame and not taking it leaves the filters alone."""
    scene = Scene(**POSITION, motion="kalman")
    for step in range(5):
        scene.tracker.update([[100, 50, 140, 150 + 9 * step], [300, 50, 340, 150]], [0.9, 0.8], [0, 0], None, step)
    scene.tracker.update([[300, 50, 340, 150]], [0.8], [0], None, 5)
    stored = scene.tracker._memory.mean.copy()
    assert stored[0, 7] > 1
    scene.tracker._expected_memory(6)
    np.testing.assert_array_equal(scene.tracker._memory.mean, stored)


def test_shown_boxes_are_those_of_the_detector_with_motion_too() -> None:
    scene = Scene(motion="kalman", iou_weight=1)
    for step in range(5):
        assert scene.see(Seen(0, 100 + step**2)).bboxes[0, 0] == 100 + step**2


def test_low_scores_are_looked_for_where_the_filter_sees_the_track() -> None:
    for motion, expected in (("kalman", [0]), (None, [])):
        scene = Scene(motion=motion, low_score_thr=0.1)
        for step in range(10):
            scene.see(Seen(0, 100 + 20 * step), Seen(1, 700))
        assert ids(scene.see(Seen(2, 100 + 20 * 10, 0.3), Seen(1, 700))) == [*expected, 1]


# --- regression -------------------------------------------------------------------------------------------------------


class Moved:
    """A detector's box head that sees every box moved, and remembers what it was asked."""

    def __init__(self, shift: float) -> None:
        self.shift, self.asked = shift, []

    def __call__(self, boxes: np.ndarray) -> np.ndarray:
        self.asked.append(boxes.copy())
        return boxes + np.array([self.shift, 0, self.shift, 0])


def test_regression_finds_where_boxes_went() -> None:
    scene, head = Scene(**POSITION, regression=True), Moved(60)
    assert scene.tracker.needs_regression
    assert ids(scene.see(Seen(0, 100), Seen(1, 300, 0.6), regress=head)) == [0]
    assert head.asked == []  # there was no memory yet
    assert ids(scene.see(Seen(0, 160), regress=head)) == [0]
    np.testing.assert_array_equal(head.asked[0], [[100, 50, 140, 150], [300, 50, 340, 150]])  # the backdrop, too
    assert not BiSoftmaxTracker().needs_regression


def test_regression_goes_on_from_the_prediction() -> None:
    scene, head = Scene(**POSITION, regression=True, motion="kalman", match_score_thr=0.1), Moved(0)
    for step in range(10):
        scene.see(Seen(0, 100 + 15 * step), regress=head)
    assert head.asked[-1][0, 0] == pytest.approx(100 + 15 * 9, abs=4)


def test_a_box_head_is_not_asked_for_nothing() -> None:
    scene, head = Scene(), Moved(0)
    for _ in range(2):
        scene.see(Seen(0, 100), regress=head)
    assert head.asked == []


def test_a_box_the_network_lost_stays_where_it_was() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    moved = regressed_boxes(boxes, lambda given: np.vstack((given[:1] + 5, given[1:] * [1, np.nan, 1, 1])))
    assert moved.tolist() == [[5, 5, 15, 15], [20, 0, 30, 10]]


def test_the_box_head_gets_boxes_of_its_own() -> None:
    scene = Scene(**POSITION, regression=True)

    def spoil(boxes: np.ndarray) -> np.ndarray:
        boxes[:] = 7
        return boxes + np.array([0, 0, 1, 1])

    scene.see(Seen(0, 100), regress=spoil)
    scene.see(regress=spoil)
    assert scene.tracker._memory.bboxes[0, 0] == 100


@pytest.mark.parametrize(
    ("regress", "message"),
    [
        (None, r"^regress: a tracker with regression=True needs it in every update"),
        (lambda boxes: boxes[:1], r"^regress: expected \(2, 4\) numbers.*got \(1, 4\)$"),
    ],
)
def test_wrong_regression_is_refused_and_changes_nothing(regress: Any, message: str) -> None:
    scene = Scene(**POSITION, regression=True, motion="kalman")
    scene.see(Seen(0, 100), Seen(1, 300), regress=Moved(0))
    memory = scene.tracker._memory
    with pytest.raises(InputError, match=message):
        scene.see(Seen(0, 100), regress=regress)
    assert scene.tracker._memory is memory
    assert ids(scene.see(Seen(0, 100), regress=Moved(0), frame=1)) == [0]


# --- Table 5 ----------------------------------------------------------------------------------------------------------

TABLE_5 = [
    {"appearance_weight": 0, "iou_weight": 1},
    {"appearance_weight": 0, "iou_weight": 1, "motion": "kalman"},
    {"appearance_weight": 0, "iou_weight": 1, "regression": True},
    {},
    {"iou_weight": 1},
    {"iou_weight": 1, "motion": "kalman"},
    {"iou_weight": 1, "regression": True},
]


@pytest.mark.parametrize("arguments", TABLE_5)
def test_every_row_of_table_5_follows_well_separated_objects(arguments: dict[str, Any]) -> None:
    scene = Scene(**arguments)
    cue = {"regress": Moved(8)} if scene.tracker.needs_regression else {}
    for step in range(8):
        assert ids(scene.see(Seen(0, 100 + 8 * step, 0.95), Seen(1, 400 + 8 * step), **cue)) == [0, 1]
