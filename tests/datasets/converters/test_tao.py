"""TAO: numbers of the source, merged classes, the classes that occur, frames by time, what is refused."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driving_samples import command, converted, opened, refused, write_json
from PIL import Image

from clmot_qd.datasets.converters import Counts, convert

CATEGORIES = [
    {"id": 805, "name": "baby", "synset": "person.n.01", "frequency": "f", "merged": [{"id": 7, "name": "child"}]},
    {"id": 7, "name": "child", "synset": "child.n.01", "frequency": "r"},
    {"id": 95, "name": "bicycle", "synset": "bicycle.n.01", "frequency": "f"},
    {"id": 950, "name": "serving_dish", "synset": "serving_dish.n.01", "frequency": "c"},
    {"id": 1, "name": "acorn", "synset": "acorn.n.01", "frequency": "r"},
]
VIDEO = "train/YFCC100M/v_f69ebe5b731d3e87c1a3992ee39c3b7e"


def image(number: int, video: int, index: int) -> dict[str, Any]:
    name = VIDEO if video == 3 else "train/BDD/b1c9c847"
    file_name = f"{name}/frame{index + 1:04d}.jpg"
    return dict(id=number, video=name, width=64, height=48, file_name=file_name, frame_index=index, video_id=video)


def annotation(
    number: int, image_id: int, track: int, category: int, bbox: list[float], **others: Any
) -> dict[str, Any]:
    entry = dict(id=number, image_id=image_id, track_id=track, category_id=category, bbox=bbox, iscrowd=0)
    x, y, w, h = bbox
    outline = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    return entry | dict(area=w * h, segmentation=outline, scale_category="moving object", video_id=3) | others


def content() -> dict[str, Any]:
    """Video 3 with its frames out of order and numbers from 0; video 0 with one frame without objects."""
    return {
        "info": {"year": 2020},
        "videos": [
            {
                "id": 3,
                "name": VIDEO,
                "width": 64,
                "height": 48,
                "neg_category_ids": [1],
                "not_exhaustive_category_ids": [95, 805],
                "metadata": {"dataset": "YFCC100M"},
            },
            {"id": 0, "name": "train/BDD/b1c9c847", "width": 64, "height": 48},
        ],
        "images": [image(12, 3, 420), image(0, 0, 0), image(10, 3, 390)],
        "annotations": [
            annotation(1, 12, 0, 805, [1.5, 2, 30, 40]),
            annotation(2, 10, 0, 805, [-4, 2, 30, 60]),
            annotation(5, 10, 9, 7, [20, 20, 10, 10]),
            annotation(4, 12, 2, 95, [5, 6, 7, 8], iscrowd=1),
        ],
        "tracks": [
            {"id": 0, "category_id": 805, "video_id": 3},
            {"id": 9, "category_id": 7, "video_id": 3},
            {"id": 2, "category_id": 95, "video_id": 3},
        ],
        "categories": CATEGORIES,
        "licenses": ["Unknown"],
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "annotations"
    write_json(root / "train.json", content())
    validation = content() | {"annotations": [annotation(1, 12, 2, 95, [1, 1, 2, 2])]}
    write_json(root / "validation.json", validation)
    write_json(root / "test_categories.json", {"categories": [CATEGORIES[3]]})
    return root


def test_whole_file(root: Path) -> None:
    data, result = converted("tao", root)
    size = {"width": 64, "height": 48}
    none = {"neg_category_ids": [], "not_exhaustive_category_ids": []}
    lists = {"neg_category_ids": [1], "not_exhaustive_category_ids": [95, 805]}
    assert data["videos"] == [
        {"id": 1, "name": VIDEO, **size, "length": 2, "source_id": 3, **lists},
        {"id": 2, "name": "train/BDD/b1c9c847", **size, "length": 1, "source_id": 0, **none},
    ]
    keys = ("id", "video_id", "frame_id", "source_id", "frame_index")
    assert [tuple(entry[key] for key in keys) for entry in data["images"]] == [
        (1, 1, 0, 10, 390),
        (2, 1, 1, 12, 420),
        (3, 2, 0, 0, 0),
    ]
    assert data["images"][0]["file_name"] == f"{VIDEO}/frame0391.jpg"
    assert data["annotations"] == [
        {
            "id": number,
            "image_id": picture,
            "video_id": 1,
            "category_id": category,
            "bbox": bbox,
            "area": bbox[2] * bbox[3],
            "iscrowd": crowd,
            "ignore": False,
            "instance_id": instance,
            "track_id": track,
        }
        for number, picture, category, bbox, crowd, instance, track in [
            (1, 1, 805, [-4.0, 2.0, 30.0, 60.0], 0, 1, 0),
            (2, 1, 805, [20.0, 20.0, 10.0, 10.0], 0, 2, 9),
            (3, 2, 805, [1.5, 2.0, 30.0, 40.0], 0, 1, 0),
            (4, 2, 95, [5.0, 6.0, 7.0, 8.0], 1, 3, 2),
        ]
    ]
    names = [(entry["id"], entry["name"]) for entry in data["categories"]]
    assert names == [(805, "baby"), (95, "bicycle"), (950, "serving_dish"), (1, "acorn")]
    assert result.counts() == Counts(images=3, boxes=3, identities=2, videos=2)
    assert len(result.remarks) == 1
    assert result.remarks[0].startswith("kept 1 x box that reaches beyond the picture")
    assert result.published is not None
    assert result.published.videos == 500


def test_classes_that_occur(root: Path) -> None:
    files = [Path("train.json"), Path("validation.json"), root / "test_categories.json"]
    names = root / "tao_classes.txt"
    result = convert(opened("tao", root, classes_from=files, write_classes=names), root / "out.json", images="trust")
    assert names.read_text() == "baby\nbicycle\nserving_dish\n"
    data = json.loads((root / "out.json").read_text())
    assert [entry["id"] for entry in data["categories"]] == [805, 95, 950]
    assert len(data["annotations"]) == 4
    assert any("list of classes other than the 482 of TAO" in line and "(3)" in line for line in result.remarks)


def test_occurring_classes_are_the_merged_ones(root: Path) -> None:
    write_json(root / "validation.json", content() | {"annotations": [annotation(1, 12, 9, 7, [1, 1, 2, 2])]})
    data, _ = converted("tao", root, classes_from=["validation.json"])
    assert [entry["name"] for entry in data["categories"]] == ["baby"]
    write_json(root / "list.json", {"categories": CATEGORIES[:2] + CATEGORIES[3:4], "annotations": []})
    data, _ = converted("tao", root, classes_from=["list.json"])
    assert [entry["name"] for entry in data["categories"]] == ["baby", "serving_dish"]


def test_classes_remember_what_counts_as_them(root: Path) -> None:
    data, _ = converted("tao", root)
    merged = {entry["id"]: entry["merged"] for entry in data["categories"] if "merged" in entry}
    assert merged == {entry["id"]: entry["merged"] for entry in CATEGORIES if "merged" in entry}
    assert merged


def test_objects_of_other_classes_are_left_out_in_silence(root: Path) -> None:
    data, result = converted("tao", root, classes_from=["validation.json"])
    assert [entry["category_id"] for entry in data["annotations"]] == [95]
    assert len(data["images"]) == 3
    assert not any(line.startswith("skipped") for line in result.remarks)


def test_the_right_number_of_classes_is_not_remarked_upon(root: Path) -> None:
    many = content()
    many["categories"] = CATEGORIES + [{"id": number, "name": str(number)} for number in range(2000, 2478)]
    write_json(root / "train.json", many)
    write_json(root / "list.json", {"categories": [entry for entry in many["categories"] if entry["id"] != 7]})
    data, result = converted("tao", root, classes_from=["list.json"])
    assert len(data["categories"]) == 482
    assert not any("482 of TAO" in line for line in result.remarks)


def test_test_set(root: Path) -> None:
    without = {key: value for key, value in content().items() if key not in ("annotations", "tracks")}
    write_json(root / "test_without_annotations.json", without)
    data, result = converted("tao", root, split="test")
    assert (len(data["images"]), data["annotations"]) == (3, [])
    assert result.published is not None
    assert result.published.videos == 1419


def test_places(root: Path) -> None:
    assert opened("tao", root).images == root.parent / "frames"
    assert opened("tao", root, frames="elsewhere").images == Path("elsewhere")
    source = opened("tao", root, annotations=root / "validation.json")
    assert (source.title, source.published, source.total) == ("TAO validation", None, 3)


def test_class_of_box_and_track_differ(root: Path) -> None:
    odd = content()
    odd["tracks"][0]["category_id"] = 95
    odd["tracks"][1]["category_id"] = 805  # 7 is merged into it
    write_json(root / "train.json", odd)
    _, result = converted("tao", root)
    assert any(line.startswith("kept 2 x box of another class than its track's") for line in result.remarks)


def test_class_that_is_not_listed(root: Path) -> None:
    odd = content()
    odd["annotations"][3]["category_id"] = 4711
    write_json(root / "train.json", odd)
    data, result = converted("tao", root)
    assert len(data["annotations"]) == 3
    assert any("box of unknown class 'number 4711'" in line and "annotation 4" in line for line in result.remarks)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("images", 0, "video_id"), 77, "image 12: no video 77 in 'videos'"),
        (("annotations", 1, "image_id"), 77, "annotation 2: no image 77 in 'images'"),
        (("annotations", 1, "bbox"), [1, 2, 3], "annotation 2: bbox is [1, 2, 3], not [x, y, w, h]"),
        (("annotations", 1, "bbox"), [1, 2, 3, "4"], "annotation 2: bbox is"),
        (("annotations", 1, "track_id"), None, "annotations[1]: no key 'track_id'"),
        (("images", 2, "frame_index"), None, "images[2]: no key 'frame_index'"),
        (("categories", 1, "name"), None, "categories[1]: no key 'name'"),
        (("categories", 2, "name"), "baby", "two classes are called 'baby'"),
        (("tracks", 0, "category_id"), None, "tracks[0]: no key 'category_id'"),
        (("videos",), None, "no key 'videos'"),
        (("images", 1, "frame_index"), 0, None),
    ],
)
def test_refused(root: Path, place: tuple[Any, ...], value: Any, message: str | None) -> None:
    odd = deepcopy(content())
    inner: Any = odd
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    if value is None:
        del inner[place[-1]]
    write_json(root / "train.json", odd)
    if message is None:
        converted("tao", root)
    else:
        assert refused("tao", root, write_classes=root / "names.txt").startswith(f"{root}/train.json: {message}")


def test_unknown_split(root: Path) -> None:
    assert refused("tao", root, split="val") == "split 'val' must be train, validation, test"


def test_frames_of_one_number(root: Path) -> None:
    odd = content()
    odd["images"][2]["frame_index"] = 420
    write_json(root / "train.json", odd)
    assert "are both frame 420" in refused("tao", root)


def test_truncated(root: Path) -> None:
    path = root / "train.json"
    path.write_text(path.read_text()[:-20])
    assert refused("tao", root).startswith(f"{path}: no valid JSON")
    (root / "validation.json").unlink()
    write_json(path, content())
    assert "validation.json: cannot be read" in refused("tao", root, classes_from=["validation.json"])


def test_command_writes_the_list_of_classes_but_not_in_a_dry_run(root: Path) -> None:
    names, out = root / "tao_classes.txt", root / "train_482_classes.json"
    arguments = ["tao", "--root", str(root), "--images", "trust", "--write-classes", str(names), "--out", str(out)]
    before = sorted(root.rglob("*"))
    command().main([*arguments, "--dry-run"])
    assert sorted(root.rglob("*")) == before
    command().main([*arguments, "--classes-from", "train.json", "validation.json"])
    assert names.read_text() == "baby\nbicycle\n"
    assert out.is_file()


def test_result_is_read_by_the_data_set(root: Path) -> None:
    from clmot_qd.datasets.video_dataset import CocoVideoDataset

    frames = root.parent / "frames"
    for entry in content()["images"]:
        path = frames / entry["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(path)
    out, names = root / "train_482_classes.json", root / "tao_classes.txt"
    convert(opened("tao", root, classes_from=["train.json"], write_classes=names), out)
    data_set = CocoVideoDataset(
        ann_file=str(out), data_prefix=dict(img_path=str(frames)), metainfo=dict(classes=str(names)), test_mode=True
    )
    assert [len(data_set.get_data_info(index)["images"]) for index in range(len(data_set))] == [2, 1]
    assert data_set.metainfo["classes"] == ("baby", "bicycle")


def test_real_sample(shared_data: Path, tmp_path: Path) -> None:
    sample = shared_data / "label-samples" / "mmtracking_demo_tao_ann.json"
    data, result = converted("tao", tmp_path, annotations=sample)
    assert (len(data["images"]), len(data["annotations"])) == (2, 2)
    assert result.counts() == Counts(images=2, boxes=2, identities=1, videos=1)
    assert result.remarks[0].startswith("skipped 2 x box of unknown class 'number 95'")  # it lists two classes of four


@pytest.mark.parametrize("key", ["videos", "images", "tracks", "annotations"])
def test_an_id_stands_once_in_a_list(root: Path, key: str) -> None:
    twice = content()
    twice[key] = [*twice[key], twice[key][0]]
    write_json(root / "train.json", twice)
    assert f"{key}[{len(twice[key]) - 1}]: id {twice[key][0]['id']} stands in an earlier entry" in refused("tao", root)


def test_values_of_another_kind_are_told_with_the_file(root: Path) -> None:
    wrong = content()
    wrong["annotations"][0]["image_id"] = [1]
    write_json(root / "train.json", wrong)
    assert "TAO train, at its beginning: not of the expected form (TypeError" in refused("tao", root)


def test_boxes_that_are_none_are_left_out_and_counted(root: Path) -> None:
    odd = content()
    for number, bbox in enumerate(([1, 2, -3, 4], [1, 2, 0, 4], [1, float("nan"), 3, 4], [1, 2, float("inf"), 4])):
        odd["annotations"].append(annotation(20 + number, 12, 2, 95, bbox))
    write_json(root / "train.json", odd)
    data, result = converted("tao", root)
    assert len(data["annotations"]) == 4
    assert [line[:30] for line in result.remarks if line.startswith("skipped")] == [
        "skipped 2 x box without an are",
        "skipped 2 x box with a value t",
    ]
    odd["annotations"][-1]["bbox"] = [1, 2, 10**400, 4]
    write_json(root / "train.json", odd)
    assert "annotation 23: bbox is [1, 2, 1000" in refused("tao", root)
