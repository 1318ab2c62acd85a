"""Caltech Pedestrian: .vbb annotations, which frames are taken and what their pictures are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from person_samples import boxes, cell, converted, cut_off, open_data_set, picture, refused, structs
from scipy.io import savemat
from seq_samples import jpeg, write_seq

from clmot_qd.datasets.converters import convert
from clmot_qd.errors import InputError

LABELS = ["person", "people", "person?", "person-fa", "dog"]
NO_FRAME = np.empty((0, 0))


def thing(number: int, pos: list[float], occl: int = 0, posv: tuple[float, ...] = (0, 0, 0, 0)) -> dict[str, Any]:
    return {
        "id": np.array([[number]], np.uint8),
        "pos": np.array([pos], float),
        "occl": np.array([[occl]], np.uint8),
        "lock": np.array([[1]], np.uint8),
        "posv": np.array([posv], float),
    }


def write_vbb(root: Path, name: str, frames: list[list[dict[str, Any]]], **changes: Any) -> Path:
    """Write an annotation as the authors' toolbox does: a struct with a cell for each frame, some labels unused."""
    path = root / "annotations" / f"{name}.vbb"
    path.parent.mkdir(parents=True, exist_ok=True)
    free = 16 - len(LABELS)
    content = {
        "nFrame": float(len(frames)),
        "objLists": cell([structs(objects) for objects in frames]),
        "maxObj": 16.0,
        "objInit": np.array([[1.0] * len(LABELS) + [0.0] * free]),
        "objLbl": cell([*LABELS, *[NO_FRAME] * free]),
        "objStr": np.full((1, 16), -1.0),
        "objEnd": np.full((1, 16), -1.0),
        "objHide": np.zeros((1, 16)),
        "altered": 0.0,
        "log": 0.0,
        "logLen": 0.0,
    }
    savemat(path, {"A": content | changes, "vers": 1.4}, appendmat=False)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """set00/V000 with 7 frames, set00/V001 with one, set06/V000 (test) with one."""
    root = tmp_path / "caltech"
    walker = [[thing(1, [10.5 + frame, 21, 20, 40])] for frame in range(7)]
    walker[0] = []
    walker[2].append(thing(2, [1, 1, 50, 30]))
    walker[4][0] = thing(1, [14.5, 21, 20, 40], 0, (15, 22, 3, 4))  # not hidden: the visible box means nothing
    walker[6][0] = thing(1, [16.5, 21, 20, 40], 1, (15, 20, 25, 45))
    walker[3][0] = thing(1, [600, 21, 60, 40], 1, (601, 22, 30, 20))
    walker[5] += [thing(3, [5, 5, 6, 7]), thing(4, [8, 8, 6, 7]), thing(5, [9, 9, 6, 7])]
    write_vbb(root, "set00/V000", walker)
    write_vbb(root, "set00/V001", [[thing(1, [2, 2, 8, 8])]])
    write_vbb(root, "set06/V000", [[thing(1, [3, 3, 8, 8], 1)]])
    return root


def test_whole_schema(root: Path) -> None:
    data, result = converted("caltech", root, images="trust")
    assert data["videos"] == [
        {"id": 1, "name": "set00_V000", "width": 640, "height": 480, "length": 7},
        {"id": 2, "name": "set00_V001", "width": 640, "height": 480, "length": 1},
    ]
    names = [image["file_name"] for image in data["images"]]
    assert names == [f"images/set00/V000/I{frame:05}.jpg" for frame in range(7)] + ["images/set00/V001/I00000.jpg"]
    assert [image["frame_id"] for image in data["images"]] == [0, 1, 2, 3, 4, 5, 6, 0]
    mine = list(boxes(data, "instance_id", "ignore", "visibility").values())
    # Pixels count from 1 in the files, from 0 here; widths stay.
    assert mine[0] == []
    assert mine[1] == [([10.5, 20, 20, 40], 1, False, 1.0)]
    assert mine[2] == [([11.5, 20, 20, 40], 1, False, 1.0), ([0, 0, 50, 30], 2, True, 1.0)]
    assert mine[3] == [([599, 20, 60, 40], 1, False, 0.25)]  # beyond the border, and kept
    assert mine[4] == [([13.5, 20, 20, 40], 1, False, 1.0)]
    assert mine[6] == [([15.5, 20, 20, 40], 1, False, 1.0)]
    assert mine[5] == [
        ([14.5, 20, 20, 40], 1, False, 1.0),
        ([4, 4, 6, 7], 3, True, 1.0),
        ([7, 7, 6, 7], 4, True, 1.0),
    ]
    assert mine[7] == [([1, 1, 8, 8], 5, False, 1.0)]  # identity 1 of another video is another person
    remarks = "\n".join(result.remarks)
    assert "skipped 1 x box of unknown class 'dog'" in remarks
    assert "V000.vbb: frame 5, object 5" in remarks
    assert "kept 1 x box that reaches beyond the picture" in remarks
    assert (result.counts().boxes, result.ignored, result.counts().identities) == (7, 3, 2)
    assert result.published is not None
    assert result.published.videos == 71


