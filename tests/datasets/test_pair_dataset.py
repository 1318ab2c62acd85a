"""CocoPairDataset and ReferenceFrame: every frame a key, its reference a neighbour with a common object."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from coco_builder import cocovid, write_folder
from mmdet.datasets.samplers import TrackImgSampler
from mmdet.datasets.transforms import UniformRefFrameSample
from mmdet.registry import DATASETS
from mmengine.dataset import ClassBalancedDataset, pseudo_collate
from torch.utils.data import DataLoader

from clmot_qd.datasets.pair_dataset import CocoPairDataset
from clmot_qd.datasets.transforms import ReferenceFrame, RequireCommonObject
from clmot_qd.errors import InputError

pytestmark = pytest.mark.usefixtures("mmdet_scope")

LOAD = [dict(type="LoadFrame"), dict(type="LoadTrackAnnotations")]
PIPELINE = [
    dict(type="ReferenceFrame", frame_range=3),
    dict(type="TransformBroadcaster", share_random_params=True, transforms=LOAD),
    dict(type="RequireCommonObject"),
    dict(type="PackTrackInputs", meta_keys=("video_name",)),
]
STILLS = [*LOAD[:1], dict(type="LoadAnnotations", with_bbox=True), dict(type="WithinFrameTwoView", mirror_ref=False)]
STILLS.append(dict(type="PackTrackInputs", meta_keys=("video_name",)))


def build(tmp_path: Any, content: dict, with_images: bool = False, **arguments: Any) -> CocoPairDataset:
    place = write_folder(tmp_path, content, with_images)
    return CocoPairDataset(**{**place, "check_files": with_images, **arguments})


def keys_of(dataset: CocoPairDataset) -> list[tuple[int, int]]:
    """(video id, frame id) of every element."""
    samples = [dataset[i] for i in range(len(dataset))]
    return [(s["video_id"], s["images"][s["key_frame_id"]]["frame_id"]) for s in samples]


def without(content: dict, *image_ids: int) -> dict:
    """The same file without the objects of these images."""
    kept = [a for a in content["annotations"] if a["image_id"] not in image_ids]
    return {**content, "annotations": kept}


# --------------------------------------------------------------------------------------------------------- the data set
def test_every_frame_with_objects_is_a_key_once(tmp_path: Any) -> None:
    dataset = build(tmp_path, without(cocovid({1: [0, 1, 2], 4: [3, 5]}), 1001))
    assert keys_of(dataset) == [(1, 0), (1, 2), (4, 3), (4, 5)]


def test_identities_are_numbered_over_all_videos_and_identity_0_counts(tmp_path: Any) -> None:
    content = cocovid({0: [0, 1], 1: [0]})
    for annotation in content["annotations"]:
        annotation["instance_id"] %= 10  # 0, 1, 2 in either video
    dataset = build(tmp_path, content, first_id=5)
    ids = [
        [i["instance_id"] for i in f["images"][f["key_frame_id"]]["instances"]]
        for f in map(dataset.__getitem__, range(3))
    ]
    assert ids == [[5, 6, 7], [5, 6, 7], [8, 9, 10]]
    assert dataset.num_ids == 6


@pytest.mark.parametrize(("identity", "said"), [(None, "no instance_id"), (-3, "negative instance_id")])
def test_objects_without_identity_stop_before_training(tmp_path: Any, identity: int | None, said: str) -> None:
    content = cocovid({1: [0, 1]})
    content["annotations"][4]["instance_id"] = identity
    with pytest.raises(InputError, match=f"image 1001 .*{said}.*WithinFrameTwoView"):
        build(tmp_path, content)
    content["annotations"][4]["iscrowd"] = 1  # an ignored region needs none
    assert len(build(tmp_path, content)) == 2


def test_stock_samplers_wrappers_and_still_images(tmp_path: Any) -> None:
    pairs = dict(type="CocoPairDataset", pipeline=PIPELINE, **write_folder(tmp_path, cocovid({1: [0, 1, 2]})))
    stills = pairs | dict(type="CocoDetectionDataset", pipeline=STILLS)
    mix = DATASETS.build(dict(type="ConcatDataset", datasets=[pairs, stills]))
    assert len(mix) == 6
    for batch in DataLoader(mix, batch_size=2, shuffle=True, collate_fn=pseudo_collate):
        assert [image.shape for image in batch["inputs"]] == [(2, 3, 48, 64)] * 2
        for sample in batch["data_samples"]:
            key, ref = sample[0].gt_instances, sample[1].gt_instances
            assert set(key.instances_ids.tolist()) & set(ref.instances_ids.tolist())
            assert sample.key_frames_inds == [0]
    still = mix[3]["data_samples"]
    assert still[0].img_id == still[1].img_id
    assert still[0].gt_instances.instances_ids.tolist() == [1, 2, 3]


def test_class_balanced_sampling_sees_the_labels_of_the_key(tmp_path: Any) -> None:
    content = cocovid({1: list(range(10))})
    content["annotations"] = [a for a in content["annotations"] if a["category_id"] == 1 or a["image_id"] == 1004]
    dataset = build(tmp_path, content)
    assert dataset.get_cat_ids(4) == [0, 1, 0]
    balanced = ClassBalancedDataset(dataset, oversample_thr=0.4)
    assert Counter(balanced.repeat_indices)[4] == 2  # cars in a tenth of the frames: repeated sqrt(0.4 / 0.1) times
    assert len(balanced) == 11


# ------------------------------------------------------------------------------------------------------- the reference
def video(*identities: set[int]) -> dict:
    frames = [
        {"frame_id": n, "img_id": n, "instances": [{"instance_id": i, "ignore_flag": 0} for i in sorted(ids)]}
        for n, ids in enumerate(identities)
    ]
    return {"images": frames, "video_id": 9, "video_length": len(frames)}


def references(transform: Any, source: dict, key: int, draws: int = 200) -> Counter:
    np.random.seed(0)  # noqa: NPY002 (what data workers are seeded with)
    results = [transform(dict(source, key_frame_id=key)) for _ in range(draws)]
    return Counter(None if r is None else r["frame_id"][1] for r in results)


def test_the_reference_is_a_neighbour_that_shares_an_object() -> None:
    clip = video({1}, {2}, {1, 2}, {1}, {3}, {2, 3}, {1}, {1})
    found = references(ReferenceFrame(frame_range=3), clip, key=3)
    assert set(found) == {0, 2, 6}  # 1, 4 and 5 share nothing with {1}; 7 is too far
    assert min(found.values()) > 40, "not uniform"
    assert set(references(ReferenceFrame(frame_range=1), clip, key=3)) == {2}
    assert references(ReferenceFrame(frame_range=1), clip, key=4) == {5: 200}


def test_a_key_without_a_partner_is_given_up_where_mmdet_trains_on_it() -> None:
    clip = video({1}, {2}, {3})
    assert set(references(ReferenceFrame(frame_range=2), clip, key=1)) == {None}
    pair = UniformRefFrameSample(frame_range=2)(dict(clip, key_frame_id=1))
    key, ref = pair["instances"]
    assert key[0]["instance_id"] != ref[0]["instance_id"]


def test_ignored_regions_are_no_common_object() -> None:
    clip = video({1}, {1})
    clip["images"][1]["instances"][0]["ignore_flag"] = 1
    assert references(ReferenceFrame(), clip, key=0) == {None: 200}


def test_a_video_of_one_frame_is_its_own_reference() -> None:
    pair = ReferenceFrame()(dict(video({1}), key_frame_id=0))
    assert pair["frame_id"] == [0, 0]
    assert ReferenceFrame()(dict(video(set()), key_frame_id=0)) is None


def test_metas_of_the_pair() -> None:
    pair = ReferenceFrame()(dict(video({1}, {1}, {1}), key_frame_id=1))
    assert pair["key_frame_flags"] == [True, False]
    assert pair["frame_id"][0] == 1
    assert (pair["video_id"], pair["video_length"], pair["ori_video_length"]) == ([9, 9], [2, 2], [3, 3])


def test_a_pair_that_lost_its_common_object_is_drawn_again(tmp_path: Any) -> None:
    ids = [np.array([1, 2]), np.array([2, 3])]
    flags = [np.zeros(2, dtype=bool), np.zeros(2, dtype=bool)]
    pair = {"gt_instances_ids": ids, "gt_ignore_flags": flags}
    assert RequireCommonObject()(pair) is pair
    assert RequireCommonObject()({**pair, "gt_instances_ids": [ids[0], np.array([3, 4])]}) is None
    assert RequireCommonObject()({**pair, "gt_ignore_flags": [np.array([False, True]), flags[1]]}) is None
    # Key 1 has no partner: whoever asks for it gets another pair.
    content = cocovid({1: [0, 1, 2]}, objects=1)
    content["annotations"][1]["instance_id"] = 99
    dataset = build(tmp_path, content, with_images=True, pipeline=PIPELINE)
    sample = dataset[1]["data_samples"]
    assert {sample[0].frame_id, sample[1].frame_id} == {0, 2}


@pytest.mark.parametrize(
    ("transform", "given", "said"),
    [
        (ReferenceFrame(), {"img_path": "a.png"}, "CocoPairDataset"),
        (RequireCommonObject(), {"gt_instances_ids": [np.array([1])]}, "two views"),
        (RequireCommonObject(), {}, "two views"),
    ],
)
def test_a_wrong_place_in_the_pipeline_is_named(transform: Any, given: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        transform(given)


def test_a_range_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="frame_range"):
        ReferenceFrame(frame_range=0)


def test_the_sampler_of_stock_video_sets_is_refused_with_the_right_one(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="DefaultSampler"):
        TrackImgSampler(build(tmp_path, cocovid({1: [0, 1]})))


def test_a_subset_of_videos_has_their_frames(tmp_path: Any) -> None:
    dataset = build(tmp_path, cocovid({1: [0, 1], 2: [0, 1, 2]}))
    dataset.get_subset_([1])
    assert keys_of(dataset) == [(2, 0), (2, 1), (2, 2)]


def test_pairs_that_cannot_be_found_are_said_in_a_line(tmp_path: Any) -> None:
    content = cocovid({1: [0, 1, 2]}, objects=1)
    for number, annotation in enumerate(content["annotations"]):
        annotation["instance_id"] = number  # every frame has its own
    dataset = build(tmp_path, content, pipeline=PIPELINE, max_refetch=3)
    with pytest.raises(InputError, match="no pair of frames with a common object in 3 tries"):
        dataset[0]


def test_still_images_need_no_identities(tmp_path: Any) -> None:
    content = cocovid({1: [0], 2: [0]})
    for annotation in content["annotations"]:
        del annotation["instance_id"]
    content["annotations"][4]["instance_id"] = 7
    dataset = build(tmp_path, content, with_images=True, pipeline=PIPELINE)
    for index in (0, 1):
        ids = [frame.gt_instances.instances_ids.tolist() for frame in dataset[index]["data_samples"]]
        assert ids[0] == ids[1]
        assert len(set(ids[0])) == 3


def test_ignored_regions_take_no_number(tmp_path: Any) -> None:
    content = cocovid({1: [0]})
    content["annotations"][1]["iscrowd"] = 1
    assert build(tmp_path, content).num_ids == 2


def test_objects_without_identity_are_common_to_no_two_frames(tmp_path: Any) -> None:
    content = cocovid({1: [0, 1], 2: [0, 1]}, objects=2)
    for annotation in content["annotations"][:4:2]:
        del annotation["instance_id"]  # the first object of video 1, in both frames
    with pytest.raises(InputError, match="set require_ids=False"):
        build(tmp_path, content)
    dataset = build(tmp_path, content, require_ids=False)
    ids = [[i["instance_id"] for i in frame["instances"]] for video in dataset.data_list for frame in video["images"]]
    assert ids[0][1] == ids[1][1], "an object with identity stays one"
    assert ids[2] == ids[3]
    assert len({ids[0][0], ids[0][1], ids[1][0], *ids[2]}) == 5
    assert dataset.num_ids == 5
