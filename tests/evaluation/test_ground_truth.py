"""Ground truth from CocoVID files and MOT folders, and folders of result files."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from clmot_qd.datasets.mot_text import make_table
from clmot_qd.datasets.mot_to_cocovid import convert_mot
from clmot_qd.errors import InputError
from clmot_qd.evaluation import evaluate_tracks, read_cocovid, read_mot_root, read_results, read_truth, write_results
from clmot_qd.evaluation.result_files import result_path

COCOVID = {
    "videos": [{"id": 4, "name": "v10"}, {"id": 7, "name": "v9"}],
    "images": [
        {"id": 1, "video_id": 4, "frame_id": 1, "mot_frame_id": 302},
        {"id": 2, "video_id": 4, "frame_id": 0, "mot_frame_id": 301},
        {"id": 3, "video_id": 7, "frame_id": 0, "mot_frame_id": 5},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3.5, 4], "instance_id": 6},
        {"id": 2, "image_id": 3, "category_id": 1, "bbox": [5, 6, 7, 8], "instance_id": 9, "ignore": True},
        {"id": 3, "image_id": 2, "category_id": 2, "bbox": [0, 2, 3, 4], "instance_id": 6, "iscrowd": 1},
    ],
    "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "cyclist"}],
}


def put(tmp_path: Path, data: object) -> Path:
    path = tmp_path / "ann.json"
    path.write_text(json.dumps(data))
    return path


def changed(*route: object, value: object = None, remove: bool = False) -> dict:
    """Return COCOVID with one entry changed or removed."""
    data = copy.deepcopy(COCOVID)
    *parents, last = route
    target = data
    for key in parents:
        target = target[key]
    if remove:
        del target[last]
    else:
        target[last] = value
    return data


def test_cocovid(tmp_path: Path) -> None:
    truth = read_cocovid(put(tmp_path, COCOVID))
    assert truth.categories == {"car": 1, "cyclist": 2}
    assert list(truth.sequences) == ["v9", "v10"]
    assert truth.sequences["v10"].frames.tolist() == [301, 302]
    boxes = truth.sequences["v10"].boxes
    assert (boxes.frames.tolist(), boxes.ids.tolist(), boxes.scores.tolist()) == ([302, 301], [6, 6], [1, 0])
    assert boxes.bboxes.tolist() == [[1, 2, 3.5, 4], [0, 2, 3, 4]]
    assert truth.sequences["v9"].boxes.scores.tolist() == [0]
    assert truth.frame_index == {(4, 1): ("v10", 302), (4, 0): ("v10", 301), (7, 0): ("v9", 5)}
    assert truth.distractor_numbers(None) == []


def test_difficulty(tmp_path: Path) -> None:
    data = copy.deepcopy(COCOVID)
    for entry, difficulty in zip(data["annotations"], (2, 1, 2)):
        entry["difficulty"] = difficulty
    truth = read_cocovid(put(tmp_path, data))
    assert truth.sequences["v10"].difficulties().tolist() == [2, 2]
    assert truth.sequences["v9"].difficulties().tolist() == [1]
    truth.require_difficulties()
    without = read_cocovid(put(tmp_path, COCOVID))
    assert without.sequences["v10"].difficulties().tolist() == [1, 1]
    with pytest.raises(InputError, match=r"ann\.json: no annotation has a 'difficulty'"):
        without.require_difficulties()
    del data["annotations"][1]["difficulty"]
    with pytest.raises(
        InputError, match=r"ann\.json: annotations\[1\] has no key 'difficulty', which others have; add"
    ):
        read_cocovid(put(tmp_path, data))


def test_frames_without_mot_numbers_count_from_one(tmp_path: Path) -> None:
    data = copy.deepcopy(COCOVID)
    for image in data["images"]:
        del image["mot_frame_id"]
    data["images"][2]["frame_id"] = 3  # this video counts from 1 already
    truth = read_cocovid(put(tmp_path, data))
    assert truth.frame_index == {(4, 1): ("v10", 2), (4, 0): ("v10", 1), (7, 3): ("v9", 3)}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed("videos", remove=True), "no key 'videos'"),
        (changed("categories", remove=True), "no key 'categories'"),
        (changed("images", 1, "frame_id", remove=True), "images[1] has no key 'frame_id'"),
        (changed("annotations", 2, "bbox", remove=True), "annotations[2] has no key 'bbox'"),
        (changed("annotations", 0, "bbox", value=[1, 2, 3]), "annotations[0] has bbox [1, 2, 3]"),
        (changed("annotations", 0, "image_id", value=8), "annotations[0] names image 8"),
        (changed("images", 0, "video_id", value=5), "images[0] names video 5"),
        (changed("images", 0, "mot_frame_id", value=301), "video v10 has two images of frame 301"),
        (changed("videos", 0, "name", value="v9"), "videos must differ in id and in name"),
        ([1], "its top level is a list"),
    ],
)
def test_malformed_cocovid(tmp_path: Path, data: object, message: str) -> None:
    path = put(tmp_path, data)
    with pytest.raises(InputError) as caught:
        read_cocovid(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_no_json(tmp_path: Path) -> None:
    (tmp_path / "ann.json").write_text('{"videos": [')
    with pytest.raises(InputError, match=r"ann\.json: no valid JSON"):
        read_cocovid(tmp_path / "ann.json")
    with pytest.raises(InputError, match=r"none\.json: cannot be read"):
        read_cocovid(tmp_path / "none.json")


@pytest.mark.parametrize("instance_id", ["absent", None])
def test_file_without_identities_cannot_be_scored(tmp_path: Path, instance_id: str | None) -> None:
    data = changed("annotations", 0, "instance_id", value=instance_id, remove=instance_id == "absent")
    truth = read_cocovid(put(tmp_path, data))
    with pytest.raises(InputError, match=r"v10: frame 302 has a box without identity"):
        truth.require_scorable(["cyclist"])


def make_root(tmp_path: Path) -> Path:
    gt = {"a-SDP": "1,0,1,2,30,40,1,1,1\n3,0,1,2,30,40,1,1,1\n", "a-DPM": "1,0,1,2,30,40,1,1,1\n", "b": ""}
    for name, text in gt.items():
        folder = tmp_path / "root" / name / "gt"
        folder.mkdir(parents=True)
        (folder / "gt.txt").write_text(text)
    (tmp_path / "root" / "a-SDP" / "seqinfo.ini").write_text("[Sequence]\nseqLength=5\n")
    return tmp_path / "root"


def test_mot_root(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    truth = read_mot_root(root, detector="SDP")
    assert list(truth.sequences) == ["a-SDP", "b"]
    assert truth.sequences["a-SDP"].frames.tolist() == [1, 2, 3, 4, 5]
    assert truth.sequences["b"].frames.tolist() == []
    assert read_mot_root(root, ["a-DPM"]).sequences["a-DPM"].frames.tolist() == [1]
    assert truth.class_numbers(["crowd"]) == [13]


def test_read_truth_takes_either(tmp_path: Path) -> None:
    root, file = make_root(tmp_path), put(tmp_path, COCOVID)
    assert list(read_truth(root, detector="DPM").sequences) == ["a-DPM", "b"]
    assert list(read_truth(file, ["v10"]).sequences) == ["v10"]
    with pytest.raises(InputError, match=r"ann\.json: no sequence 'v1'; it has v9, v10"):
        read_truth(file, ["v1"])
    with pytest.raises(InputError, match="root: a detector can be chosen of MOT17's boxes only; leave it out"):
        read_truth(root, detector="SDP", masks=True)
    with pytest.raises(InputError, match="a detector can be chosen from a folder of sequences only"):
        read_truth(file, detector="SDP")


def test_result_files(tmp_path: Path) -> None:
    truth = read_mot_root(make_root(tmp_path), detector="SDP")
    tracks = {"a-SDP": make_table([3], [2], [[1, 2, 3, 4]]), "b": make_table([], [], np.empty((0, 4)))}
    write_results(tmp_path / "out", truth, tracks)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-SDP.txt", "b.txt"]
    found = read_results(tmp_path / "out", truth)
    assert found["a-SDP"].frames.tolist() == [3]
    assert len(found["b"]) == 0
    (tmp_path / "out" / "b.txt").unlink()
    with pytest.raises(InputError, match=r"b\.txt: no such file; every sequence needs one, even if it is empty"):
        read_results(tmp_path / "out", truth)


def test_converted_file_scores_like_the_folder(shared_data: Path, tmp_path: Path) -> None:
    """Real MOT17 ground truth of all classes; predictions are its own boxes with a class and a mark hidden."""
    root = shared_data / "MOT17"
    convert_mot(root, tmp_path / "ann.json")
    folder, file = read_mot_root(root), read_cocovid(tmp_path / "ann.json")
    (name,) = file.sequences
    boxes = folder.sequences[name].boxes
    rng = np.random.default_rng(0)
    noisy = boxes.bboxes + rng.normal(0, 3, boxes.bboxes.shape)
    tracks = {name: make_table(boxes.frames, boxes.ids, noisy.clip(1))}
    one, two = (evaluate_tracks(truth, tracks).flat() for truth in (folder, file))
    assert one == two
    assert one["FP"] > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bbox": [float("nan"), 1, 2, 3]}, r"annotations\[0\] has bbox"),
        ({"bbox": [1, 1, -2, 3]}, r"annotations\[0\] has bbox"),
        ({"bbox": ["1", 1, 2, 3]}, r"annotations\[0\] has bbox"),
        ({"instance_id": 1.5}, r"annotations\[0\] has instance_id 1.5; it must be whole"),
        ({"image_id": [1]}, r"ann\.json: not of the expected form \(TypeError"),
    ],
)
def test_values_that_cannot_be_scored(tmp_path: Path, change: dict, message: str) -> None:
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "instance_id": 1, "bbox": [1, 1, 2, 2], **change}
    content = {
        "categories": [{"id": 1, "name": "car"}],
        "videos": [{"id": 1, "name": "a"}],
        "images": [{"id": 1, "video_id": 1, "frame_id": 0}],
        "annotations": [annotation],
    }
    (tmp_path / "ann.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_cocovid(tmp_path / "ann.json")


@pytest.mark.parametrize("name", ["../up", "/up", "a/../../up"])
def test_no_result_file_outside_the_folder(name: str) -> None:
    with pytest.raises(InputError, match="no result file can be called"):
        result_path("results", name, ".txt")


def test_result_files_of_names_with_folders() -> None:
    assert result_path("results", "train/YFCC100M/v_1", ".txt") == Path("results/train/YFCC100M/v_1.txt")


def test_whole_floats_and_names_that_are_numbers(tmp_path: Path) -> None:
    data = changed("categories", 0, "name", value=5)
    for image in data["images"]:
        del image["mot_frame_id"]
    plain = read_cocovid(put(tmp_path, data))
    for section in ("images", "annotations", "categories"):
        for entry in data[section]:
            entry.update({key: float(entry[key]) for key in entry if key == "id" or key.endswith("_id")})
    truth = read_cocovid(put(tmp_path, data))
    assert truth.categories == {"5": 1, "cyclist": 2}
    assert truth.frame_index == plain.frame_index
    for name, sequence in truth.sequences.items():
        assert sequence.frames.dtype == np.int64
        assert sequence.boxes.ids.tolist() == plain.sequences[name].boxes.ids.tolist()
    with pytest.raises(InputError, match=r"annotations\[0\] has instance_id 6\.5; it must be whole"):
        read_cocovid(put(tmp_path, changed("annotations", 0, "instance_id", value=6.5)))
