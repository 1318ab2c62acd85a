"""LVIS with COCO's objects: which are added (a naive comparison of masks), classes by synset, both versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driving_samples import converted, opened, refused, write_json
from PIL import Image
from pycocotools import mask as mask_api

from clmot_qd.datasets.converters import convert

SIZE = {"width": 64, "height": 48}
LVIS_CLASSES = [
    {"id": 805, "name": "baby", "synset": "person.n.01", "frequency": "f"},
    {"id": 95, "name": "bicycle", "synset": "bicycle.n.01", "frequency": "f"},
    {"id": 1, "name": "acorn", "synset": "acorn.n.01", "frequency": "r"},
]
COCO_CLASSES = [{"id": 1, "name": "person"}, {"id": 2, "name": "bicycle"}, {"id": 90, "name": "toothbrush"}]
SYNSETS = {
    "person": {"coco_cat_id": 1, "meaning": "a human being", "synset": "person.n.01"},
    "bicycle": {"coco_cat_id": 2, "meaning": "", "synset": "bicycle.n.01"},
    "toothbrush": {"coco_cat_id": 90, "meaning": "", "synset": "toothbrush.n.01"},
}


def rectangle(x: float, y: float, w: float, h: float) -> list[list[float]]:
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def annotation(number: int, image: int, category: int, bbox: tuple[float, ...], **others: Any) -> dict[str, Any]:
    x, y, w, h = bbox
    base = dict(id=number, image_id=image, category_id=category, bbox=list(bbox), area=w * h - 0.5)
    return base | dict(segmentation=rectangle(x, y, w, h)) | others


def crowd(number: int, image: int, bbox: tuple[int, int, int, int]) -> dict[str, Any]:
    """A crowd as COCO has it: a mask whose runs are a list of numbers."""
    x, y, w, h = bbox
    mask = np.zeros((48, 64), np.uint8)
    mask[y : y + h, x : x + w] = 1
    starts = np.flatnonzero(np.diff(mask.ravel(order="F"), prepend=0)).tolist()
    counts = np.diff([0, *starts, mask.size]).tolist()
    return annotation(number, image, 1, bbox, segmentation={"counts": counts, "size": [48, 64]}, iscrowd=1)


def lvis() -> dict[str, Any]:
    names = {
        9: "COCO_train2014_000000000009.jpg",
        25: "COCO_val2014_000000000025.jpg",
        30: "COCO_train2014_000000000030.jpg",
    }
    images = [{"id": number, "file_name": name, **SIZE} for number, name in names.items()]
    images[0] |= {"neg_category_ids": [1, 95], "not_exhaustive_category_ids": [805]}
    return {
        "info": {},
        "annotations": [
            annotation(1, 9, 805, (0, 0, 20, 20)),
            annotation(2, 25, 95, (10, 10, 10, 10)),
            annotation(3, 9, 1, (40, 20, 10, 10)),
        ],
        "images": images,
        "categories": LVIS_CLASSES,
    }


def coco() -> dict[str, Any]:
    return {
        "info": {},
        "images": [{"id": number, **SIZE} for number in (9, 25, 30, 31)],
        "annotations": [
            annotation(101, 9, 1, (0, 0, 20, 15), iscrowd=0),  # IoU 0.75 with 1: LVIS has it
            annotation(102, 9, 1, (0, 0, 20, 13.9), iscrowd=0),  # 0.695
            annotation(103, 9, 2, (40, 20, 10, 10), iscrowd=0),  # LVIS has it, as another class
            annotation(104, 9, 90, (30, 0, 5, 5), iscrowd=0),  # a class that LVIS does not have
            annotation(105, 30, 1, (0, 0, 5, 5), iscrowd=0),  # LVIS has no annotation in this picture
            annotation(106, 31, 1, (0, 0, 5, 5), iscrowd=0),  # nor this picture
            crowd(107, 25, (30, 20, 20, 10)),
        ],
        "categories": COCO_CLASSES,
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "annotations"
    write_json(folder / "lvis_v0.5_train.json", lvis())
    write_json(folder / "instances_train2017.json", coco())
    write_json(folder / "coco_to_synset.json", SYNSETS)
    return tmp_path


def rows(data: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = {entry["id"]: entry["file_name"] for entry in data["images"]}
    return [(names[a["image_id"]], a["category_id"], *a["bbox"], a["iscrowd"]) for a in data["annotations"]]


def test_whole_file(root: Path) -> None:
    data, result = converted("lvis-coco", root)
    assert data["videos"] == []
    files = ["000000000009.jpg", "000000000025.jpg", "000000000030.jpg"]
    assert [entry["file_name"] for entry in data["images"]] == files
    lists = {"neg_category_ids": [1, 95], "not_exhaustive_category_ids": [805]}
    assert data["images"][0] == {"id": 1, "file_name": files[0], **SIZE, **lists}
    assert rows(data) == [
        (files[0], 805, 0, 0, 20, 20, 0),
        (files[0], 1, 40, 20, 10, 10, 0),
        (files[0], 805, 0, 0, 20, 13.9, 0),
        (files[1], 95, 10, 10, 10, 10, 0),
        (files[1], 805, 30, 20, 20, 10, 1),
    ]
    assert data["annotations"][0]["area"] == 399.5  # of the mask, as the source has it
    assert all("instance_id" not in entry and "segmentation" not in entry for entry in data["annotations"])
    assert [(entry["id"], entry["name"]) for entry in data["categories"]] == [
        (805, "baby"),
        (95, "bicycle"),
        (1, "acorn"),
    ]
    assert result.remarks == []


@pytest.mark.parametrize(("threshold", "added"), [(0.69, 1), (0.7, 2), (0.8, 3), (1.0, 4)])
def test_threshold(root: Path, threshold: float, added: int) -> None:
    data, _ = converted("lvis-coco", root, iou_thr=threshold)
    assert len(data["annotations"]) == 3 + added


def test_against_naive_comparison_of_masks(root: Path) -> None:
    rng = np.random.default_rng(5)

    def some(count: int, first: int, categories: list[int]) -> list[dict[str, Any]]:
        sides = rng.integers([0, 0, 4, 4], [40, 24, 24, 24], (count, 4)).tolist()
        return [annotation(first + i, 9, categories[i % len(categories)], tuple(s)) for i, s in enumerate(sides)]

    own, new = some(25, 1, [805, 95, 1]), some(200, 1000, [1, 2])
    write_json(root / "annotations" / "lvis_v0.5_train.json", lvis() | {"annotations": own})
    write_json(root / "annotations" / "instances_train2017.json", coco() | {"annotations": new})

    def pixels(entry: dict[str, Any]) -> np.ndarray:
        return mask_api.decode(mask_api.frPyObjects(entry["segmentation"], 48, 64))[..., 0].astype(bool)

    expected = []
    for entry in new:
        mine, best = pixels(entry), 0.0
        for other in own:
            theirs = pixels(other)
            best = max(best, (mine & theirs).sum() / (mine | theirs).sum())
        if best <= 0.3:
            expected.append(entry["bbox"])
    data, _ = converted("lvis-coco", root, iou_thr=0.3)
    assert 20 < len(expected) < 180
    assert [entry["bbox"] for entry in data["annotations"]][25:] == expected


def test_outlines_count_not_boxes(root: Path) -> None:
    triangle = [[0, 0, 20, 0, 0, 20]]
    odd = coco() | {"annotations": [annotation(1, 9, 1, (0, 0, 20, 20), segmentation=triangle)]}
    write_json(root / "annotations" / "instances_train2017.json", odd)
    assert len(converted("lvis-coco", root)[0]["annotations"]) == 4  # half of the square that LVIS has
    del odd["annotations"][0]["segmentation"]
    write_json(root / "annotations" / "instances_train2017.json", odd)
    assert len(converted("lvis-coco", root)[0]["annotations"]) == 3  # without an outline the box counts


def test_outlines_in_parts(root: Path) -> None:
    halves = rectangle(0, 0, 20, 10) + rectangle(0, 10, 20, 10)
    odd = coco() | {"annotations": [annotation(1, 9, 1, (0, 0, 20, 20)) | {"segmentation": halves}]}
    write_json(root / "annotations" / "instances_train2017.json", odd)
    assert len(converted("lvis-coco", root)[0]["annotations"]) == 3


def test_compressed_masks(root: Path) -> None:
    odd = coco()
    mask = mask_api.merge(mask_api.frPyObjects(rectangle(0, 0, 20, 20), 48, 64))
    rle = {"size": [48, 64], "counts": mask["counts"].decode()}
    odd["annotations"] = [annotation(1, 9, 1, (0, 0, 20, 20), segmentation=rle)]
    write_json(root / "annotations" / "instances_train2017.json", odd)
    assert len(converted("lvis-coco", root)[0]["annotations"]) == 3


def test_class_list(root: Path) -> None:
    (root / "tao_classes.txt").write_text("bicycle\nbaby\n\n")
    data, result = converted("lvis-coco", root, class_list=root / "tao_classes.txt")
    assert [entry["name"] for entry in data["categories"]] == ["baby", "bicycle"]
    assert [entry["category_id"] for entry in data["annotations"]] == [805, 805, 95, 805]
    assert data["images"][0]["neg_category_ids"] == [95]
    assert len(data["images"]) == 3
    assert result.remarks == []
    (root / "tao_classes.txt").write_text("bicycle\nperson\n")
    message = refused("lvis-coco", root, class_list=root / "tao_classes.txt")
    assert message.startswith(
        f"{root}/tao_classes.txt:2: 'person' is no class of LVIS; give TAO's train.json with --tao"
    )


def test_lvis_v1_with_the_classes_of_tao(root: Path) -> None:
    v1 = lvis()
    renamed = {805: (793, "person"), 95: (94, "bicycle"), 1: (3, "acorn")}
    v1["categories"] = [
        entry | {"id": renamed[entry["id"]][0], "name": renamed[entry["id"]][1]} for entry in LVIS_CLASSES
    ]
    for entry in v1["annotations"]:
        entry["category_id"] = renamed[entry["category_id"]][0]
    for entry in v1["images"]:
        number = int(entry.pop("file_name")[-16:-4])
        entry["coco_url"] = f"http://images.cocodataset.org/train2017/{number:012d}.jpg"
    v1["images"][0] |= {"neg_category_ids": [94], "not_exhaustive_category_ids": [793]}
    path = write_json(root / "annotations" / "lvis_v1_train.json", v1)
    classes = [
        LVIS_CLASSES[0] | {"merged": [{"id": 95}]},
        LVIS_CLASSES[1],
        {"id": 7, "name": "kite", "synset": "unknown"},
    ]
    tao = write_json(root / "tao.json", {"categories": classes})
    data, result = converted("lvis-coco", root, lvis=path, tao=tao)
    assert data["categories"] == [{"id": 805, "name": "baby"}]  # TAO merges bicycles into them and has no acorns
    assert [entry["category_id"] for entry in data["annotations"]] == [805, 805, 805, 805]
    assert data["images"][0]["file_name"] == "000000000009.jpg"
    assert data["images"][0]["neg_category_ids"] == [805]
    assert result.remarks == []


def test_class_that_is_not_listed(root: Path) -> None:
    odd = lvis()
    odd["annotations"][0]["category_id"] = 4711
    write_json(root / "annotations" / "lvis_v0.5_train.json", odd)
    _, result = converted("lvis-coco", root)
    assert result.remarks[0].startswith("skipped 1 x box of unknown class 'number 4711'")


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("lvis_v0.5_train.json", {"images": []}, "no 'images' or no 'categories'"),
        ("lvis_v0.5_train.json", {"categories": [{"id": 1, "name": "x"}]}, "categories[0]: no key 'synset'"),
        ("lvis_v0.5_train.json", {"images": [{"id": 1, "width": 5}]}, "images[0]: no key 'height'"),
        ("lvis_v0.5_train.json", {"annotations": [{"id": 1}]}, "an annotation: no key 'image_id'"),
        ("instances_train2017.json", {"categories": [{"id": 2, "name": "person"}]}, "class 2 'person' is another one"),
        ("instances_train2017.json", {"categories": [{"id": 2, "name": "dragon"}]}, "class 2 'dragon' is another one"),
        (
            "instances_train2017.json",
            {"annotations": [annotation(5, 9, 1, (1, 2, 3, 4)) | {"segmentation": "x"}]},
            "annotation 5: segmentation is neither polygons nor a mask",
        ),
        (
            "instances_train2017.json",
            {"annotations": [annotation(5, 9, 1, (1, 2, 3, 4)) | {"bbox": [1, 2]}]},
            "annotation 5: bbox is [1, 2], not [x, y, w, h]",
        ),
        ("coco_to_synset.json", {"person": {"synset": "person.n.01"}}, "'person': no key 'coco_cat_id'"),
    ],
)
def test_refused(root: Path, file: str, change: dict[str, Any], message: str) -> None:
    path = root / "annotations" / file
    write_json(path, json.loads(path.read_text()) | change)
    assert refused("lvis-coco", root).startswith(f"{path}: {message}")


def test_picture_without_a_name(root: Path) -> None:
    odd = lvis()
    del odd["images"][1]["file_name"]
    path = write_json(root / "annotations" / "lvis_v0.5_train.json", odd)
    assert refused("lvis-coco", root).startswith(f"{path}: image 25 has neither 'file_name' nor 'coco_url'")


@pytest.mark.parametrize("file", ["lvis_v0.5_train.json", "instances_train2017.json", "coco_to_synset.json"])
def test_truncated_or_missing(root: Path, file: str) -> None:
    path = root / "annotations" / file
    path.write_text(path.read_text()[:-30])
    assert refused("lvis-coco", root).startswith(f"{path}: no valid JSON")
    path.unlink()
    assert refused("lvis-coco", root).startswith(f"{path}: cannot be read")


def test_result_is_read_by_the_data_set(root: Path) -> None:
    from clmot_qd.datasets.coco_detection import CocoDetectionDataset

    for name in ("000000000009.jpg", "000000000025.jpg", "000000000030.jpg"):
        (root / "train2017").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(root / "train2017" / name)
    out = root / "annotations" / "lvisv0.5+coco_train.json"
    convert(opened("lvis-coco", root), out)
    data_set = CocoDetectionDataset(
        ann_file=str(out),
        data_prefix=dict(img=str(root / "train2017")),
        metainfo=dict(classes=("acorn", "baby")),
        filter_cfg=dict(filter_empty_gt=True),
    )
    instances = [entry for index in range(len(data_set)) for entry in data_set.get_data_info(index)["instances"]]
    assert [(entry["bbox_label"], entry["ignore_flag"]) for entry in instances] == [(1, 0), (0, 0), (1, 0), (1, 1)]


@pytest.mark.parametrize("bbox", [[1, 2, -3, 4], [1, float("nan"), 3, 4], [float("-inf"), 2, float("inf"), 4]])
def test_box_that_is_none_and_has_no_outline_is_left_out(root: Path, bbox: list[float]) -> None:
    plain, _ = converted("lvis-coco", root)
    content = lvis()
    content["annotations"].append({**content["annotations"][0], "id": 50, "bbox": bbox, "segmentation": []})
    write_json(root / "annotations" / "lvis_v0.5_train.json", content)
    data, result = converted("lvis-coco", root)
    assert rows(data) == rows(plain)
    assert sum(line.startswith("skipped 1 x box with") for line in result.remarks) == 1
