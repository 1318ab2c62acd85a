"""Mask heads in QuasiDenseMOT: what they learn, and the masks that tracks get from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.registry import METRICS
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from quasi_dense_builder import BOXES, SIZE, build, frame, images, sample_of, total

from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks
from clmot_qd.models.mot import detector_counts, mask_branch
from clmot_qd.models.mot.mask_branch import require_masks
from clmot_qd.models.mot.mask_pasting import grids_on_host, paste_grids, paste_tracked
from clmot_qd.models.mot.video_tracker import VideoTracker

WITHOUT_MASKS = {"mask-rcnn": "faster-rcnn", "cascade-mask-rcnn": "cascade-rcnn"}
BOTH = pytest.mark.parametrize("detector", WITHOUT_MASKS)
TRACKED = dict(tracker=dict(type="JDETracker", conf_thr=0.0))
KALMAN = dict(type="KalmanFilter")
STOCK = {
    "SORTTracker": dict(motion=KALMAN, obj_score_thr=0.0, reid=None),
    "ByteTracker": dict(
        motion=KALMAN, obj_score_thrs=dict(high=0.0, low=-1.0), init_track_thr=0.0, weight_iou_with_det_scores=False
    ),
    "OCSORTTracker": dict(motion=KALMAN, obj_score_thr=0.0, init_track_thr=0.0, weight_iou_with_det_scores=False),
}
# Of Mask Scoring R-CNN, whose masks change the scores.
SCORING = dict(
    type="MaskScoringRoIHead",
    mask_iou_head=dict(type="MaskIoUHead", in_channels=16, conv_out_channels=4, fc_out_channels=4, num_classes=1),
)


def masked(boxes: list = BOXES, **kwargs: Any) -> Any:
    """A frame whose objects fill their boxes but for the lower half of the left side."""
    sample = frame(boxes, **kwargs)
    bitmaps = np.zeros((len(boxes), *SIZE), dtype=np.uint8)
    for bitmap, (left, top, right, bottom) in zip(bitmaps, np.array(boxes, dtype=int).reshape(-1, 4)):
        bitmap[top:bottom, left:right] = 1
        bitmap[(top + bottom) // 2 : bottom, left : (left + right) // 2] = 0
    sample.gt_instances.masks = BitmapMasks(bitmaps, *SIZE)
    return sample


def blobs(count: int, seed: int = 0, classes: int = 1) -> torch.Tensor:
    """Logits (n, classes, 28, 28) whose masks have several parts and holes."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, classes, 7, 7, generator=generator)
    return 4 * torch.nn.functional.interpolate(coarse, size=28, mode="bicubic")


