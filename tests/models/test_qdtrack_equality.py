"""Beside mmdet's own QDTrack: the same weights give the same boxes, embeddings, identities and losses."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from mmdet.structures import TrackDataSample
from stock_qdtrack import SCALE, build, build_stock, clip_images, clip_samples, our_config, pair_samples, track

from clmot_qd.checkpoints import convert_state_dict

SEEDS = (0, 1, 2)


def converted(stock: Any, tracker: str | None) -> Any:
    """``QuasiDenseMOT`` with the weights of mmdet's QDTrack."""
    ours = build(our_config(tracker), seed=99)
    ours.load_state_dict(convert_state_dict(stock.state_dict(), "mmdet"), strict=True)
    return ours


@pytest.fixture(scope="module", params=SEEDS)
def stock(request: pytest.FixtureRequest) -> Any:
    return build_stock(request.param)


@pytest.fixture(scope="module")
def expected(stock: Any) -> TrackDataSample:
    """What mmdet finds. It must be worth comparing: objects that stay, leave, come back and are new."""
    clip = track(stock)
    ids = [frame.pred_track_instances.instances_id.tolist() for frame in clip]
    assert sum(len(set(a) & set(b)) for a, b in pairwise(ids)) >= 8, "hardly anything is tracked"
    assert max(map(max, ids)) >= len(ids[0]), "nothing new after the first frame"
    assert all(len(frame.pred_track_instances) < len(frame.pred_instances) for frame in clip), "nothing is left out"
    return clip


@pytest.mark.parametrize("tracker", ["QuasiDenseTracker", "BiSoftmaxTracker"])
def test_same_clip_same_tracks(stock: Any, expected: TrackDataSample, tracker: str) -> None:
    found = track(converted(stock, tracker))
    for ours, theirs in zip(found, expected, strict=True):
        for name in ("bboxes", "scores", "labels"):
            torch.testing.assert_close(ours.pred_instances[name], theirs.pred_instances[name], rtol=1e-5, atol=1e-4)
        order = theirs.pred_track_instances.instances_id.argsort()  # mmdet's come by score, ours by identity
        theirs_sorted = theirs.pred_track_instances[order]
        assert ours.pred_track_instances.instances_id.tolist() == theirs_sorted.instances_id.tolist()
        for name in ("bboxes", "scores", "labels"):
            torch.testing.assert_close(ours.pred_track_instances[name], theirs_sorted[name], rtol=1e-5, atol=1e-4)


def test_same_clip_same_embeddings(stock: Any, expected: TrackDataSample) -> None:
    found = track(converted(stock, None))
    images = stock.data_preprocessor({"inputs": [clip_images()], "data_samples": clip_samples()})["inputs"]
    for frame, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        boxes = theirs.pred_instances.bboxes * torch.tensor([*SCALE, *SCALE])
        with torch.no_grad():
            embeds = stock.track_head.predict(stock.detector.extract_feat(images[:, frame]), [boxes])
        assert embeds.std(dim=0).min() > 0.1  # regions do not all look the same
        torch.testing.assert_close(ours.pred_instances.embeds, embeds, rtol=0, atol=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_same_pair_same_losses(seed: int) -> None:
    """RPN, box head, key and reference regions are drawn in the same order, so one seed gives the same draws."""
    losses = []
    for model in (build_stock(seed, 0.5), converted(build_stock(seed, 0.5), None)):
        torch.manual_seed(3)
        data = model.data_preprocessor({"inputs": [clip_images(2)], "data_samples": pair_samples()}, training=True)
        losses.append(model.train()(**data, mode="loss"))
    theirs, ours = losses
    twins = {"loss_track": "loss_embed", "loss_track_aux": "loss_embed_aux"}
    assert ours.keys() == {twins.get(name, name) for name in theirs}
    for name, value in theirs.items():
        torch.testing.assert_close(ours[twins.get(name, name)], value, rtol=1e-5, atol=1e-6, msg=partial(told, name))
    assert float(theirs["loss_track"]) > 0.1
    assert float(theirs["loss_track_aux"]) > 0.1


def told(name: str, text: str) -> str:
    return f"{name}: {text}"
