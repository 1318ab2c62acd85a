"""CocoVideoDataset: frames in order, identities as they are, one frame per sample."""

from __future__ import annotations

import copy
import pickle
import random

import numpy as np
import pytest
from coco_builder import cocovid, write_folder
from mmdet.datasets.samplers import TrackImgSampler
from mmengine.dataset import BaseDataset, pseudo_collate
from torch.utils.data import DataLoader

from clmot_qd.datasets.frame_store import FrameStore
from clmot_qd.datasets.video_dataset import UNKNOWN_IDENTITY, CocoVideoDataset
from clmot_qd.errors import InputError

pytestmark = pytest.mark.usefixtures("mmdet_scope")

TEST_PIPELINE = [
    {
        "type": "TransformBroadcaster",
        "transforms": [
            {"type": "LoadFrame"},
            {"type": "Letterbox", "scale": (96, 64)},
            {"type": "LoadTrackAnnotations"},
        ],
    },
    {"type": "PackTrackInputs", "meta_keys": ("pad_param", "video_name")},
]


def build(tmp_path, content, with_images=False, **arguments) -> CocoVideoDataset:
    place = write_folder(tmp_path, content, with_images)
    return CocoVideoDataset(**{**place, "test_mode": True, "check_files": with_images, **arguments})


def frames_of(dataset: CocoVideoDataset) -> list[tuple[int, int]]:
    return [
        (dataset.get_data_info(video)["video_id"], frame["frame_id"])
        for video in range(len(dataset))
        for frame in dataset.get_data_info(video)["images"]
    ]


def test_frames_by_frame_id_and_videos_by_id_whatever_the_order_in_the_file(tmp_path):
    content = cocovid({7: [0, 1, 2], 3: [5, 2, 9], 12: [0]})
    for name in ("images", "annotations", "videos"):
        random.Random(1).shuffle(content[name])
    dataset = build(tmp_path, content)
    assert frames_of(dataset) == [(3, 2), (3, 5), (3, 9), (7, 0), (7, 1), (7, 2), (12, 0)]
    assert [dataset.get_len_per_video(video) for video in range(3)] == [3, 3, 1]
    assert dataset.num_all_imgs == 7
    frame = dataset.get_data_info(0)["images"][1]
    assert frame["img_id"] == 3005
    assert {instance["instance_id"] for instance in frame["instances"]} == {30, 31, 32}
    assert frame["video_name"] == "clip-3"


def test_identity_zero_and_missing_identities(tmp_path):
    content = cocovid({0: [0]}, objects=3)  # identities 0, 1, 2
    content["annotations"].reverse()
    del content["annotations"][0]["instance_id"]
    content["annotations"][1]["instance_id"] = None
    instances = build(tmp_path, content).get_data_info(0)["images"][0]["instances"]
    assert [instance["instance_id"] for instance in instances] == [UNKNOWN_IDENTITY, UNKNOWN_IDENTITY, 0]


def test_fields_of_the_annotation_follow_it_past_dropped_ones(tmp_path):
    content = cocovid({1: [0]}, objects=4)
    first, second, third, fourth = content["annotations"]
    first["ignore"] = True
    second.update(visibility=0.25, mot_conf=0)
    third["iscrowd"] = 1
    del fourth["area"]
    instances = build(tmp_path, content).get_data_info(0)["images"][0]["instances"]
    assert [instance["instance_id"] for instance in instances] == [11, 12, 13]
    assert [instance["category_id"] for instance in instances] == [2, 1, 2]
    assert [instance["visibility"] for instance in instances] == [0.25, 1.0, 1.0]
    assert [instance["mot_conf"] for instance in instances] == [0, 1.0, 1.0]
    assert [instance["ignore_flag"] for instance in instances] == [0, 1, 0]


def test_labels_follow_the_classes_asked_for(tmp_path):
    content = cocovid({1: [0]}, objects=2)
    for classes, labels in ((("car", "pedestrian"), [1, 0]), (("pedestrian", "car"), [0, 1]), (("car",), [0])):
        dataset = build(tmp_path, content, metainfo={"classes": classes})
        frame = dataset.get_data_info(0)["images"][0]
        assert [instance["bbox_label"] for instance in frame["instances"]] == labels
        assert dataset.metainfo["classes"] == classes
    assert build(tmp_path, content).metainfo["classes"] == ("pedestrian", "car")


def test_frames_without_objects_stay_in_test_mode(tmp_path):
    content = cocovid({1: [0, 1, 2]})
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 1001]
    assert frames_of(build(tmp_path, content)) == [(1, 0), (1, 1), (1, 2)]
    del content["annotations"]
    assert frames_of(build(tmp_path, content)) == [(1, 0), (1, 1), (1, 2)]


def test_training_drops_empty_frames_and_videos(tmp_path):
    content = cocovid({1: [0, 1, 2], 2: [0, 1]})
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] in (1000, 1002)]
    dataset = build(tmp_path, content, test_mode=False)
    assert frames_of(dataset) == [(1, 0), (1, 2)]
    assert dataset.get_data_info(0)["video_length"] == 2
    assert len(frames_of(build(tmp_path, content, test_mode=False, filter_cfg={"filter_empty_gt": False}))) == 5
    with pytest.raises(InputError, match="no image is left"):
        build(tmp_path, content, test_mode=False, filter_cfg={"min_size": 49})


