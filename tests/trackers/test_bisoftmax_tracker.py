"""The life of BiSoftmaxTracker's tracks and backdrops, one sentence per test."""

import numpy as np
import pytest
from bisoftmax_scene import LOOKS, Scene, Seen, ids

from clmot_qd.trackers import BiSoftmaxTracker

# --- birth ------------------------------------------------------------------------------------------------------------


def test_new_objects_are_shown_at_once_and_the_surest_gets_the_first_id() -> None:
    tracks = Scene().see(Seen(0, 100, 0.85), Seen(1, 300, 0.95, label=2))
    assert ids(tracks) == [0, 1]
    assert tracks.detection_index.tolist() == [1, 0]
    np.testing.assert_allclose(tracks.bboxes, [[300, 50, 340, 150], [100, 50, 140, 150]])
    np.testing.assert_allclose(tracks.scores, [0.95, 0.85])
    assert tracks.labels.tolist() == [2, 0]


def test_of_equal_scores_the_first_row_gets_the_first_id() -> None:
    tracks = Scene().see(*(Seen(0, 100 * row, 0.9 + 0.05 * (row % 2)) for row in range(60)))
    assert ids(tracks) == list(range(60))
    assert tracks.detection_index.tolist() == [*range(1, 60, 2), *range(0, 60, 2)]


def test_doubtful_detections_start_nothing() -> None:
    scene = Scene(init_score_thr=0.8)
    assert ids(scene.see(Seen(0, 100, 0.8), Seen(1, 300, 0.81))) == [0]


def test_doubtful_detections_continue_tracks() -> None:
    scene = Scene(obj_score_thr=0.5)
    scene.see(Seen(0, 100))
    tracks = scene.see(Seen(0, 100, 0.51))
    assert ids(tracks) == [0]
    np.testing.assert_allclose(tracks.scores, [0.51])


def test_an_empty_first_frame_is_a_frame() -> None:
    scene = Scene()
    assert len(scene.nothing()) == 0
    assert ids(scene.see(Seen(0, 100))) == [0]


# --- following --------------------------------------------------------------------------------------------------------


def test_looks_decide_and_places_do_not_matter() -> None:
    scene = Scene()
    scene.see(Seen(0, 100, 0.95), Seen(1, 300))
    tracks = scene.see(Seen(1, 100, 0.95), Seen(0, 300))
    assert ids(tracks) == [0, 1]
    assert tracks.bboxes[:, 0].tolist() == [300, 100]


def test_two_look_alikes_take_their_tracks_in_the_order_of_their_scores() -> None:
    scene = Scene()
    scene.see(Seen(0, 100, 0.95), Seen(0, 300))
    tracks = scene.see(Seen(0, 300), Seen(0, 100, 0.95))
    assert len(tracks) == 2  # each share is (1/2 + 1/2) / 2: not above 0.5, so both are strangers
    assert ids(tracks) == [2, 3]
    scene = Scene(match_score_thr=0.4)
    scene.see(Seen(0, 100, 0.95), Seen(0, 300))
    assert ids(scene.see(Seen(0, 300), Seen(0, 100, 0.95))) == [0, 1]


def test_a_track_continues_in_one_detection_only() -> None:
    """The surer of two with the look of the only track continues it; the other, whose choice is gone, is new."""
    scene = Scene()
    scene.see(Seen(0, 100), Seen(1, 300))
    tracks = scene.see(Seen(0, 100, 0.85), Seen(0, 500, 0.95))
    assert ids(tracks) == [0, 2]
    assert tracks.bboxes[:, 0].tolist() == [500, 100]


def test_a_similarity_at_the_threshold_is_no_match() -> None:
    """Two tracks that look the same: the row of a detection is 1/2 and 1/2, its columns are 1. Mean 0.75."""
    for threshold, expected in ((0.74, [0]), (0.75, [2])):
        scene = Scene(match_score_thr=threshold)
        scene.see(Seen(0, 100, 0.95), Seen(0, 300))
        assert ids(scene.see(Seen(0, 700))) == expected


def test_the_embedding_is_a_moving_average_that_favours_the_new() -> None:
    scene = Scene(memo_momentum=0.8)
    scene.see(Seen(0, 100))
    scene.see(Seen(0, 100), embeds=[[0.0] * 7 + [5.0]])
    np.testing.assert_allclose(scene.tracker._memory.embeds, [[0.2 * 6, 0, 0, 0, 0, 0, 0, 0.8 * 5]])


