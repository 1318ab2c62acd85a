"""Whole conversions: the file, all or nothing; sizes of pictures; the table; reading files; the catalogue."""

from __future__ import annotations

import json
import math
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from person_samples import picture
from PIL import Image

from clmot_qd.datasets.converters import Box, Counts, Frame, Report, Source, convert, data_sets, format_conversion
from clmot_qd.datasets.converters.catalogue import MODULES, Option
from clmot_qd.datasets.converters.images import image_size
from clmot_qd.datasets.converters.text_files import (
    read_json,
    read_json_lines,
    read_text,
    require_folder,
    require_keys,
)
from clmot_qd.errors import InputError

CLASSES = {"person": 1, "car": 3}


def frame(name: str, number: int, *boxes: Box, size: tuple[int, int] = (20, 10), **more: Any) -> Frame:
    return Frame(f"{name}{number}.jpg", *size, list(boxes), name, number, **more)


def source(frames: Any, **more: Any) -> Source:
    return Source("set", CLASSES, frames, **{"images": None, "report": Report(), **more})


def box(category: str = "person", identity: Any = None, **more: Any) -> Box:
    return Box((1, 2, 3, 4), category, identity, **more)


class TestFile:
    def test_content(self, tmp_path: Path) -> None:
        out = tmp_path / "new" / "folder" / "out.json"
        frames = [
            frame("a", 2, box(identity=1)),
            frame("a", 1),
            Frame("still1.jpg", 5, 6, [box("car")]),
            Frame("still2.jpg", 5, 6, []),
            frame("b", 1, box()),
        ]
        convert(source(iter(frames)), out)
        data = json.loads(out.read_text())
        assert [video["name"] for video in data["videos"]] == ["a", "b"]
        assert [image["file_name"] for image in data["images"]] == [
            "a1.jpg",
            "a2.jpg",
            "still1.jpg",
            "still2.jpg",
            "b1.jpg",
        ]
        assert [(entry["image_id"], entry["category_id"]) for entry in data["annotations"]] == [(2, 1), (3, 3), (5, 1)]
        assert data["categories"] == [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}]

    def test_no_box_at_all(self, tmp_path: Path) -> None:
        convert(source([frame("a", 1)]), tmp_path / "out.json")
        assert json.loads((tmp_path / "out.json").read_text())["annotations"] == []

    def test_classes(self, tmp_path: Path) -> None:
        convert(source([frame("a", 1, box("car"), box())]), tmp_path / "out.json", classes=["car"])
        data = json.loads((tmp_path / "out.json").read_text())
        assert data["categories"] == [{"id": 3, "name": "car"}]
        assert [entry["category_id"] for entry in data["annotations"]] == [3]
        with pytest.raises(InputError, match="classes: 'dog' is none of set: person, car"):
            convert(source([]), tmp_path / "out.json", classes=["dog"])

    def test_no_identities(self, tmp_path: Path) -> None:
        result = convert(source([frame("a", 1, box(identity=1))]), tmp_path / "out.json", identities=False)
        assert "instance_id" not in (tmp_path / "out.json").read_text()
        assert result.counts().identities == 0

    def test_dry_run_says_the_same_and_writes_nothing(self, tmp_path: Path) -> None:
        frames = [frame("a", 1, box(identity=1), Box((1, 2, 0, 4), "person", place="f:1"))]
        assert convert(source(frames), None) == convert(source(frames), tmp_path / "out.json")
        (tmp_path / "out.json").unlink()
        convert(source(frames), None)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("error", [InputError("f:2: bad row"), KeyboardInterrupt(), ZeroDivisionError()])
    def test_an_error_on_the_way_leaves_the_old_file_alone(self, tmp_path: Path, error: BaseException) -> None:
        def frames() -> Iterator[Frame]:
            yield frame("a", 1, box())
            yield frame("b", 1, box())
            raise error

        out = tmp_path / "out.json"
        out.write_text("old")
        with pytest.raises(type(error)):
            convert(source(frames()), out)
        assert out.read_text() == "old"
        assert list(tmp_path.iterdir()) == [out]

    def test_nothing_to_convert(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="set: no frame to convert; is the folder the right one"):
            convert(source([]), tmp_path / "out.json")
        assert list(tmp_path.iterdir()) == []

    def test_numbers_that_json_does_not_have(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"box \[1\.0, 2\.0, 3\.0, 4\.0\]: a further value of it is not finite"):
            convert(source([frame("a", 1, box(fields={"visibility": math.nan}))]), tmp_path / "out.json")
        assert list(tmp_path.iterdir()) == []

    def test_frames_pass_the_progress(self) -> None:
        seen = []

        def progress(frames: Any, total: int | None) -> Iterator[Frame]:
            for one in frames:
                seen.append((one.number, total))
                yield one

        convert(source([frame("a", 3), frame("a", 1)], total=2), None, progress=progress)
        assert seen == [(3, 2), (1, 2)]

    @pytest.mark.parametrize("videos", [True, False])
    def test_boxes_are_written_before_the_next_video_is_read(self, tmp_path: Path, videos: bool) -> None:
        """Memory: two videos, or many still pictures, never stand in it at once."""
        alive: list[weakref.ref[Marked]] = []

        def frames() -> Iterator[Frame]:
            for name in "abcd":
                one = Marked(f"{name}.jpg", 20, 10, [box()], name if videos else None)
                alive.append(weakref.ref(one))
                yield one
                del one
                assert sum(reference() is not None for reference in alive) <= 2

        convert(source(frames()), tmp_path / "out.json")


