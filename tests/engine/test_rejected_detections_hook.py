"""What the tracker could not use is told once after a test, and at the end of a tracked video."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from clmot_qd.apis.tracking_session import Frame, FrameDetections, TrackingSession
from clmot_qd.engine import RejectedDetectionsHook
from clmot_qd.trackers import JDETracker, Tracks

BOXES = np.array([[10, 10, 30, 40], [50, 20, 70, 60]], dtype=np.float32)


def told(hook: RejectedDetectionsHook, tracker: Any, bad: int, stage: str) -> list[str]:
    lines: list[str] = []
    runner: Any = SimpleNamespace(
        model=SimpleNamespace(tracker=tracker), logger=SimpleNamespace(warning=lambda line: lines.append(line))
    )
    getattr(hook, f"before_{stage}_epoch")(runner)
    for frame_id in range(bad):
        tracker.reset()  # a new video
        tracker.update(BOXES, [0.9, np.nan], [0, 0], None, frame_id)
    getattr(hook, f"after_{stage}_epoch")(runner, metrics={})
    return lines


@pytest.mark.parametrize("stage", ["val", "test"])
def test_one_line_for_all_videos_of_a_test(stage: str) -> None:
    hook, tracker = RejectedDetectionsHook(), JDETracker()
    assert [line.split(" could")[0] for line in told(hook, tracker, 3, stage)] == ["3 detections"]
    assert [line.split(" could")[0] for line in told(hook, tracker, 1, stage)] == ["1 detections"]
    assert told(hook, tracker, 0, stage) == []
    assert told(hook, None, 0, stage) == [], "a detector alone"


class SpoiledSession(TrackingSession):
    """Finds two boxes in each frame, of which one may not be finite."""

    def __init__(self, value: float) -> None:
        super().__init__(["person"])
        self.value = value
        self.tracker = JDETracker()

    @property
    def num_rejected(self) -> int:
        return self.tracker.num_rejected

    def _detect(self, frames: Sequence[Frame]) -> list[FrameDetections]:
        boxes = BOXES * np.array([[1.0], [self.value]], dtype=np.float32)
        return [FrameDetections(boxes, np.full(2, 0.9, np.float32), np.zeros(2, np.int64)) for _ in frames]

    def _associate(self, detections: FrameDetections, frame_id: int) -> Tracks:
        return self.tracker.update(detections.bboxes, detections.scores, detections.labels, None, frame_id)

    def _reset_tracker(self) -> None:
        self.tracker.reset()


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_a_tracked_video_says_it_at_its_end(tmp_path: Path, value: float, caplog: pytest.LogCaptureFixture) -> None:
    frames = [np.zeros((64, 80, 3), np.uint8) for _ in range(3)]
    with caplog.at_level(logging.WARNING):
        SpoiledSession(value).track(frames, tmp_path / "out", outputs=["mot"], progress=lambda done, of: None)
    lines = [record.getMessage() for record in caplog.records if "could not be used" in record.getMessage()]
    assert [line.split(" could")[0] for line in lines] == ([] if value == 1 else ["frames: 3 detections"])
    assert len((tmp_path / "out" / "tracks.txt").read_text().splitlines()) == (6 if value == 1 else 3)