# --- hiding and coming back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [True, False])
def test_hidden_for_as_long_as_the_memory_lasts_and_back_with_its_id(gap: bool) -> None:
    """Seen in frame 0, a track with memory 10 can be found in frame 10, not in 11: whether frames were empty or left
    out."""
    for missing, expected in ((9, [0]), (10, [1])):
        scene = Scene(memo_tracklet_frames=10)
        scene.see(Seen(0, 100))
        if not gap:
            assert len(scene.nothing(missing)) == 0
        assert ids(scene.see(Seen(0, 500), frame=1 + missing)) == expected


def test_a_track_is_forgotten_in_the_frame_in_which_its_time_is_up() -> None:
    scene = Scene(memo_tracklet_frames=3)
    scene.see(Seen(0, 100))
    scene.nothing(2)
    assert len(scene.tracker._memory) == 1
    scene.nothing()
    assert len(scene.tracker._memory) == 0


def test_two_crossing_objects_keep_their_ids() -> None:
    scene = Scene()
    for step in range(31):
        # Where they cover each other, the less sure of the two is taken for a duplicate.
        tracks = scene.see(Seen(0, 100 + 10 * step, 0.95), Seen(1, 400 - 10 * step))
        assert ids(tracks) == ([0] if step in (15,) else [0, 1])


def test_ids_never_come_back_after_they_are_forgotten() -> None:
    scene, seen = Scene(memo_tracklet_frames=2), []
    for _ in range(5):
        seen += ids(scene.see(Seen(0, 100)))
        scene.nothing(3)
    assert seen == [0, 1, 2, 3, 4]


# --- duplicates -------------------------------------------------------------------------------------------------------


def overlapping(iou: float) -> float:
    """Shift, in pixels, at which two boxes 40 wide have this IoU."""
    return 40 * (1 - iou) / (1 + iou)


def test_a_box_that_covers_a_surer_one_is_a_duplicate_whatever_its_class() -> None:
    for iou, expected in ((0.71, [0]), (0.69, [0, 1])):
        scene = Scene(nms_class_iou_thr=0.7)
        assert ids(scene.see(Seen(0, 100), Seen(1, 100 + overlapping(iou), 0.85, label=1))) == expected


def test_a_doubtful_box_is_a_duplicate_at_a_smaller_overlap() -> None:
    for iou, score, expected in ((0.31, 0.49, [0]), (0.29, 0.49, [0, 1]), (0.31, 0.5, [0, 1])):
        scene = Scene(nms_backdrop_iou_thr=0.3, obj_score_thr=0.5, init_score_thr=0.1)
        assert ids(scene.see(Seen(0, 100), Seen(1, 100 + overlapping(iou), score))) == expected


def test_a_removed_box_still_removes_others() -> None:
    """Three in a row, each covering the next: the second goes for the first's sake, the third for the second's."""
    step = overlapping(0.75)
    assert ids(Scene().see(Seen(0, 100, 0.95), Seen(1, 100 + step, 0.9), Seen(2, 100 + 2 * step, 0.85))) == [0]


def test_duplicates_stay_if_asked_to() -> None:
    scene = Scene(remove_duplicates=False)
    tracks = scene.see(Seen(0, 100, 0.85), Seen(1, 100))
    assert (ids(tracks), tracks.detection_index.tolist()) == ([0, 1], [1, 0])


# --- suppressed detections --------------------------------------------------------------------------------------------


def test_a_doubtful_detection_of_a_track_is_neither_shown_nor_kept() -> None:
    scene = Scene(obj_score_thr=0.5)
    scene.see(Seen(0, 100))
    assert ids(scene.see(Seen(0, 200, 0.5))) == []
    assert scene.tracker._memory.bboxes[0, 0] == 100
    assert len(scene.tracker._backdrops) == 0


def test_a_suppressed_detection_starts_no_track_either() -> None:
    scene = Scene(obj_score_thr=0.5, init_score_thr=0.3)
    scene.see(Seen(0, 100))
    assert ids(scene.see(Seen(0, 500, 0.45))) == []
    assert ids(scene.see(Seen(0, 100), Seen(1, 500, 0.45))) == [0, 1]


