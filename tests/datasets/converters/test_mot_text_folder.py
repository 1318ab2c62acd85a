"""Folders of frames with label files in MOT's form: names, numbering, optional columns, mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from person_samples import boxes, converted, picture, refused


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """One video of three frames, named so that text order is not time order."""
    for name in ("shot10.png", "shot9.png", "shot11.png"):
        picture(tmp_path / "clip" / name, 64, 48)
    return tmp_path / "clip"


def put(tmp_path: Path, text: str, name: str = "labels.txt") -> Path:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_frames_in_natural_order(one: Path, tmp_path: Path) -> None:
    labels = put(tmp_path, "3 7 1 2 3 4\n1 5 10 2 3.5 4\n2 -1 1 2 3 4\n")
    data, result = converted("mot-text", one, labels=labels)
    assert [image["file_name"] for image in data["images"]] == ["shot9.png", "shot10.png", "shot11.png"]
    assert boxes(data, "instance_id") == {
        "shot9.png": [([10, 2, 3.5, 4], 1)],
        "shot10.png": [([1, 2, 3, 4], None)],
        "shot11.png": [([1, 2, 3, 4], 2)],
    }
    assert data["videos"][0] == {"id": 1, "name": "clip", "width": 64, "height": 48, "length": 3}
    assert data["categories"] == [{"id": 1, "name": "object"}]
    assert result.remarks == [f"kept 1 x box without an identity: {labels}:3"]


def test_frames_counted_from_zero(one: Path, tmp_path: Path) -> None:
    labels = put(tmp_path, "0,1,1,2,3,4,1\n2,1,2,2,3,4,1\n")
    data, _ = converted("mot-text", one, labels=labels, first_frame=0)
    assert [len(found) for found in boxes(data).values()] == [1, 0, 1]
    assert [image["mot_frame_id"] for image in data["images"]] == [1, 2, 3]
    refused("mot-text", one, r"labels\.txt:1: frame 0: MOT frames count from 1", labels=labels)


def test_numbers_in_names(one: Path, tmp_path: Path) -> None:
    labels = put(tmp_path, "9,1,1,2,3,4,1\n11,1,2,2,3,4,1\n8,1,1,2,3,4,1\n")
    data, result = converted("mot-text", one, labels=labels, frame_numbers="name")
    assert [len(found) for found in boxes(data).values()] == [1, 0, 1]
    assert [image["mot_frame_id"] for image in data["images"]] == [9, 10, 11]
    assert [image["frame_id"] for image in data["images"]] == [0, 1, 2]
    assert result.remarks == [f"skipped 1 x row of a frame without a picture: {labels}:3 (frame 8)"]
    refused(
        "mot-text",
        one,
        r"shot9\.png: frame 9, but --first-frame is 10",
        labels=labels,
        frame_numbers="name",
        first_frame=10,
    )


def test_names_without_numbers_of_their_own(one: Path, tmp_path: Path) -> None:
    labels = put(tmp_path, "9,1,1,2,3,4,1\n")
    picture(one / "again9.png", 64, 48)
    refused("mot-text", one, r"shot9\.png: again9\.png is frame 9 as well", labels=labels, frame_numbers="name")
    picture(one / "title.png", 64, 48)
    (one / "again9.png").unlink()
    refused("mot-text", one, r"title\.png: no number in the name", labels=labels, frame_numbers="name")


def test_the_last_number_of_a_name_counts(tmp_path: Path) -> None:
    for name in ("cam7_2.png", "cam8_1.png"):
        picture(tmp_path / "clip" / name, 64, 48)
    labels = put(tmp_path, "1,1,1,2,3,4\n")
    data, _ = converted("mot-text", tmp_path / "clip", labels=labels, frame_numbers="name")
    assert [(image["file_name"], image["mot_frame_id"]) for image in data["images"]] == [
        ("cam8_1.png", 1),
        ("cam7_2.png", 2),
    ]
    labels = put(tmp_path, "5,1,1,2,3,4\n")
    message = r"no row belongs to frames 1 to 2 of"
    refused("mot-text", tmp_path / "clip", message, labels=labels, frame_numbers="name")


def test_several_videos(tmp_path: Path) -> None:
    root = tmp_path / "videos"
    for name in ("cam10", "cam2", "cam3"):
        picture(root / name / "a.jpg", 20, 20)
    (root / "notes").mkdir()
    put(tmp_path, "1,4,1,2,3,4\n", "gt/cam2.txt")
    put(tmp_path, "", "gt/cam10.txt")
    data, result = converted("mot-text", root, labels=tmp_path / "gt", fps=12.5)
    assert [(video["name"], video["fps"]) for video in data["videos"]] == [
        ("cam2", 12.5),
        ("cam3", 12.5),
        ("cam10", 12.5),
    ]
    assert [len(found) for found in boxes(data).values()] == [1, 0, 0]
    assert result.remarks == [f"kept 1 x video without a label file, its frames alone: {tmp_path / 'gt' / 'cam3.txt'}"]


class TestClasses:
    def test_by_number(self, one: Path, tmp_path: Path) -> None:
        labels = put(tmp_path, "1,1,1,2,3,4,1,2,0.5\n1,2,9,2,3,4,0,1,1\n1,3,20,2,3,4,1,3,1\n1,4,30,2,3,4,1,-1,1\n")
        data, result = converted("mot-text", one, labels=labels, class_names=["person", "red car"])
        assert data["categories"] == [{"id": 1, "name": "person"}, {"id": 2, "name": "red car"}]
        found = boxes(data, "category_id", "ignore", "visibility")["shot9.png"]
        assert found == [([1, 2, 3, 4], 2, False, 0.5), ([9, 2, 3, 4], 1, True, 1)]
        assert result.remarks == [
            f"skipped 1 x box of unknown class '3': {labels}:3",
            f"skipped 1 x box of unknown class '-1': {labels}:4",
        ]

    def test_from_a_file(self, one: Path, tmp_path: Path) -> None:
        names = put(tmp_path, "person\r\n  \r\n\r\n car \r\n", "names.txt")
        labels = put(tmp_path, "1,1,1,2,3,4,1,2\n")
        data, _ = converted("mot-text", one, labels=labels, class_names=[str(names)])
        assert [entry["name"] for entry in data["categories"]] == ["person", "car"]
        assert data["annotations"][0]["category_id"] == 2

    def test_one_name_needs_no_column(self, one: Path, tmp_path: Path) -> None:
        labels = put(tmp_path, "1,1,1,2,3,4,1,-1,-1,-1\n")
        data, _ = converted("mot-text", one, labels=labels, class_names=["dog"])
        assert data["annotations"][0]["category_id"] == 1

    def test_classes_without_names(self, one: Path, tmp_path: Path) -> None:
        labels = put(tmp_path, "1,1,1,2,3,4,1,1,1\n1,2,1,2,3,4,1,5,1\n")
        refused("mot-text", one, r"labels\.txt:2: class 5, but no names of classes; .*--class-names", labels=labels)

    def test_bad_names(self, one: Path, tmp_path: Path) -> None:
        labels = put(tmp_path, "1,1,1,2,3,4,1,1,1\n")
        refused("mot-text", one, r"--class-names: 'a' stands there 2 times", labels=labels, class_names=["a", "b", "a"])
        empty = str(put(tmp_path, "\n", "names.txt"))
        refused("mot-text", one, r"names\.txt: no name in it", labels=labels, class_names=[empty])


def test_border(one: Path, tmp_path: Path) -> None:
    labels = put(tmp_path, "1,1,-10,2,30,4\n1,2,80,2,3,4\n")
    data, _ = converted("mot-text", one, labels=labels)
    assert boxes(data)["shot9.png"] == [([-10, 2, 30, 4],), ([80, 2, 3, 4],)]
    data, result = converted("mot-text", one, labels=labels, clip=True)
    assert boxes(data)["shot9.png"] == [([0, 2, 20, 4],)]
    assert [remark.split(":")[0] for remark in result.remarks] == [
        "clipped 1 x box that reaches beyond the picture",
        "skipped 1 x box outside the picture",
    ]


class TestMistakes:
    def test_labels(self, one: Path, tmp_path: Path) -> None:
        refused("mot-text", one, r"nothing\.txt: no such file or folder", labels=tmp_path / "nothing.txt")
        labels = put(tmp_path, "1,1,1,2,3\n")
        refused("mot-text", one, r"labels\.txt:1: 5 columns; a row needs 6 or more", labels=labels)
        labels = put(tmp_path, "7,1,1,2,3,4\n")
        refused("mot-text", one, r"labels\.txt: no row belongs to frames 1 to 3 of .*clip; check both", labels=labels)

    def test_one_file_for_two_videos(self, tmp_path: Path) -> None:
        for name in "ab":
            picture(tmp_path / "videos" / name / "1.jpg", 20, 20)
        labels = put(tmp_path, "1,1,1,2,3,4\n")
        refused("mot-text", tmp_path / "videos", r"one label file, but 2 videos", labels=labels)

    def test_no_picture(self, tmp_path: Path) -> None:
        (tmp_path / "videos" / "a").mkdir(parents=True)
        labels = put(tmp_path, "1,1,1,2,3,4\n")
        refused("mot-text", tmp_path / "videos", r"no picture in here nor in its folders", labels=labels)
        refused("mot-text", tmp_path / "nowhere", r"nowhere: no such folder", labels=labels)


def test_hidden_files_are_no_frames(one: Path, tmp_path: Path) -> None:
    (one / "._shot1.png").write_text("macOS")
    (one / "thumbs.db").write_text("")
    data, _ = converted("mot-text", one, labels=put(tmp_path, "1,1,1,2,3,4\n"))
    assert len(data["images"]) == 3


def test_folder_of_labels_for_one_video(one: Path, tmp_path: Path) -> None:
    put(tmp_path, "1,1,1,2,3,4\n", "gt/clip.txt")
    data, _ = converted("mot-text", one, labels=tmp_path / "gt")
    assert len(data["annotations"]) == 1
