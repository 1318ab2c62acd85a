"""The QDTrack configurations: the paper's numbers, the rows of its tables, and the model of the public weights."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import mmdet
import pytest
import torch
from locations import REPOSITORY
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from clmot_qd.apis.class_lists import configured_classes
from clmot_qd.apis.running import load_config
from clmot_qd.evaluation.protocols import get_protocol

FOLDER = REPOSITORY / "configs" / "qdtrack"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
BDD = "qdtrack_faster-rcnn_r50_fpn_12e_bdd100k"
MOT = "qdtrack_faster-rcnn_r50_fpn_12e_mot17-half"
RELEASED = "qdtrack_faster-rcnn_r50_fpn_4e_mot17-half"
TAO = "qdtrack_faster-rcnn_r101_fpn_12e_tao"
LVIS = "qdtrack_faster-rcnn_r101_fpn_24e_lvis"


@cache
def loaded(name: str) -> Config:
    """A configuration, read once. Not to be changed."""
    return load_config(name)


def every(node: Any, kind: str) -> list[ConfigDict]:
    """All dicts of a type, wherever they are below ``node``."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    found = [node] if isinstance(node, dict) and node.get("type") == kind else []
    return found + [match for child in children for match in every(child, kind)]


def without(node: Any, *keys: str) -> Any:
    """A plain copy without these keys, wherever they are."""
    if isinstance(node, dict):
        return {key: without(value, *keys) for key, value in node.items() if key not in keys}
    return [without(value, *keys) for value in node] if isinstance(node, (list, tuple)) else node


def test_training_is_that_of_the_paper() -> None:
    for name in (BDD, MOT):
        config = loaded(name)
        rules = config.model.track_head.train_cfg
        assert (rules.assigner.pos_iou_thr, rules.assigner.neg_iou_thr) == (0.7, 0.3)
        assert rules.key_sampler.num * rules.key_sampler.pos_fraction == 128
        assert (rules.ref_sampler.num, rules.ref_sampler.pos_fraction) == (256, 0.5)
        assert rules.ref_sampler.neg_sampler.type == "SteadyIoUBalancedNegSampler"
        embed, auxiliary = config.model.loss_embed
        assert embed == dict(type="MultiPositivePairLoss", positives="multi", loss_weight=0.25)
        assert (auxiliary.type, auxiliary.neg_pos_ub, auxiliary.loss_weight) == ("CosineMarginPairLoss", 3, 1.0)
        head = config.model.track_head.embed_head
        assert (head.num_convs, head.num_fcs, head.embed_channels, head.norm_cfg.type) == (4, 1, 256, "GN")
        assert config.optim_wrapper.optimizer.lr == 0.02
        assert (config.train_cfg.max_epochs, config.param_scheduler[-1].milestones) == (12, [8, 11])
        assert config.train_dataloader.batch_size * 8 == config.auto_scale_lr.base_batch_size == 16
        assert config.auto_scale_lr.enable
        assert [step.frame_range for step in every(config.train_dataloader, "ReferenceFrame")] == [3]


def test_tracking_is_that_of_the_paper() -> None:
    tracker = loaded(BDD).model.tracker
    assert (tracker.init_score_thr, tracker.obj_score_thr, tracker.memo_backdrop_frames) == (0.8, 0.5, 1)
    assert (tracker.nms_class_iou_thr, tracker.nms_backdrop_iou_thr) == (0.7, 0.3)
    assert (tracker.type, tracker.with_cats) == ("BiSoftmaxTracker", True)


def test_pictures_are_those_of_the_paper() -> None:
    bdd, mot, tao = loaded(BDD), loaded(MOT), loaded(TAO)
    waymo = loaded("qdtrack_faster-rcnn_r50_fpn_12e_waymo")
    sizes = [step.scale for step in every([bdd.train_dataloader, bdd.test_dataloader], "Resize")]
    assert sizes == [(1296, 720)] * 3
    for config in (bdd, waymo):  # "original scale", "random horizontal flipping" alone
        steps = every(config.train_dataloader, "TrackRandomFlip")
        assert {step.prob for step in steps} == {0.5}
        assert not any(every(config.train_dataloader, kind) for kind in ("PhotoMetricDistortion", "RandomCrop"))
    assert not every([waymo.train_dataloader, waymo.test_dataloader], "Resize")
    (resize,) = every(mot.train_dataloader, "RandomResize")
    assert (resize.scale, resize.ratio_range, resize.keep_ratio) == ((1088, 1088), (0.8, 1.2), True)
    assert [step.scale for step in every(mot.test_dataloader, "Resize")] == [(1088, 1088)]
    assert every(mot.train_dataloader, "RandomCrop")[0].crop_size == (1088, 1088)
    assert every(mot.train_dataloader, "PhotoMetricDistortion")
    (choice,) = every(tao.train_dataloader, "RandomChoiceResize")
    assert [min(size) for size in choice.scales] == [640, 672, 704, 736, 768, 800]
    assert [step.scale for step in every(tao.test_dataloader, "Resize")] == [(1333, 800)]


