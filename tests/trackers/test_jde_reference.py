"""JDETracker against the loop over tracks and detections: the same ids, boxes to a thousandth of a pixel."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from naive_jde import NaiveJDE

from clmot_qd.trackers import JDETracker

Frame = tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]


def crowded_clip(seed: int, objects: int, frames: int, dtype: type = np.float32) -> Iterator[Frame]:
    """Objects of two classes cross in a crowd and hide for a while; look-alikes, false alarms, empty frames, gaps."""
    rng = np.random.default_rng(seed)
    looks, labels = rng.standard_normal((objects, 16)), rng.integers(0, 2, objects)
    looks[1] = looks[0] + rng.normal(0, 0.1, 16)
    side = 40 * np.sqrt(objects)
    corners, speeds = rng.uniform(0, side, (objects, 2)), rng.normal(0, 4, (objects, 2))
    sizes, hidden, time = rng.uniform([15, 40], [40, 90], (objects, 2)), np.zeros(objects, int), 0
    for _ in range(frames):
        time += int(rng.choice([1, 1, 1, 1, 1, 1, 1, 1, 2, 5]))
        corners = corners + speeds
        hidden = np.maximum(hidden - 1, 0) + (hidden == 0) * (rng.random(objects) < 0.02) * rng.integers(2, 12, objects)
        rows = np.flatnonzero((hidden == 0) & (rng.random(objects) > 0.1))
        rows = rows[: 0 if rng.random() < 0.03 else None]
        boxes = np.hstack((corners[rows], corners[rows] + sizes[rows])) + rng.normal(0, 1, (len(rows), 4))
        embeds = looks[rows] + rng.normal(0, 0.4, (len(rows), 16))
        yield (
            time,
            boxes.astype(dtype),
            rng.uniform(0.2, 1, len(rows)).astype(dtype),
            np.where(rng.random(len(rows)) < 0.03, 1 - labels[rows], labels[rows]),
            None if seed % 3 == 2 and rng.random() < 0.2 else embeds.astype(dtype),
        )


def assert_equal_to_the_loop(clip: Iterator[Frame], arguments: dict[str, Any]) -> int:
    """Returns how many boxes were shown."""
    ours, naive, shown = JDETracker(**arguments), NaiveJDE(**arguments), 0
    for time, *arrays in clip:
        found, expected = ours.update(*arrays, time), naive.update(*arrays, time)
        assert found.instances_id.tolist() == [track.identity for track in expected], time
        assert found.detection_index.tolist() == [track.index for track in expected], time
        boxes = np.array([track.box for track in expected]).reshape(-1, 4)
        np.testing.assert_allclose(found.bboxes, boxes, atol=1e-3)
        assert ours._state.ids.tolist() == [track.identity for track in naive.tracks], time
        shown += len(found)
    return shown


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"low_conf_thr": 0.1, "lost_frames": 5},
        {"motion_weight": 0.3, "match_thr": 2.0, "gate_thr": 40.0, "per_class": False},
        {"duplicate_thr": 0.8, "confirm_frames": 3, "motion_weight": 1.0},
    ],
)
def test_equals_the_loop(seed: int, arguments: dict[str, Any]) -> None:
    assert assert_equal_to_the_loop(crowded_clip(seed, 12, 50), arguments) > 100


def test_equals_the_loop_where_pairs_are_sorted_out() -> None:
    """Enough objects that boxes are found by sorting, and doubles from a caller who has them."""
    assert assert_equal_to_the_loop(crowded_clip(4, 90, 8, np.float64), {}) > 300


def hidden_for_long(precision: type, noise: float = 0.2) -> Iterator[Frame]:
    """Some 90 objects hide for 40 frames, most of them in gaps, 20 stay; then most are back, with strangers."""
    rng = np.random.default_rng(0)
    looks, corners = rng.standard_normal((150, 16)), rng.uniform(0, 900, (150, 2))
    always = np.arange(150) % 15 >= 13  # between those that hide, so that tracks of both kinds take turns
    for time in (0, 1, 2, 12, 42, 43, 44, 45):
        others = np.arange(0, 105) if time < 3 else np.arange(30, 130) if time > 43 else np.arange(0)
        rows = np.flatnonzero(always | np.isin(np.arange(150), others))
        corners[rows] += rng.normal(0, 25 if time == 44 else 1, (len(rows), 2))
        boxes = np.hstack((corners[rows], corners[rows] + [40, 100]))
        embeds = looks[rows] + rng.normal(0, noise, (len(rows), 16))
        labels = np.zeros(len(rows), dtype=int)
        yield time, boxes.astype(precision), np.full(len(rows), 0.9, precision), labels, embeds.astype(precision)


@pytest.mark.parametrize(
    ("precision", "arguments", "noise"),
    [
        (np.float32, {}, 0.2),
        (np.float64, {"motion_weight": 0.0, "match_thr": 1.0}, 0.2),
        (np.float32, {"motion_weight": 1.0}, 0.2),
        (np.float32, {"motion_weight": 0.5, "match_thr": 0.7, "gate_thr": 40.0}, 1.5),
    ],
)
def test_equals_the_loop_when_tracks_could_be_anywhere(
    precision: type, arguments: dict[str, Any], noise: float
) -> None:
    arguments = {"lost_frames": 60, "duplicate_thr": 0.0, **arguments}
    assert assert_equal_to_the_loop(hidden_for_long(precision, noise), arguments) > 300
