"""TrackingInferencer beside mmdet's ``inference_mot``: the same weights and frames give the same tracks."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmdet.apis import inference_mot
from mmengine.config import Config
from stock_qdtrack import SIZE, build_stock, clip_images, our_config

from clmot_qd.apis import TrackingInferencer
from clmot_qd.checkpoints import convert_state_dict
from clmot_qd.trackers import Tracks

# Frames have the network's size: mmdet scales other ones as float32, files and this package as bytes.
STEPS = [dict(type="LoadImageFromNDArray"), dict(type="Resize", scale=SIZE, keep_ratio=True)]
PIPELINE = [dict(type="TransformBroadcaster", transforms=STEPS), dict(type="PackTrackInputs")]
FRAMES = [np.ascontiguousarray(image.permute(1, 2, 0).byte().numpy()) for image in clip_images()]


def by_mmdet(stock: Any) -> list[Tracks]:
    """The tracks of each frame, by identity as ours come."""
    stock.cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=PIPELINE))))
    tracked = []
    for number, frame in enumerate(FRAMES):
        found = inference_mot(stock, frame, number, len(FRAMES)).video_data_samples[0].pred_track_instances
        found = found[found.instances_id.argsort()]
        parts = [found[name].numpy() for name in ("instances_id", "bboxes", "scores", "labels")]
        tracked.append(Tracks(*parts, detection_index=np.arange(len(found))))
    return tracked


def our_session(stock: Any, folder: Path, **arguments: Any) -> TrackingInferencer:
    loader = dict(dataset=dict(pipeline=PIPELINE))
    Config(dict(default_scope="mmdet", model=our_config().to_dict(), test_dataloader=loader)).dump(folder / "config.py")
    torch.save({"state_dict": convert_state_dict(stock.state_dict(), "mmdet")}, folder / "model.pth")
    return TrackingInferencer(str(folder / "config.py"), folder / "model.pth", "cpu", **arguments)


@pytest.mark.parametrize(("seed", "arguments"), [(0, {}), (1, dict(batch_size=4)), (2, dict(optimize=False))])
def test_a_file_is_tracked_as_by_inference_mot(tmp_path: Path, seed: int, arguments: dict[str, Any]) -> None:
    stock = build_stock(seed)
    expected = by_mmdet(stock)
    assert sum(len({*a.instances_id} & {*b.instances_id}) for a, b in pairwise(expected)) >= 8, "hardly any is tracked"
    clip = tmp_path / "clip"
    clip.mkdir()
    for number, frame in enumerate(FRAMES):
        cv2.imwrite(str(clip / f"{number}.png"), frame)
    found = list(our_session(stock, tmp_path, **arguments).stream(clip))
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected):
        np.testing.assert_array_equal(ours.instances_id, theirs.instances_id)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        np.testing.assert_allclose(ours.bboxes, theirs.bboxes, atol=1e-3)
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)
