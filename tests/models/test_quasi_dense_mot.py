"""QuasiDenseMOT and its head: which regions meet in the loss, awkward batches, detectors, prediction."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.models import trackers
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from quasi_dense_builder import BOXES, SIZE, build, frame, images, sample_of, total

from clmot_qd.errors import InputError
from clmot_qd.models.heads.quasi_dense_head import BACKGROUND
from clmot_qd.models.mot.tracking_model import STOCK_NEEDS
from clmot_qd.trackers import Tracks

CROWD = np.random.default_rng(0).uniform(0, 60, (200, 1)) + np.array([0.0, 0, 14, 22])


# ---------------------------------------------------------------------------------------------------- regions of a view
def regions_of(model: Any, key: Any, ref: Any, proposals: torch.Tensor) -> tuple[Any, Any]:
    feats = model.detector.extract_feat(images(1, 1)[:, 0])
    head = model.track_head
    return head.key_regions(feats, [proposals], [key]), head.ref_regions(feats, [proposals], [ref])


def jittered(boxes: list, shift: float) -> torch.Tensor:
    return torch.tensor(boxes, dtype=torch.float32) + shift


def test_anchors_lie_on_objects_and_targets_on_objects_and_background() -> None:
    model = build()
    far = torch.tensor([[0.0, 52, 6, 62], [30, 50, 38, 64]])
    proposals = torch.cat([jittered(BOXES, 0.5), jittered(BOXES, 6.0), far])
    # 0.5 pixels off: on the object; 6 pixels off: IoU 0.42, neither; far: background.
    assert 0.3 < float(bbox_overlaps(proposals[3:4], torch.tensor(BOXES[:1]).float())) < 0.7
    key, ref = regions_of(model, frame(ids=[7, 0, 9]), frame(ids=[0, 9, 4]), proposals)
    assert sorted(key.ids.tolist()) == [0, 0, 7, 7, 9, 9]  # the annotated box and its proposal
    assert sorted(ref.ids.tolist()) == [BACKGROUND, BACKGROUND, 0, 0, 4, 4, 9, 9]
    assert key.embeds.shape == (6, 8)
    assert ref.image.tolist() == [0] * 8


def test_sparse_matching_takes_the_annotated_boxes_alone() -> None:
    model = build(track_head__train_cfg__candidates="gt")
    proposals = torch.cat([jittered(BOXES, 0.5), torch.tensor([[0.0, 52, 6, 62]])])
    key, ref = regions_of(model, frame(ids=[1, 2, 3]), frame(ids=[3, 4, 5]), proposals)
    assert (sorted(key.ids.tolist()), sorted(ref.ids.tolist())) == ([1, 2, 3], [3, 4, 5])


def test_images_of_a_batch_keep_their_regions_apart() -> None:
    model = build()
    feats = model.detector.extract_feat(images(3, 1)[:, 0])
    samples = [frame(BOXES[:1], [5]), frame([], []), frame(BOXES[1:], [5, 6])]
    none = [torch.zeros(0, 4)] * 3
    key = model.track_head.key_regions(feats, none, samples)
    assert (key.image.tolist(), key.ids.tolist()) == ([0, 2, 2], [5, 5, 6])
    single = model.track_head.predict([level[2:] for level in feats], [samples[2].gt_instances.bboxes])
    torch.testing.assert_close(key.embeds[1:], single)


def test_embedding_losses_agree_with_loops_over_the_sampled_regions() -> None:
    """Eqs. (5) and (6), written out over the regions that the model draws, image by image."""
    model = build().eval()
    batch = [
        sample_of(frame(ids=[0, 1, 2]), frame(ids=[2, 1, 8])),
        sample_of(frame(ids=[4, 5, 6]), frame(ids=[4, 5, 6])),
    ]
    drawn: list[Any] = []
    for name in ("key_regions", "ref_regions"):
        original = getattr(model.track_head, name)
        setattr(model.track_head, name, lambda *a, original=original: drawn.append(original(*a)) or drawn[-1])
    losses = model.loss(images(2), batch)
    key, ref = drawn
    embed, aux = [], []
    for image in (0, 1):
        rows = (key.image == image).nonzero().flatten().tolist()
        columns = (ref.image == image).nonzero().flatten().tolist()
        terms, positives, negatives = [], [], []
        for i in rows:
            same = [j for j in columns if ref.ids[j] == key.ids[i]]
            other = [j for j in columns if ref.ids[j] != key.ids[i]]
            dots = {j: float(key.embeds[i] @ ref.embeds[j]) for j in columns}
            cosine = {j: float(F.cosine_similarity(key.embeds[i], ref.embeds[j], dim=0)) for j in columns}
            positives += [(1 - min(max(cosine[j], 0), 1)) ** 2 for j in same]
            negatives += [min(max(cosine[j] - 0.1, 0), 1) ** 2 for j in other]
            if same:
                terms.append(math.log(1 + sum(math.exp(dots[n] - dots[p]) for p in same for n in other)))
        hardest = sorted(negatives, reverse=True)[: 3 * len(positives)]
        embed.append(sum(terms) / len(terms))
        aux.append((sum(positives) + sum(hardest)) / (len(positives) + len(hardest)))
    assert float(losses["loss_embed"]) == pytest.approx(0.25 * sum(embed) / 2, rel=1e-4)
    assert float(losses["loss_embed_aux"]) == pytest.approx(sum(aux) / 2, rel=1e-4)


# ------------------------------------------------------------------------------------------------------------- training
@pytest.mark.parametrize("detector", ["faster-rcnn", "fcos", "yolox"])
@pytest.mark.parametrize(
    ("key", "ref"),
    [
        (([], []), ([], [])),
        ((BOXES[:1], [3]), (BOXES[:1], [3])),
        ((BOXES, [0, 1, 2]), ([], [])),
        (([], []), (BOXES, [0, 1, 2])),
        ((BOXES, [0, 1, 2]), (BOXES, [7, 8, 9])),
        ((CROWD.tolist(), None), (CROWD.tolist(), None)),
    ],
    ids=["none", "one", "key only", "ref only", "nothing in common", "200"],
)
def test_awkward_batches_train_with_finite_losses(detector: str, key: Any, ref: Any) -> None:
    model = build(detector)
    losses = model.loss(images(), [sample_of(frame(*key), frame(*ref))])
    assert torch.isfinite(total(losses))
    total(losses).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_the_reference_view_has_no_part_in_the_detection_losses() -> None:
    model = build().eval()
    torch.manual_seed(0)
    first = model.loss(images(), [sample_of(frame(), frame())])
    torch.manual_seed(0)
    other = torch.cat([images()[:, :1], images(seed=5)[:, 1:]], 1)
    second = model.loss(other, [sample_of(frame(), frame([[0, 0, 90, 60]] * 3))])
    same = {k: torch.equal(torch.as_tensor(first[k]), torch.as_tensor(second[k])) for k in ("loss_cls", "loss_bbox")}
    assert same == {"loss_cls": True, "loss_bbox": True}
    assert not torch.equal(first["loss_embed"], second["loss_embed"])


def test_the_key_may_be_the_second_frame_as_in_mmdets_samplers() -> None:
    model = build(track_head__train_cfg__candidates="gt").eval()  # no drawing of regions
    view = images()
    torch.manual_seed(0)
    first = model.loss(view, [sample_of(frame(ids=[1, 2, 3]), frame(BOXES[:2], ids=[1, 2]))])
    torch.manual_seed(0)
    swapped = sample_of(frame(BOXES[:2], ids=[1, 2]), frame(ids=[1, 2, 3]), key=1)
    second = model.loss(view.flip(1), [swapped])
    for name in ("loss_cls", "loss_embed", "loss_embed_aux"):
        torch.testing.assert_close(first[name], second[name])


def test_the_samples_come_back_as_they_went_in() -> None:
    model = build(detector__roi_head__bbox_head__num_classes=3)
    key, ref = frame(labels=[2, 1, 0]), frame(labels=[0, 1, 2])
    model.loss(images(), [sample_of(key, ref)])
    assert (key.gt_instances.labels.tolist(), ref.gt_instances.labels.tolist()) == ([2, 1, 0], [0, 1, 2])
    assert key.gt_instances.bboxes.tolist() == BOXES


def test_a_frozen_detector_learns_nothing_and_costs_nothing() -> None:
    model = build(freeze_detector=True).train()
    detector = {k: v.clone() for k, v in model.detector.state_dict().items()}
    head = {k: v.clone() for k, v in model.track_head.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    losses = model.loss(images(), [sample_of(frame(), frame())])
    assert set(losses) == {"loss_embed", "loss_embed_aux"}
    total(losses).backward()
    optimizer.step()
    assert all(torch.equal(v, detector[k]) for k, v in model.detector.state_dict().items()), "statistics moved"
    assert not all(torch.equal(v, head[k]) for k, v in model.track_head.state_dict().items())


def test_unit_embeddings_make_the_loss_blind_to_length() -> None:
    model = build(unit_embeds=True).eval()
    values = []
    for scale in (1.0, 7.0):
        torch.manual_seed(0)
        handle = model.track_head.embed_head.register_forward_hook(lambda *args, scale=scale: args[2] * scale)
        values.append(model.loss(images(), [sample_of(frame(), frame())])["loss_embed"])
        handle.remove()
    torch.testing.assert_close(*values)


def test_the_projector_serves_the_loss_alone() -> None:
    model = build(projector=dict(type="Projector", in_channels=8, out_channels=4)).eval()
    losses = model.loss(images(), [sample_of(frame(), frame())])
    total(losses).backward()
    assert model.projector[0].weight.grad.abs().sum() > 0
    found = model.predict(images(views=1), [sample_of(frame())])[0][0].pred_instances
    assert found.embeds.shape[1] == 8


def test_a_detector_alone_keeps_the_head_in_the_graph() -> None:
    model = build(loss_embed=None)
    seen = []
    extract = model.detector.extract_feat
    model.detector.extract_feat = lambda view: seen.append(len(view)) or extract(view)
    losses = model.loss(images(), [sample_of(frame(), frame())])
    total(losses).backward()
    assert float(losses["loss_embed_idle"]) == 0
    assert all(p.grad is not None for p in model.track_head.parameters())
    assert seen == [1], "the reference view is looked at in vain"
    with pytest.raises(InputError, match="nothing is left to train"):
        build(loss_embed=None, freeze_detector=True)


# ------------------------------------------------------------------------------------------------------------ inference
class Recorder:
    """A tracker that notes what it is given and tracks nothing."""

    needs_regression = False

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def update(self, bboxes: Any, scores: Any, labels: Any, embeds: Any, frame_id: int, **extra: Any) -> Tracks:
        self.calls.append(dict(bboxes=bboxes, embeds=embeds, frame_id=frame_id, **extra))
        return Tracks.empty()


def with_recorder(model: Any) -> Recorder:
    model._video_tracker.tracker = recorder = Recorder()
    return recorder


TRACKED = dict(tracker=dict(type="JDETracker"))


def test_boxes_come_back_in_original_pixels_and_embeddings_are_read_in_network_pixels() -> None:
    model = build(**TRACKED).eval()
    recorder = with_recorder(model)
    view = images(views=1)
    box = dict(scale_factor=(0.5, 0.5), pad_param=(4.0, 4.0, 10.0, 10.0))
    network = model.predict(view, [sample_of(frame(**box))], rescale=False)[0][0].pred_instances
    original = model.predict(view, [sample_of(frame(**box))])[0][0].pred_instances
    shift = torch.tensor([10.0, 4.0, 10.0, 4.0])
    torch.testing.assert_close(original.bboxes, (network.bboxes - shift) / 0.5)
    torch.testing.assert_close(original.embeds, network.embeds)
    torch.testing.assert_close(model.embed_boxes(view[:, 0], [network.bboxes])[0], network.embeds)
    np.testing.assert_allclose(recorder.calls[0]["bboxes"], network.bboxes.numpy())
    np.testing.assert_allclose(recorder.calls[1]["bboxes"], original.bboxes.numpy())


def test_stock_trackers_read_embeddings_at_the_objects_under_a_letterbox() -> None:
    stock = dict(type="QuasiDenseTracker", init_score_thr=0.0, obj_score_thr=0.0)
    model = build(tracker=stock).eval()
    seen = []
    predict = model.track_head.predict
    model.track_head.predict = lambda feats, boxes: seen.append(boxes[0].clone()) or predict(feats, boxes)
    box = frame(scale_factor=(0.5, 0.5), pad_param=(4.0, 4.0, 10.0, 10.0))
    found = model.predict(images(views=1), [sample_of(box)])[0][0]
    ours, tracker = seen  # the model's own call, then the tracker's
    torch.testing.assert_close(tracker, ours)
    shown = found.pred_track_instances
    torch.testing.assert_close(shown.bboxes, found.pred_instances.bboxes[shown.detection_index])


def test_frames_of_a_batch_equal_frames_one_by_one() -> None:
    model = build(**TRACKED).eval()
    view = images(2, 3)
    names = [[frame(frame_id=t, video_id=n) for t in range(3)] for n in range(2)]
    together = model.predict(view, [sample_of(*frames) for frames in names])
    for n in range(2):
        for t in range(3):
            alone = model.predict(view[n : n + 1, t : t + 1], [sample_of(frame(frame_id=t, video_id=n))])[0][0]
            found = together[n][t].pred_instances
            torch.testing.assert_close(found.bboxes, alone.pred_instances.bboxes, rtol=1e-4, atol=1e-3)
            torch.testing.assert_close(found.embeds, alone.pred_instances.embeds, rtol=1e-3, atol=1e-4)


def test_a_whole_video_goes_through_the_network_in_parts() -> None:
    model = build(**TRACKED).eval()
    recorder, sizes = with_recorder(model), []
    extract = model.detector.extract_feat
    model.detector.extract_feat = lambda view: sizes.append(len(view)) or extract(view)
    model.predict(images(views=20), [sample_of(*(frame(frame_id=t) for t in range(20)))])
    assert sizes == [8, 8, 4]
    assert [call["frame_id"] for call in recorder.calls] == list(range(20))


def test_another_run_over_the_data_starts_afresh() -> None:
    model = build(**TRACKED).eval()
    recorder = with_recorder(model)
    model.predict(images(views=1), [sample_of(frame(frame_id=3))])
    model.predict(images(views=1), [sample_of(frame(frame_id=4))])
    assert recorder.resets == 1
    model.train().eval()  # as a validation loop does; the next part of the same video is another run
    model.predict(images(views=1), [sample_of(frame(frame_id=9))])
    assert recorder.resets == 2


def test_stock_trackers_that_need_other_parts_are_refused() -> None:
    with pytest.raises(InputError, match="QuasiDenseTracker works with a model that has 'track_head'"):
        build("centernet-embed", tracker=dict(type="QuasiDenseTracker"))
    build(tracker=dict(type="QuasiDenseTracker"))
    with pytest.raises(InputError, match="SORTTracker works with a model that has 'reid'"):
        build(tracker=dict(type="SORTTracker"))
    build(tracker=dict(type="SORTTracker", reid=None))


@pytest.mark.parametrize("arguments", [dict(), dict(reid=None)])
def test_strong_sort_is_refused_with_and_without_reid(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="mmdet's StrongSORTTracker works with a model that has 'cmc', which Quasi"):
        build(tracker=dict(type="StrongSORTTracker", motion=dict(type="KalmanFilter"), **arguments))


@pytest.mark.parametrize("detector", ["faster-rcnn", "mask-rcnn"])
def test_the_tracker_of_masktrack_rcnn_is_refused(detector: str) -> None:
    with pytest.raises(InputError, match=r"MaskTrackRCNNTracker works with .* 'MaskTrackRCNN\.track_head'"):
        build(detector, tracker=dict(type="MaskTrackRCNNTracker"))


def test_derived_trackers_are_refused_for_the_track_they_inherit() -> None:
    class Derived(trackers.SORTTracker):
        pass

    class Own(trackers.SORTTracker):
        def track(self, *args: Any, **kwargs: Any) -> InstanceData:
            return InstanceData()

    with pytest.raises(InputError, match="mmdet's Derived works with a model that has 'reid'"):
        build(tracker=dict(type=Derived))
    build(tracker=dict(type=Derived, reid=None))
    build(tracker=dict(type=Own))


def test_each_tracker_of_mmdet_is_run_or_refused() -> None:
    """One that is new there must be looked at."""
    run = {"ByteTracker", "OCSORTTracker"}
    assert set(trackers.__all__) - {"BaseTracker"} == run | set(STOCK_NEEDS)


def test_public_detections_are_the_proposals() -> None:
    model = build(public_detections=True, detector__test_cfg__rcnn__nms__iou_threshold=1.0).eval()
    shown = frame(scale_factor=(0.5, 0.5))
    shown.proposals = InstanceData(bboxes=torch.tensor([[20.0, 20, 60, 100], [80, 20, 120, 100]]))
    roi_head, seen = model.detector.roi_head, []
    predict = roi_head.predict
    roi_head.predict = lambda feats, found, *a, **k: (
        seen.append(found[0].bboxes.clone()) or predict(feats, found, *a, **k)
    )
    found = model.predict(images(views=1), [sample_of(shown)])[0][0].pred_instances
    assert seen[0].tolist() == [[10, 10, 30, 50], [40, 10, 60, 50]]  # network pixels
    assert len(found) == 2
    with pytest.raises(InputError, match="LoadPublicDetections"):
        model.predict(images(views=1), [sample_of(frame())])
    dense = build("fcos", public_detections=True).eval()
    with pytest.raises(InputError, match="two-stage"):
        dense.predict(images(views=1), [sample_of(shown)])


@pytest.mark.parametrize("detector", ["faster-rcnn", "cascade-rcnn"])
def test_regression_moves_boxes_as_the_last_box_head_does(detector: str) -> None:
    model = build(detector, **TRACKED).eval()
    recorder = with_recorder(model)
    recorder.needs_regression = True
    scaled = dict(scale_factor=(2.0, 2.0))
    model.predict(images(views=1), [sample_of(frame(**scaled))])
    moved = recorder.calls[0]["regress"](np.array([[4.0, 4, 14, 24], [20, 5, 30, 25]]))
    feats = model.detector.extract_feat(images(views=1)[:, 0])
    head, extractor = model.detector.roi_head.bbox_head, model.detector.roi_head.bbox_roi_extractor
    if detector == "cascade-rcnn":
        head, extractor = head[-1], extractor[-1]
    boxes = torch.tensor([[8.0, 8, 28, 48], [40, 10, 60, 50]])
    rois = torch.cat([torch.zeros(2, 1), boxes], dim=1)
    deltas = head(extractor(feats[:4], rois))[1]
    expected = head.bbox_coder.decode(boxes, deltas, max_shape=SIZE) / 2
    np.testing.assert_allclose(moved, expected.detach().numpy(), rtol=1e-4, atol=1e-3)
    assert recorder.calls[0]["regress"](np.zeros((0, 4))).shape == (0, 4)


def test_regression_takes_the_box_of_the_best_class() -> None:
    model = build(detector__roi_head__bbox_head__num_classes=3).eval()
    head = model.detector.roi_head.bbox_head
    torch.nn.init.zeros_(head.fc_cls.weight)
    head.fc_cls.bias.data = torch.tensor([0.0, 1.0, 2.0, 9.0])  # background is no class
    torch.nn.init.zeros_(head.fc_reg.weight)
    head.fc_reg.bias.data = torch.tensor([0.0] * 8 + [1.0, 0, 0, 0])  # class 2 moves by a tenth of the width
    feats = model.detector.extract_feat(images(views=1)[:, 0])
    moved = model.regress(feats, frame(), torch.tensor([[10.0, 10, 30, 50]]))
    torch.testing.assert_close(moved, torch.tensor([[12.0, 10, 32, 50]]))


def test_dense_detectors_have_no_regression() -> None:
    model = build("retinanet").eval()
    with pytest.raises(InputError, match="regression=False"):
        model.regress([], frame(), torch.zeros(1, 4))


def test_tensor_mode_gives_levels_proposals_and_embeddings() -> None:
    model = build().eval()
    feats, proposals, embeds = model(images(views=2), [sample_of(frame(), frame())], mode="tensor")
    assert [len(level) for level in feats] == [2] * 5
    assert embeds.shape == (sum(len(p) for p in proposals), 8)


def test_dense_proposals_are_many_and_the_best() -> None:
    few = dict(nms_pre=100, score_thr=0.0, nms=dict(type="nms", iou_threshold=0.9), max_per_img=7)
    for detector in ("fcos", "yolox", "rtmdet", "retinanet"):
        model = build(detector, dense_proposals=few).eval()
        feats = model.detector.extract_feat(images(views=1)[:, 0])
        assert len(model.proposals.propose(feats, [frame()])[0]) == 7, detector
        _, trained = model.proposals.loss_and_propose(feats, [frame()])
        assert [p.shape for p in trained] == [(7, 4)]
        assert not trained[0].requires_grad


# --------------------------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict(track_head__train_cfg__candidates="dense"), "candidates"),
        (dict(track_head__train_cfg__sampler=dict(type="RandomSampler")), "unknown key 'sampler'"),
        (dict(track_head__train_cfg__key_sampler__type="NoSampler"), r"train_cfg\.key_sampler: .*NoSampler"),
        (dict(track_head__train_cfg__ref_sampler__neg_sampler__type="NoNeg"), r"train_cfg\.ref_sampler: .*NoNeg"),
        (dict(track_head__train_cfg__assigner__pos_thr=1), r"train_cfg\.assigner: .*pos_thr"),
    ],
)
def test_wrong_keys_are_named(changes: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        build(**changes)


def test_a_missing_sampler_is_named() -> None:
    from axes import model_of
    from mmdet.registry import MODELS

    config = model_of("faster-rcnn", "multi-positive")
    del config.track_head.train_cfg["ref_sampler"]
    with pytest.raises(InputError, match="ref_sampler"):
        MODELS.build(config)


def test_a_detector_without_boxes_is_named() -> None:
    from clmot_qd.models.mot.proposals import proposals_of

    with pytest.raises(InputError, match=r"model\.detector: Linear"):
        proposals_of(torch.nn.Linear(1, 1), {})


def test_one_view_is_not_enough_for_a_pair_loss() -> None:
    with pytest.raises(InputError, match="two views"):
        build().loss(images(views=1), [sample_of(frame())])
