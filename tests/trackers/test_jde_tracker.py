"""The life of JDETracker's tracks, one sentence per test."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from clmot_qd.trackers import JDETracker, Tracks
from clmot_qd.trackers.jde_tracker import CHI_SQUARE_95

LOOKS = np.eye(8)


class Scene:
    """Feeds boxes of 40 x 100 pixels to a tracker, one frame after the other."""

    def __init__(self, **arguments: Any) -> None:
        self.tracker = JDETracker(**arguments)
        self.frame = 0

    def see(self, *objects: tuple, frame: int | None = None, score: float = 0.9, embeds: bool = True) -> Tracks:
        """Each object is (look, x) or (look, x, label): which embedding, left edge in pixels, class."""
        self.frame = self.frame + 1 if frame is None else frame
        looks = [entry[0] for entry in objects]
        left = np.array([entry[1] for entry in objects], dtype=float)
        boxes = np.column_stack((left, np.full(len(left), 50.0), left + 40, np.full(len(left), 150.0)))
        labels = np.array([entry[2] if len(entry) > 2 else 0 for entry in objects], dtype=int)
        vectors = LOOKS[looks] if embeds else None
        return self.tracker.update(boxes, np.full(len(left), score), labels, vectors, self.frame)

    def nothing(self, frames: int = 1) -> Tracks:
        for _ in range(frames):
            tracks = self.see()
        return tracks


def ids(tracks: Tracks) -> list[int]:
    return tracks.instances_id.tolist()


# --- birth and confirmation -------------------------------------------------------------------------------------------


def test_objects_of_the_first_frame_are_shown_at_once() -> None:
    tracks = Scene().see((0, 100), (1, 300, 2))
    assert ids(tracks) == [1, 2]
    np.testing.assert_allclose(tracks.bboxes, [[100, 50, 140, 150], [300, 50, 340, 150]])
    np.testing.assert_allclose(tracks.scores, 0.9)
    np.testing.assert_array_equal(tracks.labels, [0, 2])


def test_later_objects_are_shown_from_their_second_detection_on() -> None:
    scene = Scene()
    scene.see((0, 100))
    assert ids(scene.see((0, 102), (1, 300))) == [1]
    assert ids(scene.see((0, 104), (1, 302))) == [1, 2]


def test_a_single_false_alarm_is_never_shown_and_costs_one_id() -> None:
    scene = Scene()
    scene.see((0, 100))
    scene.see((0, 102), (1, 600))
    scene.see((0, 104))
    scene.see((0, 106), (1, 600))
    assert ids(scene.see((0, 108), (1, 600))) == [1, 3]


def test_an_empty_first_frame_is_a_first_frame() -> None:
    scene = Scene()
    assert len(scene.nothing()) == 0
    assert ids(scene.see((0, 100))) == []
    assert ids(scene.see((0, 102))) == [1]


def test_low_scores_start_and_continue_nothing() -> None:
    scene = Scene(conf_thr=0.4)
    assert ids(scene.see((0, 100), score=0.4)) == []
    assert ids(scene.see((0, 100))) == []
    assert ids(scene.see((0, 100), score=0.4)) == []
    assert ids(scene.see((0, 100), score=0.41)) == []  # the unconfirmed track is gone: this is a new one


# --- hiding and coming back -------------------------------------------------------------------------------------------


def test_hidden_five_frames_and_back_with_its_id() -> None:
    scene = Scene()
    for step in range(6):
        scene.see((0, 100 + 5 * step), (1, 600))
    for _ in range(5):
        assert ids(scene.see((1, 600))) == [2]
    assert ids(scene.see((0, 100 + 5 * 11), (1, 600))) == [1, 2]


def test_two_look_alikes_cross_and_keep_their_ids() -> None:
    """Same embedding, same size, at the same place in the middle: motion tells them apart."""
    scene = Scene()
    for step in range(31):
        tracks = scene.see((0, 100 + 10 * step), (0, 400 - 10 * step))
        assert ids(tracks) == [1, 2]
    right, left = tracks.bboxes
    assert right[0] == pytest.approx(400, abs=2)
    assert left[0] == pytest.approx(100, abs=2)


def test_thirty_empty_frames_are_survived_and_thirty_one_are_not() -> None:
    for empty, expected in ((30, [1]), (31, [])):
        scene = Scene(lost_frames=30)
        scene.see((0, 100))
        scene.see((0, 100))
        assert len(scene.nothing(empty)) == 0
        assert ids(scene.see((0, 100))) == expected


def test_a_track_not_seen_for_longer_than_its_time_is_removed_in_that_very_frame() -> None:
    scene = Scene(lost_frames=3)
    scene.see((0, 100))
    scene.nothing(3)
    assert len(scene.tracker._state) == 1
    scene.nothing()
    assert len(scene.tracker._state) == 0


def test_ids_never_come_back_after_removal() -> None:
    scene, seen = Scene(lost_frames=2), []
    for _ in range(5):
        scene.see((0, 100))
        seen += ids(scene.see((0, 100)))
        scene.nothing(3)
    assert len(seen) == len(set(seen)) == 5


def test_a_found_track_takes_the_score_of_its_detection() -> None:
    scene = Scene()
    scene.see((0, 100), score=0.9)
    scene.nothing(2)
    assert scene.see((0, 100), score=0.5).scores == pytest.approx(0.5)


def test_a_lost_track_stops_growing() -> None:
    """An object that came nearer by 8 % a frame is hidden for 12 frames: its track waits at the size it had."""
    tracker = JDETracker()

    def see(frame: int, height: float) -> Tracks:
        box = [[500 - height / 5, 300 - height / 2, 500 + height / 5, 300 + height / 2]]
        return tracker.update(box, [0.9], [0], LOOKS[:1], frame)

    heights = 100 * 1.08 ** np.arange(10)
    for frame, height in enumerate(heights):
        see(frame, height)
    for frame in range(10, 22):
        tracker.update([], [], [], None, frame)
    tracks = see(22, heights[-1])
    assert ids(tracks) == [1]
    assert np.diff(tracks.bboxes[0, [1, 3]]) == pytest.approx(heights[-1], rel=0.01)  # 3 % if it went on growing


def test_the_shorter_lived_of_two_that_cover_each_other_goes() -> None:
    """A stranger where an old track got lost is not started; a long-lived track ends a short-lived lost one."""
    scene = Scene()
    for _ in range(4):
        scene.see((0, 100))
    scene.nothing()
    scene.see((1, 100))  # another look at the same place
    assert ids(scene.see((1, 100))) == []
    assert scene.tracker._state.ids.tolist() == [1]

    scene = Scene()
    scene.see((0, 100))
    scene.nothing()
    scene.see((1, 100))  # both seen once: the lost one stays
    assert scene.tracker._state.ids.tolist() == [1]

    scene = Scene()
    for step in range(8):
        scene.see((0, 100 + 10 * step), *[(1, 250)] * (step in (2, 3)))
    assert scene.tracker._state.ids.tolist() == [1, 2]
    for step in range(8, 20):
        scene.see((0, 100 + 10 * step))
    assert scene.tracker._state.ids.tolist() == [1]


# --- gaps in the frame ids --------------------------------------------------------------------------------------------


def test_velocity_carries_over_a_gap() -> None:
    scene = Scene()
    for frame in range(10):
        scene.see((0, 100 + 12 * frame), frame=frame, embeds=False)
    assert ids(scene.see((0, 100 + 12 * 14), frame=14, embeds=False)) == [1]


def test_the_frames_of_a_gap_count_as_unseen() -> None:
    for missing, expected in ((5, [1]), (6, [])):
        scene = Scene(lost_frames=5)
        scene.see((0, 100))
        scene.see((0, 100))
        assert ids(scene.see((0, 100), frame=3 + missing)) == expected


def test_every_fifth_frame_is_enough_to_confirm() -> None:
    scene = Scene()
    scene.see(frame=0)
    scene.see((0, 100), frame=5)
    assert ids(scene.see((0, 104), frame=10)) == [1]


# --- classes ----------------------------------------------------------------------------------------------------------


def test_a_detection_continues_only_tracks_of_its_own_label() -> None:
    scene = Scene()
    scene.see((0, 100, 0))
    scene.see((0, 100, 1))
    tracks = scene.see((0, 100, 1))
    assert ids(tracks) == [2]
    assert tracks.labels.tolist() == [1]
    tracks = scene.see((0, 100, 0), (0, 100, 1))
    assert sorted(zip(ids(tracks), tracks.labels.tolist())) == [(1, 0), (2, 1)]


def test_without_classes_the_label_follows_the_detection() -> None:
    scene = Scene(per_class=False)
    scene.see((0, 100, 0))
    tracks = scene.see((0, 100, 1))
    assert ids(tracks) == [1]
    assert tracks.labels.tolist() == [1]


# --- appearance -------------------------------------------------------------------------------------------------------


def test_appearance_outweighs_position_inside_the_gate() -> None:
    scene = Scene()
    scene.see((0, 100), (1, 106))
    tracks = scene.see((1, 100), (0, 106))
    assert ids(tracks) == [1, 2]
    assert tracks.detection_index.tolist() == [1, 0]


@pytest.mark.parametrize("match_thr", [0.7, 1e-9])
@pytest.mark.parametrize("gate_thr", [CHI_SQUARE_95, 1e9])
def test_without_embeddings_position_decides_even_if_it_has_no_weight(gate_thr: float, match_thr: float) -> None:
    """Both objects lie within the gates of both tracks, and in the other order than the tracks."""
    scene = Scene(motion_weight=0.0, gate_thr=gate_thr, match_thr=match_thr, iou_thr=0.0)
    scene.see((0, 100), (1, 104))
    scene.see((1, 104), (0, 100))
    tracks = scene.see((0, 104), (1, 100), embeds=False)
    assert tracks.instances_id[np.argsort(tracks.detection_index)].tolist() == [2, 1]
    assert len(scene.see((0, 103), embeds=False)) == 1


def test_without_embeddings_position_decides() -> None:
    scene = Scene()
    scene.see((0, 100), (1, 106), embeds=False)
    assert scene.see((1, 100), (0, 106), embeds=False).detection_index.tolist() == [0, 1]


def test_the_same_look_beyond_the_gate_is_someone_else() -> None:
    """Variance of the offset in the second frame: (2 * 5)^2 + (10 * 100 / 160)^2 + 5^2 + 5^2 = 189.06 pixels^2."""
    for shift, expected in ((42, [1]), (43, [])):  # 42^2 / 189.06 < 9.4877 < 43^2 / 189.06
        scene = Scene()
        scene.see((0, 100))
        assert ids(scene.see((0, 100 + shift))) == expected


def test_the_cost_is_the_weighted_sum_of_appearance_and_motion() -> None:
    """At the predicted place 0.98 * distance counts: 0.71 is still below the limit 0.7, 0.72 is not."""
    for distance, expected in ((0.71, [1]), (0.72, [])):
        tracker, box = JDETracker(motion_weight=0.02, match_thr=0.7), [[100, 50, 140, 150]]
        tracker.update(box, [0.9], [0], [[1.0, 0.0]], 0)
        tracker.update([], [], [], None, 1)  # lost: only round 1 can find it
        look = [[1 - distance, np.sqrt(1 - (1 - distance) ** 2)]]
        assert ids(tracker.update(box, [0.9], [0], look, 2)) == expected


def test_the_overlap_limits_of_tracked_and_of_unconfirmed_tracks() -> None:
    """Shifted by s, boxes 40 wide are 1 - (40 - s) / (40 + s) apart; the look changes, so overlap alone decides."""
    for shift, expected in ((12, [1]), (17, [])):  # 0.46, 0.60; limit 0.5
        scene = Scene()
        scene.see((0, 100))
        assert ids(scene.see((1, 100 + shift))) == expected
    for shift, expected in ((17, [1]), (22, [])):  # 0.60, 0.71; limit 0.7
        scene = Scene()
        scene.nothing()
        scene.see((0, 100))
        assert ids(scene.see((1, 100 + shift))) == expected


def test_all_embeddings_equal_is_the_same_as_none() -> None:
    with_embeds, without = Scene(), Scene()
    for step in range(12):
        objects = [(0, 100 + 9 * step), (0, 300 - 7 * step), *[(0, 500)] * (step % 3 > 0)]
        first, second = with_embeds.see(*objects), without.see(*objects, embeds=False)
        assert ids(first) == ids(second)
        np.testing.assert_array_equal(first.bboxes, second.bboxes)


def test_the_embedding_is_a_moving_average_of_unit_vectors() -> None:
    tracker, box = JDETracker(momentum=0.9), [[100, 50, 140, 150]]
    tracker.update(box, [0.9], [0], [[5.0, 0.0]], 0)
    tracker.update(box, [0.9], [0], [[0.0, 0.2]], 1)
    np.testing.assert_allclose(tracker._state.embeds, [np.array([0.9, 0.1]) / np.hypot(0.9, 0.1)])


@pytest.mark.filterwarnings("error")
def test_vectors_of_zeros_leave_the_track_to_its_box() -> None:
    tracker, box = JDETracker(), [[100, 50, 140, 150]]
    for frame in range(3):
        assert ids(tracker.update(box, [0.9], [0], np.zeros((1, 8)), frame)) == [1]
    assert ids(tracker.update(box, [0.9], [0], LOOKS[:1], 3)) == [1]
    np.testing.assert_array_equal(tracker._state.embeds, LOOKS[:1])


def test_frames_with_and_without_embeddings_may_alternate() -> None:
    scene = Scene()
    for step in range(8):
        tracks = scene.see((0, 100 + 3 * step), (1, 300), embeds=step % 2 == 1)
        assert ids(tracks) == [1, 2]


# --- reset and instances ----------------------------------------------------------------------------------------------


def play(scene: Scene) -> list[list[int]]:
    return [
        ids(scene.see((0, 100 + 4 * step), *[(1, 300)] * (step > 2), *[(2, 500)] * (step % 2))) for step in range(9)
    ]


def test_reset_between_videos_gives_the_same_ids_again() -> None:
    scene = Scene()
    first = play(scene)
    scene.tracker.update([[0, 0, np.nan, 1]], [0.9], [0], None, 100)
    scene.tracker.reset()
    assert scene.tracker.num_rejected == 0
    scene.frame = 0
    assert play(scene) == first
    assert first[-1]


def test_two_trackers_count_their_own_ids() -> None:
    assert play(Scene()) == play(Scene())


def test_another_embedding_width_is_fine_after_reset() -> None:
    tracker, box = JDETracker(), [[100, 50, 140, 150]]
    tracker.update(box, [0.9], [0], np.ones((1, 8)), 0)
    tracker.reset()
    assert ids(tracker.update(box, [0.9], [0], np.ones((1, 4)), 0)) == [1]


def test_the_result_is_the_callers_own() -> None:
    scene = Scene()
    tracks = scene.see((0, 100), (1, 300))
    tracks.instances_id[:], tracks.bboxes[:], tracks.labels[:] = 77, 0, 5
    assert ids(scene.see((0, 100), (1, 300))) == [1, 2]


def test_the_gate_holds_95_percent() -> None:
    assert chi2.cdf(CHI_SQUARE_95, df=4) == pytest.approx(0.95, abs=1e-5)
