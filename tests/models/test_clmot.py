"""CLMOT: what reaches which loss, awkward batches, prediction and the tracker's life."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from clmot_qd.errors import InputError
from clmot_qd.models import CLMOT

SIZE = (64, 96)
BOXES = [[8, 8, 24, 40], [40, 10, 56, 44], [66, 20, 84, 60]]


def build(seed: int = 0, **kwargs: Any) -> CLMOT:
    init_default_scope("mmdet")
    torch.manual_seed(seed)
    config = dict(
        type="CLMOT",
        data_preprocessor=dict(type="TrackDataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3),
        detector=dict(
            type="CenterNet",
            backbone=dict(type="DLA", channels=(4, 4, 8, 8, 8, 8), tree_depths=(1, 1, 1, 1)),
            neck=dict(type="DLANeck", in_channels=(8, 8, 8, 8), use_dcn=False),
            bbox_head=dict(type="CenterEmbedHead", in_channels=8, feat_channels=8, num_classes=1, embed_channels=6),
            test_cfg=dict(topk=10, local_maximum_kernel=3, score_thr=0.0),
        ),
        tracker=dict(type="JDETracker", conf_thr=0.0),
    )
    model = MODELS.build(config | kwargs)
    model.init_weights()
    return model


def frame(boxes: list, ids: list[int] | None = None, **meta: Any) -> DetDataSample:
    sample = DetDataSample(metainfo=dict(batch_input_shape=SIZE, img_shape=SIZE, ori_shape=SIZE) | meta)
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.zeros(len(boxes), dtype=torch.long),
        instances_ids=torch.tensor(list(range(1, len(boxes) + 1)) if ids is None else ids, dtype=torch.long),
    )
    return sample


def pair(key: DetDataSample, ref: DetDataSample | None = None) -> TrackDataSample:
    sample = TrackDataSample()
    sample.video_data_samples = [key] if ref is None else [key, ref]
    return sample


def images(count: int, views: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, views, 3, *SIZE, generator=torch.Generator().manual_seed(seed))


def finite(losses: dict[str, torch.Tensor]) -> bool:
    return all(math.isfinite(float(v)) for v in losses.values())


# ------------------------------------------------------------------------------------------------------------- training
CROWD = np.random.default_rng(0).uniform(0, 80, (300, 1)) + np.array([0.0, 0, 9, 12])


@pytest.mark.parametrize(
    ("key", "ref"),
    [
        (frame([]), frame([])),
        (frame(BOXES[:1]), frame(BOXES[:1])),
        (frame(BOXES), frame([])),
        (frame([]), frame(BOXES)),
        (frame(BOXES, [1, 2, 3]), frame(BOXES[:2], [2, 3])),
        (frame([*BOXES, [90, 0, 140, 20]]), frame([*BOXES, [-60, 0, 20, 20]])),
        (frame(CROWD.tolist()), frame(CROWD.tolist())),
    ],
    ids=["none", "one", "key only", "ref only", "partly", "centre outside", "300"],
)
def test_awkward_batches_train_with_finite_losses(key: DetDataSample, ref: DetDataSample) -> None:
    model = build()
    losses = model.loss(images(1), [pair(key, ref)])
    assert finite(losses)
    sum(v for k, v in losses.items() if "loss" in k).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_the_reference_view_has_no_part_in_the_detection_losses() -> None:
    model = build().eval()
    first = model.loss(images(2), [pair(frame(BOXES), frame(BOXES))] * 2)
    moved = [pair(frame(BOXES), frame([[0, 0, 90, 60]] * 3))] * 2
    second = model.loss(torch.cat([images(2)[:, :1], images(2, seed=5)[:, 1:]], 1), moved)
    for name in ("loss_center_heatmap", "loss_wh", "loss_offset"):
        assert torch.equal(first[name], second[name])
    assert not torch.equal(first["loss_embed"], second["loss_embed"])


def test_another_image_in_the_batch_changes_no_term_of_the_first() -> None:
    # Two images with the same content give the same mean as one of them.
    model = build().eval()
    one = model.loss(images(1), [pair(frame(BOXES), frame(BOXES[::-1], [3, 2, 1]))])
    two = model.loss(images(1).repeat(2, 1, 1, 1, 1), [pair(frame(BOXES), frame(BOXES[::-1], [3, 2, 1]))] * 2)
    torch.testing.assert_close(one["loss_embed"], two["loss_embed"])


def test_identities_follow_their_objects_through_the_batch() -> None:
    """Two different images, unequal numbers of objects, a centre outside: ids, cells and images stay together."""
    model = build().eval()
    outside = [90, 0, 140, 20]
    samples = [frame([BOXES[0], outside, BOXES[1]], [7, 8, 9]), frame([outside, *BOXES], [1, 2, 3, 4])]
    inputs = images(2, 1)
    feats = model.detector.extract_feat(inputs.flatten(0, 1))
    embeds, ids, image = model._embed_objects(feats, samples)
    assert ids.tolist() == [7, 9, 2, 3, 4]
    assert image.tolist() == [0, 0, 1, 1, 1]
    full = model._forward(inputs)[3][0]
    for row, (which, (x1, y1, x2, y2)) in enumerate(zip(image.tolist(), [BOXES[0], BOXES[1], *BOXES])):
        vector = full[which, :, math.floor((y1 + y2) / 8), math.floor((x1 + x2) / 8)]
        torch.testing.assert_close(embeds[row], vector / vector.norm())


def test_the_loss_of_a_batch_is_the_mean_over_its_images() -> None:
    model = build().eval()
    inputs = images(2)
    samples = [pair(frame(BOXES), frame(BOXES)), pair(frame(BOXES[:2]), frame(BOXES[1:], [2, 1]))]
    single = [model.loss(inputs[i : i + 1], samples[i : i + 1])["loss_embed"] for i in range(2)]
    torch.testing.assert_close(model.loss(inputs, samples)["loss_embed"], sum(single) / 2)


def test_the_projection_is_compared_as_it_is() -> None:
    """As released: unit length before the projection, none after it, so a projection of twice the size matters."""
    model = build(projector=dict(type="Projector", in_channels=6, out_channels=4)).eval()
    sample = [pair(frame(BOXES), frame(BOXES, [2, 3, 1]))]
    first = model.loss(images(1), sample)["loss_embed"]
    with torch.no_grad():
        model.projector[2].weight.mul_(2)
        model.projector[2].bias.mul_(2)
    assert not torch.allclose(first, model.loss(images(1), sample)["loss_embed"])


def test_embed_loss_follows_equation_5() -> None:
    model = build().eval()
    inputs, sample = images(1), pair(frame(BOXES), frame(BOXES, [2, 3, 1]))
    embeds, ids = [], []
    for view in range(2):
        full = model._forward(inputs[:, view : view + 1])[3][0][0]
        for (x1, y1, x2, y2), identity in zip(BOXES, sample[view].gt_instances.instances_ids.tolist()):
            vector = full[:, math.floor((y1 + y2) / 8), math.floor((x1 + x2) / 8)]
            embeds.append(vector / vector.norm())
            ids.append(identity)
    total = 0.0
    for i in range(6):
        distance = [float((embeds[i] - embeds[j]).norm()) for j in range(6)]
        positive = next(distance[j] for j in range(6) if ids[j] == ids[i] and j != i)
        total += max(positive - min(distance[j] for j in range(6) if ids[j] != ids[i]) + 0.3, 0)
    assert model.loss(inputs, [sample])["loss_embed"].item() == pytest.approx(total / 6, rel=1e-4)


def test_both_ways_of_batching_views_agree_where_batchnorm_is_fixed() -> None:
    reference, model = build().eval(), build(view_batching="joint").eval()
    samples = [pair(frame(BOXES), frame(BOXES))] * 2
    expected, actual = reference.loss(images(2), samples), model.loss(images(2), samples)
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value)


def test_the_projector_is_saved_trained_and_not_used_at_test_time() -> None:
    model = build(projector=dict(type="Projector", in_channels=6, out_channels=4))
    assert "projector.2.weight" in model.state_dict()
    model.loss(images(1), [pair(frame(BOXES), frame(BOXES))])["loss_embed"].backward()
    assert model.projector[0].weight.grad.abs().sum() > 0
    model.eval()
    before = model.predict(images(1, 1), [pair(frame([], frame_id=0, video_id=1))])[0][0].pred_instances.embeds
    torch.nn.init.zeros_(model.projector[0].weight)
    after = model.predict(images(1, 1), [pair(frame([], frame_id=0, video_id=1))])[0][0].pred_instances.embeds
    assert torch.equal(before, after)


def test_the_supervised_baseline_needs_one_view_and_names_a_wrong_identity() -> None:
    id_head = dict(type="IdentityClassifier", num_ids=5, embed_channels=6)
    model = build(loss_embed=None, id_head=id_head)
    losses = model.loss(images(1, 1), [pair(frame(BOXES, [1, 5, 2]))])
    assert finite(losses)
    assert "loss_embed" not in losses
    losses["loss_id"].backward()
    assert model.id_head.classifier.weight.grad.abs().sum() > 0
    with pytest.raises(InputError, match="num_ids"):
        model.loss(images(1, 1), [pair(frame(BOXES, [1, 6, 2]))])


def test_one_view_for_the_contrast_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="WithinFrameTwoView"):
        build().loss(images(1, 1), [pair(frame(BOXES))])


def test_a_detector_alone_leaves_no_parameter_without_a_gradient() -> None:
    model = build(loss_embed=None)
    samples = [pair(frame(BOXES, [1, 2, 3]))]
    del samples[0][0].gt_instances.instances_ids
    losses = model.loss(images(1, 1), samples)
    sum(v for k, v in losses.items() if "loss" in k).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_learnable_task_weights_are_saved() -> None:
    model = build(task_weighting=dict(type="UncertaintyTaskWeighting", learnable=True))
    assert any(k.startswith("task_weighting.") for k in model.state_dict())


# -------------------------------------------------------------------------------------------------------------- testing
def predict(model: CLMOT, video: int, frame_id: int) -> InstanceData:
    sample = pair(frame([], frame_id=frame_id, video_id=video))
    return model.predict(images(1, 1), [sample])[0][0].pred_track_instances


def test_ids_last_through_a_video_and_start_again_with_the_next() -> None:
    model = build().eval()
    first = [predict(model, 1, i).instances_id.tolist() for i in range(3)]
    assert first[0]
    assert set(first[1]) <= set(first[0])
    second = [predict(model, 2, i).instances_id.tolist() for i in range(3)]
    assert first == second
    assert predict(model, 2, 0).instances_id.tolist() == first[0], "the same video from its start is a new run"


def test_several_frames_in_a_batch_equal_one_after_the_other() -> None:
    inputs = images(3, 1)
    one_by_one, at_once = build().eval(), build().eval()
    for i in range(3):
        sample = pair(frame([], frame_id=i, video_id=1))
        expected = one_by_one.predict(inputs[i : i + 1], [sample])[0][0].pred_track_instances
        if i == 0:
            samples = [pair(frame([], frame_id=j, video_id=1)) for j in range(3)]
            results = at_once.predict(inputs, samples)
        actual = results[i][0].pred_track_instances
        assert torch.equal(actual.instances_id, expected.instances_id)
        torch.testing.assert_close(actual.bboxes, expected.bboxes, atol=1e-3, rtol=0)


def test_tracks_point_at_their_detections() -> None:
    model = build().eval()
    sample = model.predict(images(1, 1), [pair(frame([], frame_id=0, video_id=1))])[0][0]
    tracks, found = sample.pred_track_instances, sample.pred_instances
    torch.testing.assert_close(tracks.scores, found.scores[tracks.detection_index])
    torch.testing.assert_close(tracks.bboxes, found.bboxes[tracks.detection_index], atol=1e-3, rtol=0)


def test_embeddings_of_given_boxes_are_read_at_their_centres() -> None:
    model = build().eval()
    inputs = images(2, 1).flatten(0, 1)
    boxes = [torch.tensor(BOXES, dtype=torch.float32), torch.tensor([[90.0, 60.0, 140.0, 90.0]])]
    embeds = model.embed_boxes(inputs, boxes)
    full = model._forward(inputs[:, None])[3][0]
    torch.testing.assert_close(embeds[0][1], full[0, :, math.floor(54 / 8), math.floor(96 / 8)])
    torch.testing.assert_close(embeds[1][0], full[1, :, 15, 23])  # outside: the nearest cell
    whole_numbers = model.embed_boxes(inputs, [b.long() for b in boxes])
    torch.testing.assert_close(whole_numbers[0], embeds[0])


def test_a_detector_without_tracker_detects() -> None:
    model = build(tracker=None).eval()
    sample = model.predict(images(1, 1), [pair(frame([], frame_id=0, video_id=1))])[0][0]
    assert len(sample.pred_instances) > 0
    assert "pred_track_instances" not in sample
