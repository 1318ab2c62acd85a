"""Lists of JDE, FairMOT and CL-MOT: paths, shares of the picture, identities, empty and missing label files."""

from __future__ import annotations

from pathlib import Path

import pytest
from person_samples import boxes, converted, picture, refused

from clmot_qd.datasets.converters.jde_text import PUBLISHED_IMAGES

VIDEO = "MOT17/images/train/MOT17-02-SDP/img1"


def put(root: Path, image: str, labels: str | None, size: tuple[int, int] = (200, 100)) -> str:
    picture(root / image, *size)
    if labels is not None:
        path = root / Path(image.replace("images", "labels_with_ids")).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(labels.encode())
    return image


def listed(tmp_path: Path, *lines: str, name: str = "own.train", end: str = "\n") -> Path:
    path = tmp_path / name
    path.write_bytes(end.join(lines).encode())
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_rows_become_boxes(root: Path, tmp_path: Path) -> None:
    name = put(root, "PRW/images/c1s1.jpg", "0 3 0.500000 0.400000 0.250000 0.200000\r\n\r\n0 -1 0.1 0.2 0.1 0.1\r\n")
    data, result = converted("jde-text", root, lists=[listed(tmp_path, name, end="\r\n")])
    (whole, unknown) = boxes(data, "instance_id", "category_id")[name]
    assert whole == (pytest.approx([75, 30, 50, 20]), 1, 1)
    assert unknown == (pytest.approx([10, 15, 20, 10]), None, 1)
    assert data["videos"] == []
    assert "video_id" not in data["images"][0]
    assert data["categories"] == [{"id": 1, "name": "pedestrian"}]
    assert (result.counts().boxes, result.counts().identities, result.remarks) == (2, 1, [])


def test_identity_zero_and_identities_of_two_lists(root: Path, tmp_path: Path) -> None:
    names = [put(root, f"S/images/{letter}.png", "0 0 .5 .5 .1 .1\n") for letter in "abc"]
    one = listed(tmp_path, *names[:2], name="one.train")
    two = listed(tmp_path, names[2], name="two.train")
    data, _ = converted("jde-text", root, lists=[one, two])
    assert [entry["instance_id"] for entry in data["annotations"]] == [1, 1, 2]
    assert [image["file_name"] for image in data["images"]] == names


def test_empty_and_missing_label_files(root: Path, tmp_path: Path) -> None:
    names = [put(root, "S/images/a.jpg", ""), put(root, "S/images/b.jpg", None), put(root, "S/images/c.jpg", "\n")]
    path = listed(tmp_path, *names)
    data, result = converted("jde-text", root, lists=[path])
    assert len(data["images"]) == 3
    assert data["annotations"] == []
    labels = root / "S" / "labels_with_ids"
    assert result.remarks == [
        f"kept 2 x picture with an empty label file: {labels / 'a.txt'}; {labels / 'c.txt'}",
        f"kept 1 x picture without a label file: {path}:2 ({labels / 'b.txt'})",
    ]


def test_only_folders_called_images_are_replaced(root: Path, tmp_path: Path) -> None:
    name = "my-images/images/images.jpg"
    picture(root / name, 200, 100)
    labels = root / "my-images" / "labels_with_ids" / "images.txt"
    labels.parent.mkdir()
    labels.write_text("0 1 .5 .5 .1 .1")
    data, _ = converted("jde-text", root, lists=[listed(tmp_path, name)])
    assert len(data["annotations"]) == 1