class Marked(Frame):
    """A frame that can be watched."""


class TestPictures:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number in (1, 2):
            picture(tmp_path / "img" / f"a{number}.jpg", 20, 10)
        return tmp_path / "img"

    def test_sizes_are_filled_in(self, root: Path, tmp_path: Path) -> None:
        convert(source([frame("a", 1, size=(0, 0))], images=root), tmp_path / "out.json")
        assert json.loads((tmp_path / "out.json").read_text())["images"][0]["width"] == 20

    @pytest.mark.parametrize(
        ("number", "size", "message"),
        [
            (1, (21, 10), r"a1\.jpg: the picture is 20x10, but 21x10 is recorded \(named in f:1\)"),
            (3, (20, 10), r"a3\.jpg: no such picture \(named in f:1\)"),
            (4, (20, 10), r"a4\.jpg: not a readable picture \(named in f:1\)"),
        ],
    )
    def test_what_is_wrong_with_them(self, root: Path, number: int, size: tuple[int, int], message: str) -> None:
        (root / "a4.jpg").write_bytes((root / "a1.jpg").read_bytes()[:10])
        frames = [frame("a", 2), frame("a", number, box(), size=size, place="f:1")]
        with pytest.raises(InputError, match=message):
            convert(source(frames, images=root), None)
        result = convert(source(frames, images=root), None, images="skip-bad")
        assert (result.counts().images, result.counts().boxes) == (1, 0)
        assert "skipped 1 x frame whose picture" in result.remarks[0]
        with pytest.raises(InputError, match="without --strict"):
            convert(source(frames, images=root, report=Report(strict=True)), None, images="skip-bad")
        assert convert(source(frames, images=root), None, images="trust").counts().images == 2

    def test_no_size_and_no_look(self) -> None:
        with pytest.raises(InputError, match=r"a1\.jpg: no size recorded"):
            convert(source([frame("a", 1, size=(20, 0))]), None)

    def test_frames_that_are_not_selected_are_not_looked_at(self, root: Path) -> None:
        result = convert(source([frame("a", 1), frame("a", 9, selected=False)], images=root), None)
        assert result.counts().images == 1

    def test_turned_by_exif(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (20, 10)).save(tmp_path / "turned.jpg", exif=exif)
        assert image_size(tmp_path / "turned.jpg") == (10, 20)
        exif[0x0112] = 3
        Image.new("RGB", (20, 10)).save(tmp_path / "upside.jpg", exif=exif)
        assert image_size(tmp_path / "upside.jpg") == (20, 10)