# -------------------------------------------------------------------------------------------------------------- pasting
@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.5, 0.6)])
def test_masks_are_those_that_mmdet_pastes_bit_for_bit(scale: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform([-20, -20], [90, 60], (40, 2))
    boxes = torch.tensor(np.hstack([corners, corners + rng.uniform(0.5, 60, (40, 2))]), dtype=torch.float32)
    boxes = boxes[(boxes[:, 2:] > 0).all(dim=1)]
    logits, labels = blobs(len(boxes), classes=3), torch.tensor(rng.integers(0, 3, len(boxes)))
    meta = dict(ori_shape=(60, 91), scale_factor=scale)
    network = boxes * torch.tensor(scale).repeat(2)
    results = [InstanceData(bboxes=network.clone(), labels=labels)]
    rules = ConfigDict(mask_thr_binary=0.5)
    theirs = FCNMaskHead(num_classes=3).predict_by_feat([logits], results, [meta], rules, rescale=True)[0].masks
    grids = logits[torch.arange(len(boxes)), labels].sigmoid()
    ours = paste_grids(grids, network / torch.tensor(scale).repeat(2), (60, 91), 0.5)
    assert ours.size == (60, 91)
    np.testing.assert_array_equal(ours.bitmaps(), theirs.numpy())
    assert 0 < theirs.sum() < theirs.numel()


def test_a_full_grid_gives_the_pixels_whose_centre_is_in_the_box() -> None:
    boxes = torch.tensor([[10.2, 5.0, 20.7, 9.4], [-3.0, 60.6, 2.4, 99.0]])
    masks = paste_grids(torch.ones(2, 28, 28), boxes, SIZE, 0.5)
    assert masks.boxes().tolist() == [[10, 5, 21, 9], [0, 61, 2, 64]]


@pytest.mark.parametrize(
    "box",
    [
        [10, 10, 10, 20],
        [10, 10, 20, 10],
        [20, 10, 10, 20],
        [-30, 5, -1, 20],
        [96, 5, 120, 20],
        [5, 64, 20, 90],
        [5, -9, 20, 0],
        [float("nan"), 0, 9, 9],
        [0, 0, float("inf"), 9],
    ],
)
def test_boxes_that_show_nothing_have_an_empty_mask(box: list[float]) -> None:
    boxes = torch.tensor([box, [0, 0, 10, 10]], dtype=torch.float32)
    assert paste_grids(torch.ones(2, 28, 28), boxes, SIZE, 0.5).areas().tolist() == [0, 100]


def test_tracks_get_the_mask_of_their_detection_and_none_without_one() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 9, 9], [0, 0, 6, 6]])
    masks = paste_tracked(torch.ones(3, 28, 28), boxes, torch.tensor([2, -1, 0]), SIZE, 0.5)
    assert masks.areas().tolist() == [36, 0, 16]
    nothing = paste_tracked(torch.ones(3, 28, 28), boxes, torch.zeros(0, dtype=torch.long), SIZE, 0.5)
    assert (len(nothing), nothing.size) == (0, SIZE)


# ------------------------------------------------------------------------------------------------------------ inference
@BOTH
def test_the_model_gives_the_masks_of_mmdets_detector(detector: str) -> None:
    """All of them, without a tracker; mmdet decodes the same proposals and pastes each mask into a whole picture."""
    model = build(detector, detector__test_cfg__rcnn__max_per_img=12).eval()
    for part in model.proposals.masks.heads:
        torch.nn.init.normal_(part.conv_logits.weight, std=3.0)
    scaled = dict(scale_factor=(0.5, 0.5), ori_shape=(128, 192))
    view = images(views=1)
    ours = model.predict(view, [sample_of(frame(**scaled))])[0][0].pred_instances
    theirs = model.detector.predict(view[:, 0], [frame(**scaled)], rescale=True)[0].pred_instances
    torch.testing.assert_close(ours.bboxes, theirs.bboxes)
    assert len(ours) == 12
    np.testing.assert_array_equal(ours.masks.bitmaps(), theirs.masks.numpy())
    assert 0 < ours.masks.areas().sum() < 12 * 128 * 192
    assert "mask_grids" not in ours


def test_mmdets_metric_scores_masks_of_detections(tmp_path: Path) -> None:
    model = build("mask-rcnn").eval()
    found = model.predict(images(views=1), [sample_of(frame(img_id=1))])[0][0]
    best = int(found.pred_instances.masks.areas().argmax())
    truth = dict(id=1, image_id=1, category_id=1, bbox=[5, 5, 20, 20], area=400, iscrowd=0)
    truth["segmentation"] = found.pred_instances.masks[best]
    content = dict(images=[dict(id=1, width=96, height=64)], annotations=[truth])
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content | dict(categories=[dict(id=1, name="pedestrian")])))
    metric = METRICS.build(dict(type="CocoMetric", ann_file=str(path), metric="segm"))
    metric.dataset_meta = dict(classes=("pedestrian",))
    metric.process({}, [found.to_dict()])
    assert metric.evaluate(1)["coco/segm_mAP"] > 0