class TestLists:
    def test_absolute_paths_and_windows_separators(self, root: Path, tmp_path: Path) -> None:
        put(root, "S/images/a.jpg", "0 1 .5 .5 .1 .1\n")
        put(root, "S/images/b.jpg", "0 1 .5 .5 .1 .1\n")
        path = listed(tmp_path, f"  {root.resolve()}/S/images/a.jpg ", "", "S\\images\\b.jpg")
        data, _ = converted("jde-text", root, lists=[path])
        assert [image["file_name"] for image in data["images"]] == ["S/images/a.jpg", "S/images/b.jpg"]
        (tmp_path / "other").mkdir()
        refused(
            "jde-text",
            tmp_path / "other",
            r"own\.train:1: .* is not below .*other; correct --root, or leave a --prefix",
            lists=[path],
        )

    def test_paths_of_another_machine(self, root: Path, tmp_path: Path) -> None:
        names = [put(root, f"S/images/{letter}.jpg", "0 1 .5 .5 .1 .1\n") for letter in "ab"]
        path = listed(tmp_path, f"/home/author/MOT/{names[0]}", names[1])
        for prefix in ("/home/author/MOT", "/home/author/MOT/"):
            data, _ = converted("jde-text", root, lists=[path], prefix=prefix)
            assert [image["file_name"] for image in data["images"]] == names
        refused("jde-text", root, r"own\.train:1: /home/author/MOT/S/images/a\.jpg is not below", lists=[path])

    def test_a_picture_is_taken_once(self, root: Path, tmp_path: Path) -> None:
        name = put(root, "S/images/a.jpg", "0 1 .5 .5 .1 .1\n")
        path = listed(tmp_path, name, name)
        data, result = converted("jde-text", root, lists=[path])
        assert len(data["images"]) == 1
        assert result.remarks == [f"skipped 1 x picture that is listed a second time: {path}:2 (first in {path}:1)"]

    def test_mistakes(self, root: Path, tmp_path: Path) -> None:
        root.mkdir()
        refused("jde-text", root, r"own\.train: lists no picture", lists=[listed(tmp_path, "", " ")])
        refused(
            "jde-text", root, r"own\.train:2: no folder 'images' in a/b\.jpg", lists=[listed(tmp_path, "", "a/b.jpg")]
        )
        refused("jde-text", root, r"own\.train:1: no folder 'images' in a/images", lists=[listed(tmp_path, "a/images")])
        refused("jde-text", root, r"gone\.train: cannot be read", lists=[tmp_path / "gone.train"])
        refused("jde-text", root / "x", r"x: no such folder", lists=[listed(tmp_path, "a")])

    def test_missing_picture(self, root: Path, tmp_path: Path) -> None:
        name = put(root, "S/images/a.jpg", "0 1 .5 .5 .1 .1\n")
        path = listed(tmp_path, "S/images/gone.jpg", name)
        refused("jde-text", root, r"gone\.jpg: no such picture \(named in .*own\.train:1\)", lists=[path])
        data, _ = converted("jde-text", root, images="skip-bad", lists=[path])
        assert [image["file_name"] for image in data["images"]] == [name]
        refused("jde-text", root, "no size recorded: the pictures have to be looked at", images="trust", lists=[path])

    def test_published_pictures(self, root: Path, tmp_path: Path) -> None:
        name = put(root, "S/images/a.jpg", "")
        six = ("mot17", "caltech", "citypersons", "cuhksysu", "prw", "eth")
        paths = [listed(tmp_path, name, name=f"{part}.train") for part in six]
        _, result = converted("jde-text", root, lists=paths)
        assert result.published.images == 53508
        assert result.title == " + ".join(f"{part}.train" for part in six)
        _, result = converted("jde-text", root, lists=[paths[0], listed(tmp_path, name)])
        assert result.published is None
        assert PUBLISHED_IMAGES["mot17.train"] == 5316


class TestVideos:
    def test_folders_are_videos(self, root: Path, tmp_path: Path) -> None:
        rows = {10: "0 4 .5 .5 .1 .1\n", 2: "0 4 .4 .5 .1 .1\n", 9: ""}
        first = [put(root, f"{VIDEO}/{number}.jpg", row) for number, row in rows.items()]
        other = put(root, "MOT17/images/train/MOT17-04-SDP/img1/1.jpg", "0 4 .5 .5 .1 .1\n")
        data, _ = converted("jde-text", root, videos=True, lists=[listed(tmp_path, first[0], other, *first[1:])])
        assert [video["name"] for video in data["videos"]] == ["MOT17-02-SDP", "MOT17-04-SDP"]
        assert [image["mot_frame_id"] for image in data["images"]] == [2, 9, 10, 1]
        assert [image["frame_id"] for image in data["images"]] == [0, 7, 8, 0]
        assert [entry["instance_id"] for entry in data["annotations"]] == [1, 1, 2]

    def test_frames_counted_from_zero_have_no_mot_number(self, root: Path, tmp_path: Path) -> None:
        names = [put(root, f"ETHZ/eth01/images/{number:08d}.png", "") for number in (1, 0)]
        data, _ = converted("jde-text", root, videos=True, lists=[listed(tmp_path, *names)])
        assert data["videos"][0]["name"] == "eth01"
        assert [image["file_name"] for image in data["images"]] == names[::-1]
        assert "mot_frame_id" not in data["images"][0]

    def test_names_that_would_be_equal(self, root: Path, tmp_path: Path) -> None:
        names = [put(root, f"{part}/images/cam1/1.jpg", "") for part in "ab"]
        data, _ = converted("jde-text", root, videos=True, lists=[listed(tmp_path, *names)])
        assert [video["name"] for video in data["videos"]] == ["a_images_cam1", "b_images_cam1"]