class TestTable:
    def test_everything(self) -> None:
        frames = [
            frame("a", 1, box(identity=1), box("car", identity=2)),
            frame("b", 1, box(identity=1), box(ignore=True)),
        ]
        published = Counts(images=2, boxes=5, videos=3, classes=("person",), origin="paper, Table 1")
        of_a = Counts(images=7, boxes=8, identities=9, videos=1, classes=("person",))
        result = convert(source(frames, published=published, published_videos={"a": of_a}), None)
        tables = [[line.split() for line in part.splitlines()] for part in format_conversion(result).split("\n\n")]
        assert tables == [
            [
                ["set", "images", "boxes", "identities", "ignored"],
                ["a", "1", "2", "2", "0"],
                ["b", "1", "1", "1", "1"],
            ],
            [
                ["set:", "class", "boxes", "identities"],
                ["person", "2", "2"],
                ["car", "1", "1"],
                ["all", "3", "3"],
                ["2", "images,", "2", "videos,", "1", "boxes", "to", "be", "ignored"],
            ],
            [
                ["person", "images", "published", "boxes", "published", "identities", "published"],
                ["a", "1", "7", "1", "8", "1", "9"],
            ],
            [
                ["person", "videos", "images", "boxes", "identities"],
                ["converted", "2", "2", "2", "2"],
                ["published", "3", "2", "5", "-"],
                ["difference", "-1", "0", "-3", "-"],
                ["published:", "paper,", "Table", "1"],
            ],
        ]

    def test_columns_stand_below_their_names(self) -> None:
        text = format_conversion(convert(source([frame("a", 1, box("car")), frame("bbbbbbbbbb", 1, box("car"))]), None))
        for part in text.split("\n\n")[:1]:
            assert len({len(line) for line in part.splitlines()}) == 1

    def test_one_video_and_one_class_need_no_rows_of_their_own(self) -> None:
        text = format_conversion(convert(source([frame("a", 1, box("car"))]), None))
        assert [line.split()[0] for line in text.splitlines()] == ["set:", "car", "1"]

    def test_many_videos_are_summed_only(self) -> None:
        text = format_conversion(convert(source([frame(f"v{number}", 1) for number in range(61)]), None))
        assert "v7" not in text
        assert "61 images, 61 videos" in text

    def test_remarks_come_last(self) -> None:
        bad = [Box((1, 2, 0, 4), "person", place=f"f:{number}") for number in range(5)]
        text = format_conversion(convert(source([frame("a", 1, box("dog", place="f:9"), *bad)]), None))
        shown = "; ".join(f"f:{number} (x 1, y 2, w 0, h 4)" for number in range(3))
        assert text.splitlines()[-2:] == [
            f"skipped 5 x box without an area: {shown} ...",
            "skipped 1 x box of unknown class 'dog': f:9",
        ]


class TestReading:
    def test_text(self, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        path.write_bytes(b"\xef\xbb\xbfx")
        assert read_text(path) == "x"
        path.write_bytes(b"ab\xff")
        with pytest.raises(InputError, match=r"a\.txt: no text in UTF-8 \(invalid start byte at byte 2\)"):
            read_text(path)
        with pytest.raises(InputError, match=r"b\.txt: cannot be read \(No such file or directory\)"):
            read_text(tmp_path / "b.txt")

    def test_json(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_text('{"a":\n [1, 2')
        with pytest.raises(InputError, match=r"a\.json: no valid JSON \(.* at line 2, column 7\): truncated"):
            read_json(path)
        path.write_text("[1]")
        assert read_json(path) == [1]

    def test_json_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "a.odgt"
        path.write_text('{"a": 1}\n\n[2]\n')
        assert list(read_json_lines(path)) == [(1, {"a": 1}), (3, [2])]
        path.write_text('{"a": 1}\n\n[2')
        with pytest.raises(InputError, match=r"at line 3, column 3"):
            list(read_json_lines(path))

    def test_requirements(self, tmp_path: Path) -> None:
        assert require_folder(tmp_path, "pictures") == tmp_path
        with pytest.raises(InputError, match="x: no such folder; it holds pictures"):
            require_folder(tmp_path / "x", "pictures")
        require_keys({"a": 1, "b": None}, ("a", "b"), "f:1")
        with pytest.raises(InputError, match="f:1: no key 'b'"):
            require_keys({"a": 1}, ("a", "b"), "f:1")
        with pytest.raises(InputError, match="f:1: a list where an object with a, b should be"):
            require_keys([], ("a", "b"), "f:1")


def test_strict_names_the_first_place() -> None:
    report = Report(strict=True)
    report.note("kept", "box outside", "f:1")
    report.note("clipped", "box beyond", "f:2")
    with pytest.raises(InputError, match=r"^f:3: box without an area \(w 0\); mend it, or convert without --strict"):
        report.note("skipped", "box without an area", "f:3", "w 0")


def test_catalogue() -> None:
    assert Option("--no-crowds", {}).name == "no_crowds"
    entries = data_sets()
    assert len(entries) >= len(MODULES)
    for name, entry in entries.items():
        assert (entry.name, entry.summary.strip()) == (name, entry.summary)
        assert "ROOT" in entry.layout
        assert max(len(line) for line in entry.layout.splitlines()) <= 120
        assert len({option.name for option in entry.options}) == len(entry.options)