def test_a_doubtful_detection_with_little_similarity_is_a_backdrop() -> None:
    for thr, expected in ((0.74, 0), (0.75, 1)):  # see the 0.75 above
        scene = Scene(obj_score_thr=0.5, match_score_thr=0.3, nms_conf_thr=thr)
        scene.see(Seen(0, 100, 0.95), Seen(0, 300))
        assert ids(scene.see(Seen(0, 700, 0.4))) == []
        assert len(scene.tracker._backdrops) == expected


def test_a_suppressed_detection_does_not_take_the_track_from_others() -> None:
    scene = Scene(obj_score_thr=0.5, match_score_thr=0.4)
    scene.see(Seen(0, 100))
    assert ids(scene.see(Seen(0, 100, 0.45), Seen(0, 500, 0.4))) == []
    scene = Scene(obj_score_thr=0.5, match_score_thr=0.4)
    scene.see(Seen(0, 100))
    tracks = scene.see(Seen(0, 100, 0.45), Seen(0, 500, 0.55))
    assert (ids(tracks), tracks.detection_index.tolist()) == ([0], [1])


# --- backdrops --------------------------------------------------------------------------------------------------------


def stranger_next_to_a_backdrop(scene: Scene, wait: int = 0, label: int = 0) -> list[int]:
    """Track 0, then beside it a doubtful detection with look 1, then look 1 alone and surer, yet too doubtful for a
    track: without the backdrop, track 0 is its only choice and bi-softmax gives it 1."""
    scene.see(Seen(0, 100))
    scene.see(Seen(0, 100), Seen(1, 300, 0.6, label))
    for _ in range(wait):
        scene.see(Seen(0, 100))
    return ids(scene.see(Seen(1, 300, 0.75)))


def test_a_backdrop_attracts_what_would_else_be_given_to_a_track() -> None:
    assert stranger_next_to_a_backdrop(Scene(memo_backdrop_frames=1)) == []
    assert stranger_next_to_a_backdrop(Scene(memo_backdrop_frames=0)) == [0]


def test_backdrops_last_as_many_frames_as_asked_for() -> None:
    for kept, wait, expected in ((1, 1, [0]), (2, 1, []), (2, 2, [0]), (3, 2, [])):
        assert stranger_next_to_a_backdrop(Scene(memo_backdrop_frames=kept), wait) == expected


def test_backdrops_count_frames_that_are_given() -> None:
    scene = Scene()
    scene.see(Seen(0, 100), frame=0)
    scene.see(Seen(0, 100), Seen(1, 300, 0.6), frame=5)
    assert ids(scene.see(Seen(1, 300, 0.75), frame=10)) == []


def test_an_empty_frame_ages_backdrops() -> None:
    scene = Scene()
    scene.see(Seen(0, 100))
    scene.see(Seen(0, 100), Seen(1, 300, 0.6))
    scene.nothing()
    assert len(scene.tracker._backdrops) == 0
    assert ids(scene.see(Seen(1, 300, 0.75))) == [0]


def test_a_backdrop_of_another_class_takes_its_share_but_no_match() -> None:
    """The row is split between track and backdrop, e^0 to e^36; the track's half of bi-softmax is left: not > 0.5."""
    assert stranger_next_to_a_backdrop(Scene(), label=1) == []
    assert stranger_next_to_a_backdrop(Scene(match_score_thr=0.4), label=1) == [0]


def test_what_a_surer_box_covers_is_no_backdrop() -> None:
    for iou, expected in ((0.31, 0), (0.29, 1)):
        scene = Scene(nms_backdrop_iou_thr=0.3)
        scene.see(Seen(0, 100), Seen(1, 100 + overlapping(iou), 0.6))
        assert len(scene.tracker._backdrops) == expected


def test_of_two_backdrops_in_one_place_the_surer_stays() -> None:
    scene = Scene()
    scene.see(Seen(2, 900), Seen(0, 100, 0.6), Seen(1, 100 + overlapping(0.4), 0.7))
    np.testing.assert_array_equal(scene.tracker._backdrops.embeds, LOOKS[[1]])


