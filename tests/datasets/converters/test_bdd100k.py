"""BDD100K: where labels are found, classes of old and new releases, the whole file that comes of it, real samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driving_samples import command, converted, opened, refused, write_json
from PIL import Image

from clmot_qd.datasets.converters import Counts, convert
from clmot_qd.datasets.converters.bdd100k import CLASSES, IGNORED, ROADSIDE
from clmot_qd.masks import RleMasks

VIDEOS = ("b1c66a42-6f7d68ca", "b1c81faa-3df17267")


def label(identity: Any, category: str, x1: float = 10, crowd: bool = False) -> dict[str, Any]:
    attributes = {"occluded": False, "truncated": True, "crowd": crowd}
    box = {"x1": x1, "y1": 20.5, "x2": x1 + 30.25, "y2": 60}
    return {"id": identity, "category": category, "attributes": attributes, "box2d": box}


def frame(video: str, index: int, labels: list[dict[str, Any]] | None) -> dict[str, Any]:
    return {"name": f"{video}-{index + 1:07d}.jpg", "videoName": video, "frameIndex": index, "labels": labels}


def tracking_labels() -> dict[str, list[dict[str, Any]]]:
    """Two videos, the frames of the first out of order; ids of both releases, and the same id in both videos."""
    first, second = VIDEOS
    return {
        first: [
            frame(first, 2, None),
            frame(first, 0, [label("00122062", "car"), label("00122063", "other vehicle", 100)]),
            frame(first, 1, [label("00122062", "car", 12), label("00122064", "pedestrian", 50, crowd=True)]),
        ],
        second: [frame(second, 0, [label(122062, "motor"), label(0, "person", 200)]), frame(second, 1, [])],
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for video, frames in tracking_labels().items():
        write_json(tmp_path / "labels" / "box_track_20" / "train" / f"{video}.json", frames)
    return tmp_path


def test_whole_tracking_file(root: Path) -> None:
    data, result = converted("bdd100k-track", root)
    size = {"width": 1280, "height": 720}
    assert data["videos"] == [
        {"id": 1, "name": VIDEOS[0], **size, "length": 3},
        {"id": 2, "name": VIDEOS[1], **size, "length": 2},
    ]
    assert data["images"][2] == {
        "id": 3,
        "video_id": 1,
        "frame_id": 2,
        "file_name": f"{VIDEOS[0]}/{VIDEOS[0]}-0000003.jpg",
        **size,
        "frame_index": 2,
    }
    assert [(image["video_id"], image["frame_id"]) for image in data["images"]] == [
        (1, 0),
        (1, 1),
        (1, 2),
        (2, 0),
        (2, 1),
    ]
    names = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
    names += ("other person", "other vehicle", "trailer")
    assert data["categories"] == [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    keys = ("image_id", "category_id", "instance_id", "iscrowd", "ignore")
    assert [tuple(entry[key] for key in keys) for entry in data["annotations"]] == [
        (1, 3, 1, 0, False),
        (1, 10, 2, 0, True),
        (2, 3, 1, 0, False),
        (2, 1, 3, 1, False),
        (4, 7, 4, 0, False),
        (4, 1, 5, 0, False),
    ]
    assert data["annotations"][2]["bbox"] == [12.0, 20.5, 30.25, 39.5]
    assert data["annotations"][2]["truncated"] is True
    assert data["annotations"][2]["occluded"] is False
    assert result.counts() == Counts(images=5, boxes=4, identities=3, videos=2)
    assert result.ignored == 2
    assert result.remarks == []
    assert result.published is not None
    assert result.published.videos == 1400


@pytest.mark.parametrize("form", ["list", "object", "old folder"])
def test_other_places_and_forms_give_the_same(root: Path, tmp_path: Path, form: str) -> None:
    expected, _ = converted("bdd100k-track", root)
    labels = root / "labels" / "box_track_20"
    frames = [entry for entries in tracking_labels().values() for entry in entries]
    if form == "old folder":
        (labels / "train").rename(root / "aside")
        (root / "labels-20" / "box-track").mkdir(parents=True)
        (root / "aside").rename(root / "labels-20" / "box-track" / "train")
    else:
        for file in (labels / "train").iterdir():
            file.unlink()
        (labels / "train").rmdir()
        mixed = frames[::2] + frames[1::2]
        write_json(labels / "box_track_train.json", mixed if form == "list" else {"frames": mixed, "config": None})
    data, _ = converted("bdd100k-track", root)
    names = {image["id"]: image["file_name"] for image in data["images"]}
    found = {(names[a["image_id"]], a["category_id"], *a["bbox"]) for a in data["annotations"]}
    names = {image["id"]: image["file_name"] for image in expected["images"]}
    assert found == {(names[a["image_id"]], a["category_id"], *a["bbox"]) for a in expected["annotations"]}


def test_labels_elsewhere(root: Path) -> None:
    labels = root / "labels" / "box_track_20" / "train"
    data, result = converted("bdd100k-track", root, labels=labels / f"{VIDEOS[1]}.json", split="val")
    assert [video["name"] for video in data["videos"]] == [VIDEOS[1]]
    assert result.title == "BDD100K box tracking val"
    assert result.published is None


def test_pictures_are_those_of_the_split(root: Path) -> None:
    source = opened("bdd100k-track", root)
    assert source.images == root / "images" / "track" / "train"
    write_json(root / "labels" / "det_20" / "det_val.json", [])
    assert opened("bdd100k-det", root, split="val").images == root / "images" / "100k" / "val"
    (root / "labels" / "seg_track_20" / "polygons" / "val").mkdir(parents=True)
    assert opened("bdd100k-seg-track", root, split="val").images == root / "images" / "seg_track_20" / "val"


DETECTION = [
    {"name": "0000f77c-6257be58.jpg", "attributes": {}, "timestamp": 10000, "labels": [label("0", "traffic light")]},
    {"name": "0000f77c-62c2a288.jpg", "labels": [label("0", "rider"), label("1", "trailer"), label("2", "bike")]},
    {"name": "0000f77c-cb820c98.jpg"},
]
OLD_LABELS = [
    {"category": "lane", "id": 5, "poly2d": [{"vertices": [[1, 2], [3, 4]], "types": "LL", "closed": False}]},
    {"category": "drivable area", "id": 6, "box2d": None},
    {"category": "lane/road curb", "id": 7},
    {"category": "area/alternative", "id": 8},
    {"category": "tree", "id": 9, "box2d": {"x1": 1, "y1": 1, "x2": 2, "y2": 2}},
]


@pytest.mark.parametrize("place", ["det_20/det_train.json", "bdd100k_labels_images_train.json"])
def test_detection(tmp_path: Path, place: str) -> None:
    old = {"name": "old.jpg", "labels": OLD_LABELS}
    write_json(tmp_path / "labels" / place, [*DETECTION, old])
    data, result = converted("bdd100k-det", tmp_path)
    assert data["videos"] == []
    assert [image["file_name"] for image in data["images"]] == [*(entry["name"] for entry in DETECTION), "old.jpg"]
    assert all("video_id" not in image for image in data["images"])
    assert all("instance_id" not in entry for entry in data["annotations"])
    assert [(entry["category_id"], entry["ignore"]) for entry in data["annotations"]] == [
        (12, False),
        (2, False),
        (11, True),
        (8, False),
    ]
    assert [category["name"] for category in data["categories"]] == [*CLASSES, *IGNORED, *ROADSIDE]
    assert len(result.remarks) == 1
    assert result.remarks[0].startswith("skipped 1 x box of unknown class 'tree': ")
    assert result.remarks[0].endswith("old.jpg: label 4")
    assert result.published is not None
    assert result.published.images == 69863


def test_first_release_with_a_file_for_each_picture(tmp_path: Path) -> None:
    entry = {"name": "0000f77c-6257be58", "frames": [{"timestamp": 1, "objects": [label(0, "motor")]}]}
    write_json(tmp_path / "labels" / "100k" / "train" / "0000f77c-6257be58.json", entry)
    data, _ = converted("bdd100k-det", tmp_path)
    assert [image["file_name"] for image in data["images"]] == ["0000f77c-6257be58.jpg"]
    assert data["annotations"][0]["category_id"] == 7


def test_segmentation_tracking(tmp_path: Path) -> None:
    def part(identity: str, x: float) -> dict[str, Any]:
        polygon = {"vertices": [[x, 0], [x + 10, 0], [x + 10, 5]], "types": "LLL", "closed": True}
        return {"id": identity, "category": "car", "attributes": {"crowd": False}, "poly2d": [polygon]}

    labels = tmp_path / "labels" / "seg_track_20"
    frames = [frame(VIDEOS[0], 0, [part("a", 0), part("b", 40), part("a", 100)])]
    write_json(labels / "polygons" / "train" / f"{VIDEOS[0]}.json", frames)
    data, result = converted("bdd100k-seg-track", tmp_path)
    first, second = data["annotations"]
    assert first["segmentation"] == [[0, 0, 10, 0, 10, 5], [100, 0, 110, 0, 110, 5]]
    assert first["bbox"] == [0, 0, 110, 5]
    assert second["segmentation"] == [[40, 0, 50, 0, 50, 5]]
    assert [first["instance_id"], second["instance_id"]] == [1, 2]
    assert result.remarks == []

    rle = RleMasks.of_crops([np.tri(5, dtype=bool)], [(7, 9)], (720, 1280))[0]
    entry = {"id": "a", "category": "bus", "rle": rle, "box2d": {"x1": 1, "y1": 2, "x2": 3, "y2": 4}}
    write_json(labels / "rles" / "train" / f"{VIDEOS[0]}.json", [frame(VIDEOS[0], 0, [entry])])
    data, _ = converted("bdd100k-seg-track", tmp_path)
    assert data["annotations"][0]["segmentation"] == rle
    assert data["annotations"][0]["bbox"] == [1, 2, 2, 2]
    assert data["annotations"][0]["area"] == 15, "of the mask, as with bitmasks"


@pytest.mark.parametrize(
    ("rle", "told"),
    [
        ({"counts": [10, 2, 12], "size": [4, 6]}, "rle.size is [4, 6], but [720, 1280] is height and width"),
        ({"counts": [10, 2], "size": [720, 1280]}, "its mask is no list of runs that fill 1280 x 720 pixels"),
        ({"counts": "o5`0", "size": [720, 1280]}, "its mask is no list of runs that fill 1280 x 720 pixels"),
    ],
)
def test_masks_are_those_of_the_picture(tmp_path: Path, rle: dict[str, Any], told: str) -> None:
    file = tmp_path / "labels" / "seg_track_20" / "rles" / "train" / f"{VIDEOS[0]}.json"
    write_json(file, [frame(VIDEOS[0], 0, [{"id": "a", "category": "bus", "rle": rle}])])
    assert f"{VIDEOS[0]}-0000001.jpg: label 0: {told}" in refused("bdd100k-seg-track", tmp_path).replace(": rle:", ":")


def test_boxes_in_parts_are_a_mistake_in_box_tracking(root: Path) -> None:
    frames = [frame(VIDEOS[0], 0, [label("1", "car"), label("1", "car", 90)])]
    path = write_json(root / "one.json", frames)
    data, result = converted("bdd100k-track", root, labels=path)
    assert len(data["annotations"]) == 1
    assert "second box of an identity in one frame" in result.remarks[0]


def test_boxes_beyond_the_border_stay_as_scoring_takes_them(root: Path) -> None:
    path = write_json(root / "one.json", [frame(VIDEOS[0], 0, [label("1", "car", -5), label("2", "car", 1270)])])
    data, result = converted("bdd100k-track", root, labels=path)
    assert [entry["bbox"][0] for entry in data["annotations"]] == [-5, 1270]
    assert result.remarks[0].startswith("kept 2 x box that reaches beyond the picture")


def test_bad_boxes_are_counted(root: Path) -> None:
    bad = [label("1", "car"), label("2", "car"), label("3", "car")]
    bad[0]["box2d"]["x2"] = 9
    bad[1]["box2d"]["y2"] = float("inf")
    path = root / "one.json"
    path.write_text(json.dumps([frame(VIDEOS[0], 0, bad)]))
    data, result = converted("bdd100k-track", root, labels=path)
    assert len(data["annotations"]) == 1
    assert sorted(line.split(":")[0] for line in result.remarks) == [
        "skipped 1 x box with a value that is not finite",
        "skipped 1 x box without an area",
    ]
    assert "one.json" in refused("bdd100k-track", root, labels=path, strict=True)


class TestMessages:
    def test_no_labels(self, tmp_path: Path) -> None:
        text = refused("bdd100k-det", tmp_path, split="val")
        assert text.startswith(
            f"{tmp_path}/labels/det_20/det_val.json: no such file or folder, nor labels/det_20/det_v2_"
        )
        assert text.endswith("name the labels with --labels, or take pictures alone with --unlabelled")
        text = refused("bdd100k-det", tmp_path, labels=tmp_path / "none.json")
        assert text == f"{tmp_path}/none.json: no such file or folder; correct --labels"

    @pytest.mark.parametrize("keep", [0.999, 0.6, 0.01])
    def test_truncated(self, root: Path, keep: float) -> None:
        path = root / "labels" / "box_track_20" / "train" / f"{VIDEOS[1]}.json"
        text = path.read_text()
        path.write_text(text[: int(len(text) * keep)])
        message = refused("bdd100k-track", root)
        assert message.startswith(f"{path}: no valid JSON")
        assert "truncated" in message

    def test_video_in_two_files(self, root: Path) -> None:
        folder = root / "labels" / "box_track_20" / "train"
        write_json(folder / "zz.json", [frame(VIDEOS[0], 7, None)])
        message = refused("bdd100k-track", root)
        assert message.startswith(f"{folder}/zz.json: {VIDEOS[0]}-0000008.jpg: video {VIDEOS[0]!r} comes a second time")

    def test_two_frames_of_one_number(self, root: Path) -> None:
        path = write_json(root / "one.json", [frame("v", 3, None), frame("v", 3, [])])
        assert "are both frame 3" in refused("bdd100k-track", root, labels=path)


class TestCommand:
    def test_dry_run_writes_nothing(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        before = sorted(root.rglob("*"))
        assert command().main(["bdd100k-track", "--root", str(root), "--images", "trust", "--dry-run"]) == 0
        assert sorted(root.rglob("*")) == before
        shown = capsys.readouterr().out
        assert "5 images, 2 videos, 2 boxes to be ignored" in shown
        assert "1400" in shown

    @pytest.mark.parametrize("name", ["bdd100k-det", "bdd100k-track", "bdd100k-seg-track", "bdd100k-ins-seg"])
    def test_help_shows_the_layout(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            command().main([name, "--help"])
        assert caught.value.code == 0
        shown = capsys.readouterr().out
        assert "ROOT/labels" in shown
        assert "{" not in shown.split("\n\n", 1)[1].split("options:")[0].replace("{check", "")


def test_unlabelled_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    glob = Path.glob  # whose order is that of the disk: here videos come mixed
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: sorted(glob(folder, pattern), key=lambda p: p.name[::-1]))
    folder = tmp_path / "images" / "track" / "test"
    names = ["v2/v2-0000001.jpg", "v1/v1-0000010.jpg", "v1/v1-0000009.jpg", "v1/notes.txt"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    data, result = converted("bdd100k-track", tmp_path, split="test", unlabelled=True)
    keys = ("video_id", "frame_id", "frame_index", "file_name", "width", "height")
    assert [tuple(image[key] for key in keys) for image in data["images"]] == [
        (1, 0, 8, names[2], 1280, 720),
        (1, 1, 9, names[1], 1280, 720),
        (2, 0, 0, names[0], 1280, 720),
    ]
    assert (data["annotations"], result.published) == ([], None)
    (folder / "v2" / "first.jpg").write_bytes(b"")
    assert "first.jpg: no number in its name" in refused("bdd100k-track", tmp_path, split="test", unlabelled=True)
    (tmp_path / "images" / "100k" / "test").mkdir(parents=True)
    (tmp_path / "images" / "100k" / "test" / "cabc30fc.jpg").write_bytes(b"")
    data, _ = converted("bdd100k-det", tmp_path, split="test", unlabelled=True)
    assert data["images"] == [{"id": 1, "file_name": "cabc30fc.jpg", "width": 1280, "height": 720}]
    assert "val: no such folder" in refused("bdd100k-det", tmp_path, split="val", unlabelled=True)


def test_result_is_read_by_the_data_sets(root: Path) -> None:
    from clmot_qd.datasets.coco_detection import CocoDetectionDataset
    from clmot_qd.datasets.video_dataset import CocoVideoDataset

    for video, frames in tracking_labels().items():
        for entry in frames:
            path = root / "images" / "track" / "train" / video / entry["name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((720, 1280, 3), np.uint8)).save(path)
    out = root / "annotations" / "box_track_20_train.json"
    convert(opened("bdd100k-track", root), out)
    arguments = dict(ann_file=str(out), metainfo=dict(classes=CLASSES), pipeline=[])
    images = str(root / "images" / "track" / "train")
    videos = CocoVideoDataset(**arguments, data_prefix=dict(img_path=images), test_mode=True)
    assert [len(videos.get_data_info(index)["images"]) for index in range(len(videos))] == [3, 2]
    stills = CocoDetectionDataset(**arguments, data_prefix=dict(img=images), filter_cfg=dict(filter_empty_gt=True))
    assert len(stills) == 3
    instances = [instance for index in range(len(stills)) for instance in stills[index]["instances"]]
    assert [(one["bbox_label"], one["ignore_flag"]) for one in instances] == [(2, 0), (2, 0), (0, 1), (6, 0), (0, 0)]


class TestRealSamples:
    """What the repositories of BDD100K and Scalabel test with."""

    def test_box_tracking(self, shared_data: Path, tmp_path: Path) -> None:
        labels = shared_data / "label-samples" / "scalabel_track_sample_anns.json"
        data, result = converted("bdd100k-track", tmp_path, labels=labels)
        assert (len(data["images"]), len(data["annotations"]), result.ignored) == (202, 3241, 132)
        assert result.counts() == Counts(images=202, boxes=3109, identities=142, videos=1)
        assert len({entry["instance_id"] for entry in data["annotations"]}) == 144
        assert result.remarks == []
        raw = json.loads(labels.read_text())
        corners = [list(entry["box2d"].values()) for image in raw for entry in image["labels"]]
        widths = [x2 - x1 for x1, x2, _, _ in corners]
        assert [entry["bbox"][2] for entry in data["annotations"]] == widths

    def test_polygons(self, shared_data: Path, tmp_path: Path) -> None:
        labels = shared_data / "label-samples" / "bdd100k_example_annotation.json"
        data, _ = converted("bdd100k-seg-track", tmp_path, labels=labels)
        assert [len(entry["segmentation"]) for entry in data["annotations"]] == [2, 1, 5]

    def test_labels_of_other_classes(self, shared_data: Path, tmp_path: Path) -> None:
        labels = shared_data / "label-samples" / "scalabel_scalabel_box_track.json"
        data, result = converted("bdd100k-track", tmp_path, labels=labels)
        assert (len(data["images"]), len(data["annotations"])) == (2, 0)
        assert result.remarks[0].startswith("skipped 8 x box of unknown class 'traffic sign'")
        assert len(converted("bdd100k-det", tmp_path, labels=labels)[0]["annotations"]) == 8
