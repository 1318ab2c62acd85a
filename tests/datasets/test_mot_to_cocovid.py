"""Conversion to CocoVID: the whole schema on a hand-made root, halves, filters, malformed roots, the real sequences."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from clmot_qd.datasets.mot_to_cocovid import CocoVid, convert_mot
from clmot_qd.errors import InputError


def make(root: Path, name: str, frames: list[int], gt: str | None = None, info: str = "", size=(48, 64)) -> Path:
    folder = root / name
    (folder / "img1").mkdir(parents=True)
    for frame in frames:
        cv2.imwrite(str(folder / "img1" / f"{frame:06d}.png"), np.zeros((*size, 3), np.uint8))
    if gt is not None:
        (folder / "gt").mkdir()
        (folder / "gt" / "gt.txt").write_text(gt)
    if info:
        (folder / "seqinfo.ini").write_text(info)
    return folder


def convert(root: Path, out: Path, **options) -> CocoVid:
    convert_mot(root, out, **options)
    return json.loads(out.read_text())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """MOT17-form sequence `b10`, MOT15-form sequence `b9` (shorter than its ground truth), test sequence `test`."""
    root = tmp_path / "data"
    info = "[Sequence]\nname=b10\nframeRate=14\nseqLength=600\n"
    gt = "2,0,10.25,11,20,21,1,1,0.5\n1,7,1,2,3,4,1,3,1\n1,0,10,11,20.5,21,1,1,1\n4,5,-5,6,7,8,0,8,0\n"
    make(root, "b10", [1, 2, 3, 4], gt, info)
    make(root, "b9", [1, 2], "1,1,5,6,7,8,1,-1,-1,-1\n2,1,5,6,7,8,0,-1,-1,-1\n3,1,5,6,7,8,1,-1,-1,-1\n", size=(30, 20))
    make(root, "test", [5, 6])
    return root


def test_whole_schema(root: Path, tmp_path: Path) -> None:
    data = convert(root, tmp_path / "out.json")
    assert data["videos"] == [
        {"id": 1, "name": "b9", "width": 20, "height": 30, "fps": 30.0, "length": 2},
        {"id": 2, "name": "b10", "width": 64, "height": 48, "fps": 14.0, "length": 4},
        {"id": 3, "name": "test", "width": 64, "height": 48, "fps": 30.0, "length": 2},
    ]
    images = data["images"]
    assert [image["id"] for image in images] == list(range(1, 9))
    assert [image["video_id"] for image in images] == [1, 1, 2, 2, 2, 2, 3, 3]
    assert [image["frame_id"] for image in images] == [0, 1, 0, 1, 2, 3, 0, 1]
    assert [image["mot_frame_id"] for image in images] == [1, 2, 1, 2, 3, 4, 5, 6]
    assert images[2]["file_name"] == "b10/img1/000001.png"
    assert (images[0]["width"], images[0]["height"]) == (20, 30)
    assert [category["name"] for category in data["categories"]][:3] == ["pedestrian", "person_on_vehicle", "car"]
    assert [category["id"] for category in data["categories"]] == list(range(1, 14))
    assert data["annotations"][2:] == [
        {
            "id": 3,
            "video_id": 2,
            "iscrowd": 0,
            "image_id": 3,
            "category_id": 3,
            "bbox": [1.0, 2.0, 3.0, 4.0],
            "area": 12.0,
            "ignore": False,
            "visibility": 1.0,
            "mot_conf": 1.0,
            "mot_class_id": 3,
            "instance_id": 2,
        },
        {
            "id": 4,
            "video_id": 2,
            "iscrowd": 0,
            "image_id": 3,
            "category_id": 1,
            "bbox": [10.0, 11.0, 20.5, 21.0],
            "area": 430.5,
            "ignore": False,
            "visibility": 1.0,
            "mot_conf": 1.0,
            "mot_class_id": 1,
            "instance_id": 3,
        },
        {
            "id": 5,
            "video_id": 2,
            "iscrowd": 0,
            "image_id": 4,
            "category_id": 1,
            "bbox": [10.25, 11.0, 20.0, 21.0],
            "area": 420.0,
            "ignore": False,
            "visibility": 0.5,
            "mot_conf": 1.0,
            "mot_class_id": 1,
            "instance_id": 3,
        },
        {
            "id": 6,
            "video_id": 2,
            "iscrowd": 0,
            "image_id": 6,
            "category_id": 8,
            "bbox": [-5.0, 6.0, 7.0, 8.0],
            "area": 56.0,
            "ignore": True,
            "visibility": 0.0,
            "mot_conf": 0.0,
            "mot_class_id": 8,
            "instance_id": 4,
        },
    ]


def test_mot15_rows_are_pedestrians_and_late_rows_are_dropped(root: Path, tmp_path: Path) -> None:
    first, second = convert(root, tmp_path / "out.json")["annotations"][:2]
    assert (first["category_id"], first["instance_id"], first["ignore"], first["visibility"]) == (1, 1, False, 1.0)
    assert (second["image_id"], second["instance_id"], second["ignore"]) == (2, 1, True)


def test_counts_and_remarks(root: Path, tmp_path: Path) -> None:
    shown = []
    result = convert_mot(root, tmp_path / "out.json", progress=lambda frames, total: shown.append(total) or frames)
    assert shown == [8]
    counts = [(row.name, row.images, row.counts().boxes, row.counts().identities, row.ignored) for row in result.rows]
    assert counts == [("b9", 2, 1, 1, 1), ("b10", 4, 3, 2, 1), ("test", 2, 0, 0, 0)]
    place = root / "b9" / "gt" / "gt.txt"
    kind = "row of a frame before the first or after the last picture"
    assert f"skipped 1 x {kind}: {place}:3 (frame 3)" in result.remarks
    assert f"kept 1 x video without gt/gt.txt, its frames alone: {root / 'test'}" in result.remarks


def test_empty_ground_truth_is_said(tmp_path: Path) -> None:
    folder = make(tmp_path / "data", "a", [1], gt="")
    (remark,) = convert_mot(tmp_path / "data", tmp_path / "out.json").remarks
    assert remark == f"kept 1 x video without a box in gt/gt.txt: {folder / 'gt' / 'gt.txt'}"


def test_halves_share_identities_and_lose_no_frame(tmp_path: Path) -> None:
    gt = "".join(f"{frame},{identity},1,2,3,4,1,1,1\n" for frame in range(1, 7) for identity in (3, 8) if frame != 2)
    make(tmp_path / "data", "a", [1, 2, 3, 4, 5, 6], gt + "6,9,1,2,3,4,1,1,1\n")
    make(tmp_path / "data", "b", [1, 2, 3], "1,1,1,2,3,4,1,1,1\n3,2,1,2,3,4,1,1,1\n")
    whole, first, second = (
        convert(tmp_path / "data", tmp_path / f"{split}.json", split=split)
        for split in ("all", "first-half", "second-half")
    )

    def boxes(data: CocoVid) -> set[tuple]:
        frames = {image["id"]: image["file_name"] for image in data["images"]}
        return {(frames[entry["image_id"]], entry["instance_id"]) for entry in data["annotations"]}

    assert boxes(first) | boxes(second) == boxes(whole)
    assert [image["mot_frame_id"] for image in first["images"]] == [1, 2, 3, 4, 1, 2]  # n // 2 + 1 of 6 and of 3
    assert [image["mot_frame_id"] for image in second["images"]] == [5, 6, 3]
    assert [image["frame_id"] for image in second["images"]] == [0, 1, 0]
    assert [video["length"] for video in second["videos"]] == [2, 1]
    assert [image["id"] for image in second["images"]] == [1, 2, 3]
    assert {entry["instance_id"] for entry in second["annotations"]} == {1, 2, 3, 5}


def test_second_half_of_a_short_sequence(tmp_path: Path) -> None:
    make(tmp_path / "data", "a", [1, 2])
    with pytest.raises(InputError, match="a: 2 frames leave none for the second-half"):
        convert(tmp_path / "data", tmp_path / "out.json", split="second-half")
    with pytest.raises(InputError, match="split 'third' must be"):
        convert(tmp_path / "data", tmp_path / "out.json", split="third")


def test_classes(root: Path, tmp_path: Path) -> None:
    data = convert(root, tmp_path / "out.json", classes=["car", "pedestrian"])
    assert data["categories"] == [{"id": 1, "name": "pedestrian"}, {"id": 3, "name": "car"}]
    assert {entry["category_id"] for entry in data["annotations"]} == {1, 3}
    assert [entry["id"] for entry in data["annotations"]] == [1, 2, 3, 4, 5]
    with pytest.raises(InputError, match="'people' is none of MOT: pedestrian, person_on_vehicle, car"):
        convert(root, tmp_path / "out.json", classes=["people"])


def test_sequences(root: Path, tmp_path: Path) -> None:
    data = convert(root, tmp_path / "out.json", sequences=["b10"])
    assert [video["name"] for video in data["videos"]] == ["b10"]
    assert {entry["instance_id"] for entry in data["annotations"]} == {1, 2, 3}


def test_no_identities(tmp_path: Path) -> None:
    make(tmp_path / "data", "a", [1], "1,-1,1,2,3,4,1,1,1\n1,-1,10,2,3,4,1,1,1\n")  # detection labels, ids all -1
    data = convert(tmp_path / "data", tmp_path / "out.json", identities=False)
    assert len(data["annotations"]) == 2
    assert not any("instance_id" in entry for entry in data["annotations"])
    result = convert_mot(tmp_path / "data", tmp_path / "out.json")
    place = f"{tmp_path}/data/a/gt/gt.txt"
    assert result.remarks == [f"kept 2 x box without an identity: {place}:1; {place}:2"]


def test_missing_image_between_others(tmp_path: Path) -> None:
    make(tmp_path / "data", "a", [1, 3], "1,1,1,2,3,4,1,1,1\n2,1,1,2,3,4,1,1,1\n")
    with pytest.raises(InputError, match=r"000002\.png: no such picture \(named in .*gt\.txt:2\)"):
        convert(tmp_path / "data", tmp_path / "out.json")
    data = convert(tmp_path / "data", tmp_path / "out.json", images="skip-bad")
    assert [(image["frame_id"], image["mot_frame_id"]) for image in data["images"]] == [(0, 1), (2, 3)]
    assert [entry["image_id"] for entry in data["annotations"]] == [1]


def test_gap_without_boxes_is_fine(tmp_path: Path) -> None:
    make(tmp_path / "data", "a", [2, 5], "5,1,1,2,3,4,1,1,1\n2,1,1,2,3,4,1,1,1\n9,1,1,2,3,4,1,1,1\n1,1,1,2,3,4,1,1,1\n")
    data = convert(tmp_path / "data", tmp_path / "out.json")
    assert [image["frame_id"] for image in data["images"]] == [0, 3], "a tracker in a model sees the gap"
    assert [entry["image_id"] for entry in data["annotations"]] == [1, 2]


def test_ground_truth_of_other_images(tmp_path: Path) -> None:
    make(tmp_path / "data", "a", [101, 102], "1,1,1,2,3,4,1,1,1\n")
    with pytest.raises(InputError, match=r"no row belongs to images 101 to 102"):
        convert(tmp_path / "data", tmp_path / "out.json")


def test_unreadable_image(tmp_path: Path) -> None:
    folder = make(tmp_path / "data", "a", [1, 2])
    (folder / "img1" / "000001.png").write_text("no image")
    with pytest.raises(InputError, match=r"000001\.png: not a readable picture"):
        convert(tmp_path / "data", tmp_path / "out.json")


def test_error_leaves_the_old_file(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    out.write_text("old")
    (root / "test" / "img1" / "000005.png").write_text("no image")
    with pytest.raises(InputError):
        convert(root, out)
    assert out.read_text() == "old"


@pytest.mark.parametrize(
    ("part", "sequence", "classes", "frames", "boxes", "identities"),
    [
        ("MOT15", "TUD-Campus", None, 71, 359, 8),
        ("MOT15", "PETS09-S2L1-first200", None, 200, 1223, 8),
        ("MOT17", "MOT17-09-FRCNN-first150", ["pedestrian"], 150, 1110, 12),
        ("MOT17", "MOT17-09-FRCNN-first150", None, 150, 2322, 24),
    ],
)
def test_real_sequences(
    shared_data: Path, tmp_path: Path, part: str, sequence: str, classes, frames: int, boxes: int, identities: int
) -> None:
    options = {} if classes is None else {"classes": classes}
    result = convert_mot(shared_data / part, tmp_path / "out.json", sequences=[sequence], **options)
    assert not any("skipped" in remark for remark in result.remarks)
    data = json.loads((tmp_path / "out.json").read_text())
    assert (len(data["images"]), len(data["annotations"])) == (frames, boxes)
    assert len({entry["instance_id"] for entry in data["annotations"]}) == identities
    assert all((shared_data / part / image["file_name"]).exists() for image in data["images"])


def test_real_parts_of_seven_sequences(shared_data: Path, tmp_path: Path) -> None:
    result = convert_mot(shared_data / "MOT17-mini" / "train", tmp_path / "out.json", detector="FRCNN")
    assert result.counts().images == 39
    instances = {entry["instance_id"] for entry in json.loads((tmp_path / "out.json").read_text())["annotations"]}
    assert instances == set(range(1, len(instances) + 1))


def test_the_file_is_read_by_mmdet(root: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("mmdet.datasets")
    convert(root, tmp_path / "out.json")
    dataset = datasets.CocoDataset(
        ann_file=str(tmp_path / "out.json"),
        data_prefix={"img": f"{root}/"},
        metainfo={"classes": ("pedestrian",)},
        pipeline=[],
        test_mode=True,
    )
    assert len(dataset) == 8
    instances = [instance for index in range(8) for instance in dataset.get_data_info(index)["instances"]]
    assert [instance["bbox"] for instance in instances] == [
        [5, 6, 12, 14],  # the ignored one of frame 2 is left out
        [10, 11, 30.5, 32],
        [10.25, 11, 30.25, 32],
    ]
