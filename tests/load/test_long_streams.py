"""Trackers on streams without end: memory, work, identities and completeness stay what they are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
from endless_scene import CYCLE, Watch, endless_scene, held_bytes

from clmot_qd.benchmark.moving_objects import FrameInput
from clmot_qd.trackers import BiSoftmaxTracker, JDETracker, TAOBiSoftmaxTracker

TRACKERS: dict[str, Callable[[], Any]] = {
    "JDE": JDETracker,
    "BiSoftmax": BiSoftmaxTracker,
    "TAO": TAOBiSoftmaxTracker,
    "JDE by motion": lambda: JDETracker(low_conf_thr=0.1, confirm_frames=1),
    "BiSoftmax by motion": lambda: BiSoftmaxTracker(
        appearance_weight=0, iou_weight=1, motion="kalman", low_score_thr=0.1, match_score_thr=0.3
    ),
}


def stream(name: str) -> Iterator[FrameInput]:
    """The scene, without embeddings for the trackers that go by motion alone."""
    for found in endless_scene():
        yield found._replace(embeds=None) if "motion" in name else found


def memory_frames(tracker: Any) -> int:
    """The most frames from one detection of a track to the next one."""
    return tracker.lost_frames + 1 if isinstance(tracker, JDETracker) else tracker.memo_tracklet_frames


def held_in_cycles(name: str, tracker: Any, watch: Watch, cycles: int) -> np.ndarray:
    """Track so many cycles under watch. -> the most bytes that the tracker held in each."""
    frames = stream(name)
    held = np.zeros(cycles)
    for cycle in range(cycles):
        for number, found in enumerate(islice(frames, CYCLE)):
            watch.look(found, tracker.update(*found))
            if number % 10 == 5:
                held[cycle] = max(held[cycle], held_bytes(tracker))
    return held


def assert_complete(name: str, tracker: Any, watch: Watch, held: np.ndarray) -> None:
    half = len(held) // 2
    assert held[half:].max() < 1.15 * held[:half].max(), "memory grows"
    # The JDE tracker shows a track from its second detection on.
    assert watch.share > (0.85 if name == "JDE" else 0.999), f"of the detections, {watch.share:.3f} are in tracks"
    assert tracker.num_rejected == 0


@pytest.mark.parametrize("name", TRACKERS)
def test_two_thousand_frames(name: str) -> None:
    tracker = TRACKERS[name]()
    watch = Watch(memory_frames(tracker))
    assert_complete(name, tracker, watch, held_in_cycles(name, tracker, watch, 2))
    assert watch.identities > 1500, "objects come and go"


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACKERS)
def test_a_hundred_thousand_frames(name: str) -> None:
    tracker = TRACKERS[name]()
    watch = Watch(memory_frames(tracker))
    assert_complete(name, tracker, watch, held_in_cycles(name, tracker, watch, 100))
    assert watch.frames == 100_000
    assert watch.identities > 80_000


def calls_of(work: Callable[[], None]) -> int:
    """How many functions are called, of Python and of C: the amount of work, whatever else the machine does."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", ["JDE", "BiSoftmax", "TAO"])
def test_work_does_not_grow_with_the_frames_before(name: str) -> None:
    """Of each cycle the same hundred frames, without crowd, gap and emptiness; the tracker is as old as it is."""
    tracker, frames, calls = TRACKERS[name](), stream(name), []

    def track(count: int) -> None:
        for found in islice(frames, count):
            tracker.update(*found)

    for rest in (CYCLE - 300, 0):
        track(200)
        calls.append(calls_of(lambda: track(100)))
        track(rest)
    assert max(calls) < 1.05 * min(calls), calls


@pytest.mark.parametrize("name", TRACKERS)
def test_a_long_past_changes_nothing_after_a_long_gap(name: str) -> None:
    """Whatever was before a gap longer than its memory, a tracker goes on as a new one but for its next identity."""
    old, new = TRACKERS[name](), TRACKERS[name]()
    for found in islice(stream(name), 700):
        old.update(*found)
    nobody = FrameInput(*(part[:0] for part in next(endless_scene())[:4]), frame_id=10**9)
    new.update(*nobody)  # else its first tracks would be shown at once
    old.update(*nobody)
    offset = old._next_id - new._next_id
    assert offset > 500
    for found in islice(stream(name), 60):
        moved = found._replace(frame_id=found.frame_id + 10**9 + 1)
        ours, theirs = old.update(*moved), new.update(*moved)
        np.testing.assert_array_equal(ours.instances_id, theirs.instances_id + offset)
        np.testing.assert_array_equal(ours.bboxes, theirs.bboxes)
        np.testing.assert_array_equal(ours.detection_index, theirs.detection_index)
