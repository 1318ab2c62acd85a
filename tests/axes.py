"""The four axes in miniature: every choice of pair source, detector, similarity loss and tracker, as configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hub import get_config

Dict = dict[str, Any]

CLASSES = ("pedestrian",)
NETWORK_SIZE = (96, 64)
WIDTH, CHANNELS, EMBED = 8, 16, 8
RESNET_LEVELS = [WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH]

# ---------------------------------------------------------------------------------------------------------- pair source
LOAD_IDS = dict(type="LoadTrackAnnotations")
AUGMENT = dict(
    type="TransformBroadcaster",
    share_random_params=False,
    transforms=[
        dict(type="ColourJitterHSV", fraction=0.5),
        dict(type="Letterbox", scale=NETWORK_SIZE),
        dict(type="TrackRandomAffine", max_rotate_degree=2, max_translate_ratio=0.02, scaling_ratio_range=(0.9, 1.1)),
    ],
)
PACK = dict(type="PackTrackInputs", meta_keys=("pad_param", "video_name"))


def _dataset(kind: str, ann_file: Path, pipeline: list[Dict]) -> Dict:
    prefix = "img_path" if kind in ("CocoPairDataset", "CocoVideoDataset") else "img"
    return dict(
        type=kind,
        ann_file=str(ann_file),
        data_prefix={prefix: str(ann_file.parent / "img")},
        metainfo=dict(classes=CLASSES),
        pipeline=pipeline,
    )


def _two_view(ann_file: Path, identities: bool) -> Dict:
    """One frame twice; identities are read only where a classifier needs them."""
    views = dict(type="WithinFrameTwoView", mirror_ref=True, keep_ids=identities)
    load = LOAD_IDS if identities else dict(type="LoadAnnotations", with_bbox=True)
    kind = "CocoIdentityDataset" if identities else "CocoDetectionDataset"
    return _dataset(kind, ann_file, [dict(type="LoadFrame"), load, views, AUGMENT, PACK])


def _reference_frame(ann_file: Path, identities: bool) -> Dict:
    load = dict(type="TransformBroadcaster", share_random_params=True, transforms=[dict(type="LoadFrame"), LOAD_IDS])
    common = dict(type="RequireCommonObject")
    return _dataset(
        "CocoPairDataset", ann_file, [dict(type="ReferenceFrame", frame_range=3), load, AUGMENT, common, PACK]
    )


def _mixed(ann_file: Path, identities: bool) -> Dict:
    stills = _two_view(ann_file, identities)
    if identities:
        stills["first_id"] = 9  # the videos have 8
    return dict(type="ConcatDataset", datasets=[_reference_frame(ann_file, identities), stills])


SOURCES = {"within-frame": _two_view, "reference-frame": _reference_frame, "mixed": _mixed}


def clip_dataset(ann_file: Path) -> Dict:
    steps = [dict(type="LoadFrame"), dict(type="Letterbox", scale=NETWORK_SIZE)]
    pipeline = [dict(type="TransformBroadcaster", transforms=steps), PACK]
    return _dataset("CocoVideoDataset", ann_file, pipeline) | dict(test_mode=True)


# ------------------------------------------------------------------------------------------------------------- detector
PREPROCESSOR = dict(type="TrackDataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=True, pad_size_divisor=32)
KEEP_ALL = dict(score_thr=0.0, nms=dict(type="nms", iou_threshold=0.95), max_per_img=20)


def _tiny_resnet(detector: Dict) -> Dict:
    detector["backbone"].update(
        depth=18, base_channels=WIDTH, stem_channels=WIDTH, frozen_stages=-1, norm_eval=False, init_cfg=None
    )
    detector["neck"].update(in_channels=RESNET_LEVELS, out_channels=CHANNELS)
    return detector


def _mmdet(name: str) -> Dict:
    detector = get_config(f"mmdet::{name}").model.to_dict()
    detector.pop("data_preprocessor", None)
    return detector


def _two_stage(name: str) -> Dict:
    detector = _tiny_resnet(_mmdet(name))
    detector["rpn_head"].update(in_channels=CHANNELS, feat_channels=CHANNELS)
    roi = detector["roi_head"]
    roi["bbox_roi_extractor"]["out_channels"] = CHANNELS
    for head in roi["bbox_head"] if isinstance(roi["bbox_head"], list) else [roi["bbox_head"]]:
        head.update(in_channels=CHANNELS, fc_out_channels=32, num_classes=1)
    detector["train_cfg"]["rpn_proposal"].update(nms_pre=100, max_per_img=100)
    detector["test_cfg"]["rpn"].update(nms_pre=100, max_per_img=50)
    detector["test_cfg"]["rcnn"].update(KEEP_ALL)
    if "mask_head" in roi:
        roi["mask_roi_extractor"]["out_channels"] = CHANNELS
        for head in roi["mask_head"] if isinstance(roi["mask_head"], list) else [roi["mask_head"]]:
            head.update(in_channels=CHANNELS, conv_out_channels=CHANNELS, num_convs=1, num_classes=1)
    return detector


def _dense(name: str, **head: Any) -> Dict:
    detector = _tiny_resnet(_mmdet(name))
    detector["bbox_head"].update(in_channels=CHANNELS, feat_channels=CHANNELS, stacked_convs=1, num_classes=1, **head)
    detector["test_cfg"].update(KEEP_ALL)
    return detector


def _csp(name: str, **scale: Any) -> Dict:
    detector = _mmdet(name)
    norm = dict(type="BN")
    detector["backbone"].update(norm_cfg=norm, init_cfg=None, **scale)
    levels = [int(channels * scale["widen_factor"]) for channels in (256, 512, 1024)]
    detector["neck"].update(in_channels=levels, out_channels=CHANNELS, num_csp_blocks=1, norm_cfg=norm)
    detector["bbox_head"].update(
        in_channels=CHANNELS, feat_channels=CHANNELS, stacked_convs=1, num_classes=1, norm_cfg=norm
    )
    detector["test_cfg"].update(KEEP_ALL)
    return detector


def detector_of(name: str) -> tuple[Dict, list[int] | None]:
    """A detector, and the strides of the levels its regions are read from (None for the one-shot head)."""
    if name == "centernet-embed":
        detector = dict(
            type="CenterNet",
            backbone=dict(type="DLA", channels=(4, 4, 8, 8, 8, 8), tree_depths=(1, 1, 1, 1)),
            neck=dict(type="DLANeck", in_channels=(8, 8, 8, 8), use_dcn=False),
            bbox_head=dict(type="CenterEmbedHead", in_channels=8, feat_channels=8, num_classes=1, embed_channels=EMBED),
            test_cfg=dict(topk=20, local_maximum_kernel=3, score_thr=0.0),
        )
        return detector, None
    if name == "faster-rcnn":
        return _two_stage("_base_/models/faster-rcnn_r50_fpn.py"), [4, 8, 16, 32]
    if name == "cascade-rcnn":
        return _two_stage("_base_/models/cascade-rcnn_r50_fpn.py"), [4, 8, 16, 32]
    if name in ("mask-rcnn", "cascade-mask-rcnn"):
        return _two_stage(f"_base_/models/{name}_r50_fpn.py"), [4, 8, 16, 32]
    if name == "retinanet":
        return _dense("_base_/models/retinanet_r50_fpn.py"), [8, 16, 32, 64]
    if name == "fcos":
        return _dense("fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py", norm_cfg=dict(type="GN", num_groups=4)), [
            8,
            16,
            32,
            64,
        ]
    if name == "yolox":
        return _csp("yolox/yolox_s_8xb8-300e_coco.py", deepen_factor=0.33, widen_factor=0.125), [8, 16, 32]
    return _csp("rtmdet/rtmdet_tiny_8xb32-300e_coco.py", deepen_factor=0.167, widen_factor=0.125), [8, 16, 32]


DETECTORS = ("centernet-embed", "faster-rcnn", "cascade-rcnn", "retinanet", "fcos", "yolox", "rtmdet")

# ------------------------------------------------------------------------------------------------------ similarity loss
AUX = dict(type="CosineMarginPairLoss")
# Name: what it changes in the model.
LOSSES: dict[str, Dict] = {
    "triplet-hard": dict(loss_embed=dict(type="TripletPairLoss", mining="hard"), unit_embeds=True),
    "triplet-all": dict(loss_embed=dict(type="TripletPairLoss", mining="all"), unit_embeds=True),
    "nt-xent": dict(loss_embed=dict(type="NTXentPairLoss", temperature=0.5), unit_embeds=True),
    "one-positive": dict(
        loss_embed=[dict(type="MultiPositivePairLoss", positives="one", loss_weight=0.25), AUX], unit_embeds=False
    ),
    "multi-positive": dict(
        loss_embed=[dict(type="MultiPositivePairLoss", positives="multi", loss_weight=0.25), AUX], unit_embeds=False
    ),
    "identity": dict(loss_embed=None, id_head=dict(type="IdentityClassifier", num_ids=16, embed_channels=EMBED)),
}

# -------------------------------------------------------------------------------------------------------------- tracker
# Untrained embeddings resemble each other, so any similarity is enough.
BISOFTMAX = dict(type="BiSoftmaxTracker", init_score_thr=0.0, obj_score_thr=0.0, match_score_thr=0.0)
KALMAN = dict(type="KalmanFilter")
TRACKERS: dict[str, Dict] = {
    "jde": dict(type="JDETracker", conf_thr=0.0),
    "bi-softmax": BISOFTMAX,
    "softmax": BISOFTMAX | dict(match_metric="softmax"),
    "cosine": BISOFTMAX | dict(match_metric="cosine"),
    "byte": dict(
        type="ByteTracker",
        motion=KALMAN,
        obj_score_thrs=dict(high=0.0, low=-1.0),
        init_track_thr=0.0,
        weight_iou_with_det_scores=False,
    ),
    "oc-sort": dict(
        type="OCSORTTracker", motion=KALMAN, obj_score_thr=0.0, init_track_thr=0.0, weight_iou_with_det_scores=False
    ),
}


def model_of(detector: str, loss: str) -> Config:
    """The model of one detector and one loss, without a tracker."""
    network, strides = detector_of(detector)
    common = dict(data_preprocessor=PREPROCESSOR, detector=network, **LOSSES[loss])
    if strides is None:
        return Config(dict(type="CLMOT", **common))
    return Config(dict(type="QuasiDenseMOT", track_head=_track_head(strides), **common))


def _track_head(strides: list[int]) -> Dict:
    sampler = dict(
        type="CombinedSampler",
        num=32,
        pos_fraction=0.5,
        neg_pos_ub=3,
        add_gt_as_proposals=True,
        pos_sampler=dict(type="InstanceBalancedPosSampler"),
        neg_sampler=dict(type="SteadyIoUBalancedNegSampler", floor_thr=-1, floor_fraction=0, num_bins=3),
    )
    return dict(
        type="QuasiDenseHead",
        roi_extractor=dict(
            type="SingleRoIExtractor",
            roi_layer=dict(type="RoIAlign", output_size=7, sampling_ratio=0),
            out_channels=CHANNELS,
            featmap_strides=strides,
        ),
        embed_head=dict(
            type="QuasiDenseEmbedHead",
            num_convs=1,
            num_fcs=1,
            in_channels=CHANNELS,
            conv_out_channels=CHANNELS,
            fc_out_channels=32,
            embed_channels=EMBED,
            norm_cfg=dict(type="GN", num_groups=4),
            loss_track=None,
            loss_track_aux=None,
        ),
        train_cfg=dict(
            assigner=dict(
                type="MaxIoUAssigner", pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.5, match_low_quality=False
            ),
            key_sampler=sampler,
            ref_sampler=sampler,
        ),
    )
