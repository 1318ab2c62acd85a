"""What mmdet 3.3's QDTrack gets wrong and QuasiDenseMOT does not; every check also runs, and fails, on mmdet's class.

The checks are written once, for both. ``CORRECT`` says what each of the two is expected to show, so that a check which
could not fail, or a defect that mmdet has mended, would be noticed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.registry import TRANSFORMS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData
from stock_qdtrack import build, our_config, stock_config
from torch import Tensor, nn

from clmot_qd.datasets.pair_dataset import CocoPairDataset

CORRECT = pytest.mark.parametrize(("make_config", "correct"), [(our_config, True), (stock_config, False)])
SIZE = (160, 96)  # of the network input: width, height
KEY_BOXES = ((4, 8, 24, 44), (40, 10, 62, 50), (100, 40, 124, 84))
REF_BOXES = ((102, 38, 126, 82), (6, 10, 26, 46), (42, 12, 64, 52))  # the third object first


@pytest.fixture(autouse=True)
def repeatable() -> None:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 (the samplers use it)


# ------------------------------------------------------------------------------------------------------------- training
def pair(
    key_ids: Sequence[int] = (1, 2, 3),
    labels: Sequence[int] = (0, 0, 0),
    ignored: tuple[Sequence[float], Sequence[float]] | None = None,
) -> TrackDataSample:
    """Three objects in a key and a reference frame, and an ignored region in each."""
    order = [2, 0, 1]
    frames = []
    for view, boxes in enumerate((KEY_BOXES, REF_BOXES)):
        rows = order if view else [0, 1, 2]
        truth = InstanceData(bboxes=torch.tensor(boxes).float(), labels=torch.tensor([labels[row] for row in rows]))
        truth.instances_ids = torch.tensor([key_ids[row] for row in rows])
        frame = DetDataSample(metainfo=meta(view), gt_instances=truth)
        if ignored is not None:
            frame.ignored_instances = InstanceData(bboxes=torch.tensor([ignored[view]]).float())
        frames.append(frame)
    sample = TrackDataSample(metainfo=dict(key_frames_inds=[0], ref_frames_inds=[1]))
    sample.video_data_samples = frames
    return sample


def meta(frame: int, video: int = 0, scale: tuple[float, float] = (1.0, 1.0)) -> dict[str, Any]:
    shape = (SIZE[1], SIZE[0])
    original = (round(shape[0] / scale[1]), round(shape[1] / scale[0]))
    known = dict(img_shape=shape, pad_shape=shape, batch_input_shape=shape, ori_shape=original, scale_factor=scale)
    return dict(frame_id=frame, video_id=video, **known)


def pictures(count: int) -> Tensor:
    """One image pair for each: (count, 2, 3, H, W)."""
    return torch.rand(count, 2, 3, SIZE[1], SIZE[0], generator=torch.Generator().manual_seed(3))


def embedding_loss(model: nn.Module, samples: list[TrackDataSample]) -> float:
    """Sum of the losses on embeddings; the samplers draw the same whenever it is called."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 (the samplers use it)
    losses = model.train().loss(pictures(len(samples)), samples)
    found = [value for name, value in losses.items() if name.startswith(("loss_embed", "loss_track"))]
    assert len(found) == 2
    return float(sum(found))


def two_classes(config: Any) -> Any:
    config.detector.roi_head.bbox_head.num_classes = 2
    return config


@CORRECT
def test_class_labels_survive_the_loss(make_config: Callable[[], Any], correct: bool) -> None:
    """mmdet zeroes them for the RPN in the one copy there is (open-mmlab/mmdetection#11409)."""
    samples = [pair(labels=(1, 0, 1)), pair(labels=(0, 1, 1))]
    before = deepcopy(samples)
    build(two_classes(make_config())).train().loss(pictures(2), samples)
    same = [
        torch.equal(frame.gt_instances.labels, old.gt_instances.labels)
        for sample, copy in zip(samples, before)
        for frame, old in zip(sample, copy)
    ]
    assert all(same) is correct