class TestRows:
    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ("0 1 .5 .5 .1", "5 fields; a row is 'class id cx cy w h'"),
            ("0 1 .5 .5 .1 .1 1", "7 fields"),
            ("0 x .5 .5 .1 .1", "could not convert string to float: 'x'"),
            ("0 1.5 .5 .5 .1 .1", "'1.5' is no whole number"),
            ("0 inf .5 .5 .1 .1", "'inf' is no whole number"),
            ("0 1 .5 .5 .1 w", "could not convert string to float: 'w'"),
        ],
    )
    def test_malformed(self, root: Path, tmp_path: Path, row: str, message: str) -> None:
        name = put(root, "S/images/a.jpg", f"0 1 .5 .5 .1 .1\n{row}\n")
        refused("jde-text", root, rf"labels_with_ids/a\.txt:2: {message}", lists=[listed(tmp_path, name)])

    def test_judged_by_the_builder(self, root: Path, tmp_path: Path) -> None:
        rows = "0.0 1.0 .5 .5 .1 .1\n0 2 nan .5 .1 .1\n0 3 .5 .5 -.1 .1\n7 4 .5 .5 .1 .1\n0 5 1 .5 .1 .1\n"
        name = put(root, "S/images/a.jpg", rows)
        path = listed(tmp_path, name)
        data, result = converted("jde-text", root, lists=[path])
        assert [entry["instance_id"] for entry in data["annotations"]] == [1, 2]
        labels = root / "S" / "labels_with_ids" / "a.txt"
        assert {remark.split(f": {labels}:")[0]: remark.split(f": {labels}:")[1] for remark in result.remarks} == {
            "skipped 1 x box with a value that is not finite": "2 (x nan, y 45, w 20, h 10)",
            "skipped 1 x box without an area": "3 (x 110, y 45, w -20, h 10)",
            "skipped 1 x box of unknown class '7'": "4",
            "kept 1 x box that reaches beyond the picture": "5 (x 190, y 45, w 20, h 10)",
        }
        data, _ = converted("jde-text", root, lists=[path], clip=True)
        assert data["annotations"][1]["bbox"] == pytest.approx([190, 45, 10, 10])

    def test_classes_count_from_zero(self, root: Path, tmp_path: Path) -> None:
        name = put(root, "S/images/a.jpg", "1 1 .5 .5 .1 .1\n0 2 .5 .5 .1 .1\n")
        data, _ = converted("jde-text", root, lists=[listed(tmp_path, name)], class_names=["car", "van"])
        assert data["categories"] == [{"id": 1, "name": "car"}, {"id": 2, "name": "van"}]
        assert [entry["category_id"] for entry in data["annotations"]] == [2, 1]


@pytest.mark.parametrize(("folder", "spelling"), [("link", "link"), ("link", "data"), ("data", "data")])
def test_whole_paths_below_a_root_that_is_a_link(root: Path, tmp_path: Path, folder: str, spelling: str) -> None:
    name = put(root, "S/images/a.png", "0 0 .5 .5 .1 .1\n")
    (tmp_path / "link").symlink_to(root)
    data, _ = converted("jde-text", tmp_path / folder, lists=[listed(tmp_path, str(tmp_path / spelling / name))])
    assert [image["file_name"] for image in data["images"]] == [name]
    assert len(data["annotations"]) == 1