def test_masks_are_in_pixels_of_the_original_picture_under_a_letterbox() -> None:
    model = build("mask-rcnn", **TRACKED).eval()
    head = model.proposals.masks.heads[0]
    torch.nn.init.zeros_(head.conv_logits.weight)
    torch.nn.init.constant_(head.conv_logits.bias, 9.0)  # every mask fills its box
    meta = dict(scale_factor=(0.5, 0.5), pad_param=(4.0, 4.0, 10.0, 10.0), ori_shape=(112, 152))
    found = model.predict(images(views=1), [sample_of(frame(**meta))])[0][0].pred_track_instances
    assert found.masks.size == (112, 152)
    inside = found.bboxes.clamp(min=0).minimum(torch.tensor([152.0, 112, 152, 112]))
    large = ((inside[:, 2:] - inside[:, :2]) > 2).all(dim=1)
    assert large.sum() > 3
    np.testing.assert_allclose(found.masks[large].boxes(), inside[large].numpy(), atol=1.0)
    network = model.predict(images(views=1), [sample_of(frame(**meta))], rescale=False)[0][0].pred_track_instances
    assert network.masks.size == SIZE
    np.testing.assert_allclose(network.masks[large].boxes(), network.bboxes[large].clamp(min=0).numpy(), atol=1.0)


@BOTH
def test_boxes_are_the_same_without_masks(detector: str) -> None:
    model = build(detector, **TRACKED).eval()
    view = images(views=2)
    clip = [frame(frame_id=0), frame(frame_id=1)]
    with_masks = [f.pred_track_instances for f in model.predict(view, [sample_of(*clip)])[0].video_data_samples]
    model.predict_masks = False
    model.train().eval()
    clip = [frame(frame_id=0), frame(frame_id=1)]
    without = [f.pred_track_instances for f in model.predict(view, [sample_of(*clip)])[0].video_data_samples]
    for one, other in zip(with_masks, without):
        assert isinstance(one.masks, RleMasks)
        assert "masks" not in other
        for name in ("instances_id", "bboxes", "scores", "labels", "detection_index"):
            assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("name", STOCK)
def test_stock_trackers_keep_the_mask_beside_the_box(name: str) -> None:
    model = build("mask-rcnn", tracker=dict(type=name, **STOCK[name])).eval()
    alone = build("mask-rcnn").eval()
    view = images(views=2)
    tracked = model.predict(view, [sample_of(frame(), frame(frame_id=1))])[0].video_data_samples
    detected = alone.predict(view, [sample_of(frame(), frame(frame_id=1))])[0].video_data_samples
    for found, plain in zip(tracked, detected):
        shown = found.pred_track_instances
        assert len(shown) > 3
        assert bool((shown.detection_index >= 0).all())
        assert shown.masks.texts() == plain.pred_instances.masks[shown.detection_index].texts()


def test_smoothed_boxes_have_the_mask_of_their_detection() -> None:
    model, alone = build("mask-rcnn", **TRACKED).eval(), build("mask-rcnn").eval()
    view = images(views=4)
    clip = [[frame(frame_id=t) for t in range(4)] for _ in range(2)]
    last = model.predict(view, [sample_of(*clip[0])])[0][3].pred_track_instances
    plain = alone.predict(view, [sample_of(*clip[1])])[0][3].pred_instances
    seen = last.detection_index >= 0
    assert not torch.equal(last.bboxes[seen], plain.bboxes[last.detection_index[seen]]), "nothing was smoothed"
    assert last.masks[seen].texts() == plain.masks[last.detection_index[seen]].texts()
    assert not last.masks[~seen].areas().any()


def test_a_frame_without_detections_has_no_masks() -> None:
    model = build("mask-rcnn", detector__test_cfg__rcnn__score_thr=2.0, **TRACKED).eval()
    found = model.predict(images(views=1), [sample_of(frame())])[0][0].pred_track_instances
    assert (len(found), len(found.masks), found.masks.size) == (0, 0, SIZE)
    alone = build("mask-rcnn", detector__test_cfg__rcnn__score_thr=2.0).eval()
    assert len(alone.predict(images(views=1), [sample_of(frame())])[0][0].pred_instances.masks) == 0


def test_boxes_alone_are_those_with_masks() -> None:
    model = build("mask-rcnn", **TRACKED).eval()
    alone = build("mask-rcnn", predict_masks=False, **TRACKED).eval()
    assert model.gives_masks
    assert not alone.gives_masks
    alone.proposals.masks.roi_head.mask_head.forward = None  # is not asked
    found, boxes = (m.predict(images(views=1), [sample_of(frame())])[0][0].pred_track_instances for m in (model, alone))
    assert len(found.masks) == len(found) > 0
    assert "masks" not in boxes
    assert torch.equal(found.bboxes, boxes.bboxes)