def test_still_pictures_are_pairs_of_one_picture() -> None:
    for name in (BDD, LVIS, "qdtrack_faster-rcnn_r50_fpn_12e_crowdhuman-mot17"):
        (view,) = every(loaded(name).train_dataloader, "WithinFrameTwoView")
        assert not view.mirror_ref


def test_tao_trains_the_embeddings_alone() -> None:
    lvis, tao = loaded(LVIS), loaded(TAO)
    assert not lvis.model.freeze_detector
    assert tao.model.freeze_detector
    assert without(lvis.model, "freeze_detector") == without(tao.model, "freeze_detector")
    assert tao.load_from == f"work_dirs/{LVIS}/epoch_24.pth"
    assert (lvis.train_cfg.max_epochs, lvis.param_scheduler[-1].milestones) == (24, [16, 22])
    assert (tao.train_cfg.max_epochs, tao.param_scheduler[-1].milestones) == (12, [8, 11])
    assert (lvis.optim_wrapper.optimizer.lr, tao.optim_wrapper.optimizer.lr) == (0.02, 0.002)
    assert every(tao.train_dataloader, "ReferenceFrame")[0].frame_range == 1
    assert every(tao.train_dataloader, "ClassBalancedDataset")[0].oversample_thr == 1e-3
    assert lvis.model.tracker.type == "TAOBiSoftmaxTracker"
    assert lvis.model.detector.test_cfg.rcnn.score_thr == 1e-4


@pytest.mark.parametrize("step", ["24e_lvis", "12e_tao"])
def test_backbones_differ_in_nothing_else(step: str) -> None:
    base = loaded(f"qdtrack_faster-rcnn_r101_fpn_{step}")
    for name, depth, deformable in (("r50", 50, False), ("r101-dcn", 101, True)):
        config = loaded(f"qdtrack_faster-rcnn_{name}_fpn_{step}")
        backbone = config.model.detector.backbone
        assert (backbone.depth, "dcn" in backbone) == (depth, deformable)
        assert backbone.init_cfg.checkpoint == config.weights == f"torchvision://resnet{depth}"
        assert without(config.model, "backbone") == without(base.model, "backbone")
        if step == "12e_tao":
            assert config.load_from == f"work_dirs/qdtrack_faster-rcnn_{name}_fpn_24e_lvis/epoch_24.pth"


ROWS_OF_TABLE_4 = {  # name: (candidates, positives, metric, duplicate removal, backdrops)
    f"{BDD}_sparse_cosine": ("gt", "one", "cosine", False, 0),
    f"{BDD}_one-positive_cosine": ("proposals", "one", "cosine", False, 0),
    f"{BDD}_cosine": ("proposals", "multi", "cosine", False, 0),
    f"{BDD}_bisoftmax": ("proposals", "multi", "bisoftmax", False, 0),
    f"{BDD}_no-backdrops": ("proposals", "multi", "bisoftmax", True, 0),
    BDD: ("proposals", "multi", "bisoftmax", True, 1),
}
ROWS_OF_TABLE_5 = {  # name: (appearance, IoU, motion, regression)
    f"{BDD}_iou": (False, True, False, False),
    f"{BDD}_iou-motion": (False, True, True, False),
    f"{BDD}_iou-regression": (False, True, False, True),
    BDD: (True, False, False, False),
    f"{BDD}_appearance-iou": (True, True, False, False),
    f"{BDD}_appearance-iou-motion": (True, True, True, False),
    f"{BDD}_appearance-iou-regression": (True, True, False, True),
}


@pytest.mark.parametrize("name", ROWS_OF_TABLE_4)
def test_row_of_table_4(name: str) -> None:
    model = loaded(name).model
    tracker = MODELS.build(deepcopy(model.tracker))
    found = (
        model.track_head.train_cfg.candidates,
        model.loss_embed[0].positives,
        tracker.cues.match_metric,
        tracker.remove_duplicates,
        tracker.memo_backdrop_frames,
    )
    assert found == ROWS_OF_TABLE_4[name]


@pytest.mark.parametrize("name", ROWS_OF_TABLE_5)
def test_row_of_table_5(name: str) -> None:
    tracker = MODELS.build(deepcopy(loaded(name).model.tracker))
    cues = tracker.cues
    found = (cues.appearance_weight > 0, cues.iou_weight > 0, tracker.motion == "kalman", tracker.needs_regression)
    assert found == ROWS_OF_TABLE_5[name]


