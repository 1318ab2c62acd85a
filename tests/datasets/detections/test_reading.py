"""Detections from files: every format says the same, mistakes are named by line or entry."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clmot_qd.datasets.detections import DetectionSet, read_detection_file, read_embeddings, read_sequence_detections
from clmot_qd.datasets.detections.json_rows import Images
from clmot_qd.errors import InputError

#: video, frame, x, y, w, h, score, class, embedding
ROWS = [
    ("b", 2, 10.5, 20, 30, 40, 0.25, "car", [1.0, 0.0, 0.5]),
    ("a", 4, 1, 2, 3, 4, 0.5, "person", [0.0, 1.0, 0.5]),
    ("b", 1, 5, 6, 7, 8, 1.0, "person", [0.25, 1.0, 0.0]),
    ("b", 2, 11, 20, 30, 40, 0.125, "person", [0.5, 0.5, 0.5]),
]
IMAGES = Images({17: ("a", 4), 8: ("b", 1), 3: ("b", 2)}, {1: "person", 7: "car"})


def csv_by_size(path: Path) -> DetectionSet:
    lines = ["frame,x,y,w,h,score,class,video,e0,e1,e2"]
    lines += [f"{f},{x},{y},{w},{h},{s},{c},{v},{e[0]},{e[1]},{e[2]}" for v, f, x, y, w, h, s, c, e in ROWS]
    path.with_suffix(".csv").write_text("\n".join(lines))
    return read_detection_file(path.with_suffix(".csv"))


def csv_by_corners(path: Path) -> DetectionSet:
    """Other separator, other order, other names, quotes, a column nobody knows, blank lines, a byte order mark."""
    lines = ['"Conf";emb_10;"X2";Y1;x1;y2;remark;EMB_9;emb_2;Category;SEQ;Frame_ID', ""]
    for v, f, x, y, w, h, s, c, e in ROWS:
        lines += [f'{s};{e[2]};{x + w};{y};{x};{y + h};"so; so";{e[1]};{e[0]};{c};{v};{f}.0', ""]
    path.write_text("\ufeff" + "\n".join(lines))
    return read_detection_file(path)


def json_list(path: Path) -> DetectionSet:
    entries = [
        {"video": v, "frame": f, "bbox": [x, y, w, h], "score": s, "class": c, "embedding": e}
        for v, f, x, y, w, h, s, c, e in ROWS
    ]
    path.with_suffix(".json").write_text(json.dumps(entries))
    return read_detection_file(path.with_suffix(".json"))


def json_by_video(path: Path) -> DetectionSet:
    content: dict[str, list[Any]] = {"b": [], "a": []}
    for v, f, x, y, w, h, s, c, e in ROWS:
        content[v].append({"frame": f, "xyxy": [x, y, x + w, y + h], "score": s, "class": c, "embedding": e})
    path.with_suffix(".json").write_text(json.dumps(content))
    return read_detection_file(path.with_suffix(".json"))


def coco_results(path: Path) -> DetectionSet:
    image = {place: number for number, place in IMAGES.places.items()}
    category = {name: number for number, name in IMAGES.categories.items()}
    entries = [
        {"image_id": image[v, f], "category_id": category[c], "bbox": [x, y, w, h], "score": s}
        for v, f, x, y, w, h, s, c, _ in ROWS
    ]
    path.with_suffix(".json").write_text(json.dumps(entries))
    np.savez(path.with_suffix(".npz"), embeds=np.array([row[-1] for row in ROWS]), other=np.ones(3))
    return read_detection_file(path.with_suffix(".json"), path.with_suffix(".npz"), IMAGES)


@pytest.mark.parametrize("read", [csv_by_size, csv_by_corners, json_list, json_by_video, coco_results])
def test_every_format_says_the_same(tmp_path: Path, read: Any) -> None:
    found = read(tmp_path / "found.txt")
    assert found.classes == ("car", "person")
    assert list(found.videos) == ["b", "a"]
    for name, video in found.videos.items():
        rows = [row for row in ROWS if row[0] == name]
        assert video.frames.tolist() == [row[1] for row in rows]
        assert video.bboxes.tolist() == [[x, y, x + w, y + h] for _, _, x, y, w, h, *_ in rows]
        assert video.scores.tolist() == [row[6] for row in rows]
        assert [found.classes[label] for label in video.labels] == [row[7] for row in rows]
        assert video.embeds is not None
        assert video.embeds.tolist() == [row[8] for row in rows]
        assert video.embeds.dtype == np.float32


def test_one_video_without_anything_optional(tmp_path: Path) -> None:
    (tmp_path / "clip" / "det").mkdir(parents=True)
    texts = {
        "det.txt": "2,-1,10,20,30,40,1\n1,-1,5,6,7,8,1\n",
        "det.csv": "frame,x,y,w,h\n2,10,20,30,40\n1,5,6,7,8\n",
        "det.json": json.dumps([dict(frame=2, bbox=[10, 20, 30, 40]), dict(frame=1, bbox=[5, 6, 7, 8])]),
    }
    for name, text in texts.items():
        path = tmp_path / "clip" / "det" / name
        path.write_text(text)
        found = read_detection_file(path)
        assert (found.classes, list(found.videos)) == ((), ["clip"])
        video = found.videos["clip"]
        assert (video.frames.tolist(), video.labels.tolist(), video.scores.tolist()) == ([2, 1], [0, 0], [1, 1])
        assert video.bboxes.tolist() == [[10, 20, 40, 60], [5, 6, 12, 14]]
        assert video.embeds is None
        assert video.all_frames().tolist() == [1, 2]
        assert list(read_detection_file(Path(path).rename(tmp_path / name)).videos) == ["det"]


def test_nothing_found_is_no_mistake(tmp_path: Path) -> None:
    for name, text in (("a.csv", "frame,x,y,w,h,class,e1\n"), ("a.json", "[]")):
        (tmp_path / name).write_text(text)
        assert len(read_detection_file(tmp_path / name).videos["a"]) == 0
    (tmp_path / "b.csv").write_text("frame,x,y,w,h,video\n")
    assert not read_detection_file(tmp_path / "b.csv").videos


def test_frames_that_count_from_0(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("frame,x,y,w,h\n1,1,1,5,5\n0,1,1,5,5\n")
    assert read_detection_file(tmp_path / "a.csv", frame_offset=1).videos["a"].frames.tolist() == [2, 1]
    with pytest.raises(InputError, match=r"a\.csv:3: frame 0: frames count from 1; .* \(--frame-offset 1\)"):
        read_detection_file(tmp_path / "a.csv")
    (tmp_path / "a.txt").write_text("1,-1,1,1,5,5,1\n")
    with pytest.raises(InputError, match=r"a\.txt: frames of MOT text count from 1"):
        read_detection_file(tmp_path / "a.txt", frame_offset=1)


def test_classes_by_number_are_in_order_of_the_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("frame,x,y,w,h,class\n1,1,1,5,5,10\n1,1,1,5,5,9\n")
    found = read_detection_file(tmp_path / "a.csv")
    assert found.classes == ("9", "10")
    assert found.videos["a"].labels.tolist() == [1, 0]
    assert found.class_numbers() == [9, 10]
    assert found.class_numbers({"dog": 10, "cat": 9}) == [9, 10]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y,w,h\n1,1,5,5", ":1: no column 'frame'; the header needs frame and x,y,w,h or x1,y1,x2,y2"),
        ("frame,x,y,w\n1,1,5,5", ":1: no column 'h'"),
        ("frame,x1,y1,x2\n1,1,5,5", ":1: no column 'y2'"),
        ("frame,x,y,w,h,score,conf\n", ":1: two columns stand for 'score'"),
        ("frame,x,y,w,h,e1,emb_1\n", ":1: two columns stand for 'e1'"),
        ("frame,x,y,w,h\n1,1,1,5,5\n\n1,1,1,5\n", ":4: 4 columns, the header has 5"),
        ("frame,x,y,w,h\n1,1,one,5,5\n", ":2: 'one' in column 3 is not a number"),
        ("frame,x,y,w,h\n1,1,1,5,5\n2,1,nan,5,5\n", ":3: a value is not finite"),
        ("frame,x,y,w,h,score\n1,1,1,5,5,inf\n", ":2: a value is not finite"),
        ("frame,x,y,w,h,e1\n1,1,1,5,5,inf\n", ":2: a value is not finite"),
        ("frame,x,y,w,h\ninf,1,1,5,5\n", ":2: a value is not finite"),
        ("frame,x,y,w,h\n1.5,1,1,5,5\n", ":2: frame 1.5 is not a whole number"),
        ("frame,x,y,w,h\n1,1,1,5,0\n", ":2: box of 5 x 0 pixels"),
        ("frame,x1,y1,x2,y2\n1,9,1,5,5\n", ":2: box of -4 x 4 pixels"),
        ("frame,x,y,w,h,class\n1,1,1,5,5,car\n1,1,1,5,5, \n", ":3: the class is empty"),
        ("frame,x,y,w,h,video\n1,1,1,5,5,\n", ":2: the video is empty"),
    ],
)
def test_mistakes_in_csv(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "found.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(f"{path}{message}")) as caught:
        read_detection_file(path)
    assert "\n" not in str(caught.value)


GOOD = dict(frame=1, bbox=[1, 1, 5, 5])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"frame": 1,\n "bbox": [1, 2', ": no valid JSON ("),
        ("3", ": the top level must be a list of detections or {video: list of detections}"),
        ({"images": [], "info": {}}, ": the top level must be a list"),
        ([GOOD, 3], ": [1]: a detection must be an object"),
        ({"a": [GOOD], "b": [GOOD, dict(bbox=[1, 2, 3, 4])]}, ": b[1]: no key 'frame'; add it"),
        ([dict(frame=1, bbox=[1, 2, 3])], ": [0]: bbox is [1, 2, 3]; it must be four numbers"),
        ([dict(frame=1)], ": [0]: bbox is None; it must be four numbers"),
        ([dict(frame=1, xyxy=[1, 2, "c", 3])], ": [0]: xyxy is [1, 2, 'c', 3]; it must be four numbers"),
        ([dict(frame=1, xyxy=[1, 2, 1, 3])], ": [0]: box of 0 x 1 pixels"),
        ([dict(GOOD, frame="one")], ": [0]: frame is 'one'; it must be a number"),
        ([dict(GOOD, frame=0)], ": [0]: frame 0: frames count from 1"),
        ([dict(GOOD, score=1), GOOD], ": [1]: no key 'score', which other detections have"),
        ([dict(GOOD, video="a"), GOOD], ": [1]: no key 'video', which other detections have"),
        (
            [dict(GOOD, embedding=[1, 2]), dict(GOOD, embedding=[1])],
            ": [1]: embedding of shape (1,); the first has (2,)",
        ),
        ([dict(GOOD, image_id=3, category_id=1)], ": COCO results name images by id; give the annotation file"),
    ],
)
def test_mistakes_in_json(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "found.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError, match=re.escape(f"{path}{message}")) as caught:
        read_detection_file(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (dict(image_id=4, category_id=1, bbox=[1, 1, 5, 5]), "[1]: image_id 4 is not in the annotation file"),
        (dict(image_id=3, category_id=2, bbox=[1, 1, 5, 5]), "[1]: category_id 2 is not in the annotation file"),
    ],
)
def test_ids_that_the_annotations_do_not_have(tmp_path: Path, entry: dict[str, Any], message: str) -> None:
    first = dict(image_id=3, category_id=1, bbox=[1, 1, 5, 5])
    (tmp_path / "a.json").write_text(json.dumps([first, entry]))
    with pytest.raises(InputError, match=re.escape(message)):
        read_detection_file(tmp_path / "a.json", images=IMAGES)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    for name in ("a.csv", "a.json", "a.txt"):
        with pytest.raises(InputError, match=rf"{name}: cannot be read \(No such file"):
            read_detection_file(tmp_path / name)
        (tmp_path / name).write_bytes(b"\xff\xfe\x00\x93")
        with pytest.raises(InputError, match=r"not a text file|no text in UTF-8"):
            read_detection_file(tmp_path / name)


class TestEmbeddings:
    def test_of_one_array(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "e.npz", vectors=np.eye(3, dtype=np.float16))
        assert read_embeddings(tmp_path / "e.npz", 3).tolist() == np.eye(3).tolist()

    def test_of_several_arrays(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "e.npz", a=np.eye(3), b=np.eye(3))
        with pytest.raises(InputError, match=r"several arrays \(a, b\), none of them called 'embeds'"):
            read_embeddings(tmp_path / "e.npz", 3)

    def test_twice(self, tmp_path: Path) -> None:
        np.save(tmp_path / "e.npy", np.eye(1))
        (tmp_path / "a.csv").write_text("frame,x,y,w,h,e0\n1,1,1,5,5,1\n")
        with pytest.raises(InputError, match=r"a\.csv: has embeddings itself; leave .*e\.npy out"):
            read_detection_file(tmp_path / "a.csv", tmp_path / "e.npy")


class TestSequences:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for name, text in (
            ("s1", "frame,x,y,w,h,class\n1,1,1,5,5,car\n"),
            ("s2", "frame,x,y,w,h,class\n1,2,2,5,5,bus\n"),
        ):
            (tmp_path / name / "img1").mkdir(parents=True)
            (tmp_path / name / "det").mkdir()
            (tmp_path / name / "det" / "d.csv").write_text(text)
            np.save(tmp_path / name / "det" / "e.npy", np.ones((1, 2)))
        return tmp_path

    def test_classes_of_all_files(self, root: Path) -> None:
        found = read_sequence_detections(root, "det/d.csv", "det/e.npy")
        assert list(found.videos) == ["s1", "s2"]
        assert [found.classes[video.labels[0]] for video in found.videos.values()] == ["car", "bus"]
        assert all(video.embeds is not None for video in found.videos.values())
        assert list(read_sequence_detections(root, "det/d.csv", sequences=["s2"]).videos) == ["s2"]

    def test_files_beside_the_sequences(self, root: Path) -> None:
        (root / "all").mkdir()
        for name in ("s1", "s2"):
            (root / name / "det" / "d.csv").rename(root / "all" / f"{name}.csv")
        assert len(read_sequence_detections(root, "all/{video}.csv").videos) == 2

    def test_some_without_classes(self, root: Path) -> None:
        (root / "s2" / "det" / "d.csv").write_text("frame,x,y,w,h\n1,2,2,5,5\n")
        with pytest.raises(InputError, match="s2 has detections without classes, others have some"):
            read_sequence_detections(root, "det/d.csv")

    def test_missing(self, root: Path) -> None:
        (root / "s2" / "det" / "d.csv").unlink()
        with pytest.raises(InputError, match=r"s2/det/d\.csv: no such file: put the public detections"):
            read_sequence_detections(root, "det/d.csv")

    def test_several_videos_in_a_file(self, root: Path) -> None:
        (root / "s2" / "det" / "d.csv").write_text("frame,x,y,w,h,video\n1,2,2,5,5,a\n1,2,2,5,5,b\n")
        with pytest.raises(InputError, match=r"s2/det/d\.csv: is about 2 videos"):
            read_sequence_detections(root, "det/d.csv")
