"""What all our COCO data sets share: mistakes named in one line; and the two data sets of single images."""

from __future__ import annotations

import json

import pytest
from coco_builder import cocovid, write_folder

from clmot_qd.datasets.coco_detection import CocoDetectionDataset
from clmot_qd.datasets.coco_identity import CocoIdentityDataset
from clmot_qd.datasets.video_dataset import CocoVideoDataset
from clmot_qd.errors import InputError

ALL = pytest.mark.parametrize("dataset_type", [CocoDetectionDataset, CocoIdentityDataset, CocoVideoDataset])


def error_of(dataset_type, place, **arguments) -> str:
    with pytest.raises(InputError) as caught:
        dataset_type(**{**place, **arguments})
    assert "\n" not in str(caught.value)
    return str(caught.value)


@ALL
def test_unknown_class(dataset_type, tmp_path):
    place = write_folder(tmp_path, cocovid({1: [0]}), with_images=False)
    message = error_of(dataset_type, place, metainfo={"classes": ("pedestrain",)})
    assert "metainfo.classes" in message
    assert "'pedestrain'" in message
    assert "pedestrian, car" in message


@ALL
def test_classes_without_the_comma(dataset_type, tmp_path):
    place = write_folder(tmp_path, cocovid({1: [0]}), with_images=False)
    assert "write classes=('car',)" in error_of(dataset_type, place, metainfo={"classes": "car"})


@ALL
def test_missing_annotation_file(dataset_type, tmp_path):
    place = {"data_root": str(tmp_path), "ann_file": "nowhere.json"}
    message = error_of(dataset_type, place)
    assert message.startswith("ann_file: ")
    assert str(tmp_path / "nowhere.json") in message


@ALL
@pytest.mark.parametrize("length", [0, 1, 200, -1])
def test_truncated_file(dataset_type, length, tmp_path):
    place = write_folder(tmp_path, cocovid({1: [0]}), with_images=False)
    path = tmp_path / "ann.json"
    path.write_text(path.read_text()[:length])
    message = error_of(dataset_type, place)
    assert str(path) in message
    assert "truncated" in message


def test_binary_file(tmp_path):
    (tmp_path / "ann.json").write_bytes(b"\xff\xd8\xff\xe0")
    place = {"data_root": str(tmp_path), "ann_file": "ann.json"}
    assert "no text in UTF-8" in error_of(CocoDetectionDataset, place)


@ALL
def test_missing_image_file(dataset_type, tmp_path):
    place = write_folder(tmp_path, cocovid({1: [0, 1, 2]}))
    (tmp_path / "img/v1/img1/000001.png").unlink()
    message = error_of(dataset_type, place)
    assert "v1/img1/000001.png" in message
    assert "1 missing" in message
    assert "ann.json" in message
    assert len(dataset_type(**place, check_files=False)) > 0
    assert "3 missing" in error_of(dataset_type, {**place, "data_prefix": {"img": "wrong"}})


@ALL
def test_prefix_of_either_name(dataset_type, tmp_path):
    place = write_folder(tmp_path, cocovid({1: [0]}))
    for name in ("img", "img_path"):
        assert len(dataset_type(**{**place, "data_prefix": {name: "img"}})) == 1
    assert len(dataset_type(ann_file=str(tmp_path / "ann.json"), data_prefix={"img": str(tmp_path / "img")})) == 1


@ALL
def test_nothing_left(dataset_type, tmp_path):
    content = cocovid({1: [0]})
    content["annotations"].clear()
    place = write_folder(tmp_path, content)
    assert "no image is left" in error_of(dataset_type, place, filter_cfg={"filter_empty_gt": True})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("images"), "not in COCO format"),
        (lambda c: c.pop("categories"), "not in COCO format"),
        (lambda c: c["images"][1].pop("file_name"), "image 1001 has no 'file_name'"),
        (lambda c: c["images"][0].pop("id"), "image number 0 has no 'id'"),
        (lambda c: c["images"][1].update(id=1000), "image id 1000 is used twice"),
        (lambda c: c["annotations"][4].pop("bbox"), "annotation 5 has no 'bbox'"),
        (lambda c: c["annotations"][4].update(id=1), "annotation id 1 is used twice"),
        (lambda c: c["annotations"][2].update(bbox=[1, 2, 3]), r"annotation 3: bbox must be \[x, y, w, h\]"),
        (lambda c: c["annotations"][2].update(bbox=[1, 2, None, 3]), r"annotation 3: bbox must be \[x, y, w, h\]"),
        (lambda c: c["annotations"][2].update(category_id=8), "annotation 3 has category_id 8"),
        (lambda c: c["categories"][1].pop("name"), "category 2 has no 'name'"),
    ],
)
def test_damaged_entries(change, message, tmp_path):
    content = cocovid({1: [0, 1]})
    change(content)
    place = write_folder(tmp_path, {"images": [], **content}, with_images=False) if "images" in content else None
    if place is None:
        (tmp_path / "ann.json").write_text(json.dumps(content))
        place = {"data_root": str(tmp_path), "ann_file": "ann.json"}
    with pytest.raises(InputError, match=message) as caught:
        CocoVideoDataset(**place, check_files=False)
    assert str(tmp_path / "ann.json") in str(caught.value)


