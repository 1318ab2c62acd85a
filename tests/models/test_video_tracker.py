"""VideoTracker: when a tracker starts afresh, and stock trackers behind the same face."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from clmot_qd.apis.running import explain_build
from clmot_qd.errors import InputError
from clmot_qd.models.mot.video_tracker import VideoTracker
from clmot_qd.trackers import JDETracker

STOCK = {
    "ByteTracker": dict(obj_score_thrs=dict(high=0.5, low=0.1), init_track_thr=0.6, weight_iou_with_det_scores=False),
    "OCSORTTracker": dict(obj_score_thr=0.5, init_track_thr=0.6),
}


def frame(number: int, video: int = 1, boxes: int = 3) -> DetDataSample:
    x = 40.0 * np.arange(boxes) + 2 * number
    sample = DetDataSample(metainfo=dict(frame_id=number, video_id=video))
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor(np.stack([x, x * 0, x + 20, x * 0 + 40], axis=1), dtype=torch.float32).reshape(-1, 4),
        scores=torch.full((boxes,), 0.9),
        labels=torch.zeros(boxes, dtype=torch.long),
        embeds=torch.eye(boxes, 4),
    )
    return sample


def track(tracker: VideoTracker, sample: DetDataSample) -> InstanceData:
    if tracker.is_stock:
        arguments = dict(model=None, img=None, feats=None, data_sample=sample, rescale=False)
        return tracker.track_stock(sample, arguments)
    return tracker.track(sample, lambda boxes: boxes)


def stock(name: str) -> VideoTracker:
    init_default_scope("mmdet")
    return VideoTracker(MODELS.build(dict(type=name, motion=dict(type="KalmanFilter"), **STOCK[name])))


@pytest.mark.parametrize("build", [lambda: VideoTracker(JDETracker()), *(lambda n=n: stock(n) for n in STOCK)])
def test_each_video_starts_afresh_and_gaps_do_not(build: Any) -> None:
    tracker = build()
    first = track(tracker, frame(3)).instances_id.tolist()
    assert len(first) == 3
    assert track(tracker, frame(4)).instances_id.tolist() == first
    assert track(tracker, frame(7)).instances_id.tolist() == first, "a gap is no new video"
    assert track(tracker, frame(8, video=2, boxes=2)).instances_id.tolist() == first[:2], "ids are counted per video"
    assert track(tracker, frame(8, video=2)).instances_id.tolist() == first, "a frame id that does not grow"


@pytest.mark.parametrize("name", STOCK)
def test_stock_trackers_say_which_detection_they_show(name: str) -> None:
    tracker = stock(name)
    track(tracker, frame(0))
    sample = frame(1)
    sample.pred_instances = sample.pred_instances[torch.tensor([2, 0, 1])]
    found = track(tracker, sample)
    assert found.instances_id.tolist() == [0, 1, 2]
    assert found.detection_index.tolist() == [1, 2, 0]
    assert track(tracker, frame(2, boxes=0)).detection_index.tolist() == []
    assert (found.instances_id.dtype, found.labels.dtype) == (torch.int64, torch.int64)


def test_a_box_that_no_detection_has_belongs_to_none() -> None:
    class Coasting:
        def reset(self) -> None: ...

        def track(self, data_sample: DetDataSample, **_: Any) -> InstanceData:
            found = data_sample.pred_instances.clone()
            found.bboxes = found.bboxes + torch.tensor([[0.0], [1.0], [0.0]])
            found.instances_id = torch.tensor([5, 3, 4])
            return found

    found = track(VideoTracker(Coasting()), frame(0))
    assert found.instances_id.tolist() == [3, 4, 5]
    assert found.detection_index.tolist() == [-1, 2, 0]


def test_the_regression_is_handed_on_where_it_is_needed() -> None:
    class Regressing(JDETracker):
        needs_regression = True

        def update(self, *arrays: Any, regress: Any) -> Any:  # type: ignore[override]
            self.moved = regress(np.ones((1, 4)))
            return super().update(*arrays)

    tracker = Regressing()
    sample = frame(0)
    VideoTracker(tracker).track(sample, lambda boxes: boxes + 1)
    assert tracker.moved.tolist() == [[2, 2, 2, 2]]


def test_a_missing_lap_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmdet.models.trackers import byte_tracker

    init_default_scope("mmdet")
    monkeypatch.setattr(byte_tracker, "lap", None)
    with pytest.raises(InputError, match="pip install lap"):
        explain_build(lambda: MODELS.build(dict(type="ByteTracker")))
