"""CrowdHuman's .odgt files: the three boxes of a person, what is ignored, pictures that must be there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from person_samples import boxes, converted, cut_off, open_data_set, picture, refused

from clmot_qd.datasets.converters import convert
from clmot_qd.errors import InputError

NAME, SECOND = "273271,c9db000d5146c15", "273278,4a6b1000a9e2a3b"
FIRST_LINE = {
    "ID": NAME,
    "gtboxes": [
        {
            "fbox": [-5, 2, 20, 40],
            "vbox": [0, 2, 15, 25],
            "hbox": [-1, 3, 6, 6],
            "tag": "person",
            "extra": {"box_id": 0, "occ": 1},
            "head_attr": {"ignore": 0, "occ": 0, "unsure": 0},
        },
        {"fbox": [20, 2, 10, 30], "vbox": [20, 2, 10, 30], "hbox": [22, 3, 5, 5], "tag": "person"},
        {
            "fbox": [30, 2, 10, 20],
            "vbox": [30, 2, 9, 20],
            "hbox": [31, 3, 4, 4],
            "tag": "person",
            "head_attr": {"ignore": 1},
            "extra": {"ignore": 0},
        },
        {
            "fbox": [40, 2, 12, 20],
            "vbox": [40, 2, 11, 20],
            "hbox": [41, 3, 4, 4],
            "tag": "person",
            "head_attr": {},
            "extra": {"ignore": 1},
        },
        {"fbox": [50, 0, 10, 10], "tag": "mask"},
    ],
}
SECOND_LINE = {"ID": SECOND, "gtboxes": []}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "crowdhuman"
    picture(root / "train" / f"{NAME}.jpg", 64, 48)
    picture(root / "train" / f"{SECOND}.jpg", 30, 20)
    write(root, FIRST_LINE, SECOND_LINE)
    return root


def write(root: Path, *lines: object) -> Path:
    path = root / "annotation_train.odgt"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_full_boxes_reach_beyond_the_picture(root: Path) -> None:
    data, result = converted("crowdhuman", root)
    assert data["images"] == [
        {"id": 1, "file_name": f"{NAME}.jpg", "width": 64, "height": 48},
        {"id": 2, "file_name": f"{SECOND}.jpg", "width": 30, "height": 20},
    ]
    assert data["videos"] == []
    assert data["categories"] == [{"id": 1, "name": "pedestrian"}]
    assert boxes(data, "ignore", "iscrowd", "instance_id") == {
        f"{NAME}.jpg": [
            ([-5, 2, 20, 40], False, 0, None),
            ([20, 2, 10, 30], False, 0, None),
            ([30, 2, 10, 20], False, 0, None),
            ([40, 2, 12, 20], True, 0, None),
            ([50, 0, 10, 10], True, 0, None),
        ],
        f"{SECOND}.jpg": [],
    }
    assert (result.counts().boxes, result.ignored) == (3, 2)
    assert result.published is not None
    assert (result.published.images, result.published.boxes) == (15000, 339565)


def test_visible_boxes_are_cut_at_the_border(root: Path) -> None:
    line = json.loads(json.dumps(FIRST_LINE))
    line["gtboxes"][0]["vbox"] = [-5, 2, 15, 25]
    write(root, line, SECOND_LINE)
    data, result = converted("crowdhuman", root, box="visible")
    assert [entry[0] for entry in boxes(data)[f"{NAME}.jpg"]] == [
        [0, 2, 10, 25],
        [20, 2, 10, 30],
        [30, 2, 9, 20],
        [40, 2, 11, 20],
        [50, 0, 10, 10],  # a mask has its full box alone
    ]
    assert any(remark.startswith("clipped 1") and "annotation_train.odgt:1" in remark for remark in result.remarks)


def test_heads_are_ignored_for_two_reasons(root: Path) -> None:
    data, result = converted("crowdhuman", root, box="head")
    assert boxes(data, "ignore")[f"{NAME}.jpg"] == [
        ([0, 3, 5, 6], False),
        ([22, 3, 5, 5], False),
        ([31, 3, 4, 4], True),
        ([41, 3, 4, 4], True),
        ([50, 0, 10, 10], True),
    ]
    assert result.published is not None
    assert result.published.boxes is None


@pytest.mark.parametrize(
    ("annotations", "pictures"), [("annotations", "Images"), (".", "Images"), ("annotations", "val")]
)
def test_other_places_of_the_files(tmp_path: Path, annotations: str, pictures: str) -> None:
    root = tmp_path / "crowdhuman"
    picture(root / pictures / f"{SECOND}.jpg", 30, 20)
    (root / annotations).mkdir(exist_ok=True)
    (root / annotations / "annotation_val.odgt").write_text(json.dumps(SECOND_LINE))
    data, result = converted("crowdhuman", root, split="val")
    assert [image["file_name"] for image in data["images"]] == [f"{SECOND}.jpg"]
    assert result.published is not None
    assert (result.published.images, result.published.boxes) == (4370, 99481)


def test_doubtful_lines_are_left_out_and_counted(root: Path) -> None:
    tree = {"fbox": [1, 1, 5, 5], "tag": "tree"}
    flat = {"fbox": [1, 1, 5, 0], "tag": "person"}
    write(root, {"ID": NAME, "gtboxes": [tree, flat]}, SECOND_LINE, SECOND_LINE)
    data, result = converted("crowdhuman", root)
    assert len(data["images"]) == 2
    assert data["annotations"] == []
    remarks = "\n".join(result.remarks)
    assert "skipped 1 x box of unknown class 'tree'" in remarks
    assert "skipped 1 x box without an area" in remarks
    assert "skipped 1 x picture that a line before has already" in remarks
    assert "annotation_train.odgt:3" in remarks
    refused("crowdhuman", root, "unknown class", strict=True)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ({"gtboxes": []}, r"odgt:2: no key 'ID'"),
        ({"ID": "x", "gtboxes": {}}, r"odgt:2: 'gtboxes' is no list"),
        ({"ID": "x", "gtboxes": [{"fbox": [1, 2, 3, 4]}]}, r"odgt:2: no key 'tag'"),
        ({"ID": "x", "gtboxes": [{"tag": "person"}]}, r"odgt:2: no key 'fbox'"),
        ({"ID": "x", "gtboxes": [{"tag": "person", "fbox": [1, 2, 3]}]}, r"odgt:2: fbox: .*list of four numbers"),
        ({"ID": "x", "gtboxes": [{"tag": "person", "fbox": [1, 2, 3, "4"]}]}, r"odgt:2: fbox: .*list of four numbers"),
        ([1], r"odgt:2: a list where an object"),
    ],
)
def test_lines_that_cannot_be_read(root: Path, line: object, match: str) -> None:
    write(root, SECOND_LINE, line)
    refused("crowdhuman", root, match)


def test_files_that_are_cut_off_or_missing(root: Path) -> None:
    cut_off(root / "annotation_train.odgt")
    refused("crowdhuman", root, r"annotation_train.odgt: no valid JSON .* at line 1, column \d+\): truncated")
    (root / "annotation_train.odgt").unlink()
    refused("crowdhuman", root, "annotations/annotation_train.odgt: cannot be read")
    with pytest.raises(InputError, match="Images: no such folder; it holds the pictures of val"):
        open_data_set("crowdhuman", root, split="val")


def test_pictures_are_needed_for_their_sizes(root: Path) -> None:
    refused("crowdhuman", root, "no size recorded", images="trust")
    (root / "train" / f"{SECOND}.jpg").unlink()
    refused("crowdhuman", root, rf"{SECOND}.jpg: no such picture \(named in .*annotation_train.odgt:2\)")
    data, _ = converted("crowdhuman", root, images="skip-bad")
    assert [image["file_name"] for image in data["images"]] == [f"{NAME}.jpg"]


def test_the_result_can_be_trained_on(root: Path, mmdet_scope: None) -> None:
    from clmot_qd.datasets.coco_detection import CocoDetectionDataset

    out = root / "annotations" / "crowdhuman_train.json"
    convert(open_data_set("crowdhuman", root), out)
    data_set = CocoDetectionDataset(
        data_root=str(root),
        ann_file="annotations/crowdhuman_train.json",
        data_prefix={"img": "train/"},
        metainfo={"classes": ("pedestrian",)},
        filter_cfg={"filter_empty_gt": True, "min_size": 4},
        pipeline=[],
    )
    assert len(data_set) == 1
    info = data_set.get_data_info(0)
    assert info["img_path"].endswith(f"train/{NAME}.jpg")
    # Corners; those to be ignored are not learned from.
    learned = [entry["bbox"] for entry in info["instances"] if not entry["ignore_flag"]]
    assert learned == [[-5, 2, 15, 42], [20, 2, 30, 32], [30, 2, 40, 22]]