def test_images_without_video_are_videos_of_one_frame(tmp_path):
    content = cocovid({4: [1, 0]})
    for image_id in (90, 91):
        content["images"].append({"id": image_id, "file_name": f"{image_id}.png", "width": 64, "height": 48})
    assert frames_of(build(tmp_path, content)) == [(4, 0), (4, 1), (5, 0), (6, 0)]


@pytest.mark.parametrize("workers", [0, 1])
def test_loader_gives_single_frames_in_order(tmp_path, workers):
    content = cocovid({2: [3, 1, 2], 1: [0, 1]})
    random.Random(0).shuffle(content["images"])
    dataset = build(tmp_path, content, with_images=True, pipeline=TEST_PIPELINE)
    sampler = TrackImgSampler(dataset, seed=0)
    loader = DataLoader(dataset, batch_size=1, sampler=sampler, num_workers=workers, collate_fn=pseudo_collate)
    samples = [batch["data_samples"][0][0] for batch in loader]
    assert [(s.video_id, s.frame_id) for s in samples] == [(1, 0), (1, 1), (2, 1), (2, 2), (2, 3)]
    assert [s.ori_video_length for s in samples] == [2, 2, 3, 3, 3]
    assert {s.video_length for s in samples} == {1}  # frames of the sample, as everywhere in mmdet
    assert samples[0].img_path.endswith("v1/img1/000000.png")
    assert samples[0].video_name == "clip-1"
    assert samples[0].pad_param == (0, 0, 5, 6)
    assert samples[0].ori_shape == (48, 64)
    assert [i["instance_id"] for i in samples[0].metainfo["instances"]] == [10, 11, 12]


def test_one_video_and_training_order_with_the_stock_sampler(tmp_path):
    content = cocovid({1: [0, 1, 2, 3]})
    assert list(TrackImgSampler(build(tmp_path, content), seed=0)) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    training = TrackImgSampler(build(tmp_path, content, test_mode=False), seed=0)
    assert sorted(training) == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_two_views_of_a_video_frame(tmp_path):
    one_frame = [
        {"type": "BaseFrameSample"},
        {
            "type": "TransformBroadcaster",
            "transforms": [{"type": "LoadFrame"}, {"type": "LoadTrackAnnotations"}],
        },
        {"type": "WithinFrameTwoView"},
        {"type": "PackTrackInputs"},
    ]
    dataset = build(tmp_path, cocovid({1: [0, 1]}), with_images=True, test_mode=False, pipeline=one_frame)
    sample = dataset[(0, 1)]
    assert sample["inputs"].shape == (2, 3, 48, 64)
    assert [view.frame_id for view in sample["data_samples"]] == [1, 1]
    assert [view.gt_instances.instances_ids.tolist() for view in sample["data_samples"]] == [[1, 2, 3]] * 2
    assert "instances" not in sample["data_samples"][0].metainfo


def test_key_and_reference_frame_with_the_stock_sampler_of_mmdet(tmp_path):
    pipeline = [
        {"type": "UniformRefFrameSample", "frame_range": 2},
        {
            "type": "TransformBroadcaster",
            "transforms": [{"type": "LoadFrame"}, {"type": "LoadTrackAnnotations"}],
        },
        {"type": "PackTrackInputs"},
    ]
    dataset = build(tmp_path, cocovid({1: [0, 1, 2]}), with_images=True, test_mode=False, pipeline=pipeline)
    sample = dataset[(0, 0)]["data_samples"]
    assert sample[sample.key_frames_inds[0]].frame_id == 0
    assert sample[sample.ref_frames_inds[0]].frame_id in (1, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["images"][1].update(frame_id=0), r"images 1000 and 1001 of video 1 have the same frame_id 0"),
        (lambda c: c["images"][1].pop("frame_id"), r"image 1001 of video 1 has no frame_id"),
        (lambda c: c["images"].clear(), "no image is left"),
    ],
)
def test_mistakes_in_videos(tmp_path, change, message):
    content = cocovid({1: [0, 1]})
    change(content)
    with pytest.raises(InputError, match=message):
        build(tmp_path, content)


def test_subset_and_copies(tmp_path):
    dataset = build(tmp_path, cocovid({1: [0, 1], 2: [0], 3: [0]}), indices=2)
    assert frames_of(dataset) == [(1, 0), (1, 1), (2, 0)]
    again = pickle.loads(pickle.dumps(dataset))
    assert frames_of(again) == frames_of(dataset)
    assert isinstance(dataset, BaseDataset)


def test_frame_store():
    frames = [{"number": n, "instances": list(range(n))} for n in range(5)]
    store = FrameStore(frames)
    assert len(store) == 5
    assert list(store) == frames
    assert store[-1] == frames[4]
    store[2]["number"] = 99
    assert store[2] == frames[2]
    assert copy.deepcopy(store) is store
    assert list(pickle.loads(pickle.dumps(store))) == frames
    with pytest.raises(IndexError):
        store[5]
    assert store[np.int64(3)] == frames[3]
    assert list(FrameStore([])) == []


def test_a_frame_costs_the_same_in_any_video(tmp_path, monkeypatch):
    """Fetching one frame unpickles one frame, not its video."""
    dataset = build(tmp_path, cocovid({1: list(range(50))}))
    read = []
    loads = pickle.loads
    monkeypatch.setattr(pickle, "loads", lambda data: read.append(len(data)) or loads(data))
    dataset.prepare_data((0, 30))
    assert len(read) == 1
