"""Result files with mistakes: one line that names file, entry and key; and oddities that are no mistakes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from result_scene import annotation, assert_same, tracks

from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth, read_cocovid
from clmot_qd.evaluation.formats import FORMATS, read_predictions

ID_KEY = {"tao": "track_id", "cocovid": "instance_id"}


@pytest.fixture
def truth(tmp_path: Path) -> GroundTruth:
    path = tmp_path / "ann.json"
    path.write_text(json.dumps(annotation()))
    return read_cocovid(path)


def read_changed(name: str, change: Callable[[list], object], tmp_path: Path, truth: GroundTruth) -> dict:
    """Write the scene, change the entries of the file, read it back."""
    path = tmp_path / f"{name}.json"
    FORMATS[name].write(path, truth, tracks())
    data = json.loads(path.read_text())
    changed = change(data)
    path.write_text(json.dumps(data if changed is None else changed))
    return read_predictions(path, truth, name)


def put(position: int, key: str, value: object) -> Callable[[list], None]:
    return lambda data: data[position].__setitem__(key, value)


def drop(position: int, key: str) -> Callable[[list], None]:
    return lambda data: data[position].__delitem__(key)


def label(frame: int, key: str, value: object) -> Callable[[list], None]:
    return lambda data: data[frame]["labels"][0].__setitem__(key, value)


LISTS = [
    (drop(1, "score"), r"\[1\]: no key 'score'"),
    (drop(2, "bbox"), r"\[2\]: no key 'bbox'"),
    (drop(0, "image_id"), r"\[0\]: no key 'image_id'"),
    (put(1, "image_id", 777), r"\[1\]: image_id 777 is no image of .*ann.json"),
    (put(1, "image_id", 15), r"\[1\]: image_id 15 is no image of .*ann.json"),
    (put(1, "image_id", "x.jpg"), r"\[1\]: image_id is 'x.jpg'; it must be a finite number"),
    (put(1, "image_id", 40.5), r"\[1\]: image_id is .*40.5.*; it must be a whole number"),
    (put(3, "category_id", 2), r"\[3\]: category_id 2 is no category of .*ann.json"),
    (put(4, "score", float("nan")), r"\[4\]: score is nan; it must be a finite number"),
    (put(4, "score", None), r"\[4\]: score is None; it must be a finite number"),
    (put(4, "score", "high"), r"\[4\]: score is 'high'; it must be a finite number"),
    (put(0, "bbox", [1, 2, 3]), r"\[0\]: bbox is \[1, 2, 3\]; it must be \[x, y, w, h\]"),
    (put(5, "bbox", [1, 2, "a", 4]), r"\[5\]: bbox is .*; it must be \[x, y, w, h\]"),
    (put(5, "bbox", [[1, 2, 3, 4]]), r"\[5\]: bbox is .*; it must be \[x, y, w, h\]"),
    (put(5, "bbox", None), r"\[5\]: bbox is None; it must be"),
    (put(0, "bbox", [1, 2, float("inf"), 4]), r"\[0\]: bbox has a number that is not finite"),
    (put(0, "bbox", [1, 2, 3, 0]), r"\[0\]: bbox is 3 x 0 pixels; width and height must be greater than 0"),
    (put(0, "bbox", [1, 2, -3, 5]), r"\[0\]: bbox is -3 x 5 pixels"),
    (lambda data: [*data, copy.deepcopy(data[3])], r"\[6\]: its identity stands in the same image already, in \[3\]"),
    (lambda data: [1, *data], r"\[0\]: no key 'image_id'"),
    (lambda data: {"annotations": data}, r"the top level is a dict; it must be a list of predictions"),
]


@pytest.mark.parametrize("name", ID_KEY)
@pytest.mark.parametrize(("change", "message"), LISTS)
def test_lists(name: str, change: Callable, message: str, tmp_path: Path, truth: GroundTruth) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_changed(name, change, tmp_path, truth)
    assert str(caught.value).startswith(str(tmp_path / f"{name}.json: "))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ID_KEY)
@pytest.mark.parametrize(
    ("value", "message"), [(-1, "is -1; it must be 0 or greater"), (1.5, "must be a whole number")]
)
def test_identities(name: str, value: float, message: str, tmp_path: Path, truth: GroundTruth) -> None:
    with pytest.raises(InputError, match=rf"\[2\]: {ID_KEY[name]} .*{message}"):
        read_changed(name, put(2, ID_KEY[name], value), tmp_path, truth)


def test_video_id_of_another_video(tmp_path: Path, truth: GroundTruth) -> None:
    with pytest.raises(InputError, match=r"\[1\]: video_id is 500, but the image belongs to video 600"):
        read_changed("tao", put(1, "video_id", 500), tmp_path, truth)


FRAMES = [
    (put(1, "name", "a-0010.jpg"), r"\[1\]: frame 'a-0010.jpg' of video 'a' is not in .*ann.json"),
    (put(1, "videoName", "c"), r"\[1\]: frame 'a-0009.jpg' of video 'c' \(it has none of that name\) is not in"),
    (put(1, "videoName", {"id": "a"}), r"\[1\]: videoName is {'id': 'a'}; it must be text"),
    (
        lambda data: [data[0], {**{k: v for k, v in data[1].items() if k != "name"}, "frameIndex": [3]}],
        r"\[1\]: frame \[3\] of video 'a' is not in",
    ),
    (lambda data: [*data, data[0]], r"\[5\]: frame 'a-0004.jpg' of video 'a' stands in \[0\] already"),
    (lambda data: [*data, 5], r"\[5\]: a frame is an object with videoName, name and labels, not 5"),
    (lambda data: {"frame": data}, r"no list of frames"),
    (
        label(2, "category", "person"),
        r"\[2\].labels\[0\]: category 'person' is none of .* has pedestrian, car, other p",
    ),
    (label(2, "score", float("nan")), r"\[2\].labels\[0\]: score is nan"),
    (label(2, "box2d", None), r"\[2\].labels\[0\].box2d: no key 'x1'"),
    (label(4, "box2d", {"x1": 1, "y1": 2, "x2": 3}), r"\[4\].labels\[0\].box2d: no key 'y2'"),
    (label(4, "box2d", {"x1": 3, "y1": 2, "x2": 3, "y2": 9}), r"\[4\].labels\[0\]: box2d is 0 x 7 pixels"),
    (label(4, "box2d", {"x1": "l", "y1": 2, "x2": 3, "y2": 9}), r"\[4\].labels\[0\].box2d: x1 is 'l'"),
    (lambda data: data[4]["labels"][0].__delitem__("id"), r"\[4\].labels\[0\]: no key 'id'"),
    (
        lambda data: data[4]["labels"].append(data[4]["labels"][0]),
        r"\[4\].labels\[2\]: its identity .* \[4\].labels\[0\]",
    ),
    (lambda data: data[4]["labels"].insert(0, "car"), r"\[4\].labels\[0\]: no key 'box2d'"),
]


@pytest.mark.parametrize(("change", "message"), FRAMES)
def test_frames(change: Callable, message: str, tmp_path: Path, truth: GroundTruth) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_changed("bdd100k", change, tmp_path, truth)
    assert str(caught.value).startswith(str(tmp_path / "bdd100k.json: "))


@pytest.mark.parametrize("name", ["bdd100k", "tao", "cocovid"])
def test_truncated_file(name: str, tmp_path: Path, truth: GroundTruth) -> None:
    path = tmp_path / "x.json"
    FORMATS[name].write(path, truth, tracks())
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=r"x.json: no valid JSON .*: truncated\? Write the file again"):
        read_predictions(path, truth, name)


def test_folder_without_a_videos_file(tmp_path: Path, truth: GroundTruth) -> None:
    FORMATS["bdd100k"].write(tmp_path / "bdd", truth, tracks())
    (tmp_path / "bdd" / "b.json").unlink()
    with pytest.raises(InputError, match=r"b.json: no such file; every video needs one"):
        read_predictions(tmp_path / "bdd", truth)


class TestOddities:
    @pytest.mark.parametrize("name", ID_KEY)
    def test_numbers_as_text(self, name: str, tmp_path: Path, truth: GroundTruth) -> None:
        plain = read_changed(name, lambda data: None, tmp_path, truth)

        def as_text(data: list) -> None:
            for entry in data[:3]:
                entry[ID_KEY[name]] = str(entry[ID_KEY[name]])
                entry["score"] = str(entry["score"])

        assert_same(read_changed(name, as_text, tmp_path, truth), plain)

    def test_identities_that_are_no_numbers(self, tmp_path: Path, truth: GroundTruth) -> None:
        """Scalabel's own identities are texts; 1 and 01 differ."""

        def rename(data: list) -> None:
            for entry, name in zip((data[2]["labels"][0], *data[4]["labels"]), ("1", "01", "a-0012")):
                entry["id"] = name
            data[2]["labels"][1]["id"] = "a-0012"

        table = read_changed("bdd100k", rename, tmp_path, truth)["b"]
        one, two, three, four = table.ids.tolist()
        assert len({one, three, four}) == 3
        assert two == four

    def test_leading_zeros_are_another_identity(self, tmp_path: Path, truth: GroundTruth) -> None:
        def rename(data: list) -> None:
            for frame in data[2:]:
                for entry, name in zip(frame["labels"], ("1", "01")):
                    entry["id"] = name

        assert len(set(read_changed("bdd100k", rename, tmp_path, truth)["b"].ids.tolist())) == 2

    def test_byte_order_mark(self, tmp_path: Path, truth: GroundTruth) -> None:
        """Windows editors put one before the first character."""
        FORMATS["cocovid"].write(tmp_path / "x.json", truth, tracks())
        (tmp_path / "x.json").write_text((tmp_path / "x.json").read_text(), encoding="utf-8-sig")
        assert_same(read_predictions(tmp_path / "x.json", truth), tracks())

    def test_one_identity_may_occur_in_two_videos(self, tmp_path: Path, truth: GroundTruth) -> None:
        assert_same(read_changed("cocovid", lambda data: None, tmp_path, truth), tracks())

    def test_frames_and_entries_in_any_order(self, tmp_path: Path, truth: GroundTruth) -> None:
        for name in ("bdd100k", "cocovid"):
            assert_same(read_changed(name, lambda data: data[::-1], tmp_path, truth), tracks())

    def test_frames_without_labels(self, tmp_path: Path, truth: GroundTruth) -> None:
        def change(data: list) -> list:
            data[0]["labels"] = None
            del data[1]["labels"]
            return data[:4]

        found = read_changed("bdd100k", change, tmp_path, truth)
        assert (len(found["a"]), found["b"].frames.tolist()) == (0, [1, 1])

    def test_frames_by_number(self, tmp_path: Path, truth: GroundTruth) -> None:
        def change(data: list) -> None:
            for number, frame in enumerate(data):
                del frame["name"]
                if number % 2:
                    frame["index"] = frame.pop("frameIndex")  # as in BDD100K's first releases

        assert_same(read_changed("bdd100k", change, tmp_path, truth), tracks())

    def test_a_file_without_video_names_is_about_the_video_it_is_named_after(
        self, tmp_path: Path, truth: GroundTruth
    ) -> None:
        FORMATS["bdd100k"].write(tmp_path / "bdd", truth, tracks())
        for name in ("a", "b"):
            path = tmp_path / "bdd" / f"{name}.json"
            path.write_text(path.read_text().replace(f'"videoName": "{name}", ', ""))
        assert_same(read_predictions(tmp_path / "bdd", truth), tracks())

    def test_names_with_folders_a_header_and_no_score(self, tmp_path: Path, truth: GroundTruth) -> None:
        def change(data: list) -> dict:
            for frame in data:
                frame["name"] = f"somewhere/else/{frame['name']}"
            del data[0]["labels"][0]["score"]
            return {"config": None, "frames": data}

        found = read_changed("bdd100k", change, tmp_path, truth)
        assert found["a"].scores.tolist() == [1.0, 0.123456]
        np.testing.assert_array_equal(found["a"].frames, [4, 9])

    def test_missing_video_id(self, tmp_path: Path, truth: GroundTruth) -> None:
        def change(data: list) -> None:
            for entry in data[1:]:
                del entry["video_id"]

        plain = read_changed("tao", lambda data: None, tmp_path, truth)
        assert_same(read_changed("tao", change, tmp_path, truth), plain)