@pytest.mark.parametrize("own_predict", [False, True])
def test_other_mask_heads_may_be_there_where_boxes_alone_are_wanted(
    own_predict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mask Scoring R-CNN; and HTC's kind, whose ``predict`` is its own, so that its masks are made and dropped."""
    plain = build("mask-rcnn", **TRACKED).eval()
    changes = dict(detector__roi_head=SCORING, detector__train_cfg__rcnn__mask_thr_binary=0.5, predict_masks=False)
    model = build("mask-rcnn", **changes, **TRACKED).eval()
    model.load_state_dict(plain.state_dict(), strict=False)
    if own_predict:
        head = type(model.detector.roi_head)
        monkeypatch.setattr(head, "predict", lambda self, *args, **kwargs: super(head, self).predict(*args, **kwargs))
        monkeypatch.setattr(head, "predict_mask", StandardRoIHead.predict_mask)  # leaves the scores
    else:
        model.detector.roi_head.mask_head.forward = None  # is not asked
    assert (model.mask_thr, model.gives_masks) == (None, False)
    found, boxes = (m.predict(images(views=1), [sample_of(frame())])[0][0] for m in (plain, model))
    assert "masks" not in boxes.pred_instances
    for name in ("bboxes", "scores", "labels"):
        assert torch.equal(found.pred_track_instances[name], boxes.pred_track_instances[name]), name
    if not own_predict:
        return
    total(model.train().loss(images(), [sample_of(masked(), frame())])).backward()
    with pytest.raises(InputError, match="add LoadTrackMasks"):
        model.loss(images(), [sample_of(frame(), frame())])


@BOTH
def test_the_mask_head_sees_some_regions_at_a_time(detector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(detector, detector__test_cfg__rcnn__max_per_img=9).eval()
    view, samples = images(3, views=1), [sample_of(frame(frame_id=t)) for t in range(3)]
    expected = [one[0].pred_instances.masks for one in model.predict(view, samples)]
    seen = []
    for head in model.proposals.masks.heads:
        head.register_forward_hook(lambda *parts: seen.append(len(parts[2])))
    monkeypatch.setattr(mask_branch, "REGIONS_AT_ONCE", 10)
    found = [one[0].pred_instances.masks for one in model.predict(view, samples)]
    assert seen == [10] * 2 * len(model.proposals.masks.heads) + [7] * len(model.proposals.masks.heads)
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours) == len(theirs) == 9
        assert (ours.bitmaps() != theirs.bitmaps()).sum() <= 4


def test_grids_come_to_the_host_together() -> None:
    found = [InstanceData(scores=torch.ones(n), mask_grids=torch.full((n, 4, 4), float(n))) for n in (2, 0, 3)]
    grids = grids_on_host(found)
    assert [one.shape for one in grids] == [(2, 4, 4), (0, 4, 4), (3, 4, 4)]
    assert [float(one.sum()) for one in grids] == [64, 0, 144]
    assert len({one.untyped_storage().data_ptr() for one in grids}) == 1
    assert not any("mask_grids" in one for one in found)
    assert grids_on_host(found) == [None] * 3


def test_public_detections_have_masks_too() -> None:
    model = build("mask-rcnn", public_detections=True, **TRACKED).eval()
    shown = frame()
    shown.proposals = InstanceData(bboxes=torch.tensor([[20.0, 20, 60, 60], [50, 2, 90, 40]]))
    found = model.predict(images(views=1), [sample_of(shown)])[0][0].pred_track_instances
    assert len(found) == 2
    assert found.masks.areas().sum() > 0


def test_the_label_tells_detections_with_one_box_apart() -> None:
    class Backwards:
        """Shows both detections, the second one first."""

        def track(self, data_sample: Any) -> InstanceData:
            both = data_sample.pred_instances
            return InstanceData(
                instances_id=torch.tensor([0, 1, 2]),
                bboxes=both.bboxes[[1, 0, 0]] + torch.tensor([[0.0], [0.0], [1.0]]),
                scores=both.scores[[1, 0, 0]],
                labels=both.labels[[1, 0, 0]],
            )

        def reset(self) -> None:
            pass

    sample = frame()
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[0.0, 0, 9, 9]] * 2), scores=torch.ones(2), labels=torch.tensor([0, 1])
    )
    found = VideoTracker(Backwards()).track_stock(sample, dict(data_sample=sample))
    assert found.detection_index.tolist() == [1, 0, -1]