@CORRECT
def test_the_classifier_is_taught_every_class(
    make_config: Callable[[], Any], correct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(two_classes(make_config()))
    head, taught = model.detector.roi_head.bbox_head, set()
    original = head.loss_and_target

    def spy(**arguments: Any) -> Any:
        taught.update(label for found in arguments["sampling_results"] for label in found.pos_gt_labels.tolist())
        return original(**arguments)

    monkeypatch.setattr(head, "loss_and_target", spy)
    model.train().loss(pictures(1), [pair(labels=(1, 0, 1))])
    assert taught == ({0, 1} if correct else {0})


@CORRECT
def test_identity_0_is_an_identity(make_config: Callable[[], Any], correct: bool) -> None:
    """How identities are numbered does not matter to the losses; in mmdet the object with number 0 has no match."""
    model = build(make_config())
    from_one, elsewhere, from_zero = (embedding_loss(model, [pair(ids)]) for ids in ((1, 2, 3), (7, 3, 5), (0, 1, 2)))
    assert from_one == pytest.approx(elsewhere, rel=1e-6)
    assert (abs(from_zero - from_one) < 1e-5) is correct


@CORRECT
def test_the_reference_frame_has_its_own_ignored_regions(
    make_config: Callable[[], Any], correct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No region of the reference frame that lies in its ignored part is background; mmdet takes the key's part."""
    config = make_config()
    config.track_head.train_cfg.assigner.ignore_iof_thr = 0.5
    model = build(config)
    corners = torch.cartesian_prod(torch.arange(0, 140, 12), torch.arange(0, 80, 12)).float()
    proposals = torch.cat([corners, corners + 16], dim=1)
    monkeypatch.setattr(model.detector.rpn_head, "predict", lambda *_, **__: [InstanceData(bboxes=proposals)])
    regions: list[Tensor] = []
    model.track_head.roi_extractor.register_forward_pre_hook(lambda _, inputs: regions.append(inputs[1][:, 1:]))
    left, right = (0, 0, 80, 96), (80, 0, 160, 96)
    model.train().loss(pictures(1), [pair(ignored=(right, left))])
    assert len(regions) == 2, "key, then reference"
    on_object = (regions[1][:, None] == torch.tensor(REF_BOXES).float()).all(dim=2).any(dim=1)
    background = regions[1][~on_object]
    assert len(background) > 5
    assert (not (share_in(background, left) > 0.5).any()) is correct


def share_in(boxes: Tensor, part: Sequence[float]) -> Tensor:
    """Share of each box (n, 4) that lies in a part of the picture. -> (n,)."""
    region = torch.tensor(part, dtype=boxes.dtype)
    sides = torch.minimum(boxes[:, 2:], region[2:]) - torch.maximum(boxes[:, :2], region[:2])
    return sides.clamp(min=0).prod(dim=1) / (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).clamp(min=1e-6)


@CORRECT
def test_a_frozen_detector_keeps_its_statistics_in_training(make_config: Callable[[], Any], correct: bool) -> None:
    config = make_config()
    config.freeze_detector = True
    model = build(config).train()
    norms = [module for module in model.detector.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) > 10
    before = [norm.running_mean.clone() for norm in norms]
    model.loss(pictures(1), [pair()])
    assert all(torch.equal(norm.running_mean, old) for norm, old in zip(norms, before)) is correct
    assert (not any(norm.training for norm in norms)) is correct
    assert not any(parameter.requires_grad for parameter in model.detector.parameters())
    assert all(parameter.requires_grad for parameter in model.track_head.parameters())
    assert model.track_head.training


# ------------------------------------------------------------------------------------------------------------- tracking
Script = dict[tuple[int, int], list[int]]
"""(video_id, frame_id) -> the objects that are detected there, by number."""
LANE = 40  # pixels of the network input; object n is seen at x = 40 n


def script_model(config: Any, script: Script, monkeypatch: pytest.MonkeyPatch, **tracker: Any) -> tuple[Any, list]:
    """A model whose box head sees what is written and whose embeddings tell the places of boxes; all else is real.

    Also returns the list in which the boxes (network-input pixels) that were embedded are collected.
    """
    config.tracker.update(init_score_thr=0.5, obj_score_thr=0.3, **tracker)
    model, embedded = build(config), []

    def detect(_: Any, __: Any, frames: Sequence[DetDataSample], rescale: bool = False) -> list[InstanceData]:
        return [detections(script[frame.video_id, frame.frame_id], frame, rescale) for frame in frames]

    def embed(_: Any, bboxes: Sequence[Tensor]) -> Tensor:
        embedded.extend(bboxes)
        lanes = torch.cat([boxes[:, 0] for boxes in bboxes]) / LANE
        return 10 * torch.exp(-8 * (lanes[:, None] - torch.arange(4)) ** 2)

    monkeypatch.setattr(model.detector.roi_head, "predict", detect)
    monkeypatch.setattr(model.track_head, "predict", embed)
    return model, embedded


def detections(objects: Sequence[int], frame: DetDataSample, rescale: bool) -> InstanceData:
    boxes = torch.tensor([[LANE * n, 20, LANE * n + 20, 60] for n in objects], dtype=torch.float32).reshape(-1, 4)
    if rescale:
        boxes = boxes / torch.tensor(frame.scale_factor).repeat(2)
    count = len(objects)
    return InstanceData(bboxes=boxes, scores=torch.linspace(0.9, 0.8, count), labels=torch.zeros(count).long())


def clip(frames: Sequence[tuple[int, int]], scale: tuple[float, float] = (1.0, 1.0)) -> TrackDataSample:
    sample = TrackDataSample()
    sample.video_data_samples = [DetDataSample(metainfo=meta(frame, video, scale)) for video, frame in frames]
    return sample


def predict(model: Any, *clips: TrackDataSample, **kwargs: Any) -> list[list[int]]:
    """Identities in each frame, ascending."""
    inputs = torch.zeros(len(clips), len(clips[0]), 3, SIZE[1], SIZE[0])
    with torch.no_grad():
        found = model.eval().predict(inputs, list(clips), **kwargs)
    return [sorted(frame.pred_track_instances.instances_id.tolist()) for sample in found for frame in sample]


@CORRECT
def test_memory_ages_on_empty_frames(
    make_config: Callable[[], Any], correct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty frames without any detection are longer than a memory of three, however the clip is cut into batches."""
    empty = list(range(1, 21))
    script = {(0, frame): [] for frame in empty} | {(0, 0): [1], (0, 21): [1]}
    model, _ = script_model(make_config(), script, monkeypatch, memo_tracklet_frames=3)
    first = predict(model, clip([(0, frame) for frame in range(11)]))
    second = predict(model, clip([(0, frame) for frame in range(11, 22)]))
    assert first == [[0]] + 10 * [[]]
    assert second == 10 * [[]] + ([[1]] if correct else [[0]])


def test_a_short_gap_keeps_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counterpart of the test above: within its time the memory outlives empty frames."""
    script = {(0, 0): [1], (0, 1): [], (0, 2): [], (0, 3): [1, 2]}
    model, _ = script_model(our_config(), script, monkeypatch, memo_tracklet_frames=4)
    assert predict(model, clip([(0, frame) for frame in range(4)])) == [[0], [], [], [0, 1]]


@CORRECT
def test_every_video_starts_afresh_wherever_its_frames_begin(
    make_config: Callable[[], Any], correct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second video starts at frame 5 and shows what was object 2 of the first; mmdet waits for a frame 0."""
    script = {(0, 0): [1, 2], (0, 1): [1, 2], (0, 2): [2], (7, 5): [2], (7, 6): [2, 1]}
    model, _ = script_model(make_config(), script, monkeypatch)
    assert predict(model, clip([(0, 0), (0, 1)])) == [[0, 1], [0, 1]]
    assert predict(model, clip([(0, 2)])) == [[1]], "the same video goes on in the next batch"
    assert predict(model, clip([(7, 5), (7, 6)])) == ([[0], [0, 1]] if correct else [[1], [0, 1]])


@CORRECT
def test_a_video_that_is_shown_again_starts_afresh(
    make_config: Callable[[], Any], correct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frame numbers that do not grow begin a new pass, even if none of them is 0."""
    script = {(0, 5): [1, 2], (0, 6): [2]}
    model, _ = script_model(make_config(), script, monkeypatch)
    assert predict(model, clip([(0, 5), (0, 6)])) == [[0, 1], [1]]
    assert predict(model, clip([(0, 6)])) == ([[0]] if correct else [[1]])


def test_a_batch_of_several_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is tracked as if it were alone; mmdet takes one video at a time."""
    script = {(0, 0): [1, 2], (0, 1): [2], (1, 0): [2], (1, 1): [2, 1]}
    clips = clip([(0, 0), (0, 1)]), clip([(1, 0), (1, 1)])
    model, _ = script_model(our_config(), script, monkeypatch)
    assert predict(model, *clips) == [[0, 1], [1], [0], [0, 1]]
    stock, _ = script_model(stock_config(), script, monkeypatch)
    with pytest.raises(AssertionError, match="1 batch size"):
        predict(stock, *clips)


@CORRECT
@pytest.mark.parametrize("rescale", [True, False])
def test_embeddings_are_read_where_the_boxes_are(
    make_config: Callable[[], Any], correct: bool, rescale: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boxes come in original or in network pixels as asked for; the tracker of mmdet scales them in both cases."""
    scale = (0.5, 0.8)
    script = {(0, frame): [1, 2, 3] for frame in range(2)}
    model, embedded = script_model(make_config(), script, monkeypatch)
    sample = clip([(0, 0), (0, 1)], scale)
    ids = predict(model, sample, rescale=rescale)
    network = detections([1, 2, 3], sample[0], rescale=False).bboxes
    expected = detections([1, 2, 3], sample[0], rescale=rescale).bboxes
    for frame in sample:
        torch.testing.assert_close(frame.pred_instances.bboxes, expected)
        order = frame.pred_track_instances.bboxes[:, 0].argsort()
        torch.testing.assert_close(frame.pred_track_instances.bboxes[order], expected)
    assert all(torch.allclose(boxes, network) for boxes in embedded) is (correct or rescale)
    assert len(ids) == 2
    assert ids[0] == [0, 1, 2]
    if correct or rescale:
        assert ids[1] == [0, 1, 2]


# ----------------------------------------------------------------------------------------------------------------- data
def video_with_a_cut(folder: Path) -> CocoPairDataset:
    """Objects 1 and 2 until frame 2, objects 3 and 4 in frames 3 and 4, object 5 alone in frame 5."""
    seen = [(1, 2), (1, 2), (2,), (3, 4), (4,), (5,)]
    size = dict(width=64, height=64)
    images = [dict(id=n + 1, video_id=1, frame_id=n, file_name=f"{n}.jpg", **size) for n in range(len(seen))]
    boxes = [(image, identity) for image, identities in enumerate(seen, start=1) for identity in identities]
    annotations = [
        dict(id=n, image_id=image, video_id=1, category_id=1, instance_id=identity, bbox=[5, 5, 20, 20], area=400)
        for n, (image, identity) in enumerate(boxes, start=1)
    ]
    categories = [dict(id=1, name="pedestrian")]
    content = dict(videos=[dict(id=1, name="clip")], images=images, annotations=annotations, categories=categories)
    path = folder / "cut.json"
    path.write_text(json.dumps(content))
    return CocoPairDataset(ann_file=str(path), check_files=False, pipeline=[], filter_cfg=dict(min_size=1))


@pytest.mark.parametrize(("transform", "correct"), [("ReferenceFrame", True), ("UniformRefFrameSample", False)])
def test_pairs_without_a_common_object_are_drawn_anew(transform: str, correct: bool, tmp_path: Path) -> None:
    """With a range of three frames many references lie beyond the cut, and object 5 has no reference at all."""
    dataset = video_with_a_cut(tmp_path)
    dataset.pipeline.transforms.append(TRANSFORMS.build(dict(type=transform, frame_range=3)))
    drawn = [dataset[index] for _ in range(30) for index in range(len(dataset))]
    pairs = [[{entry["instance_id"] for entry in view} for view in sample["instances"]] for sample in drawn]
    assert len(pairs) == 180
    assert all(len(views) == 2 for views in pairs)
    assert all(key & ref for key, ref in pairs) is correct
    assert len({tuple(sorted(sample["frame_id"])) for sample in drawn}) >= 4, "not one and the same pair over and over"
    assert any(5 in key | ref for key, ref in pairs) is not correct
