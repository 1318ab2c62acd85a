"""PRW: identities over all still pictures, persons without one, frames as videos, the lists of the splits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from person_samples import boxes, cell, converted, cut_off, open_data_set, picture, refused
from scipy.io import savemat

from clmot_qd.errors import InputError

TRAIN = ["c1s2_000026", "c2s1_000001", "c1s1_000151", "c1s1_000026"]


def write_boxes(root: Path, name: str, rows: Any, variable: str = "box_new") -> Path:
    path = root / "annotations" / f"{name}.jpg.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {variable: np.array(rows, float)})
    return path


def write_list(root: Path, split: str, names: list[str]) -> Path:
    path = root / f"frame_{split}.mat"
    savemat(path, {f"img_index_{split}": cell(names, column=True)})
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "PRW"
    for name in [*TRAIN, "c6s1_000101"]:
        picture(root / "frames" / f"{name}.jpg", 72 if name.startswith("c6") else 96, 54)
    write_boxes(root, "c1s1_000026", [[479, 10.5, 2, 20, 40.25], [-2, 40, 2, 20, 40]])
    write_boxes(root, "c1s1_000151", [[479, 12.5, 2, 20, 40]], "anno_file")
    write_boxes(root, "c1s2_000026", [[932, -1.5, 2, 20, 40], [932, 50, 2, 20, 40]], "anno_previous")
    write_boxes(root, "c2s1_000001", [[479, 12.5, 2, 20, 40], [932, 40, 2, 20, 40]])
    write_boxes(root, "c6s1_000101", [[5, 12.5, 2, 20, 40]])
    write_list(root, "train", TRAIN)
    write_list(root, "test", ["c6s1_000101"])
    return root


def test_identities_hold_for_all_still_pictures(root: Path) -> None:
    data, result = converted("prw", root)
    assert data["videos"] == []
    assert data["images"] == [
        {"id": number, "file_name": f"{name}.jpg", "width": 96, "height": 54}
        for number, name in enumerate(sorted(TRAIN), start=1)
    ]
    found = boxes(data, "instance_id", "ignore")
    assert found == {
        "c1s1_000026.jpg": [([10.5, 2, 20, 40.25], 1, False), ([40, 2, 20, 40], None, False)],
        "c1s1_000151.jpg": [([12.5, 2, 20, 40], 1, False)],
        "c1s2_000026.jpg": [([0, 2, 18.5, 40], 2, False)],  # cut; the second box of 932 is a mistake
        "c2s1_000001.jpg": [([12.5, 2, 20, 40], 1, False), ([40, 2, 20, 40], 2, False)],
    }
    remarks = "\n".join(result.remarks)
    assert "skipped 1 x second box of an identity in one frame" in remarks
    assert "c1s2_000026.jpg.mat: row 2 (identity 932)" in remarks
    assert "clipped 1 x box that reaches beyond the picture" in remarks
    assert (result.counts().boxes, result.counts().identities) == (6, 2)
    assert result.published is not None
    assert (result.published.images, result.published.boxes, result.published.identities) == (5704, 18048, 482)


def test_videos_have_identities_of_their_own(root: Path) -> None:
    data, result = converted("prw", root, videos=True)
    assert [(video["name"], video["length"]) for video in data["videos"]] == [("c1s1", 2), ("c1s2", 1), ("c2s1", 1)]
    assert [(image["file_name"], image["frame_id"]) for image in data["images"]][:2] == [
        ("c1s1_000026.jpg", 0),
        ("c1s1_000151.jpg", 1),
    ]
    assert result.counts().identities == 4  # 479 in c1s1, 932 in c1s2, both in c2s1
    assert result.published is not None
    assert (result.published.images, result.published.identities) == (5704, None)


@pytest.mark.parametrize(
    ("split", "images", "published"), [("test", 1, (6112, 25062, 450)), ("all", 5, (11816, 43110, 932))]
)
def test_splits(root: Path, split: str, images: int, published: tuple[int, int, int]) -> None:
    data, result = converted("prw", root, split=split)
    assert len(data["images"]) == images
    assert data["images"][-1]["width"] == 72
    assert result.published is not None
    assert (result.published.images, result.published.boxes, result.published.identities) == published


def test_only_the_pictures_of_a_list(root: Path, tmp_path: Path) -> None:
    listed = tmp_path / "prw.train"
    listed.write_text("/somewhere/PRW/images/c1s1_000151.jpg\n/somewhere/PRW/images/c9s1_000151.jpg\n")
    data, result = converted("prw", root, only=listed)
    assert [image["file_name"] for image in data["images"]] == ["c1s1_000151.jpg"]
    assert f"{listed}:2" in result.remarks[0]
    assert result.published is None


@pytest.mark.parametrize("rows", [[], [[3, 1, 1, 5, 5]]])
def test_frames_with_no_box_and_with_one(root: Path, rows: list[list[float]]) -> None:
    write_boxes(root, "c1s1_000026", rows)
    data, _ = converted("prw", root)
    assert len(boxes(data)["c1s1_000026.jpg"]) == len(rows)


def test_frames_that_cannot_be_read(root: Path) -> None:
    path = write_boxes(root, "c1s1_000026", [[479, 1, 2, 3]])
    refused("prw", root, r"c1s1_000026.jpg.mat: no matrix of numbers with 5 columns")
    write_boxes(root, "c1s1_000026", [[1, 1, 2, 3, 4], [1.5, 1, 2, 3, 4]])
    refused("prw", root, r"c1s1_000026.jpg.mat: row 2: id 1.5 is no whole number")
    write_boxes(root, "c1s1_000026", [[np.nan, 1, 2, 3, 4]])
    refused("prw", root, r"row 1: id nan is no whole number")
    for other in ("text", cell(["1", "1", "2", "3", "4"]), np.ones((1, 5, 2))):
        savemat(path, {"box_new": other})
        refused("prw", root, r"c1s1_000026.jpg.mat: no matrix of numbers with 5 columns")
    write_boxes(root, "c1s1_000026", [[1, 1, 2, 3, 4]], "boxes")
    refused("prw", root, r"no variable 'box_new' or 'anno_file' or 'anno_previous'; it holds boxes")
    cut_off(path)
    refused("prw", root, r"c1s1_000026.jpg.mat: no MATLAB file that can be read \(.+\): truncated")
    path.unlink()
    refused("prw", root, r"c1s1_000026.jpg.mat: cannot be read \(No such file")


def page(content: bytes) -> bytes:
    return b"<html>404 not found</html>" * 20


def other_element(content: bytes) -> bytes:
    return content[:128] + b"\x09" + content[129:]


def damaged_stream(content: bytes) -> bytes:
    return content[:150] + bytes(10) + content[160:]


@pytest.mark.parametrize(("change", "compressed"), [(page, False), (other_element, False), (damaged_stream, True)])
def test_damaged_matlab_files(root: Path, change: Callable[[bytes], bytes], compressed: bool) -> None:
    path = root / "annotations" / "c1s1_000026.jpg.mat"
    savemat(path, {"box_new": np.arange(500.0).reshape(100, 5)}, do_compression=compressed)
    path.write_bytes(change(path.read_bytes()))
    refused("prw", root, r"c1s1_000026.jpg.mat: no MATLAB file that can be read")


def test_lists_that_cannot_be_read(root: Path) -> None:
    write_list(root, "train", ["c1s1_000026", "query"])
    with pytest.raises(InputError, match=r"frame_train.mat: entry 2: 'query' is no name like c1s1_000151"):
        open_data_set("prw", root)
    cut_off(root / "frame_train.mat")
    with pytest.raises(InputError, match=r"frame_train.mat: no MATLAB file"):
        open_data_set("prw", root)
    (root / "frame_train.mat").unlink()
    with pytest.raises(InputError, match=r"frame_train.mat: cannot be read \(No such file"):
        open_data_set("prw", root)
    (root / "annotations").rename(root / "other")
    with pytest.raises(InputError, match=r"annotations: no such folder; it holds .mat files"):
        open_data_set("prw", root, split="test")