def test_detection_labels_follow_the_classes_asked_for(tmp_path):
    place = write_folder(tmp_path, cocovid({1: [0]}, objects=2))
    dataset = CocoDetectionDataset(**place, metainfo={"classes": ["car", "pedestrian"]})
    assert [instance["bbox_label"] for instance in dataset[0]["instances"]] == [1, 0]
    assert dataset.metainfo["classes"] == ("car", "pedestrian")


def test_detection_never_shows_identities(tmp_path):
    place = write_folder(tmp_path, cocovid({1: [0]}))
    assert "instance_id" not in json.dumps(CocoDetectionDataset(**place)[0])


def test_nothing_is_printed(tmp_path, capsys):
    CocoDetectionDataset(**write_folder(tmp_path, cocovid({1: [0]})))
    assert capsys.readouterr().out == ""


def identities_of(dataset: CocoIdentityDataset) -> list[list[int]]:
    return [[instance["instance_id"] for instance in dataset[n]["instances"]] for n in range(len(dataset))]


def test_identities_are_contiguous(tmp_path):
    content = cocovid({0: [0, 1], 7: [0]}, objects=3)  # 0 1 2 and 70 71 72
    dataset = CocoIdentityDataset(**write_folder(tmp_path, content))
    assert identities_of(dataset) == [[1, 2, 3], [1, 2, 3], [4, 5, 6]]
    assert dataset.num_ids == 6
    assert [instance["bbox_label"] for instance in dataset[0]["instances"]] == [0, 1, 0]


def test_only_identities_in_use_count(tmp_path):
    content = cocovid({0: [0, 1], 7: [0]}, objects=3)
    content["annotations"][0]["ignore"] = True  # identity 0 of frame 0; frame 1 still has it
    del content["annotations"][1]["instance_id"]  # a car: not asked for
    dataset = CocoIdentityDataset(**write_folder(tmp_path, content), metainfo={"classes": ("pedestrian",)})
    assert identities_of(dataset) == [[2], [1, 2], [3, 4]]
    assert dataset.num_ids == 4


def test_objects_without_identity_may_teach_the_detector_alone(tmp_path):
    content = cocovid({0: [0, 1], 7: [0]}, objects=3)
    del content["annotations"][0]["instance_id"]
    content["annotations"][7]["instance_id"] = -1
    dataset = CocoIdentityDataset(**write_folder(tmp_path, content), require_ids=False, first_id=5)
    assert identities_of(dataset) == [[0, 6, 7], [5, 6, 7], [8, 0, 9]]
    assert dataset.num_ids == 5


@pytest.mark.parametrize("identity", [None, -1])
def test_objects_without_identity_stop_the_baseline_before_training(identity, tmp_path):
    content = cocovid({1: [0]})
    content["annotations"][1]["instance_id"] = identity
    message = error_of(CocoIdentityDataset, write_folder(tmp_path, content))
    assert "annotation 2 has no instance_id" in message
    assert "ann.json" in message


def test_a_crowd_is_no_identity(tmp_path):
    content = cocovid({0: [0]}, objects=3)
    content["annotations"][0]["iscrowd"] = 1
    del content["annotations"][0]["instance_id"]
    content["annotations"][1]["iscrowd"] = 1  # has one
    dataset = CocoIdentityDataset(**write_folder(tmp_path, content), filter_cfg={})
    assert identities_of(dataset)[0][2] == 1
    assert dataset.num_ids == 1


@pytest.mark.parametrize("bbox", [[float("nan"), 1, 2, 3], [1, 1, -2, 3], [1, True, 2, 3], "1234"])
def test_boxes_that_are_none(bbox, tmp_path):
    content = cocovid({0: [0]})
    content["annotations"][1]["bbox"] = bbox
    assert "annotation 2: bbox must be [x, y, w, h]" in error_of(CocoDetectionDataset, write_folder(tmp_path, content))