def test_hidden_without_a_visible_box_counts_as_seen(root: Path) -> None:
    data, result = converted("caltech", root, images="trust", split="test")
    assert list(boxes(data, "visibility").values()) == [[([2, 2, 8, 8], 1.0)]]
    assert result.published is not None
    assert result.published.videos == 66


@pytest.mark.parametrize(("posv", "visibility"), [((0,), 1.0), ((3, 3, 0, 4), 0.0), ((3, 3, 8, 2), 0.25)])
def test_visible_boxes(root: Path, posv: tuple[float, ...], visibility: float) -> None:
    write_vbb(root, "set06/V000", [[thing(1, [2, 2, 8, 8], 1, posv)]])
    data, _ = converted("caltech", root, images="trust", split="test")
    assert list(boxes(data, "visibility").values()) == [[([1, 1, 8, 8], visibility)]]


def test_boxes_without_an_area(root: Path) -> None:
    write_vbb(root, "set06/V000", [[thing(1, [2, 2, 0, 8], 1, (2, 2, 1, 1))]])
    data, result = converted("caltech", root, images="trust", split="test")
    assert data["annotations"] == []
    assert "skipped 1 x box without an area" in "\n".join(result.remarks)


@pytest.mark.parametrize(
    ("options", "frames"),
    [
        ({"every": 3}, [2, 5]),
        ({"every": 3, "start": 0}, [0, 3, 6]),
        ({"every": 2}, [1, 3, 5]),
        ({"every": 30}, []),
        ({"start": 6}, [6]),
    ],
)
def test_each_nth_frame(root: Path, options: dict[str, int], frames: list[int]) -> None:
    if not frames:
        refused("caltech", root, "no frame to convert", images="trust", **options)
        return
    data, _ = converted("caltech", root, images="trust", **options)
    found = [image["file_name"][-9:-4] for image in data["images"] if "V000" in image["file_name"]]
    assert found == [f"{frame:05}" for frame in frames]


def test_names_and_sets(root: Path) -> None:
    data, result = converted(
        "caltech", root, images="trust", sets=["set06", "set00"], names="{set}_{video}_{frame}.png", every=7, start=0
    )
    assert [image["file_name"] for image in data["images"]] == [
        "set06_V000_0.png",
        "set00_V000_0.png",
        "set00_V001_0.png",
    ]
    assert result.published is None
    data, _ = converted("caltech", root, images="trust", split="all")
    assert len(data["videos"]) == 3


def test_only_the_pictures_of_a_list(root: Path, tmp_path: Path) -> None:
    listed = tmp_path / "caltech.train"
    listed.write_text(
        "Caltech/data/images/set00_V000_5.png\n\nCaltech/data/images/set00_V000_1.png\nx/set09_V000_1.png\n"
    )
    data, result = converted("caltech", root, images="trust", only=listed)
    assert [image["file_name"][-10:] for image in data["images"]] == ["I00001.jpg", "I00005.jpg"]
    assert "skipped 1 x line that names no picture of the data set" in "\n".join(result.remarks)
    assert f"{listed}:4" in "\n".join(result.remarks)
    assert result.published is None
    listed.write_text("\n")
    with pytest.raises(InputError, match=r"caltech.train: names no picture"):
        open_data_set("caltech", root, only=listed)


def test_pictures_of_another_size_are_refused(root: Path) -> None:
    for frame in range(7):
        picture(root / "images" / "set00" / "V000" / f"I{frame:05}.jpg", 640, 480)
    picture(root / "images" / "set00" / "V001" / "I00000.jpg", 320, 240)
    refused("caltech", root, "the picture is 320x240, but 640x480 is recorded")
    data, _ = converted("caltech", root, images="skip-bad")
    assert len(data["images"]) == 7


def test_extract_writes_what_is_converted(root: Path) -> None:
    frames = [jpeg(30 * number) for number in range(7)]
    write_seq(root / "set00" / "V000.seq", frames)
    write_seq(root / "set00" / "V001.seq", frames[:1])
    listed = root / "list.txt"
    listed.write_text("set00_V000_2\n")
    converted("caltech", root, extract=True, only=listed)
    folder = root / "images" / "set00" / "V000"
    assert [path.name for path in folder.iterdir()] == ["I00002.jpg"]
    data, _ = converted("caltech", root, extract=True)
    assert len(data["images"]) == 8
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == frames