# ------------------------------------------------------------------------------------------------------------- training
@BOTH
def test_mask_losses_are_among_the_detectors(detector: str) -> None:
    model = build(detector).train()
    losses = model.loss(images(), [sample_of(masked(), frame())])
    names = {name for name in losses if "loss_mask" in name}
    assert names == ({"loss_mask"} if detector == "mask-rcnn" else {f"s{n}.loss_mask" for n in range(3)})
    assert "loss_embed" in losses
    total(losses).backward()
    assert torch.isfinite(total(losses))
    for head in model.proposals.masks.heads:
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())


def test_without_objects_the_mask_head_stays_in_the_graph() -> None:
    for changes in (dict(), dict(train_masks_only=True)):
        model = build("mask-rcnn", **changes).train()
        losses = model.loss(images(), [sample_of(masked([]), frame([]))])
        total(losses).backward()
        assert float(losses["loss_mask"]) == 0
        assert all(p.grad is not None for p in model.proposals.masks.heads[0].parameters())


def test_a_mask_head_learns_the_masks() -> None:
    model = build("mask-rcnn", train_masks_only=True).train()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    values = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = total(model.loss(images(views=1), [sample_of(masked())]))
        loss.backward()
        optimizer.step()
        values.append(float(loss.detach()))
    assert values[-1] < 0.8 * values[0], values


def test_objects_without_masks_are_told() -> None:
    for changes in (dict(), dict(train_masks_only=True)):
        with pytest.raises(InputError, match="add LoadTrackMasks"):
            build("mask-rcnn", **changes).loss(images(2), [sample_of(masked(), frame()), sample_of(frame(), frame())])


@pytest.mark.parametrize("changes", [dict(), dict(train_masks_only=True)])
@pytest.mark.parametrize("batch", [SIZE, (60, 90)])
def test_masks_that_were_left_behind_by_their_picture_are_told(changes: dict, batch: tuple[int, int]) -> None:
    """Though the batch may be as large as they are."""
    shapes = dict(img_shape=(60, 90), batch_input_shape=batch)
    model, key = build("mask-rcnn", **changes), masked([[60, 10, 92, 50]], img_path="clip/7.png", **shapes)
    with pytest.raises(InputError) as error:
        model.loss(images(), [sample_of(key, frame())])
    assert str(error.value) == (
        "clip/7.png: masks of 96 x 64 pixels for a picture of 90 x 60: a step of train_pipeline or of batch_augments "
        "changes pictures but not their masks; take one that does, such as mmdet's Resize, RandomFlip, RandomCrop, Pad"
    )


def test_masks_padded_to_the_batch_are_taken() -> None:
    key = masked(img_shape=(60, 90))
    key.gt_instances.masks = key.gt_instances.masks.crop(np.array([0, 0, 90, 60]))
    require_masks([key])
    key.gt_instances.masks = key.gt_instances.masks.pad(SIZE)  # as pad_mask=True does
    require_masks([key])
    with pytest.raises(InputError, match="masks of 96 x 64 pixels"):
        require_masks([masked([[10, 20, 30, 63]], img_shape=(60, 90))])
    require_masks([masked([], img_shape=(60, 90), batch_input_shape=(60, 90))])  # nothing to be wrong


