"""True masks: from CocoVID files in all their forms, and from folders as MOTS20 and KITTI-MOTS have them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mots_scene import SIZE, random_scene

from clmot_qd.datasets.mots_text import write_mots
from clmot_qd.errors import InputError
from clmot_qd.evaluation import read_cocovid, read_mot_root, read_mots_root, read_truth
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.evaluation.mask_tables import masks_of
from clmot_qd.masks import RleMasks

SQUARE = np.zeros((4, 6), dtype=bool)
SQUARE[1:3, 2:5] = True
TEXT = RleMasks.of_bitmaps(SQUARE[None]).texts()[0]
COCOVID: dict[str, Any] = {
    "videos": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": "c"}],
    "images": [
        {"id": 1, "video_id": 1, "frame_id": 0, "height": 4, "width": 6},
        {"id": 2, "video_id": 1, "frame_id": 1, "height": 4, "width": 6},
        {"id": 3, "video_id": 2, "frame_id": 0, "height": 9, "width": 7},
        {"id": 4, "video_id": 3, "frame_id": 0, "height": 2, "width": 2},
    ],
    "categories": [{"id": 1, "name": "car"}, {"id": 10, "name": "ignore region"}],
    "annotations": [
        {"image_id": 2, "instance_id": 1, "segmentation": {"size": [4, 6], "counts": TEXT}},
        {"image_id": 3, "instance_id": 2, "segmentation": [[0, 0, 3, 0, 3, 2, 0, 2]]},
        {"image_id": 1, "instance_id": 1, "segmentation": {"size": [4, 6], "counts": [9, 2, 13]}},
        {"image_id": 1, "instance_id": 0, "ignore": True, "iscrowd": 1, "category_id": 10},
    ],
}
for _number, _entry in enumerate(COCOVID["annotations"], start=1):
    _entry |= {"id": _number, "bbox": [0, 0, 1, 1], "category_id": _entry.get("category_id", 1)}


def read(tmp_path: Path, data: object, masks: bool = True) -> GroundTruth:
    (tmp_path / "ann.json").write_text(json.dumps(data))
    return read_cocovid(tmp_path / "ann.json", masks=masks)


def test_cocovid(tmp_path: Path) -> None:
    truth = read(tmp_path, COCOVID)
    first, second, third = (masks_of(one.boxes) for one in truth.sequences.values())
    assert (first.size, second.size, third.size) == ((4, 6), (9, 7), (2, 2))
    assert first.texts()[0] == TEXT
    assert first.areas().tolist() == [6, 2, 0]  # the region has no mask
    assert second.boxes().tolist() == [[0, 0, 3, 2]]
    assert len(third) == 0
    assert truth.sequences["a"].boxes.scores.tolist() == [1, 1, 0]


def test_masks_are_read_if_they_are_asked_for(tmp_path: Path) -> None:
    data = copy.deepcopy(COCOVID)
    data["annotations"][0]["segmentation"] = "broken"
    del data["images"][0]["height"]
    truth = read(tmp_path, data, masks=False)
    assert all(one.boxes.masks is None for one in truth.sequences.values())


def without(section: str, index: int, key: str) -> dict[str, Any]:
    data = copy.deepcopy(COCOVID)
    del data[section][index][key]
    return data


def changed(section: str, index: int, key: str, value: Any) -> dict[str, Any]:
    data = copy.deepcopy(COCOVID)
    data[section][index][key] = value
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (without("images", 2, "width"), r"images\[2\] has no whole number 'width', which masks need"),
        (changed("images", 1, "width", 7), r"images\[1\] is \(4, 7\) \(height, width\), images before it \(4, 6\)"),
        (without("annotations", 1, "segmentation"), r"annotations\[1\] has no 'segmentation'; add it, or mark"),
        (changed("annotations", 1, "segmentation", []), r"annotations\[1\] has no 'segmentation'; add it, or mark"),
        (
            changed("annotations", 0, "segmentation", {"size": [6, 4], "counts": TEXT}),
            r"annotations\[0\]: its mask is of size \[6, 4\] \(height, width\), the picture of \[4, 6\]",
        ),
        (changed("annotations", 1, "segmentation", [[1, 2, "3"]]), r"annotations\[1\]: a polygon is a list of numbers"),
        (COCOVID | {"annotations": COCOVID["annotations"][3:]}, "no annotation has a 'segmentation', which scoring"),
    ],
)
def test_malformed_cocovid(tmp_path: Path, data: object, message: str) -> None:
    with pytest.raises(InputError, match=rf"ann\.json: {message}"):
        read(tmp_path, data)


def write_kitti(folder: Path, *names: str) -> None:
    for index, name in enumerate(names):
        write_mots(folder / f"{name}.txt", random_scene(index, 8, first=0)[0])


@pytest.mark.parametrize("place", [".", "instances_txt", "label_02"])
def test_folders_of_kitti_mots(tmp_path: Path, place: str) -> None:
    write_kitti(tmp_path / place, "0002", "0010", "0001")
    truth = read_truth(tmp_path, masks=True)
    assert list(truth.sequences) == ["0001", "0002", "0010"]
    assert truth.categories == {"car": 1, "pedestrian": 2, "ignore region": 10}
    one = truth.sequences["0002"]
    assert one.frames.tolist() == list(range(one.boxes.frames.max() + 1))
    assert masks_of(one.boxes).size == SIZE
    assert set(one.boxes.scores[one.boxes.class_ids == 10]) == {0}
    assert list(read_mots_root(tmp_path, ["0010", "0001"]).sequences) == ["0001", "0010"]
    with pytest.raises(InputError, match="no sequence '0003'; there are 0001, 0002, 0010"):
        read_mots_root(tmp_path, ["0003"])


def test_how_long_a_sequence_of_kitti_mots_is(tmp_path: Path) -> None:
    """Pictures say it, else TrackEval's list, else the last mask."""
    write_kitti(tmp_path / "instances_txt", "0001", "0002", "0003")
    (tmp_path / "evaluate_mots.seqmap.val").write_text("0001 empty 000000 000019\n0002 empty 000000 000019\n\n")
    (tmp_path / "image_02" / "0001").mkdir(parents=True)
    for number in range(12):
        (tmp_path / "image_02" / "0001" / f"{number:06d}.png").touch()
    (tmp_path / "image_02" / "0001" / "Thumbs.db").touch()
    lengths = [len(one.frames) for one in read_mots_root(tmp_path).sequences.values()]
    assert lengths == [12, 20, 8]


