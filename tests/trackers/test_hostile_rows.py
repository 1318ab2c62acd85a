"""Rows that no tracker can use: left out, counted, and everything else as if they had not been there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from clmot_qd.errors import InputError
from clmot_qd.trackers import BiSoftmaxTracker, JDETracker, TAOBiSoftmaxTracker, Tracks
from clmot_qd.trackers.online_tracker import rejected_note

TRACKERS: dict[str, Callable[[], Any]] = {
    "jde": JDETracker,
    "jde, low scores": lambda: JDETracker(low_conf_thr=0.1, confirm_frames=1, motion_weight=0.3),
    "jde, given boxes": lambda: JDETracker(smooth_boxes=False, per_class=False),
    "motion only": JDETracker,
    "bisoftmax": BiSoftmaxTracker,
    "softmax": lambda: BiSoftmaxTracker(match_metric="softmax", temperature=0.1),
    "cosine": lambda: BiSoftmaxTracker(match_metric="cosine"),
    "bisoftmax, boxes": lambda: BiSoftmaxTracker(iou_weight=1, motion="kalman", low_score_thr=0.1),
    "boxes only": lambda: BiSoftmaxTracker(appearance_weight=0, iou_weight=1, motion="kalman"),
    "tao": TAOBiSoftmaxTracker,
    "tao, cosines": lambda: TAOBiSoftmaxTracker(temperature=0.1),
}
every_tracker = pytest.mark.parametrize("name", TRACKERS)
WIDTH = 8

Frame = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def scene(rng: np.random.Generator, objects: int, frames: int, dtype: type) -> Iterator[Frame]:
    """Objects that move, a tenth of them missed in each frame."""
    corner, speed = rng.uniform(0, 1000, (objects, 2)), rng.normal(0, 5, (objects, 2))
    size, looks = rng.uniform(20, 100, (objects, 2)), rng.normal(0, 2, (objects, WIDTH))
    for _ in range(frames):
        seen = rng.random(objects) > 0.1
        boxes = np.concatenate((corner, corner + size), axis=1) + rng.normal(0, 1, (objects, 4))
        scores, embeds = rng.uniform(0.3, 1, objects), looks + rng.normal(0, 0.2, looks.shape)
        labels = np.zeros(objects, dtype=np.int64)
        yield boxes[seen].astype(dtype), scores[seen].astype(dtype), labels[seen], embeds[seen].astype(dtype)
        corner += speed


def unusable(rng: np.random.Generator, rows: int, dtype: type, with_looks: bool) -> Frame:
    """Rows near the objects of the scene, each spoiled in one way."""
    boxes = (rng.uniform(0, 900, (rows, 1)) + np.array([10, 10, 50, 80])).astype(dtype)
    scores, embeds = np.full(rows, 0.9, dtype=dtype), rng.normal(0, 2, (rows, WIDTH)).astype(dtype)
    huge = np.array(np.inf if dtype == np.float16 else 1e38, dtype=dtype)
    for row in range(rows):
        value = rng.choice([np.nan, np.inf, -np.inf])
        kind = rng.integers(0, 7) if with_looks else rng.integers(1, 7)
        if kind == 0:
            embeds[row, rng.integers(WIDTH)] = value
        elif kind == 1:
            boxes[row, rng.integers(4)] = value
        elif kind == 2:
            scores[row] = value
        elif kind == 3:
            boxes[row], scores[row], embeds[row] = value, value, value
        elif kind == 4:
            boxes[row, 2] = boxes[row, 0]
        elif kind == 5:
            boxes[row] = [-huge, -huge, huge, huge]
        else:
            boxes[row, 2] = huge
    return boxes, scores, np.zeros(rows, dtype=np.int64), embeds


def mixed(good: Frame, bad: Frame, is_bad: np.ndarray) -> list[np.ndarray]:
    together = []
    for ours, theirs in zip(good, bad, strict=True):
        column = np.empty((len(is_bad), *ours.shape[1:]), dtype=ours.dtype)
        column[~is_bad], column[is_bad] = ours, theirs
        together.append(column)
    return together


def assert_same(found: Tracks, expected: Tracks, rows: np.ndarray) -> None:
    """``rows``: where the rows of the clean input stand in the other."""
    for field in ("instances_id", "bboxes", "scores", "labels"):
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))
    index = expected.detection_index
    np.testing.assert_array_equal(found.detection_index, np.where(index < 0, -1, np.append(rows, -1)[index]))
    assert np.isfinite(found.bboxes).all()
    assert np.isfinite(found.scores).all()


@every_tracker
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("objects", [0, 1, 12])
def test_every_other_track_is_as_if_they_had_not_been_there(name: str, dtype: type, objects: int) -> None:
    rng, with_looks = np.random.default_rng(objects), name != "motion only"
    clean, tracker, spoiled = TRACKERS[name](), TRACKERS[name](), 0
    for frame_id, good in enumerate(scene(rng, objects, 8, dtype)):
        count = int(rng.integers(0, 4))
        is_bad = np.zeros(len(good[0]) + count, dtype=bool)
        is_bad[rng.permutation(len(is_bad))[:count]] = True
        bad = unusable(rng, count, dtype, with_looks and name != "boxes only")
        boxes, scores, labels, embeds = mixed(good, bad, is_bad)
        found = tracker.update(boxes, scores, labels, embeds if with_looks else None, frame_id)
        expected = clean.update(*good[:3], good[3] if with_looks else None, frame_id)
        assert_same(found, expected, np.flatnonzero(~is_bad))
        spoiled += count
    assert (tracker.num_rejected, clean.num_rejected) == (spoiled, 0)
    tracker.reset()
    assert (tracker.num_rejected, tracker.total_rejected) == (0, spoiled)


GOOD: dict[str, Any] = dict(
    bboxes=np.array([[0, 0, 10, 20], [50, 50, 90, 120.0]]), scores=np.array([0.9, 0.9]), labels=[0, 0]
)


@every_tracker
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"scores": np.array([0.9, 1e300])}, id="score that single precision cannot hold"),
        pytest.param({"embeds": np.eye(2, WIDTH) * [[1.0], [1e200]]}, id="embedding whose products overflow"),
        pytest.param({"embeds": np.array([[1.0] * WIDTH, [1e308] * WIDTH])}, id="embedding of the largest numbers"),
    ],
)
def test_what_would_overflow_inside_is_rejected_too(name: str, changed: dict[str, np.ndarray]) -> None:
    if name in ("motion only", "boxes only") and "embeds" in changed:
        pytest.skip("embeddings are not looked at")
    tracker, given = TRACKERS[name](), GOOD | {"embeds": np.eye(2, WIDTH) * 3} | changed
    for frame_id in range(3):
        tracks = tracker.update(**given, frame_id=frame_id)
        assert tracks.detection_index.tolist() == [0]
        assert tracks.instances_id.tolist() == [tracker.first_id]
    assert tracker.num_rejected == 3


@every_tracker
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scores", [[0.0, 1.0], [1.0, 5.0], [-3.0, 0.9], [1.0, 1.0]], ids=str)
def test_scores_at_and_beyond_their_limits_are_compared_as_they_are(name: str, scores: list[float]) -> None:
    """Detectors of other makes give scores in other ranges; thresholds are what decides."""
    tracker = TRACKERS[name]()
    for frame_id in range(3):
        tracks = tracker.update(**GOOD | {"scores": scores}, embeds=np.eye(2, WIDTH) * 3, frame_id=frame_id)
        expected = [row for row, score in enumerate(scores) if score > 0.5]
        assert sorted(tracks.detection_index) == expected
    assert tracker.num_rejected == 0


@every_tracker
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("looks", [0.0, 1.0, 1e-30, 6e4], ids=lambda value: f"all entries {value:g}")
@pytest.mark.parametrize("objects", [1, 40])
def test_a_crowd_that_looks_alike_is_tracked_with_finite_numbers(name: str, looks: float, objects: int) -> None:
    tracker, embeds = TRACKERS[name](), np.full((objects, WIDTH), looks, dtype=np.float32)
    boxes = np.arange(objects)[:, None] * 60.0 + np.array([0, 0, 40, 90])
    for frame_id in range(4):
        tracks = tracker.update(boxes, np.full(objects, 0.9), [0] * objects, embeds, frame_id)
        assert len(tracks) == objects
        assert len(set(tracks.instances_id.tolist())) == objects
        assert np.isfinite(tracks.bboxes).all()


@every_tracker
@pytest.mark.filterwarnings("error")
def test_a_thousand_objects_and_boxes_of_all_sizes(name: str, rng: np.random.Generator) -> None:
    corner, size = rng.uniform(-1e6, 1e6, (1000, 2)), 10 ** rng.uniform(-5, 8, (1000, 2))
    tracker, looks = TRACKERS[name](), rng.normal(0, 1, (1000, WIDTH)).astype(np.float32)
    for frame_id in range(2):
        boxes = np.concatenate((corner, corner + size * 1.01**frame_id), axis=1)
        tracks = tracker.update(boxes, np.full(1000, 0.9), np.zeros(1000, dtype=np.int64), looks, frame_id)
        assert np.isfinite(tracks.bboxes).all()
    assert tracker.num_rejected == 0


# ---- form of the input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bboxes": [[0, 0, 10**400, 5], [0, 0, 1, 1]]}, "bboxes: expected an array of numbers"),
        ({"labels": [[0], [0, 1]]}, "labels: expected an array of integers"),
        ({"labels": np.array([2**64 - 1, 0], dtype=np.uint64)}, "labels: 18446744073709551615 is beyond"),
        ({"bboxes": [[9, 9, 1, 1], [0, 0, 1, 1]]}, r"bboxes: row 0 is \(9, 9, 1, 1\)"),
    ],
)
@pytest.mark.parametrize("tracker", [JDETracker, BiSoftmaxTracker, TAOBiSoftmaxTracker])
def test_what_cannot_be_meant_is_refused_in_one_line(tracker: type, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        tracker().update(**GOOD | changed, embeds=np.eye(2, WIDTH), frame_id=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("tracker", [JDETracker, BiSoftmaxTracker, TAOBiSoftmaxTracker])
def test_tensors_in_half_precision_are_tracked_as_their_values(tracker: type, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    half = [torch.tensor(values).to(getattr(torch, dtype)) for values in (GOOD["bboxes"], GOOD["scores"])]
    looks = torch.eye(2, WIDTH).to(getattr(torch, dtype))
    halves, singles = tracker(), tracker()
    for frame_id in range(2):
        found = halves.update(half[0], half[1], torch.tensor([0, 0]), looks, frame_id)
        expected = singles.update(half[0].float(), half[1].float(), torch.tensor([0, 0]), looks.float(), frame_id)
        assert_same(found, expected, np.arange(2))


def test_a_refused_frame_does_not_decide_the_width_of_embeddings() -> None:
    tracker = BiSoftmaxTracker(iou_weight=1, regression=True)
    with pytest.raises(InputError, match="regress"):
        tracker.update(**GOOD, embeds=np.eye(2, 5), frame_id=0)
    assert len(tracker.update(**GOOD, embeds=np.eye(2, WIDTH), frame_id=0, regress=lambda boxes: boxes)) == 2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1e38, 1e200, -1e200, np.nan, np.inf])
def test_a_box_that_the_network_sends_away_stays_where_it_was(value: float) -> None:
    tracker = BiSoftmaxTracker(iou_weight=1, regression=True, low_score_thr=0.1)
    for frame_id in range(3):
        tracks = tracker.update(
            **GOOD,
            embeds=np.eye(2, WIDTH),
            frame_id=frame_id,
            regress=lambda boxes: boxes * [1, 1, 1, 0] + [0, 0, 0, value],
        )
        assert tracks.instances_id.tolist() == [0, 1]


@pytest.mark.parametrize("arguments", [{"lost_frames": 10**400}, {"conf_thr": 10**400}])
def test_a_number_beyond_all_is_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(InputError, match="got one beyond all"):
        JDETracker(**arguments)


def test_the_note_is_one_line() -> None:
    assert rejected_note(3).startswith("3 detections could not be used")
    assert "\n" not in rejected_note(3)