def test_new_tracks_are_no_backdrops() -> None:
    scene = Scene()
    scene.see(Seen(0, 100), Seen(1, 300))
    assert len(scene.tracker._backdrops) == 0


# --- classes ----------------------------------------------------------------------------------------------------------


def test_a_detection_continues_only_tracks_of_its_own_label() -> None:
    scene = Scene()
    scene.see(Seen(0, 100, label=0))
    tracks = scene.see(Seen(0, 100, label=1))
    assert (ids(tracks), tracks.labels.tolist()) == ([1], [1])


def test_without_classes_the_label_follows_the_detection() -> None:
    scene = Scene(with_cats=False)
    scene.see(Seen(0, 100, label=0))
    tracks = scene.see(Seen(0, 100, label=1))
    assert (ids(tracks), tracks.labels.tolist()) == ([0], [1])
    assert scene.tracker._memory.labels.tolist() == [1]


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_the_only_track_suits_every_detection_of_bisoftmax_and_not_of_cosine() -> None:
    for metric, expected in (("bisoftmax", [0]), ("softmax", [0]), ("cosine", [1])):
        scene = Scene(match_metric=metric)
        scene.see(Seen(0, 100))
        assert ids(scene.see(Seen(1, 100))) == expected


def test_softmax_lets_a_stranger_take_a_track_where_bisoftmax_does_not() -> None:
    for metric, expected in (("softmax", [0, 1]), ("bisoftmax", [1, 0])):
        scene = Scene(match_metric=metric)
        scene.see(Seen(0, 100))
        assert scene.see(Seen(1, 100, 0.95), Seen(0, 300)).detection_index.tolist() == expected


def test_temperature_compares_directions() -> None:
    """Vectors of unit length: raw dot products hardly differ, cosines over 0.07 do. The cosine of the two is 0.8."""
    looks = np.array([[1.0, 0.0], [0.8, 0.6]])
    for temperature, length, expected in ((None, 1, [2, 3]), (0.07, 1, [0, 1]), (0.07, 1e-3, [0, 1])):
        scene = Scene(temperature=temperature, match_score_thr=0.6)
        scene.see(Seen(0, 100, 0.95), Seen(0, 300), embeds=looks * length)
        assert ids(scene.see(Seen(0, 100, 0.95), Seen(0, 300), embeds=looks * length)) == expected
    similarity = (1 / (1 + np.exp(-0.2 / 0.07))) / 2 + (1 / (1 + np.exp(-0.2 / 0.07))) / 2
    for threshold, expected in ((similarity - 1e-5, [0, 1]), (similarity + 1e-5, [2, 3])):
        scene = Scene(temperature=0.07, match_score_thr=threshold)
        scene.see(Seen(0, 100, 0.95), Seen(0, 300), embeds=looks)
        assert ids(scene.see(Seen(0, 100, 0.95), Seen(0, 300), embeds=looks)) == expected


@pytest.mark.filterwarnings("error")
def test_huge_embeddings_do_not_overflow() -> None:
    scene = Scene()
    for _ in range(3):
        assert ids(scene.see(Seen(0, 100, 0.95), Seen(0, 300), embeds=np.eye(2) * 1e6)) == [0, 1]


# --- low scores -------------------------------------------------------------------------------------------------------


def test_low_scores_hold_on_to_tracks_of_the_last_frame_by_overlap() -> None:
    """Half hidden, with a strange look: the box of the track moves, its appearance stays."""
    for threshold, expected in ((None, []), (0.1, [0]), (0.3, [])):
        scene = Scene(low_score_thr=threshold)
        scene.see(Seen(0, 100), Seen(1, 300))
        tracks = scene.see(Seen(1, 300), Seen(2, 110, 0.3))
        assert ids(tracks) == [*expected, 1]
        assert scene.tracker._memory.bboxes[0, 0] == (110 if expected else 100)
        np.testing.assert_array_equal(scene.tracker._memory.embeds[0], LOOKS[0])
        assert len(scene.tracker._backdrops) == (0 if expected else 1)


def test_the_overlap_limit_of_low_scores() -> None:
    for iou, expected in ((0.41, [0]), (0.39, [])):
        scene = Scene(low_score_thr=0.1, low_iou_thr=0.6)
        scene.see(Seen(0, 100))
        assert ids(scene.see(Seen(0, 100 + overlapping(iou), 0.3))) == expected


