"""Which frames are kept and how they are laid out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData

from clmot_qd.engine.tracked_frames import TrackedFrames
from clmot_qd.masks import RleMasks
from clmot_qd.visualization import id_color

WIDTH = 100


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((50, 100, 3), 90, np.uint8))
    return str(path)


def sample(picture: str, video: str, number: int, identity: int, truth: int | None = None) -> TrackDataSample:
    frame = DetDataSample(metainfo=dict(img_path=picture, video_name=video, frame_id=number, video_id=1))
    frame.pred_track_instances = InstanceData(
        bboxes=torch.tensor([[20.0, 10, 60, 40]]),
        scores=torch.ones(1),
        labels=torch.zeros(1, dtype=torch.long),
        instances_id=torch.tensor([identity]),
    )
    if truth is not None:
        one = dict(bbox=[20.0, 10, 60, 40], bbox_label=0, instance_id=truth, ignore_flag=0)
        frame.set_metainfo(dict(instances=[one, one | dict(instance_id=truth + 1, ignore_flag=1)]))
    whole = TrackDataSample()
    whole.video_data_samples = [frame]
    return whole


def colours(sheet: np.ndarray) -> set[int]:
    """Identities (below 24) whose colour covers some of an RGB sheet."""
    return {i for i in range(24) if (sheet == np.array(id_color(i))[::-1]).all(axis=2).sum() > 20}


def test_frames_are_counted_in_each_video_whatever_their_numbers(picture: str) -> None:
    frames = TrackedFrames(videos=2, frames=(0, 2), width=WIDTH, ground_truth=True)
    for number in range(4):
        batch = [sample(picture, video, 100 + 7 * number, 3 * which + number) for which, video in enumerate("abc")]
        frames.take(batch, ("pedestrian",))
    sheets = dict(frames.sheets())
    assert set(sheets) == {"a", "b"}
    assert colours(sheets["a"]) == {0, 2}
    assert colours(sheets["b"]) == {3, 5}
    assert sheets["a"].shape[1] < 3 * WIDTH
    assert not dict(frames.sheets())
    frames.take([sample(picture, "a", 0, 9)], ("pedestrian",))  # another validation begins with frame 0
    assert colours(dict(frames.sheets())["a"]) == {9}


def test_videos_can_be_named_and_the_truth_lies_below(picture: str) -> None:
    frames = TrackedFrames(videos=["b"], frames=(0,), width=WIDTH, ground_truth=True)
    frames.take([sample(picture, video, 0, 4, truth=10) for video in "ab"], ("pedestrian",))
    ((name, sheet),) = frames.sheets()
    assert name == "b"
    half = len(sheet) // 2
    assert (colours(sheet[:half]), colours(sheet[half:])) == ({4}, {10})  # 11 is ignored
    without = TrackedFrames(videos=["b"], frames=(0,), width=WIDTH, ground_truth=False)
    without.take([sample(picture, "b", 0, 4, truth=10)], ("pedestrian",))
    assert colours(dict(without.sheets())["b"]) == {4}


def test_nothing_is_drawn_of_a_detector_alone(picture: str) -> None:
    frames = TrackedFrames(videos=1, frames=(0,), width=WIDTH, ground_truth=False)
    only_boxes = sample(picture, "a", 0, 1)
    del only_boxes.video_data_samples[0].pred_track_instances
    frames.take([only_boxes], ())
    assert not dict(frames.sheets())


def filled(sheet: np.ndarray, identity: int) -> int:
    """Pixels of an RGB sheet that are tinted by an identity: its colour over the picture's grey."""
    tint = 0.45 * np.array(id_color(identity))[::-1] + 0.55 * 90
    return int((np.abs(sheet - tint).max(axis=2) < 2).sum())


def test_masks_are_drawn_of_tracks_and_of_the_truth(picture: str) -> None:
    """The truth as an annotation file has it: run lengths, a polygon, and an object without either."""
    masks = RleMasks.of_bitmaps(np.pad(np.ones((1, 30, 20)), ((0, 0), (10, 10), (20, 60))))
    whole = sample(picture, "a", 0, 4, truth=10)
    (frame,) = whole.video_data_samples
    frame.pred_track_instances.masks = masks
    one = frame.metainfo["instances"][0]
    polygon = one | dict(instance_id=12, mask=[[60, 10, 90, 10, 90, 40, 60, 40]])
    bare = one | dict(instance_id=14, bbox=[5.0, 30, 15, 45])
    rle = one | dict(mask={"size": [50, 100], "counts": masks.texts()[0]})
    frame.set_metainfo(dict(instances=[rle, polygon, bare]))
    frames = TrackedFrames(videos=1, frames=(0,), width=2 * WIDTH, ground_truth=True)
    frames.take([whole], ("pedestrian",))
    ((_, sheet),) = frames.sheets()
    upper, lower = sheet[: len(sheet) // 2], sheet[len(sheet) // 2 :]
    assert filled(upper, 4) > 0.7 * 4 * 600
    assert filled(lower, 10) > 0.7 * 4 * 600
    assert filled(lower, 12) > 0.7 * 4 * 900
    assert filled(lower, 4) == filled(lower, 14) == 0
    del frame.pred_track_instances.masks  # a model of boxes alone
    frames.take([whole], ("pedestrian",))
    ((_, sheet),) = frames.sheets()
    assert filled(sheet, 10) == filled(sheet, 12) == 0
