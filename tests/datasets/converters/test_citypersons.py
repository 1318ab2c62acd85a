"""CityPersons: the MATLAB and the JSON form give the same, classes, groups and regions to be ignored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from person_samples import boxes, cell, converted, cut_off, open_data_set, picture, refused, structs
from scipy.io import savemat

from clmot_qd.datasets.converters import convert

FIRST, EMPTY, SECOND = (f"{city}_000000_000019_leftImg8bit.png" for city in ("aachen", "bochum", "tubingen"))
NAMES = ("ignore", "pedestrian", "rider", "sitting person", "person (other)", "person group")
# class, full box, instance, visible box
ROWS = [
    (1, -4, 100, 40, 100, 24000, 0, 110, 20, 50),
    (2, 300, 100, 40, 100, 25000, 300, 100, 40, 100),
    (3, 400, 100, 30, 60, 24001, 400, 100, 30, 60),
    (4, 500, 100, 30, 60, 24002, 500, 100, 30, 60),
    (5, 600, 100, 200, 60, 24, 600, 100, 200, 60),
    (0, 900, 100, 20, 60, 0, 900, 100, 20, 60),
]
MERGED = [([-4, 100, 40, 100], 1), ([300, 100, 40, 100], 1), ([400, 100, 30, 60], 1), ([500, 100, 30, 60], 1)]


def write_mat(root: Path, rows: Any = ROWS, folder: str = "annotations", split: str = "train", **changes: Any) -> Path:
    path = root / folder / f"anno_{split}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [
        {"cityname": "aachen", "im_name": FIRST, "bbs": np.array(rows, float), **changes},
        {"cityname": "bochum", "im_name": EMPTY, "bbs": np.empty((0, 0))},
        {"cityname": "tuebingen", "im_name": SECOND, "bbs": np.array(ROWS[:1], np.int16)},
    ]
    savemat(path, {f"anno_{split}_aligned": cell([structs([entry]) for entry in entries])})
    return path


def write_json(root: Path, split: str = "train", size: tuple[int, int] = (2048, 1024)) -> None:
    for name, rows in ((FIRST, ROWS), (EMPTY, []), (SECOND, ROWS[:1])):
        city = name.split("_")[0]
        path = root / "gtBboxCityPersons" / split / city / name.replace("leftImg8bit.png", "gtBboxCityPersons.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        objects = [{"instanceId": row[5], "bbox": row[1:5], "bboxVis": row[6:], "label": NAMES[row[0]]} for row in rows]
        path.write_text(json.dumps({"imgHeight": size[1], "imgWidth": size[0], "objects": objects}))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "cityscapes"
    write_mat(root)
    return root


def test_whole_schema(root: Path) -> None:
    data, result = converted("citypersons", root, images="trust")
    assert data["images"] == [
        {"id": 1, "file_name": f"aachen/{FIRST}", "width": 2048, "height": 1024},
        {"id": 2, "file_name": f"bochum/{EMPTY}", "width": 2048, "height": 1024},
        {"id": 3, "file_name": f"tubingen/{SECOND}", "width": 2048, "height": 1024},
    ]
    assert {entry["name"]: entry["id"] for entry in data["categories"]} == {
        "pedestrian": 1,
        "rider": 2,
        "sitting person": 3,
        "person (other)": 4,
    }
    assert boxes(data, "category_id", "iscrowd", "ignore", "visibility", "instance_id") == {
        f"aachen/{FIRST}": [
            ([-4, 100, 40, 100], 1, 0, False, 0.25, None),  # a whole body: not cut
            ([300, 100, 40, 100], 2, 0, False, 1.0, None),
            ([400, 100, 30, 60], 3, 0, False, 1.0, None),
            ([500, 100, 30, 60], 4, 0, False, 1.0, None),
            ([600, 100, 200, 60], 1, 1, False, 1.0, None),
            ([900, 100, 20, 60], 1, 0, True, 1.0, None),
        ],
        f"bochum/{EMPTY}": [],
        f"tubingen/{SECOND}": [([-4, 100, 40, 100], 1, 0, False, 0.25, None)],
    }
    assert (result.counts().boxes, result.counts(("pedestrian",)).boxes, result.ignored) == (5, 2, 2)
    assert result.published is not None
    assert (result.published.images, result.published.boxes) == (2975, 19654)


def test_both_forms_give_the_same(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_json(other)
    assert converted("citypersons", root, images="trust")[0] == converted("citypersons", other, images="trust")[0]


def test_json_without_visible_boxes(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_json(root)
    path = next((root / "gtBboxCityPersons").rglob("aachen*.json"))
    path.write_text('{"imgHeight": 100, "imgWidth": 90, "objects": [{"label": "rider", "bbox": [1, 2, 3, 4]}]}')
    data, _ = converted("citypersons", root, images="trust")
    assert boxes(data, "visibility")[f"aachen/{FIRST}"] == [([1, 2, 3, 4], 1.0)]
    assert (data["images"][0]["width"], data["images"][0]["height"]) == (90, 100)


def test_all_persons_as_pedestrians(root: Path) -> None:
    data, result = converted("citypersons", root, images="trust", merge=True)
    assert data["categories"] == [{"id": 1, "name": "pedestrian"}]
    assert boxes(data, "category_id")[f"aachen/{FIRST}"][:4] == MERGED
    assert (result.counts().boxes, result.ignored) == (5, 2)


def test_classes_that_are_not_asked_for_stay_out(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    convert(open_data_set("citypersons", root), out, classes=["pedestrian"], images="trust")
    data = json.loads(out.read_text())
    assert {entry["category_id"] for entry in data["annotations"]} == {1}
    assert len(data["images"]) == 3


def test_validation_set_beside_the_archive(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_mat(root, folder=".", split="val")
    data, result = converted("citypersons", root, images="trust", split="val")
    assert len(data["images"]) == 3
    assert result.published is not None
    assert (result.published.images, result.published.boxes) == (500, 3938)


def test_only_the_pictures_of_a_list(root: Path, tmp_path: Path) -> None:
    listed = tmp_path / "citypersons.train"
    listed.write_text(f"Citypersons/images/train/tubingen/{SECOND}\nCitypersons/images/train/ulm/ulm_000.png\n")
    data, result = converted("citypersons", root, images="trust", only=listed)
    assert [image["file_name"] for image in data["images"]] == [f"tubingen/{SECOND}"]
    assert result.published is None
    remarks = sorted(result.remarks)
    assert [remark.split(":")[0] for remark in remarks] == [
        "kept 1 x box that reaches beyond the picture",
        "skipped 1 x line that names no picture of the data set",
    ]
    assert f"{listed}:2" in remarks[1]


def test_pictures_are_compared_with_their_recorded_size(root: Path) -> None:
    for city, name in (("aachen", FIRST), ("bochum", EMPTY), ("tubingen", SECOND)):
        picture(root / "leftImg8bit" / "train" / city / name, 2048, 1024)
    assert len(converted("citypersons", root)[0]["images"]) == 3
    picture(root / "leftImg8bit" / "train" / "bochum" / EMPTY, 1024, 512)
    refused("citypersons", root, "the picture is 1024x512, but 2048x1024 is recorded")


def test_unknown_labels_are_left_out_and_counted(root: Path) -> None:
    write_mat(root, [(7, *ROWS[0][1:]), (1.5, *ROWS[0][1:]), ROWS[1]])
    data, result = converted("citypersons", root, images="trust", merge=True)
    assert len(data["annotations"]) == 2
    remarks = "\n".join(result.remarks)
    assert "box of unknown class '7'" in remarks
    assert "box of unknown class '1.5'" in remarks
    assert f"picture 1 ({FIRST}), box 2" in remarks


def test_a_box_without_an_area_does_no_harm(root: Path) -> None:
    write_mat(root, [(1, 5, 5, 0, 10, 0, 5, 5, 0, 10)])
    _, result = converted("citypersons", root, images="trust")
    assert "skipped 1 x box without an area" in "\n".join(result.remarks)


def test_no_more_than_all_of_a_person_is_visible(root: Path) -> None:
    write_mat(root, [(1, 5, 5, 10, 20, 0, 4, 4, 12, 22)])
    data, _ = converted("citypersons", root, images="trust")
    assert boxes(data, "visibility")[f"aachen/{FIRST}"] == [([5, 5, 10, 20], 1.0)]


def test_matlab_files_that_cannot_be_read(root: Path) -> None:
    write_mat(root, [row[:9] for row in ROWS])
    refused("citypersons", root, r"picture 1 \(aachen.*: bbs: no matrix of numbers with 10 columns", images="trust")
    write_mat(root, im_name=np.array([FIRST, SECOND]))
    refused("citypersons", root, r"anno_train.mat: picture 1: im_name: no text", images="trust")
    write_mat(root, im_name=3.0)
    refused("citypersons", root, r"anno_train.mat: picture 1: im_name: no text", images="trust")
    path = root / "annotations" / "anno_train.mat"
    savemat(path, {"anno_train_aligned": cell([structs([{"im_name": FIRST}])])})
    refused("citypersons", root, r"picture 1: no field 'bbs'; it has im_name", images="trust")
    savemat(path, {"anno_train_aligned": cell([structs([{"im_name": FIRST, "bbs": 1.0}] * 2)])})
    refused("citypersons", root, r"picture 1: 2 entries where one should be", images="trust")
    savemat(path, {"anno_val_aligned": cell([1.0])})
    refused("citypersons", root, "no variable 'anno_train_aligned'; it holds anno_val_aligned", images="trust")
    write_mat(root)
    cut_off(path)
    refused("citypersons", root, r"anno_train.mat: no MATLAB file that can be read \(.+\): truncated", images="trust")
    path.unlink()
    refused("citypersons", root, r"annotations/anno_train.mat: cannot be read \(No such file", images="trust")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('{"imgHeight": 9, "objects": []}', "aachen.*: no key 'imgWidth'"),
        ('{"imgHeight": 9, "imgWidth": 9, "objects": {}}', "aachen.*: 'objects' is no list"),
        ('{"imgHeight": 9, "imgWidth": 9, "objects": [{"label": "rider"}]}', "object 0: no key 'bbox'"),
        ('{"imgHeight": 9, "imgWidth": 9, "objects": [{"label": "rider", "bbox": [1]}]}', "object 0: a box must be"),
        ('{"imgHeight": 9, "imgWi', "aachen.*: no valid JSON .* truncated"),
    ],
)
def test_json_files_that_cannot_be_read(tmp_path: Path, content: str, match: str) -> None:
    root = tmp_path / "data"
    write_json(root)
    next((root / "gtBboxCityPersons").rglob("aachen*.json")).write_text(content)
    refused("citypersons", root, match, images="trust")