def test_low_scores_find_no_track_that_is_lost_taken_or_of_another_class() -> None:
    scene = Scene(low_score_thr=0.1)
    scene.see(Seen(0, 100), Seen(1, 300))
    scene.see(Seen(1, 300))
    assert ids(scene.see(Seen(1, 300), Seen(2, 100, 0.3))) == [1]  # track 0 was not seen in the frame before
    assert ids(scene.see(Seen(1, 300), Seen(2, 305, 0.3))) == [1]  # track 1 has a detection
    assert ids(scene.see(Seen(2, 305, 0.3, label=1))) == []
    scene = Scene(low_score_thr=0.1, with_cats=False)
    scene.see(Seen(1, 300))
    assert ids(scene.see(Seen(2, 305, 0.3, label=1))) == [0]


def test_an_unused_detection_of_high_score_also_holds_on_before_it_starts_a_track() -> None:
    for threshold, expected in ((None, [1, 2]), (0.1, [0, 1])):
        scene = Scene(low_score_thr=threshold)
        scene.see(Seen(0, 100, 0.95), Seen(1, 300))
        assert ids(scene.see(Seen(1, 300), Seen(2, 105))) == expected


# --- confirmation -----------------------------------------------------------------------------------------------------


def test_tracks_are_shown_from_the_asked_for_detection_on_and_remembered_before() -> None:
    for wanted in (1, 2, 3):
        scene = Scene(confirm_frames=wanted)
        scene.nothing()
        shown = [ids(scene.see(Seen(0, 100))) for _ in range(2)]
        scene.nothing()
        shown += [ids(scene.see(Seen(0, 100))) for _ in range(2)]
        assert shown == [[]] * (wanted - 1) + [[0]] * (5 - wanted)


def test_those_of_the_first_frame_are_shown_at_once() -> None:
    scene = Scene(confirm_frames=3)
    assert ids(scene.see(Seen(0, 100))) == [0]
    assert ids(scene.see(Seen(0, 100), Seen(1, 300))) == [0]
    scene.tracker.reset()
    assert ids(scene.see(Seen(0, 100))) == [0]


def test_a_low_score_confirms_too() -> None:
    scene = Scene(confirm_frames=3, low_score_thr=0.1)
    scene.nothing()
    scene.see(Seen(0, 100))
    scene.see(Seen(0, 100, 0.3))
    assert ids(scene.see(Seen(0, 100))) == [0]


# --- reset and instances ----------------------------------------------------------------------------------------------


def play(scene: Scene) -> list[list[int]]:
    return [
        ids(scene.see(Seen(0, 100 + 4 * step), *[Seen(1, 300, 0.7)] * (step > 2), *[Seen(2, 500)] * (step % 2)))
        for step in range(9)
    ]


def test_reset_between_videos_gives_the_same_ids_again() -> None:
    scene = Scene()
    first = play(scene)
    scene.tracker.update([[0, 0, np.nan, 1]], [0.9], [0], [LOOKS[0]], 100)
    assert scene.tracker.num_rejected == 1
    scene.tracker.reset()
    assert scene.tracker.num_rejected == 0
    scene.frame = -1
    assert play(scene) == first
    assert first[-1]


def test_two_trackers_count_their_own_ids() -> None:
    assert play(Scene()) == play(Scene())


def test_another_embedding_width_is_fine_after_reset() -> None:
    tracker, box = BiSoftmaxTracker(), [[100, 50, 140, 150]]
    tracker.update(box, [0.9], [0], np.ones((1, 8)), 0)
    tracker.reset()
    assert ids(tracker.update(box, [0.9], [0], np.ones((1, 4)), 0)) == [0]


def test_the_result_is_the_callers_own_and_so_is_the_input() -> None:
    scene, embeds = Scene(), LOOKS[:2].copy()
    tracks = scene.see(Seen(0, 100), Seen(1, 300), embeds=embeds)
    tracks.instances_id[:], tracks.bboxes[:], tracks.labels[:], embeds[:] = 77, 0, 5, 1e3
    assert ids(scene.see(Seen(1, 300, 0.95), Seen(0, 100))) == [0, 1]
    np.testing.assert_array_equal(scene.tracker._memory.embeds, LOOKS[:2])
