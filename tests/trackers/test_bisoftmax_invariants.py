"""BiSoftmaxTracker on whole random clips, and what it says to wrong input."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from bisoftmax_scene import LOOKS, Scene, Seen, ids
from hypothesis import given, settings
from test_bisoftmax_oracle import random_stream
from test_jde_invariants import bytes_of_arrays

from clmot_qd.errors import InputError
from clmot_qd.trackers import BiSoftmaxTracker, TAOBiSoftmaxTracker

trackers = st.sampled_from(
    [
        lambda: BiSoftmaxTracker(),
        lambda: BiSoftmaxTracker(match_metric="cosine", remove_duplicates=False, memo_backdrop_frames=0),
        lambda: BiSoftmaxTracker(iou_weight=1, motion="kalman", low_score_thr=0.1, confirm_frames=2),
        lambda: BiSoftmaxTracker(appearance_weight=0, iou_weight=1, with_cats=False, low_score_thr=0.1),
        lambda: TAOBiSoftmaxTracker(),
    ]
)


@given(st.integers(0, 10_000), trackers)
@settings(max_examples=40, deadline=None)
def test_no_id_twice_in_a_frame_and_every_index_points_at_its_detection(seed: int, make: Any) -> None:
    tracker, rng = make(), np.random.default_rng(seed)
    for frame, (boxes, scores, labels, embeds) in enumerate(random_stream(seed, 20)):
        kept = rng.random(len(boxes)) < rng.choice([0, 0.5, 1])
        tracks = tracker.update(boxes[kept], scores[kept], labels[kept], embeds[kept], frame)
        index = tracks.detection_index
        assert len(set(ids(tracks))) == len(tracks) == len(set(index.tolist()))
        assert ids(tracks) == sorted(ids(tracks))
        np.testing.assert_array_equal(tracks.bboxes, boxes[kept][index])
        np.testing.assert_array_equal(tracks.scores, scores[kept][index])
        np.testing.assert_array_equal(tracks.labels, labels[kept][index])
        np.testing.assert_array_equal(tracker._memory.ids, np.unique(tracker._memory.ids))


@given(st.integers(0, 10_000), trackers)
@settings(max_examples=30, deadline=None)
def test_permuting_detections_permutes_the_output(seed: int, make: Any) -> None:
    """Scores are all different, and it is they that decide who chooses first: even the ids stay the same."""
    rng, plain, shuffled = np.random.default_rng(seed), make(), make()
    for frame, arrays in enumerate(random_stream(seed, 15)):
        order = rng.permutation(len(arrays[0]))
        expected = plain.update(*arrays, frame)
        found = shuffled.update(*(values[order] for values in arrays), frame)
        np.testing.assert_array_equal(found.instances_id, expected.instances_id)
        np.testing.assert_array_equal(order[found.detection_index], expected.detection_index)


def test_memory_does_not_grow_over_thousands_of_frames() -> None:
    """Objects live for four frames each, beside doubtful ones, so every frame starts and forgets tracks."""
    tracker, rng, most = BiSoftmaxTracker(memo_tracklet_frames=5), np.random.default_rng(0), {}
    living: list[np.ndarray] = []
    for frame in range(3000):
        living = [*living, np.concatenate((rng.uniform(0, 5000, 2), 2 * rng.standard_normal(16)))][-4:]
        table = np.array(living)
        boxes = np.hstack((table[:, :2], table[:, :2] + [40, 100]))
        scores = np.where(np.arange(len(table)) % 2, 0.9, 0.7)
        tracks = tracker.update(boxes, scores, np.zeros(len(table), int), table[:, 2:], frame)
        part = frame // 1000
        most[part] = max(most.get(part, 0), bytes_of_arrays(tracker) + bytes_of_arrays(dict(vars(BiSoftmaxTracker))))
    assert tracks.instances_id.max() > 500
    assert most[2] <= 1.5 * most[0]
    assert len(tracker._memory) + len(tracker._backdrops) <= 4 + 6


# --- wrong input ------------------------------------------------------------------------------------------------------

GOOD_FRAME: dict[str, Any] = {
    "bboxes": [[100, 50, 140, 150], [300, 50, 340, 150]],
    "scores": [0.95, 0.9],
    "labels": [0, 0],
    "embeds": LOOKS[:2],
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"frame_id": 7}, r"^frame_id: 7 follows 7; call reset\(\) before a new video$"),
        ({"frame_id": 3}, r"^frame_id: 3 follows 7; call reset\(\)"),
        ({"frame_id": 8.5}, r"^frame_id: expected a whole number, got 8.5$"),
        ({"embeds": np.ones((2, 5))}, r"^embeds: width changed from 8 to 5; call reset\(\)"),
        ({"embeds": np.ones((3, 8))}, r"^embeds: expected shape \(2, C\)"),
        ({"embeds": None}, r"^embeds: BiSoftmaxTracker compares appearance, so .*; or set appearance_weight=0"),
        ({"scores": [0.9]}, r"^scores: expected shape"),
        ({"bboxes": [[100, 50, 40, 100], [300, 50, 340, 150]]}, r"^bboxes: row 0 is \(100, 50, 40, 100\)"),
    ],
)
def test_wrong_input_is_refused_and_changes_nothing(changed: dict[str, Any], message: str) -> None:
    tracker = BiSoftmaxTracker()
    tracker.update(**GOOD_FRAME, frame_id=7)
    memory, backdrops = tracker._memory, tracker._backdrops
    with pytest.raises(InputError, match=message):
        tracker.update(**(GOOD_FRAME | {"frame_id": 8} | changed))
    assert (tracker._memory, tracker._backdrops, tracker.num_rejected) == (memory, backdrops, 0)
    assert ids(tracker.update(**GOOD_FRAME, frame_id=8)) == [0, 1]


def test_frames_without_detections_need_no_embeddings() -> None:
    tracker = BiSoftmaxTracker()
    for frame, embeds in enumerate((None, [], np.zeros((0, 8)))):
        assert len(tracker.update([], [], [], embeds, 2 * frame)) == 0
        assert ids(tracker.update(**GOOD_FRAME, frame_id=2 * frame + 1)) == [0, 1]


@pytest.mark.filterwarnings("error")
def test_rows_that_cannot_be_used_are_counted_and_the_others_tracked() -> None:
    tracker = BiSoftmaxTracker()
    tracker.update(**GOOD_FRAME, frame_id=0)
    bad_boxes = [[np.nan, 0, 1, 1], [7, 7, 7, 9], [0, 0, 1, np.inf], [500, 50, 540, 150]]
    bad_embeds = np.vstack((LOOKS[:3], np.full((1, 8), np.nan)))
    tracks = tracker.update(
        np.vstack((bad_boxes, GOOD_FRAME["bboxes"])), [0.9] * 6, [0] * 6, np.vstack((bad_embeds, LOOKS[:2])), 1
    )
    assert (ids(tracks), tracks.detection_index.tolist()) == ([0, 1], [4, 5])
    assert tracker.num_rejected == 4


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", ["bisoftmax", "softmax", "cosine"])
def test_vectors_of_zeros_are_no_reason_to_stop(metric: str) -> None:
    scene = Scene(match_metric=metric)
    for _ in range(3):
        assert len(scene.see(Seen(0, 100), Seen(1, 300), embeds=np.zeros((2, 8)))) in (0, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"match_metric": "euclid"}, r"^match_metric: expected one of 'bisoftmax', 'softmax', 'cosine', got 'euclid'$"),
        ({"motion": "optical"}, r"^motion: expected one of None, 'kalman', got 'optical'$"),
        ({"temperature": 0}, r"^temperature: expected a number from 0.001"),
        ({"temperature": 0.1, "match_metric": "cosine"}, r"^temperature: match_metric='cosine' has none"),
        ({"appearance_weight": 0}, r"^appearance_weight, iou_weight: both are 0"),
        ({"motion": "kalman"}, r"^motion: no boxes are compared.*set iou_weight or low_score_thr$"),
        ({"regression": True}, r"^regression: no boxes are compared"),
        ({"memo_tracklet_frames": 0}, r"^memo_tracklet_frames: expected a number from 1"),
        ({"memo_tracklet_frames": 2.5}, r"^memo_tracklet_frames: expected a whole number"),
        ({"memo_backdrop_frames": -1}, r"^memo_backdrop_frames: expected a number from 0"),
        ({"confirm_frames": 0}, r"^confirm_frames: expected a number from 1"),
        *(
            ({name: 1.5}, rf"^{name}: expected a number from 0 to 1, got 1.5$")
            for name in (
                "init_score_thr",
                "obj_score_thr",
                "match_score_thr",
                "memo_momentum",
                "nms_conf_thr",
                "nms_backdrop_iou_thr",
                "nms_class_iou_thr",
                "low_score_thr",
                "low_iou_thr",
            )
        ),
        ({"appearance_weight": -1}, r"^appearance_weight: expected a number from 0"),
        ({"iou_weight": float("inf")}, r"^iou_weight: expected a number from 0"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BiSoftmaxTracker(**arguments)
