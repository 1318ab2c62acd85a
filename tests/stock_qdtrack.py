"""mmdet's own QDTrack in miniature, and a clip for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from axes import model_of
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor, nn

SIZE = (160, 96)  # of the network input: width, height
SCALE = (0.5, 0.8)  # network pixels per original pixel, x and y
OBJECT = (20, 36)
DETECTIONS = dict(
    rpn=dict(nms_pre=100, max_per_img=50, nms=dict(type="nms", iou_threshold=0.7), min_bbox_size=0),
    rcnn=dict(score_thr=0.0, nms=dict(type="nms", iou_threshold=0.5), max_per_img=20),
)
TRACKER = dict(
    init_score_thr=0.6,
    obj_score_thr=0.3,
    match_score_thr=0.5,
    memo_tracklet_frames=10,
    memo_backdrop_frames=1,
    memo_momentum=0.8,
    nms_conf_thr=0.5,
    nms_backdrop_iou_thr=0.3,
    nms_class_iou_thr=0.7,
    with_cats=True,
    match_metric="bisoftmax",
)


def our_config(tracker: str | None = "BiSoftmaxTracker") -> Config:
    """``QuasiDenseMOT`` on a tiny Faster R-CNN, with the losses and margins of mmdet's configurations."""
    config = model_of("faster-rcnn", "multi-positive")
    for name in ("key_sampler", "ref_sampler"):  # drawn as there: mmdet has one sampler for both frames
        config.track_head.train_cfg[name].neg_sampler = dict(type="RandomSampler")
    config.detector.test_cfg = DETECTIONS
    config.tracker = dict(type=tracker, **TRACKER) if tracker else None
    return config


def stock_config() -> Config:
    """The same in mmdet's classes."""
    ours = our_config()
    head = ours.track_head.to_dict()
    rules = head.pop("train_cfg")
    head.update(type="QuasiDenseTrackHead", train_cfg=dict(assigner=rules["assigner"], sampler=rules["key_sampler"]))
    head["embed_head"].update(
        loss_track=dict(type="MultiPosCrossEntropyLoss", loss_weight=0.25),
        loss_track_aux=dict(type="MarginL2Loss", neg_pos_ub=3, pos_margin=0, neg_margin=0.1, hard_mining=True),
    )
    tracker = dict(type="QuasiDenseTracker", **TRACKER)
    common = dict(data_preprocessor=ours.data_preprocessor, detector=ours.detector)
    return Config(dict(type="QDTrack", track_head=head, tracker=tracker, **common))


def build(config: Config, seed: int = 0) -> Any:
    """A model with random weights."""
    init_default_scope("mmdet")
    torch.manual_seed(seed)
    model = MODELS.build(config)
    model.init_weights()
    return model.eval()


def build_stock(seed: int = 0, embed_deviation: float = 2.0) -> Any:
    """mmdet's QDTrack whose random weights tell regions of the clip apart: scores and embeddings differ from one to the
    next, instead of being nearly alike for all.
    """
    model = build(stock_config(), seed)
    _spread(model, model.detector.roi_head.bbox_head.fc_cls, deviation=1.2)
    _spread(model, model.track_head.embed_head.fc_embed, deviation=embed_deviation)
    return model


def _spread(model: Any, layer: nn.Linear, deviation: float) -> None:
    """Give each output of a layer mean 0 and this deviation over the regions of the clip."""
    seen = []
    handle = layer.register_forward_hook(lambda _, __, output: seen.append(output))
    track(model)
    handle.remove()
    outputs = torch.cat(seen)
    with torch.no_grad():
        layer.weight.mul_((deviation / outputs.std(dim=0))[:, None])
        layer.bias.sub_(outputs.mean(dim=0)).mul_(deviation / outputs.std(dim=0))


def track(model: Any) -> TrackDataSample:
    """The clip through a model."""
    data = model.data_preprocessor({"inputs": [clip_images()], "data_samples": clip_samples()})
    with torch.no_grad():
        return model(**data, mode="predict")[0]


def clip_images(frames: int = 6, objects: int = 5, seed: int = 1) -> Tensor:
    """Coloured blocks that drift on noise; the second one is hidden in frames 2 and 3. (frames, 3, H, W)."""
    rng = np.random.default_rng(seed)
    background = rng.uniform(0, 80, (3, SIZE[1], SIZE[0]))
    places, speeds, colours = _objects(objects, rng)
    images = np.repeat(background[None], frames, axis=0)
    for frame in range(frames):
        for n, (x, y) in enumerate((places + frame * speeds).astype(int)):
            if n != 1 or frame not in (2, 3):
                images[frame, :, y : y + OBJECT[1], x : x + OBJECT[0]] = colours[n, :, None, None]
    return torch.from_numpy(images).float()


def _objects(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left upper corners, speeds in pixels a frame, and colours."""
    places = rng.uniform([5, 5], [SIZE[0] - OBJECT[0] - 10, SIZE[1] - OBJECT[1] - 10], (count, 2))
    return places, rng.uniform(-0.3, 0.3, (count, 2)), rng.uniform(60, 255, (count, 3))


def clip_samples(frames: int = 6) -> list[TrackDataSample]:
    """One video."""
    sample = TrackDataSample()
    sample.video_data_samples = [DetDataSample(metainfo=_meta(frame)) for frame in range(frames)]
    return [sample]


def pair_samples(ids: tuple[list[int], list[int]] = ([1, 2, 3], [3, 1, 7])) -> list[TrackDataSample]:
    """A key and a reference frame of three objects each, in the places of the first blocks of the clip."""
    places, _, _ = _objects(5, _after_background())
    boxes = torch.from_numpy(np.concatenate((places, places + OBJECT), axis=1)).float()
    rows = {1: 0, 2: 1, 3: 2, 7: 3}
    frames = []
    for n, view in enumerate(ids):
        truth = InstanceData(bboxes=boxes[[rows[i] for i in view]], labels=torch.zeros(3).long())
        truth.instances_ids = torch.tensor(view)
        frames.append(DetDataSample(metainfo=_meta(n), gt_instances=truth))
    sample = TrackDataSample(metainfo=dict(key_frames_inds=[0], ref_frames_inds=[1]))
    sample.video_data_samples = frames
    return [sample]


def _after_background() -> np.random.Generator:
    """The random numbers that :func:`clip_images` has left for the objects."""
    rng = np.random.default_rng(1)
    rng.uniform(0, 80, (3, SIZE[1], SIZE[0]))
    return rng


def _meta(frame: int) -> dict[str, Any]:
    shape = (SIZE[1], SIZE[0])
    original = (round(SIZE[1] / SCALE[1]), round(SIZE[0] / SCALE[0]))
    return dict(frame_id=frame, video_id=0, img_shape=shape, ori_shape=original, scale_factor=SCALE)
