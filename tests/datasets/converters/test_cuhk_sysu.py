"""CUHK-SYSU: which pictures are of which split, identities found by picture and box."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from person_samples import boxes, cell, converted, cut_off, picture, refused, structs
from scipy.io import savemat


def scene(name: str, box: tuple[int, ...], **more: Any) -> dict[str, Any]:
    """A person in a picture; numbers are small integers in the files."""
    return {"imname": name, "idlocate": np.array([box], np.uint16), "ishard": np.array([[0]], np.uint8), **more}


def nowhere(name: str) -> dict[str, Any]:
    """A picture of a gallery without the person."""
    return {"imname": name, "idlocate": np.empty((0, 0)), "ishard": np.empty((0, 0))}


PICTURES = {
    "s1.jpg": [(1, 1, 10, 20), (30, 5, 10, 20)],
    "s2.jpg": [(11, 2, 10, 20)],
    "s3.jpg": [(21, 2, 10, 20), (50, 5, 20, 20)],
    "s4.jpg": [(1, 1, 10, 20), (5, 5, 0, 0)],
}
PERSONS = {"p11": [("s1.jpg", (30, 5, 10, 20)), ("s2.jpg", (11, 2, 10, 20))], "p7": [("s1.jpg", (1, 1, 10, 20))]}


def write_images(root: Path, pictures: dict[str, list[tuple[int, ...]]]) -> Path:
    path = root / "annotation" / "Images.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "imname": name,
            "nAppear": float(len(found)),
            "box": structs([{"idlocate": np.array([box], np.uint16), "ishard": 0.0} for box in found]),
        }
        for name, found in pictures.items()
    ]
    savemat(path, {"Img": structs(rows)})
    return path


def write_train(root: Path, persons: dict[str, list[tuple[str, tuple[int, ...]]]]) -> Path:
    path = root / "annotation" / "test" / "train_test" / "Train.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [
        structs([{"idname": name, "nAppear": float(len(scenes)), "scene": structs([scene(*one) for one in scenes])}])
        for name, scenes in persons.items()
    ]
    savemat(path, {"Train": cell(entries, column=True)})
    return path


def write_test(root: Path) -> Path:
    path = root / "annotation" / "test" / "train_test" / "TestG50.mat"
    query = structs([scene("s3.jpg", (21, 2, 10, 20), idname="p3")])
    gallery = structs([scene("s4.jpg", (1, 1, 10, 20)), nowhere("s3.jpg"), nowhere("s4.jpg")])
    savemat(path, {"TestG50": structs([{"Query": query, "Gallery": gallery}])})
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "CUHK-SYSU"
    for name in PICTURES:
        picture(root / "Image" / "SSM" / name, 64, 48)
    write_images(root, PICTURES)
    write_train(root, PERSONS)
    write_test(root)
    savemat(root / "annotation" / "pool.mat", {"pool": cell(["s3.jpg", "s4.jpg"], column=True)})
    return root


def test_training_pictures_are_those_that_are_not_in_the_pool(root: Path) -> None:
    (root / "annotation" / "test" / "train_test" / "TestG50.mat").unlink()
    data, result = converted("cuhk-sysu", root)
    assert data["images"] == [
        {"id": 1, "file_name": "s1.jpg", "width": 64, "height": 48},
        {"id": 2, "file_name": "s2.jpg", "width": 64, "height": 48},
    ]
    # Positions count from 1 in the files, from 0 here.
    assert boxes(data, "instance_id") == {
        "s1.jpg": [([0, 0, 10, 20], 1), ([29, 4, 10, 20], 2)],
        "s2.jpg": [([10, 1, 10, 20], 2)],
    }
    assert result.remarks == []
    assert (result.counts().boxes, result.counts().identities) == (3, 2)
    assert result.published is not None
    assert (result.published.images, result.published.boxes, result.published.identities) == (11206, 55272, 5532)


def test_test_pictures_have_the_identities_of_queries_and_galleries(root: Path) -> None:
    (root / "annotation" / "test" / "train_test" / "Train.mat").unlink()
    data, result = converted("cuhk-sysu", root, split="test")
    assert boxes(data, "instance_id") == {
        "s3.jpg": [([20, 1, 10, 20], 1), ([49, 4, 15, 20], None)],
        "s4.jpg": [([0, 0, 10, 20], 1)],
    }
    remarks = "\n".join(result.remarks)
    assert "skipped 1 x box without an area" in remarks
    assert "picture 4 (s4.jpg), box 2" in remarks
    assert "clipped 1 x" in remarks
    assert result.published is not None
    assert (result.published.images, result.published.boxes, result.published.identities) == (6978, 40871, 2900)


def test_all_pictures_have_all_identities(root: Path) -> None:
    data, result = converted("cuhk-sysu", root, split="all")
    assert len(data["images"]) == 4
    assert result.counts().identities == 3
    assert result.published is not None
    assert (result.published.images, result.published.identities) == (18184, 8432)


def test_only_the_pictures_of_a_list(root: Path, tmp_path: Path) -> None:
    listed = tmp_path / "cuhksysu.train"
    listed.write_text("CUHK-SYSU/images/s2.jpg\nCUHK-SYSU/images/s3.jpg\n")
    data, result = converted("cuhk-sysu", root, only=listed)
    assert boxes(data, "instance_id") == {"s2.jpg": [([10, 1, 10, 20], 1)]}
    assert len(result.remarks) == 1  # s3 is no training picture; that s1 is left out is no remark
    assert f"{listed}:2" in result.remarks[0]
    assert result.published is None


def test_identities_without_a_box_are_counted(root: Path) -> None:
    write_train(root, PERSONS | {"p9": [("s2.jpg", (12, 2, 10, 20)), ("s3.jpg", (21, 2, 10, 20))]})
    _, result = converted("cuhk-sysu", root)
    assert "skipped 2 x identity of a box that Images.mat does not have" in "\n".join(result.remarks)
    refused(
        "cuhk-sysu", root, r"Images.mat: s2.jpg: identity of a box .* \(box \(12.0, 2.0, 10.0, 20.0\)\)", strict=True
    )


def test_pictures_without_a_box(root: Path) -> None:
    write_images(root, PICTURES | {"s2.jpg": []})
    write_train(root, {"p7": PERSONS["p7"]})
    data, result = converted("cuhk-sysu", root)
    assert boxes(data, "instance_id") == {"s1.jpg": [([0, 0, 10, 20], 1), ([29, 4, 10, 20], None)], "s2.jpg": []}
    assert result.remarks == []


def test_files_that_cannot_be_read(root: Path) -> None:
    folder = root / "annotation"
    write_images(root, {"s1.jpg": [(1, 1, 10)]})
    refused(
        "cuhk-sysu", root, r"Images.mat: picture 1 \(s1.jpg\), box 1: idlocate: no matrix of numbers with 4 columns"
    )
    savemat(folder / "Images.mat", {"Img": structs([{"imname": "s1.jpg"}])})
    refused("cuhk-sysu", root, r"Images.mat: no field 'box'; it has imname")
    savemat(folder / "Images.mat", {"Img": structs([{"imname": 3.0, "box": 1.0}])})
    refused("cuhk-sysu", root, r"Images.mat: picture 1: imname: no text")
    cut_off(write_images(root, PICTURES))
    refused("cuhk-sysu", root, r"Images.mat: no MATLAB file that can be read \(.+\): truncated")
    write_images(root, PICTURES)
    cut_off(write_train(root, PERSONS))
    refused("cuhk-sysu", root, r"Train.mat: no MATLAB file that can be read \(.+\): truncated")
    write_train(root, PERSONS)
    savemat(folder / "pool.mat", {"pool": cell([3.0])})
    refused("cuhk-sysu", root, r"pool.mat: entry 1: no text")
    (folder / "pool.mat").unlink()
    refused("cuhk-sysu", root, r"pool.mat: cannot be read \(No such file")


def test_persons_that_cannot_be_read(root: Path) -> None:
    folder = root / "annotation" / "test" / "train_test"
    savemat(folder / "Train.mat", {"Train": cell([structs([{"idname": "p1"}])])})
    refused("cuhk-sysu", root, r"Train.mat: person 1: no field 'scene'")
    savemat(folder / "Train.mat", {"Train": np.ones((2, 2))})
    refused("cuhk-sysu", root, r"Train.mat: no cell array")
    savemat(folder / "TestG50.mat", {"TestG50": structs([{"Query": structs([scene("s3.jpg", (1, 2, 3, 4))])}])})
    refused("cuhk-sysu", root, r"TestG50.mat: no field 'Gallery'", split="test")
    query = structs([scene("s3.jpg", (1, 2, 3, 4))])
    savemat(folder / "TestG50.mat", {"TestG50": structs([{"Query": query, "Gallery": query}])})
    refused("cuhk-sysu", root, r"TestG50.mat: query 1: no field 'idname'", split="test")
