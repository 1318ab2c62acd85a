"""The recommended pipelines, built from a Config, from files on disk to what a model gets."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from coco_builder import cocovid, write_folder
from mmdet.models.data_preprocessors import TrackDataPreprocessor
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.runner import Runner, set_random_seed

import clmot_qd.datasets.coco_detection
import clmot_qd.datasets.coco_identity
import clmot_qd.datasets.transforms
import clmot_qd.datasets.video_dataset  # noqa: F401 (registers the data sets)

pytestmark = pytest.mark.usefixtures("mmdet_scope")

SCALE = (160, 96)
CONFIG = f"""
scale = {SCALE}
views = dict(
    type='TransformBroadcaster',
    share_random_params=False,
    transforms=[dict(type='ColourJitterHSV'), dict(type='Letterbox', scale=scale), dict(type='TrackRandomAffine')])
pack = dict(type='PackTrackInputs', meta_keys=('pad_param', ))
two_view = [
    dict(type='LoadFrame'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='WithinFrameTwoView'),
    views, pack]
single_view = [
    dict(type='LoadFrame'),
    dict(type='LoadTrackAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='SingleView'),
    views, pack]
test = [
    dict(type='TransformBroadcaster', transforms=[
        dict(type='LoadFrame'),
        dict(type='Letterbox', scale=scale),
        dict(type='LoadTrackAnnotations', with_bbox=True)]),
    pack]
"""


@pytest.fixture(scope="module")
def config() -> Config:
    return Config.fromstring(CONFIG, ".py")


@pytest.fixture
def preprocessor() -> TrackDataPreprocessor:
    return TrackDataPreprocessor(mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=True, pad_size_divisor=32)


def folder(root, change=lambda content: None) -> dict:
    content = cocovid({0: [0, 1], 1: [0, 1]}, size=(90, 120), objects=4)
    change(content)
    root.mkdir(exist_ok=True)
    return write_folder(root, content)


def loader(dataset: dict, batch_size: int, **arguments):
    sampler = arguments.pop("sampler", {"type": "DefaultSampler", "shuffle": False})
    return Runner.build_dataloader(
        {"dataset": dataset, "batch_size": batch_size, "num_workers": 0, "sampler": sampler}, seed=0
    )


def test_two_views_for_training(config, preprocessor, tmp_path):
    dataset = {"type": "CocoDetectionDataset", **folder(tmp_path), "pipeline": config.two_view}
    set_random_seed(0)
    batch = next(iter(loader(dataset, 3)))
    raw = torch.stack(list(batch["inputs"]))
    data = preprocessor(batch, training=True)
    assert data["inputs"].shape == (3, 2, 3, 96, 160)
    torch.testing.assert_close(data["inputs"], raw[:, :, [2, 1, 0]].float() / 255)
    for sample in data["data_samples"]:
        assert sample.key_frames_inds == [0]
        assert sample.ref_frames_inds == [1]
        for view in sample:
            count = len(view.gt_instances)
            assert view.gt_instances.bboxes.shape == (count, 4)
            assert view.gt_instances.bboxes.dtype == torch.float32
            assert view.gt_instances.labels.dtype == view.gt_instances.instances_ids.dtype == torch.int64
            assert set(view.gt_instances.instances_ids.tolist()) <= {1, 2, 3, 4}
            assert view.img_shape == (96, 160)
            assert view.pad_param == (0, 0, 16, 16)


def test_supervised_single_view(config, preprocessor, tmp_path):
    dataset = {"type": "CocoIdentityDataset", **folder(tmp_path), "pipeline": config.single_view}
    built = DATASETS.build(dataset)
    assert built.num_ids == 8
    data = preprocessor(next(iter(loader(dataset, 4))), training=True)
    assert data["inputs"].shape == (4, 1, 3, 96, 160)
    seen = torch.cat([sample[0].gt_instances.instances_ids for sample in data["data_samples"]])
    assert seen.dtype == torch.int64
    assert len(seen) > 0
    assert set(seen.tolist()) <= set(range(1, 9))


def test_testing_frame_by_frame(config, preprocessor, tmp_path):
    dataset = {"type": "CocoVideoDataset", **folder(tmp_path), "pipeline": config.test, "test_mode": True}
    order = []
    for batch in loader(dataset, 1, sampler={"type": "TrackImgSampler"}):
        data = preprocessor(batch, training=False)
        assert data["inputs"].shape == (1, 1, 3, 96, 160)
        (frame,) = data["data_samples"][0]
        order.append((frame.video_id, frame.frame_id, frame.ori_video_length))
        assert frame.scale_factor == (128 / 120, 96 / 90)
        # As everywhere in mmdet, annotations loaded after the resize stay in original pixels at test time.
        assert frame.gt_instances.bboxes[0].tolist() == pytest.approx([2 + frame.frame_id, 4, 14 + frame.frame_id, 24])
    assert order == [(0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2)]


def change_identities(how: str):
    def change(content: dict) -> None:
        identities = np.random.default_rng(1).permutation([a["instance_id"] for a in content["annotations"]]).tolist()
        for annotation, identity in zip(content["annotations"], identities):
            if how == "deleted":
                del annotation["instance_id"]
            else:
                annotation["instance_id"] = identity

    return change


@pytest.mark.parametrize("how", ["shuffled", "deleted"])
@pytest.mark.parametrize("dataset_type", ["CocoDetectionDataset", "CocoVideoDataset"])
def test_training_samples_do_not_depend_on_identities(config, dataset_type, how, tmp_path):
    pipeline = copy.deepcopy(config.two_view)
    if dataset_type == "CocoVideoDataset":
        load = [{"type": "LoadFrame"}, {"type": "LoadTrackAnnotations"}, {"type": "RandomFlip", "prob": 0.5}]
        pipeline = [
            {"type": "BaseFrameSample"},
            {"type": "TransformBroadcaster", "transforms": load},
            *pipeline[3:],
        ]
    samples = []
    for root, change in ((tmp_path / "a", lambda content: None), (tmp_path / "b", change_identities(how))):
        dataset = DATASETS.build({"type": dataset_type, **folder(root, change), "pipeline": pipeline})
        set_random_seed(3)
        samples.append([dataset[index] for index in range(len(dataset))])
    for one, two in zip(*samples):
        assert torch.equal(one["inputs"], two["inputs"])
        for a, b in zip(one["data_samples"], two["data_samples"]):
            assert metas_of(a, tmp_path / "a") == metas_of(b, tmp_path / "b")
            for kind in ("gt_instances", "ignored_instances"):
                fields_a, fields_b = dict(a.get(kind).items()), dict(b.get(kind).items())
                assert fields_a.keys() == fields_b.keys()
                assert all(torch.equal(fields_a[name], fields_b[name]) for name in fields_a)


def metas_of(sample, root) -> str:
    return json.dumps({**sample.metainfo, "img_path": sample.img_path.removeprefix(str(root))}, sort_keys=True)