def test_folders_of_mots20(tmp_path: Path) -> None:
    for index, name in enumerate(("MOTS20-02", "MOTS20-11")):
        write_mots(tmp_path / name / "gt" / "gt.txt", random_scene(index, 6)[0])
        (tmp_path / name / "seqinfo.ini").write_text("[Sequence]\nseqLength=9\nimWidth=64\nimHeight=48\n")
    (tmp_path / "notes.txt").write_text("not a sequence of KITTI-MOTS\n")
    truth = read_truth(tmp_path, masks=True)
    assert [one.frames.tolist() for one in truth.sequences.values()] == [list(range(1, 10))] * 2
    (tmp_path / "MOTS20-11" / "seqinfo.ini").write_text("[Sequence]\nseqLength=9\nimWidth=48\nimHeight=64\n")
    with pytest.raises(InputError, match=r"gt\.txt:1: a mask of 64 x 48 pixels, the video has 48 x 64"):
        read_mots_root(tmp_path)


def test_folders_of_boxes_are_none_of_masks(tmp_path: Path) -> None:
    (tmp_path / "a" / "gt").mkdir(parents=True)
    (tmp_path / "a" / "gt" / "gt.txt").write_text("1,1,10,10,5,5,1,1,1\n")
    assert len(read_mot_root(tmp_path).sequences["a"].boxes) == 1
    with pytest.raises(InputError, match=r"gt\.txt:1: 1 columns; a row is frame id class height width runs"):
        read_truth(tmp_path, masks=True)
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="no sequence in here"):
        read_truth(tmp_path / "b", masks=True)