def test_video_shorter_than_its_annotation(root: Path) -> None:
    write_seq(root / "set00" / "V000.seq", [jpeg(0)] * 6, count=7)
    write_seq(root / "set00" / "V001.seq", [jpeg(0)])
    refused("caltech", root, "I00006.jpg: no such picture", extract=True)
    data, _ = converted("caltech", root, extract=True, images="skip-bad")
    assert data["videos"][0]["length"] == 6


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"every": 0}, "--every must be at least 1"),
        ({"every": 0, "start": 0}, "--every must be at least 1"),
        ({"start": -1}, "--start at least 0"),
        ({"names": "{set}/{video}.jpg"}, "{frame} is missing"),
        ({"names": "{set}/{clip}/{frame}.jpg"}, "only {set}, {video} and {frame}"),
        ({"names": "{set}/{}{frame}.jpg"}, "only {set}, {video} and {frame}"),
        ({"sets": ["set03"]}, "set03: no such folder"),
    ],
)
def test_options_that_make_no_sense(root: Path, options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        open_data_set("caltech", root, **options)


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="annotations: no such folder"):
        open_data_set("caltech", tmp_path)
    (tmp_path / "annotations").mkdir()
    with pytest.raises(InputError, match=r"no file set06/V000.vbb or the like"):
        open_data_set("caltech", tmp_path, split="test")


def test_annotations_that_cannot_be_read(root: Path) -> None:
    path = write_vbb(root, "set00/V000", [[thing(1, [1, 2, 3, 4])]], nFrame=7.0)
    refused("caltech", root, r"V000.vbb: nFrame is 7, but objLists has 1 frames", images="trust")
    write_vbb(root, "set00/V000", [[thing(17, [1, 2, 3, 4])]])
    refused("caltech", root, r"V000.vbb: frame 0, object 17: objLbl has 16 labels", images="trust")
    write_vbb(root, "set00/V000", [[thing(0, [1, 2, 3, 4])]])
    refused("caltech", root, r"object 0: objLbl has 16 labels", images="trust")
    write_vbb(root, "set00/V000", [[thing(1, [1, 2, 3])]])
    refused("caltech", root, r"object 1: pos: no matrix of numbers with 4 columns", images="trust")
    write_vbb(root, "set00/V000", [[thing(1, [])]])
    refused("caltech", root, r"object 1: pos must be l, t, w, h", images="trust")
    write_vbb(root, "set00/V000", [[{"id": 1.0}]])
    refused("caltech", root, r"V000.vbb: frame 0: no field 'pos'; it has id", images="trust")
    write_vbb(root, "set00/V000", [[]], objLists=np.ones((1, 1)))
    refused("caltech", root, r"V000.vbb: objLists: no cell array", images="trust")
    savemat(path, {"B": 1.0}, appendmat=False)
    refused("caltech", root, r"V000.vbb: no variable 'A'; it holds B", images="trust")
    one = {"nFrame": 1.0, "objLists": cell([NO_FRAME]), "objLbl": cell(["person"])}
    savemat(path, {"A": structs([one, one])}, appendmat=False)
    refused("caltech", root, r"V000.vbb: no annotation of a video", images="trust")
    savemat(path, {"A": 1.0}, appendmat=False)
    refused("caltech", root, r"V000.vbb: no field 'nFrame'; it has none", images="trust")
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(500))
    refused("caltech", root, r"V000.vbb: a MATLAB file of version 7.3", images="trust")


def test_a_video_without_anybody(root: Path) -> None:
    write_vbb(root, "set00/V000", [[], []], objLbl=NO_FRAME)
    data, _ = converted("caltech", root, images="trust")
    assert data["videos"][0]["length"] == 2


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_annotations_that_are_cut_off(root: Path, fraction: float) -> None:
    cut_off(root / "annotations" / "set00" / "V001.vbb", fraction)
    refused("caltech", root, r"V001.vbb: no MATLAB file that can be read \(.+\): truncated", images="trust")


def test_the_result_is_a_video_data_set(root: Path, mmdet_scope: None) -> None:
    from clmot_qd.datasets.video_dataset import CocoVideoDataset

    write_seq(root / "set00" / "V000.seq", [jpeg(0)] * 7)
    write_seq(root / "set00" / "V001.seq", [jpeg(0)])
    convert(open_data_set("caltech", root, extract=True), root / "train.json")
    data_set = CocoVideoDataset(
        data_root=str(root),
        ann_file="train.json",
        data_prefix={"img_path": ""},
        metainfo={"classes": ("pedestrian",)},
        test_mode=True,
        pipeline=[],
    )
    assert len(data_set) == 2
    assert data_set.get_len_per_video(0) == 7