def test_rows_differ_in_nothing_else() -> None:
    base = loaded(BDD)
    for name in {*ROWS_OF_TABLE_4, *ROWS_OF_TABLE_5}:
        config = loaded(name)
        changed = ("tracker", "candidates", "positives")
        assert without(config.model, *changed) == without(base.model, *changed), name
        assert config.train_dataloader == base.train_dataloader
        allowed = {"match_metric", "remove_duplicates", "memo_backdrop_frames"}
        allowed |= {"appearance_weight", "iou_weight", "motion", "regression"}
        assert without(config.model.tracker, *allowed) == without(base.model.tracker, *allowed), name


def test_rows_of_table_6() -> None:
    """One model: all of it learns, its mask head alone does, or SORT tracks what the first one finds."""
    full, frozen, sort = (loaded(f"qdtrack_mask-rcnn_r50_fpn_{row}12e_bdd100k-seg") for row in ("", "frozen_", "sort_"))
    assert (full.model.train_masks_only, frozen.model.train_masks_only) == (False, True)
    assert without(full.model, "init_cfg", "train_masks_only") == without(frozen.model, "init_cfg", "train_masks_only")
    assert without(full.model, "tracker") == without(sort.model, "tracker")
    assert (sort.model.tracker.type, sort.model.tracker.reid) == ("SORTTracker", None)
    assert "mask_rcnn_r50_fpn_1x_cityscapes" in full.model.detector.init_cfg.checkpoint
    assert frozen.load_from == f"work_dirs/{BDD}/epoch_12.pth"
    assert not every(frozen.train_dataloader, "ReferenceFrame"), "a mask head needs no pairs"
    for config in (full, frozen):
        assert every(config.train_dataloader, "LoadTrackMasks")
        assert config.train_dataloader.batch_size * 8 == config.auto_scale_lr.base_batch_size
        assert config.test_evaluator.iou_type == "segm"
        assert config.classes == loaded(BDD).classes


def test_the_tracking_models_weights_fit_the_frozen_row() -> None:
    init_default_scope("mmdet")
    names = (BDD, "qdtrack_mask-rcnn_r50_fpn_frozen_12e_bdd100k-seg")
    with torch.device("meta"):  # shapes without values
        boxes, masks = (MODELS.build(deepcopy(loaded(name).model)).state_dict() for name in names)
    assert {k: v.shape for k, v in masks.items() if "mask_head" not in k} == {k: v.shape for k, v in boxes.items()}


@pytest.fixture(scope="module")
def stock() -> Config:
    """mmdet's own configuration of the public MOT17 weights."""
    folder = Path(mmdet.__file__).parent / ".mim" / "configs" / "qdtrack"
    return Config.fromfile(folder / "qdtrack_faster-rcnn_r50_fpn_8xb2-4e_mot17halftrain_test-mot17halfval.py")


def test_public_recipe_finds_what_mmdets_configuration_finds(stock: Config) -> None:
    ours, theirs = loaded(RELEASED).model, stock.model
    origin = ("init_cfg", "_scope_")
    assert without(ours.detector, *origin) == without(theirs.detector, *origin)
    assert ours.data_preprocessor == theirs.data_preprocessor
    assert ours.track_head.roi_extractor == theirs.track_head.roi_extractor
    losses = ("loss_track", "loss_track_aux")
    assert without(ours.track_head.embed_head, *losses) == without(theirs.track_head.embed_head, *losses)
    assert without(ours.tracker, "type") == without(theirs.tracker, "type")
    (size,) = {step.scale for step in every(loaded(RELEASED).test_dataloader, "Resize")}
    assert size == every(stock.test_dataloader, "Resize")[0].scale


def test_public_recipe_trains_as_mmdets_configuration_does(stock: Config) -> None:
    config = loaded(RELEASED)
    ours, theirs = config.model.track_head.train_cfg, stock.model.track_head.train_cfg
    assert ours.assigner == theirs.assigner
    assert ours.key_sampler == ours.ref_sampler == theirs.sampler
    assert config.optim_wrapper == stock.optim_wrapper
    # A subclass of the same, which can resume in the middle of an epoch.
    assert config.train_cfg == {**stock.train_cfg, "type": "ResumableEpochLoop"}
    assert [s.milestones for s in config.param_scheduler] == [s.milestones for s in stock.param_scheduler] == [[3]]
    (reference,) = every(config.train_dataloader, "ReferenceFrame")
    assert reference.frame_range == every(stock.train_dataloader, "UniformRefFrameSample")[0].frame_range == 10
    for kind in ("RandomResize", "RandomCrop"):
        (our_step,), (their_step,) = every(config.train_dataloader, kind), every(stock.train_dataloader, kind)
        assert without(our_step, "allow_negative_crop") == without(their_step)


