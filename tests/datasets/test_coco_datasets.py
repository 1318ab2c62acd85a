"""What all our COCO data sets share: mistakes named in one line; and the two data sets of single images."""

from __future__ import annotations

import json

import pytest
from coco_builder import cocovid, write_folder

from clmot_qd.datasets.coco_checks import read_coco
from clmot_qd.datasets.coco_detection import CocoDetectionDataset
from clmot_qd.datasets.coco_identity import CocoIdentityDataset
from clmot_qd.datasets.pair_dataset import CocoPairDataset
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


EVERYWHERE = {"images": "name area instance_id category_id", "videos": "width height fps length name file_name"}
EVERYWHERE |= {"annotations": "name width height file_name video_id frame_id track_id", "categories": "width video_id"}
IN_STILLS = {"images": "video_id frame_id", "annotations": "instance_id", "videos": "id"}


def changed(place, section, **values):
    """Write other values into the first entry of a list of the file; return how a data set of it is built."""
    path = f"{place['data_root']}/ann.json"
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    content[section][0].update(values)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)
    return {**place, "check_files": False, "pipeline": []}


@ALL
@pytest.mark.parametrize("value", [None, 7, 1.5, "b1c6", [], {}], ids=repr)
def test_what_nobody_reads_may_be_anything(dataset_type, value, tmp_path):
    place = write_folder(tmp_path, cocovid({1: [0, 1]}), with_images=False)
    for section, keys in EVERYWHERE.items():
        place = changed(place, section, **dict.fromkeys(keys.split(), value))
    found = dataset_type(**place)
    assert len(found) == (1 if dataset_type is CocoVideoDataset else 2)


@pytest.mark.parametrize("value", [None, 1.5, "b1c6", []], ids=repr)
def test_stills_do_not_read_videos(value, tmp_path):
    place = write_folder(tmp_path, cocovid({1: [0], 2: [0]}), with_images=False)
    for section, keys in IN_STILLS.items():
        place = changed(place, section, **dict.fromkeys(keys.split(), value))
    assert len(CocoDetectionDataset(**place)) == 2
    content = json.loads((tmp_path / "ann.json").read_text())
    for videos in (value, [{"name": "no id"}], [{"id": 1}, {"id": 1}]):
        (tmp_path / "ann.json").write_text(json.dumps({**content, "videos": videos}))
        assert len(CocoDetectionDataset(**place)) == 2
        assert len(read_coco(tmp_path / "ann.json")["images"]) == 2


@pytest.mark.parametrize("dataset_type", [CocoDetectionDataset, CocoIdentityDataset, CocoVideoDataset, CocoPairDataset])
def test_whole_floats_are_whole(dataset_type, tmp_path):
    content = cocovid({1: [0, 1]})
    plain = dataset_type(**write_folder(tmp_path, content, with_images=False), check_files=False, pipeline=[])
    for image in content["images"]:
        image.update({key: float(image[key]) for key in ("id", "video_id", "frame_id")})
    for annotation in content["annotations"]:
        annotation.update({key: float(annotation[key]) for key in ("id", "image_id", "category_id", "instance_id")})
    floats = dataset_type(**write_folder(tmp_path, content, with_images=False), check_files=False, pipeline=[])
    one, two = (found.get_data_info(0) for found in (floats, plain))
    assert repr(list(one.pop("images", []))) == repr(list(two.pop("images", [])))
    assert repr(one) == repr(two)


def test_null_means_that_a_key_is_not_there(tmp_path):
    content = cocovid({1: [0, 1]})
    content["images"][0].update(video_id=None, frame_id=None)
    content["annotations"][0].update(area=None, instance_id=None)
    place = write_folder(tmp_path, {**content, "videos": None}, with_images=False)
    read = read_coco(tmp_path / "ann.json", CocoVideoDataset.also_read)
    assert read["annotations"][0]["area"] == 12 * 20
    videos = CocoVideoDataset(**place, check_files=False, pipeline=[])
    assert [video["video_length"] for video in videos.data_list] == [1, 1]
    assert videos.data_list[1]["images"][0]["instances"][0]["instance_id"] == -1
    content["images"][1]["frame_id"] = None
    place = write_folder(tmp_path, content, with_images=False)
    assert "image 1001 of video 1 has no frame_id" in error_of(CocoVideoDataset, place, check_files=False)


@ALL
def test_class_whose_name_is_a_number(dataset_type, tmp_path):
    content = cocovid({1: [0]})
    content["categories"][1]["name"] = 5
    place = {**write_folder(tmp_path, content, with_images=False), "check_files": False, "pipeline": []}
    assert dataset_type(**place).metainfo["classes"] == ("pedestrian", "5")
    assert dataset_type(**place, metainfo={"classes": ("5",)}).cat_ids == [2]


@pytest.mark.parametrize("dataset_type", [CocoIdentityDataset, CocoPairDataset])
def test_identities_that_are_numbers_for_the_model(dataset_type, tmp_path):
    place = changed(write_folder(tmp_path, cocovid({1: [0, 1]}), with_images=False), "annotations", instance_id="p7")
    assert "instance_id is 'p7'; it must be int" in error_of(dataset_type, place)
