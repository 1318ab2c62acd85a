"""Every choice on one axis works with every choice on the others: the full product trains a step and tracks a clip."""

from __future__ import annotations

import itertools
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from axes import DETECTORS, LOSSES, SOURCES, TRACKERS, clip_dataset, model_of
from mmdet.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from tiny_data import write_tiny_data

from clmot_qd.models.mot.video_tracker import VideoTracker

PAIRS_AND_NETWORKS = list(itertools.product(SOURCES, DETECTORS, LOSSES))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    init_default_scope("mmdet")
    return write_tiny_data(tmp_path_factory.mktemp("tiny"), videos=2, frames=3)


@cache
def training_batch(source: str, identities: bool, ann_file: Path) -> Any:
    """Two samples; of a mix one of either kind."""
    torch.manual_seed(0)
    dataset = DATASETS.build(SOURCES[source](ann_file, identities))
    return pseudo_collate([dataset[0], dataset[len(dataset) - 1]])


@cache
def clip(ann_file: Path) -> Any:
    """Three frames of one video as one sample."""
    return pseudo_collate([DATASETS.build(clip_dataset(ann_file))[0]])


@pytest.mark.parametrize(
    ("source", "detector", "loss"), PAIRS_AND_NETWORKS, ids=["-".join(choice) for choice in PAIRS_AND_NETWORKS]
)
def test_trains_a_step_and_tracks_with_every_tracker(source: str, detector: str, loss: str, tiny: Path) -> None:
    torch.manual_seed(1)
    model = MODELS.build(model_of(detector, loss))
    model.init_weights()
    give_boxes_a_size(model, detector)
    embedding = model.detector.bbox_head.embed_head if detector == "centernet-embed" else model.track_head.embed_head
    before = [parameter.clone() for parameter in embedding.parameters()]
    batch = training_batch(source, loss == "identity", tiny)
    losses = model.train().train_step(batch, OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3)))
    assert all(math.isfinite(float(value)) for value in losses.values()), losses
    expected = "loss_id" if loss == "identity" else "loss_embed"
    assert float(losses[expected]) > 0
    assert any(not torch.equal(a, b) for a, b in zip(before, embedding.parameters())), "the embeddings learnt nothing"
    model.eval()
    for name in TRACKERS:
        assert_tracks_a_clip(model, name, tiny)


def give_boxes_a_size(model: Any, detector: str) -> None:
    """Some heads find boxes of about no size before they are trained, and what has no area is no detection."""
    head = model.detector.bbox_head if detector in ("centernet-embed", "rtmdet") else None
    if detector == "centernet-embed":
        torch.nn.init.constant_(head.wh_head[-1].bias, 5.0)
    elif detector == "rtmdet":
        for level in head.rtm_reg:
            torch.nn.init.zeros_(level.weight)
            torch.nn.init.constant_(level.bias, 1.0)


def assert_tracks_a_clip(model: Any, tracker: str, tiny: Path) -> None:
    """Three frames: tracks in the last one, no id twice, and some object known from the frame before."""
    model.tracker = MODELS.build(TRACKERS[tracker])
    model._video_tracker = VideoTracker(model.tracker)
    frames = [frame.pred_track_instances for frame in model.test_step(clip(tiny))[0]]
    ids = [frame.instances_id.tolist() for frame in frames]
    assert all(len(set(found)) == len(found) for found in ids), tracker
    assert set(ids[1]) & set(ids[2]), f"{tracker}: no object of frame 2 is known in frame 3"
    assert all(set(frame.keys()) >= {"bboxes", "scores", "labels", "detection_index"} for frame in frames), tracker


def test_the_product_is_complete() -> None:
    assert len(PAIRS_AND_NETWORKS) * len(TRACKERS) == 3 * 7 * 6 * 6
