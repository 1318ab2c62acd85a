"""Scalabel frames: shapes, curves, masks, parts of objects, identities, order of frames, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driving_samples import write_json
from pycocotools import mask as mask_api

from clmot_qd.datasets.converters import Report, scalabel
from clmot_qd.datasets.converters.json_stream import stream_json
from clmot_qd.datasets.converters.scalabel import Scalabel
from clmot_qd.datasets.converters.scalabel_shapes import join_parts, read_shape
from clmot_qd.datasets.converters.source import Box, Frame
from clmot_qd.errors import InputError

SQUARE = [[10, 20], [30, 20], [30, 60], [10, 60]]
VIDEOS = Scalabel(size=(1280, 720), videos=True)
STILLS = Scalabel(size=(1280, 720), videos=False)


def outline(vertices: Any, **others: Any) -> dict[str, Any]:
    return {"category": "car", "poly2d": [{"vertices": vertices, **others}]}


def frame(name: str = "a-0000001.jpg", index: int | None = 0, *labels: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"name": name, "videoName": "a", "frameIndex": index, "labels": list(labels), **others}


def label(identity: Any = "1", category: str = "car", **others: Any) -> dict[str, Any]:
    return {"id": identity, "category": category, "box2d": {"x1": 1, "y1": 2, "x2": 11.5, "y2": 22}, **others}


def read(path: Path, how: Scalabel = VIDEOS, report: Report | None = None) -> list[Frame]:
    return list(how.read(path, report or Report()))


class TestShapes:
    def test_corners(self) -> None:
        shape = read_shape(label(), "here")
        assert shape is not None
        assert shape.bbox == [1, 2, 10.5, 20]
        assert shape.segmentation is None

    def test_polygon(self) -> None:
        shape = read_shape(outline(SQUARE, types="LLLL", closed=True), "here")
        assert shape is not None
        assert shape.segmentation == [[10, 20, 30, 20, 30, 60, 10, 60]]
        assert shape.bbox == [10, 20, 20, 40]

    def test_polygon_beside_a_box(self) -> None:
        shape = read_shape(label(poly2d=[{"vertices": SQUARE}]), "here")
        assert shape is not None
        assert shape.bbox == [1, 2, 10.5, 20]
        assert shape.segmentation == [[10, 20, 30, 20, 30, 60, 10, 60]]

    def test_curve_through_a_quarter_of_a_circle(self) -> None:
        k = 4 / 3 * (math.sqrt(2) - 1)  # the usual approximation by one cubic curve
        vertices = [[0, 0], [100, 0], [100, 100 * k], [100 * k, 100], [0, 100]]
        shape = read_shape(outline(vertices, types="LLCCL"), "here")
        assert shape is not None
        points = np.reshape(shape.segmentation[0], (-1, 2))  # type: ignore[index]
        assert len(points) == 3 + 7
        np.testing.assert_allclose(np.hypot(*points[1:].T), 100, rtol=3e-4)
        np.testing.assert_allclose(np.degrees(np.arctan2(points[1:, 1], points[1:, 0])), np.arange(9) * 11.25, atol=0.6)

    def test_last_curve_ends_in_the_first_point(self) -> None:
        turned = read_shape(outline([[0, 100], [0, 0], [100, 0], [100, 50], [50, 100]], types="LLLCC"), "here")
        straight = read_shape(outline([[0, 0], [100, 0], [100, 50], [50, 100], [0, 100]], types="LLCCL"), "here")
        assert turned is not None
        assert straight is not None
        assert turned.bbox == straight.bbox
        as_sets = [{tuple(p) for p in np.reshape(s.segmentation[0], (-1, 2))} for s in (turned, straight)]  # type: ignore[index]
        assert as_sets[0] == as_sets[1]

    @pytest.mark.parametrize("types", ["LCLL", "LLLC", "CCLL", "LCCC", "LLL", "LLLX", "LCCCCL"])
    def test_wrong_curves(self, types: str) -> None:
        vertices = [[index, index**2] for index in range(6 if len(types) == 6 else 4)]
        with pytest.raises(InputError, match=r"^here: poly2d"):
            read_shape(outline(vertices, types=types), "here")

    def test_lines_and_slivers_are_no_outline(self) -> None:
        assert read_shape(outline(SQUARE, closed=False), "here") is None
        assert read_shape(outline(SQUARE[:2]), "here") is None
        assert read_shape({"category": "car", "box2d": None, "poly2d": None, "rle": None}, "here") is None

    @pytest.mark.parametrize("compressed", [True, False])
    def test_mask(self, compressed: bool) -> None:
        mask = np.zeros((40, 60), np.uint8, order="F")
        mask[10:15, 20:50] = 1
        rle = mask_api.encode(mask)
        counts: Any = rle["counts"].decode()
        if not compressed:
            runs = np.flatnonzero(np.diff(mask.ravel(order="F"), prepend=0)).tolist()
            counts = np.diff([0, *runs, mask.size]).tolist()
        shape = read_shape({"category": "car", "rle": {"counts": counts, "size": [40, 60]}}, "here")
        assert shape is not None
        assert shape.bbox == [20, 10, 30, 5]
        np.testing.assert_array_equal(mask_api.decode(shape.segmentation), mask)

    @pytest.mark.parametrize("runs", [[63, 0], [0, 0, 63], [5, 0, 58]])
    def test_mask_without_a_pixel_has_no_box(self, runs: list[int]) -> None:
        shape = read_shape({"category": "car", "rle": {"counts": runs, "size": [7, 9]}}, "here")
        assert shape is not None
        assert shape.bbox == [0, 0, 0, 0]

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"box2d": {"x1": 1, "y1": 2, "x2": 3}}, "here: box2d: no key 'y2'"),
            ({"box2d": {"x1": "1", "y1": 2, "x2": 3, "y2": 4}}, "here: box2d.x1 is '1', no number"),
            ({"box2d": {"x1": 1, "y1": True, "x2": 3, "y2": 4}}, "here: box2d.y1 is True, no number"),
            ({"box2d": [1, 2, 3, 4]}, "here: box2d: a list where an object"),
            ({"poly2d": [{"types": "LLL"}]}, "here: poly2d: no key 'vertices'"),
            ({"poly2d": [{"vertices": [[1, 2], [3], [4, 5]]}]}, "here: poly2d: vertex [3] is no [x, y]"),
            ({"poly2d": [{"vertices": [[1, 2], [3, None], [4, 5]]}]}, "here: poly2d.vertices is None, no number"),
            ({"rle": {"counts": "abc"}}, "here: rle: no key 'size'"),
            ({"rle": {"counts": "abc", "size": [3]}}, "here: rle.size is [3], not [height, width]"),
            ({"rle": {"counts": "abc", "size": [0, 3]}}, "here: rle.size is [0, 3]"),
            ({"rle": {"counts": None, "size": [3, 3]}}, "here: rle.counts is NoneType, no text"),
        ],
    )
    def test_refused(self, wrong: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError) as caught:
            read_shape({"category": "car", **wrong}, "here")
        assert str(caught.value).startswith(message)


class TestParts:
    @staticmethod
    def box(identity: Any, polygon: list[float] | None, bbox: list[float], category: str = "car") -> Box:
        return Box(bbox, category, identity, fields={} if polygon is None else {"segmentation": [polygon]})

    def test_joined(self) -> None:
        boxes = [
            self.box("a", [1], [0, 0, 10, 10]),
            self.box("b", [2], [0, 0, 5, 5]),
            self.box("a", [3], [20, -5, 10, 10]),
            self.box("a", [4], [2, 30, 1, 1]),
        ]
        joined = list(join_parts(boxes))
        assert [(box.identity, box.fields["segmentation"], box.bbox) for box in joined] == [
            ("a", [[1], [3], [4]], [0, -5, 30, 36]),
            ("b", [[2]], [0, 0, 5, 5]),
        ]

    def test_not_joined(self) -> None:
        boxes = [
            self.box("a", [1], [0, 0, 10, 10]),
            self.box("a", [2], [0, 0, 10, 10], "truck"),
            self.box("a", None, [0, 0, 10, 10]),
            self.box(None, [3], [0, 0, 10, 10]),
            self.box(None, [4], [0, 0, 10, 10]),
        ]
        assert list(join_parts(boxes)) == boxes
        assert boxes[0].fields == {"segmentation": [[1]]}


class TestFrames:
    def test_everything_of_a_frame(self, tmp_path: Path) -> None:
        how = Scalabel((1280, 720), True, synonyms={"bike": "bicycle"}, ignored=("trailer",), no_objects=("lane",))
        labels = [
            label(7, "bike", attributes={"crowd": False, "occluded": True}),
            label("x", "trailer", attributes={"Crowd": True, "Truncated": False}),
            label("y", "lane"),
            label("z", attributes=None),
        ]
        path = write_json(
            tmp_path / "labels.json", [frame("a-0000004.jpg", 3, *labels, size={"width": 5, "height": 4})]
        )
        (found,) = read(path, how)
        assert (found.file_name, found.video, found.number) == ("a/a-0000004.jpg", "a", 3)
        assert (found.width, found.height, found.fields) == (5, 4, {"frame_index": 3})
        assert found.place == f"{path}: a-0000004.jpg"
        bbox = [1, 2, 10.5, 20]
        place = f"{path}: a-0000004.jpg: label "
        assert found.boxes == [
            Box(bbox, "bicycle", "7", place=f"{place}0", fields={"occluded": True}),
            Box(bbox, "trailer", "x", ignore=True, crowd=True, place=f"{place}1", fields={"truncated": False}),
            Box(bbox, "car", "z", place=f"{place}3"),
        ]

    @pytest.mark.parametrize("labels", [None, [], "absent"])
    def test_frames_without_labels(self, tmp_path: Path, labels: Any) -> None:
        entry = {"name": "a-1.jpg", "videoName": "a", "frameIndex": 0, "labels": labels}
        if labels == "absent":
            del entry["labels"]
        (found,) = read(write_json(tmp_path / "labels.json", [entry]))
        assert found.boxes == []
        assert (found.width, found.height) == (1280, 720)

    def test_interleaved_videos_in_one_file(self, tmp_path: Path) -> None:
        order = [("a", 2), ("b", 0), ("a", 0), ("c", 0), ("b", 1), ("a", 1)]
        entries = [frame(f"{video}-{index}.jpg", index, videoName=video) for video, index in order]
        found = read(write_json(tmp_path / "labels.json", entries))
        assert [(f.video, f.number) for f in found] == [("c", 0), ("b", 0), ("b", 1), ("a", 2), ("a", 0), ("a", 1)]

    def test_videos_are_given_as_soon_as_they_are_complete(self, tmp_path: Path) -> None:
        entries = [frame(f"{video}-{index}.jpg", index, videoName=video) for video in "ab" for index in range(3)]
        frames = VIDEOS.read(write_json(tmp_path / "labels.json", [*entries, {"name": 5}]), Report())
        with pytest.raises(InputError, match="frame 6: no key 'videoName'"):
            next(frames)
        entries.append(frame(5, 0))  # type: ignore[arg-type]
        frames = VIDEOS.read(write_json(tmp_path / "labels.json", [*entries[3:], entries[-1]]), Report())
        assert [next(frames).number for _ in range(3)] == [0, 1, 2]
        with pytest.raises(InputError, match="frame 3: name is 5, not that of a picture"):
            next(frames)

    @pytest.mark.parametrize(
        ("how", "small", "expected"),
        [(VIDEOS, False, 100), (STILLS, False, 51), (VIDEOS, True, 50), (STILLS, True, 50)],
    )
    def test_small_files_and_stills_are_read_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: Scalabel, small: bool, expected: int
    ) -> None:
        given: list[Any] = []

        def counted(path: Path) -> Iterator[tuple[str, Any]]:
            for entry in stream_json(path):
                given.append(entry)
                yield entry

        monkeypatch.setattr(scalabel, "stream_json", counted)
        path = write_json(tmp_path / "labels.json", [frame(f"a-{index}.jpg", index) for index in range(50)])
        monkeypatch.setattr(scalabel, "_SMALL", path.stat().st_size if small else path.stat().st_size - 1)
        assert [found.number for found in read(path, how)] == (list(range(50)) if how is VIDEOS else [0] * 50)
        assert len(given) == expected

    def test_object_with_frames_and_the_size_behind(self, tmp_path: Path) -> None:
        content = {
            "frames": [frame("a-1.jpg", 0), frame("a-2.jpg", 1, size={"width": 7, "height": 8})],
            "groups": None,
            "config": {"imageSize": {"width": 640, "height": 480}, "categories": []},
        }
        found = read(write_json(tmp_path / "labels.json", content))
        assert [(f.width, f.height) for f in found] == [(640, 480), (7, 8)]
        (still, _) = read(tmp_path / "labels.json", STILLS)
        assert (still.width, still.file_name, still.video, still.number) == (640, "a-1.jpg", None, 0)
        for config in (None, {}, {"imageSize": None}):
            found = read(write_json(tmp_path / "labels.json", content | {"config": config}))
            assert (found[0].width, found[0].height) == (1280, 720)

    def test_folder_of_files_takes_the_video_from_the_file(self, tmp_path: Path) -> None:
        for video in "ba":
            entry = frame(f"{video}-0000001.jpg", 0)
            del entry["videoName"]
            write_json(tmp_path / f"{video}.json", [entry])
        (tmp_path / "readme.txt").write_text("not a label")
        assert [(f.video, f.file_name) for f in read(tmp_path)] == [("a", "a/a-0000001.jpg"), ("b", "b/b-0000001.jpg")]
        with pytest.raises(InputError, match=r"a.json: frame 0: no key 'videoName'"):
            read(tmp_path / "a.json")

    def test_first_release_file_for_each_picture(self, tmp_path: Path) -> None:
        for name in ("0a", "0b"):
            content = {"attributes": {}, "frames": [{"timestamp": 10000, "objects": [label(3)]}], "name": name}
            write_json(tmp_path / f"{name}.json", content)
        found = read(tmp_path, STILLS)
        assert [f.file_name for f in found] == ["0a.jpg", "0b.jpg"]
        assert [f.boxes[0].category for f in found] == ["car", "car"]
        assert found[0].boxes[0].identity is None

    @pytest.mark.parametrize(
        ("entry", "number"),
        [
            ({"frameIndex": 5, "index": 6, "name": "a-0000009.jpg"}, 5),
            ({"index": 6, "name": "a-0000009.jpg"}, 6),
            ({"name": "b1c66a42-6f7d68ca-0000009.jpg"}, 8),
            ({"frameIndex": None, "name": "b1c66a42-6f7d68ca-0000009.jpg"}, 8),
        ],
    )
    def test_place_in_time(self, tmp_path: Path, entry: dict[str, Any], number: int) -> None:
        (found,) = read(write_json(tmp_path / "labels.json", [entry | {"videoName": "v"}]))
        assert found.number == number

    def test_name_with_folder_stays(self, tmp_path: Path) -> None:
        (found,) = read(write_json(tmp_path / "labels.json", [frame("a/a-1.png", 0)]))
        assert found.file_name == "a/a-1.png"

    def test_remarks(self, tmp_path: Path) -> None:
        nowhere, nameless = label(), label()
        del nowhere["box2d"], nameless["id"]
        report = Report()
        (found,) = read(write_json(tmp_path / "labels.json", [frame("n.jpg", 0, nowhere, nameless)]), VIDEOS, report)
        assert [box.identity for box in found.boxes] == [None]
        assert dict(report.counts) == {
            ("skipped", "label without box, polygon or mask"): 1,
            ("kept", "label without an id, its box without identity"): 1,
        }
        read(tmp_path / "labels.json", STILLS, report := Report())
        assert len(report.counts) == 1  # ids of stills mean nothing

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ([7], "labels.json: frame 0: a int where an object"),
            ([frame(), "x"], "labels.json: frame 1: a str where an object"),
            ([{"videoName": "a", "frameIndex": 0}], "labels.json: frame 0: name is None"),
            ([frame("n.jpg", None)], "labels.json: n.jpg: frameIndex is None, no number"),
            ([frame("n.jpg", True)], "labels.json: n.jpg: frameIndex is True, no number"),
            ([frame("n.jpg", 0, labels={"id": 1})], "labels.json: n.jpg: labels is a dict, not a list"),
            ([frame("n.jpg", 0, 7)], "labels.json: n.jpg: label 0: a int where an object"),
            ([frame("n.jpg", 0, label(), {"id": 5})], "labels.json: n.jpg: label 1: no key 'category'"),
            ([frame("n.jpg", 0, size={"width": 5})], "labels.json: n.jpg: size: no key 'height'"),
            ([frame("n.jpg", 0, size={"width": 5, "height": 0})], "labels.json: n.jpg: size is 5 x 0"),
            (
                {"frames": [], "config": {"imageSize": {"width": 1.5, "height": 3}}},
                "labels.json: config: size is 1.5 x 3",
            ),
        ],
    )
    def test_refused(self, tmp_path: Path, content: Any, message: str) -> None:
        path = write_json(tmp_path / "labels.json", content)
        with pytest.raises(InputError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{tmp_path}/{message}")

    def test_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no JSON file in here"):
            read(tmp_path)
