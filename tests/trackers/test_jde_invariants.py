"""JDETracker on whole random clips, and what it says to wrong input."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from clmot_qd.errors import InputError
from clmot_qd.trackers import JDETracker, Tracks

LOOKS = np.eye(8)


def ids(tracks: Tracks) -> list[int]:
    return tracks.instances_id.tolist()


# --- whole clips ------------------------------------------------------------------------------------------------------

Frame = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def random_clip(seed: int, frames: int, objects: int = 6) -> list[Frame]:
    """Objects that move, hide now and then, and false alarms, of two classes."""
    rng = np.random.default_rng(seed)
    looks, labels = rng.standard_normal((objects, 8)), rng.integers(0, 2, objects)
    centres, speeds = rng.uniform(0, 400, (objects, 2)), rng.normal(0, 4, (objects, 2))
    clip, half = [], np.array([20, 50])
    for _ in range(frames):
        centres = centres + speeds
        seen, alarms = rng.random(objects) > 0.15, rng.integers(0, 3)
        middle = np.vstack((centres[seen] + rng.normal(0, 1, (seen.sum(), 2)), rng.uniform(0, 400, (alarms, 2))))
        vectors = looks[seen] + rng.normal(0, 0.2, (seen.sum(), 8))
        clip.append(
            (
                np.hstack((middle - half, middle + half)),
                rng.uniform(0.3, 1, len(middle)),
                np.concatenate((labels[seen], rng.integers(0, 2, alarms))),
                np.vstack((vectors, rng.standard_normal((alarms, 8)))),
            )
        )
    return clip


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_no_id_twice_in_a_frame_and_every_index_points_at_its_detection(seed: int) -> None:
    tracker = JDETracker()
    for frame, (boxes, scores, labels, embeds) in enumerate(random_clip(seed, 25)):
        tracks = tracker.update(boxes, scores, labels, embeds, frame)
        index = tracks.detection_index
        assert len(set(ids(tracks))) == len(tracks) == len(set(index.tolist()))
        assert ids(tracks) == sorted(ids(tracks))
        np.testing.assert_array_equal(tracks.labels, labels[index])
        np.testing.assert_array_equal(tracks.scores, scores[index].astype(np.float32))
        assert (scores[index] > 0.4).all()
        # Smoothing moves a box of 40 x 100 a little; the boxes of other detections are elsewhere.
        assert np.abs(tracks.bboxes - boxes[index]).max(initial=0) < 25


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_permuting_detections_permutes_the_output(seed: int) -> None:
    """The same boxes come out for the same detections, and the ids differ at most by the order of births."""
    rng = np.random.default_rng(seed)
    plain, shuffled, names = JDETracker(), JDETracker(), {}
    for frame, arrays in enumerate(random_clip(seed, 20)):
        order = rng.permutation(len(arrays[0]))
        expected = plain.update(*arrays, frame)
        found = shuffled.update(*(values[order] for values in arrays), frame)
        a, b = np.argsort(expected.detection_index), np.argsort(order[found.detection_index])
        np.testing.assert_array_equal(expected.detection_index[a], order[found.detection_index][b])
        np.testing.assert_allclose(expected.bboxes[a], found.bboxes[b], atol=1e-4)
        for identity, renamed in zip(expected.instances_id[a], found.instances_id[b]):
            assert names.setdefault(identity, renamed) == renamed
    assert len(set(names.values())) == len(names)


def bytes_of_arrays(holder: Any) -> int:
    """Memory of all arrays, and 8 bytes for any other item, that can be reached through attributes and containers."""
    if isinstance(holder, np.ndarray):
        return holder.nbytes if holder.base is None else bytes_of_arrays(holder.base)
    if isinstance(holder, dict):
        return sum(map(bytes_of_arrays, holder.values()))
    if isinstance(holder, list | tuple | set):
        return sum(map(bytes_of_arrays, holder))
    return bytes_of_arrays(vars(holder)) if hasattr(holder, "__dict__") else 8


def test_memory_does_not_grow_over_thousands_of_frames() -> None:
    """Objects live for four frames each, so every frame starts, confirms, loses and removes tracks."""
    tracker, rng, most = JDETracker(lost_frames=5), np.random.default_rng(0), {}
    living: list[np.ndarray] = []
    for frame in range(3000):
        living = [*living, np.concatenate((rng.uniform(0, 5000, 2), rng.standard_normal(16)))][-4:]
        table = np.array(living)
        boxes = np.hstack((table[:, :2], table[:, :2] + [40, 100]))
        tracks = tracker.update(boxes, np.full(len(table), 0.9), np.zeros(len(table), int), table[:, 2:], frame)
        part = frame // 1000
        most[part] = max(most.get(part, 0), bytes_of_arrays(tracker) + bytes_of_arrays(dict(vars(JDETracker))))
    assert tracks.instances_id.max() > 2900
    assert most[2] <= most[0]
    assert len(tracker._state) <= 4 + 6


# --- wrong input ------------------------------------------------------------------------------------------------------

GOOD_FRAME: dict[str, Any] = {
    "bboxes": [[100, 50, 140, 150], [300, 50, 340, 150]],
    "scores": [0.9, 0.8],
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
        ({"scores": [0.9]}, r"^scores: expected shape"),
        ({"bboxes": [[100, 50, 40, 100], [300, 50, 340, 150]]}, r"^bboxes: row 0 is \(100, 50, 40, 100\)"),
    ],
)
def test_wrong_input_is_refused_and_changes_nothing(changed: dict[str, Any], message: str) -> None:
    tracker, untouched = JDETracker(), JDETracker()
    tracker.update(**GOOD_FRAME, frame_id=7)
    untouched.update(**GOOD_FRAME, frame_id=7)
    with pytest.raises(InputError, match=message):
        tracker.update(**(GOOD_FRAME | {"frame_id": 8} | changed))
    tracks, expected = tracker.update(**GOOD_FRAME, frame_id=9), untouched.update(**GOOD_FRAME, frame_id=9)
    assert ids(tracks) == ids(expected) == [1, 2]
    np.testing.assert_array_equal(tracks.bboxes, expected.bboxes)
    np.testing.assert_array_equal(tracker._state.covariance, untouched._state.covariance)


@pytest.mark.filterwarnings("error")
def test_rows_that_cannot_be_used_are_counted_and_the_others_tracked() -> None:
    tracker = JDETracker()
    tracker.update(**GOOD_FRAME, frame_id=0)
    bad_boxes = [[np.nan, 0, 1, 1], [7, 7, 7, 9], [0, 0, 1, np.inf], [500, 50, 540, 150]]
    bad_embeds = np.vstack((LOOKS[:3], np.full((1, 8), np.nan)))
    tracks = tracker.update(
        np.vstack((bad_boxes, GOOD_FRAME["bboxes"])), [0.9] * 6, [0] * 6, np.vstack((bad_embeds, LOOKS[:2])), 1
    )
    assert ids(tracks) == [1, 2]
    assert tracks.detection_index.tolist() == [4, 5]
    assert tracker.num_rejected == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("conf_thr", -0.1),
        ("conf_thr", 1.1),
        ("lost_frames", -1),
        ("lost_frames", 2.5),
        ("motion_weight", 2),
        ("match_thr", -1),
        ("match_thr", float("inf")),
        ("iou_thr", 1.5),
        ("unconfirmed_thr", -0.5),
        ("momentum", float("nan")),
        ("momentum", "much"),
        ("duplicate_thr", 2),
        ("gate_thr", -3),
    ],
)
def test_arguments_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^{name}: expected "):
        JDETracker(**{name: value})