@pytest.mark.parametrize(
    ("name", "depth", "classes"),
    [
        (RELEASED, 50, 1),
        ("qdtrack_faster-rcnn_r50_fpn_4e_crowdhuman-mot17-half", 50, 1),
        (f"{BDD}_released", 50, 8),
        (LVIS, 101, 482),
        (TAO, 101, 482),
    ],
)
def test_public_weights_fit(name: str, depth: int, classes: int, stock: Config) -> None:
    """Their tensors are those of mmdet's QDTrack with this backbone and as many classes."""
    init_default_scope("mmdet")
    config = deepcopy(stock.model)
    config.detector.backbone.update(depth=depth)
    config.detector.roi_head.bbox_head.update(num_classes=classes)
    with torch.device("meta"):  # shapes without values
        theirs, ours = (MODELS.build(c).state_dict() for c in (config, deepcopy(loaded(name).model)))
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in theirs.items()}


def test_bdd100k_as_released() -> None:
    released, paper = loaded(f"{BDD}_released"), loaded(BDD)
    assert (released.model.tracker.init_score_thr, released.model.tracker.obj_score_thr) == (0.7, 0.3)
    assert released.model.loss_embed[1].neg_margin == 0.3
    assert paper.model.loss_embed[1].neg_margin == 0.1
    assert released.optim_wrapper.optimizer.lr == 0.04
    smooth, plain = [("SmoothL1Loss", 1 / 9), ("SmoothL1Loss", 1.0)], [("L1Loss", None), ("L1Loss", None)]
    for config, expected in ((released, smooth), (paper, plain)):
        heads = (config.model.detector.rpn_head, config.model.detector.roi_head.bbox_head)
        assert [(head.loss_bbox.type, head.loss_bbox.get("beta")) for head in heads] == expected


@pytest.mark.parametrize("name", NAMES)
def test_classes_agree(name: str) -> None:
    """Head, training data, test data and metric; TAO's classes stand in a file."""
    config = loaded(name)
    head = config.model.detector.get("roi_head", config.model.detector).bbox_head
    counts = {stage.num_classes for stage in (head if isinstance(head, list) else [head])}
    lists = [configured_classes(loader.dataset) for loader in (config.train_dataloader, config.test_dataloader)]
    if "tao" in name or "lvis" in name:
        assert counts == {482}
        assert lists == [(), ()]
        files = {info.classes for info in (d.metainfo for d in _datasets(config))}
        assert files == {"data/tao/annotations/tao_classes.txt"}
        assert config.test_evaluator.type == "TrackMapMetric"
        assert config.test_evaluator.get("classes") is None
        return
    assert lists[0] == lists[1]
    assert counts == {len(lists[0])}
    scored = config.test_evaluator.get("classes", ("pedestrian",))
    assert set(scored or get_protocol(config.test_evaluator.protocol).classes) == set(lists[0])


@pytest.mark.parametrize(
    ("name", "protocol"), [("bdd100k", "bdd100k"), ("waymo", "waymo"), ("mot20", "mot20"), ("mot17", "mot")]
)
def test_benchmarks_are_scored_by_their_own_protocol(name: str, protocol: str) -> None:
    evaluators = [loaded(found).test_evaluator for found in NAMES if found.split("12e_")[-1].split("_")[0] == name]
    assert evaluators
    assert {evaluator.get("protocol", "mot") for evaluator in evaluators} == {protocol}


def _datasets(config: Config) -> list[ConfigDict]:
    kinds = ("CocoPairDataset", "CocoDetectionDataset", "CocoVideoDataset")
    return [found for kind in kinds for found in every([config.train_dataloader, config.test_dataloader], kind)]


@pytest.mark.parametrize("name", NAMES)
def test_one_variable_names_the_first_weights(name: str) -> None:
    config = loaded(name)
    assert {init.checkpoint for init in every(config.model, "Pretrained")} == {config.weights}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_scored_is_what_was_tested(name: str) -> None:
    config = loaded(name)
    tested = config.test_dataloader.dataset
    assert config.test_evaluator.ann_file == tested.data_root + tested.ann_file
    assert config.val_dataloader == config.test_dataloader
    assert config.val_evaluator == config.test_evaluator
    half = "-half" in name
    assert tested.ann_file.endswith("half-val.json") == half
    trained = every(config.train_dataloader, "CocoPairDataset")
    assert all(d.ann_file.endswith("half-train.json") == half for d in trained)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_at_the_top_that_changes_nothing(name: str) -> None:
    """A second ``tracker`` or ``train_pipeline`` beside the one in use would invite vain changes."""
    parts = {"detector", "preprocessor", "track_head", "loss_embed", "tracker", "resize", "resize_both", "crowdhuman"}
    parts |= {"tracking_set", "detection_set", "reference"}
    assert not parts & loaded(name).keys()