@BOTH
def test_masks_alone_leave_everything_else_as_it_is_bit_for_bit(detector: str) -> None:
    """Table 6, "frozen": a tracker of boxes is taken over, and finds what it found."""
    start = build(WITHOUT_MASKS[detector], seed=3, **TRACKED).eval()
    model = build(detector, train_masks_only=True, **TRACKED)
    missing, unexpected = model.load_state_dict(start.state_dict(), strict=False)
    assert not unexpected
    assert all(name.startswith("detector.roi_head.mask_head.") for name in missing)
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    losses = model.loss(images(views=1), [sample_of(masked())])
    assert all("loss_mask" in name for name in losses)
    total(losses).backward()
    optimizer.step()
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved
    assert all(name.startswith("detector.roi_head.mask_head.") for name in moved)
    view = images(views=3, seed=7)
    found = [m.eval().predict(view, [sample_of(*(frame(frame_id=t) for t in range(3)))])[0] for m in (start, model)]
    for plain, with_masks in zip(*(one.video_data_samples for one in found)):
        for name in ("instances_id", "bboxes", "scores", "labels"):
            assert torch.equal(plain.pred_track_instances[name], with_masks.pred_track_instances[name]), name
        assert torch.equal(plain.pred_instances.embeds, with_masks.pred_instances.embeds)
        assert len(with_masks.pred_track_instances.masks) == len(plain.pred_track_instances)


def test_masks_alone_need_one_view_and_compute_one() -> None:
    model = build("mask-rcnn", train_masks_only=True).train()
    assert len(model.loss_embed) == 2
    training = {name for name, part in model.named_modules() if part.training}
    assert all(name in ("", "detector.roi_head.mask_head") or ".mask_head." in name for name in training), training
    seen = []
    extract = model.detector.extract_feat
    model.detector.extract_feat = lambda view: seen.append((len(view), torch.is_grad_enabled())) or extract(view)
    for views in (1, 2):
        torch.manual_seed(0)
        model.loss(images(2, views), [sample_of(*[masked()] * views)] * 2)
    assert seen == [(2, False)] * 2
    assert not any(p.requires_grad for n, p in model.named_parameters() if "mask_head" not in n)
    model.eval()
    assert not any(part.training for part in model.modules())


def test_embeddings_alone_need_no_masks() -> None:
    model = build("mask-rcnn", freeze_detector=True).train()
    losses = model.loss(images(), [sample_of(frame(), frame())])
    assert set(losses) == {"loss_embed", "loss_embed_aux"}
    total(losses).backward()


def test_processes_divide_by_common_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has all of the regions on objects of two processes: its mean counts twice, halved later."""
    model = build("mask-rcnn", train_masks_only=True).train()
    torch.manual_seed(0)
    alone = model.loss(images(views=1), [sample_of(masked())])["loss_mask"]
    monkeypatch.setattr(detector_counts, "get_world_size", lambda: 2)
    monkeypatch.setattr(detector_counts, "shared_count", lambda count: count / 2)
    torch.manual_seed(0)
    torch.testing.assert_close(model.loss(images(views=1), [sample_of(masked())])["loss_mask"], 2 * alone)


# --------------------------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("detector", "changes", "said"),
    [
        ("faster-rcnn", dict(train_masks_only=True), "has no mask head"),
        ("fcos", dict(train_masks_only=True), "has no mask head"),
        ("mask-rcnn", dict(train_masks_only=True, freeze_detector=True), "freeze_detector"),
        ("mask-rcnn", dict(detector__test_cfg__rcnn__mask_thr_binary=-1), "mask_thr_binary: -1"),
        ("mask-rcnn", dict(detector__roi_head=SCORING), "MaskScoringRoIHead makes masks .* model.predict_masks=False"),
        ("mask-rcnn", dict(detector__roi_head__mask_head__type="HTCMaskHead"), "HTCMaskHead makes masks"),
    ],
)
def test_what_cannot_be_is_told(detector: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        build(detector, **changes)


def test_dense_detectors_with_masks_are_refused() -> None:
    from mmdet.registry import MODELS
    from mmengine.hub import get_config

    from clmot_qd.models.mot.proposals import proposals_of

    for name in ("rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py", "condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py"):
        config = get_config(f"mmdet::{name}").model
        config.pop("data_preprocessor", None)
        config.backbone.init_cfg = None
        config.backbone.pop("norm_cfg", None) if config.type == "RTMDet" else None
        with pytest.raises(InputError, match="makes its masks without regions"):
            proposals_of(MODELS.build(config), {})
