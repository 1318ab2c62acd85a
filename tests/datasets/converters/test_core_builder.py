"""Frames to entries: numbering, order, checks at the border, identities, counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clmot_qd.datasets.converters import Box, Counts, Frame, Report
from clmot_qd.datasets.converters.builder import CocoVidBuilder
from clmot_qd.errors import InputError

CLASSES = {"person": 4, "car": 7}


def box(bbox: Sequence[float] = (1, 2, 3, 4), category: str = "person", identity: Any = None, **more: Any) -> Box:
    return Box(bbox, category, identity, **more)


def frame(*boxes: Box, video: str | None = "v", number: int = 0, **more: Any) -> Frame:
    return Frame(f"{video}/{number}.jpg", 20, 10, list(boxes), video, number, place=f"{video}: frame {number}", **more)


def build(
    *videos: list[Frame], keep: Sequence[str] = tuple(CLASSES), clip: bool = True, strict: bool = False, **more: Any
) -> tuple[CocoVidBuilder, list[dict[str, Any]]]:
    builder = CocoVidBuilder(CLASSES, keep, Report(strict), clip, **more)
    return builder, [entry for frames in videos for entry in builder.add_video(frames)]


def test_all_keys() -> None:
    odd = box(identity="anna", ignore=True, crowd=True, fields={"visibility": 0.5})
    builder, entries = build([frame(odd, fields={"mot_frame_id": 9}, number=9)], videos={"v": {"fps": 5}})
    assert builder.videos == [{"id": 1, "name": "v", "width": 20, "height": 10, "length": 1, "fps": 5}]
    assert builder.images == [
        {"id": 1, "video_id": 1, "frame_id": 0, "file_name": "v/9.jpg", "width": 20, "height": 10, "mot_frame_id": 9}
    ]
    assert entries == [
        {
            "id": 1,
            "image_id": 1,
            "video_id": 1,
            "category_id": 4,
            "bbox": [1, 2, 3, 4],
            "area": 12,
            "iscrowd": 1,
            "ignore": True,
            "instance_id": 1,
            "visibility": 0.5,
        }
    ]


def test_stills_have_no_video() -> None:
    builder, entries = build([frame(box(identity=3), video=None)], [frame(box(identity=3), video=None)])
    assert builder.videos == []
    assert [set(image) for image in builder.images] == [{"id", "file_name", "width", "height"}] * 2
    assert [("video_id" in entry, entry["image_id"], entry["instance_id"]) for entry in entries] == [
        (False, 1, 1),
        (False, 2, 1),
    ]
    assert builder.counts[None].counts() == Counts(images=2, boxes=2, identities=1, videos=0)


def test_ids_go_on_over_videos_and_frames_are_put_in_order() -> None:
    first = [frame(box(identity=8), number=12), frame(box(identity=5), box(), number=-3), frame(number=7)]
    second = [frame(box(identity=8), video="w")]
    builder, entries = build(first, second)
    assert [image["file_name"] for image in builder.images] == ["v/-3.jpg", "v/7.jpg", "v/12.jpg", "w/0.jpg"]
    assert [image["frame_id"] for image in builder.images] == [0, 1, 2, 0]
    assert [entry["id"] for entry in entries] == [1, 2, 3, 4]
    assert [entry["image_id"] for entry in entries] == [1, 1, 3, 4]
    assert [entry["video_id"] for entry in entries] == [1, 1, 1, 2]
    assert [entry.get("instance_id") for entry in entries] == [1, None, 2, 3]
    assert [video["length"] for video in builder.videos] == [3, 1]
    assert first[0].number == 12  # the frames themselves are left as they are


def test_two_frames_of_one_number() -> None:
    with pytest.raises(InputError, match=r"v: frame 2: v/2\.jpg and v/2\.jpg are both frame 2 of video v; remove one"):
        build([frame(number=2), frame(number=1), frame(number=2)])


def test_video_that_comes_again() -> None:
    with pytest.raises(InputError, match="v: frame 1: video 'v' comes a second time; its frames must be together"):
        build([frame()], [frame(video="w")], [frame(number=1)])


class TestIdentities:
    def test_second_box_of_one_in_a_frame(self) -> None:
        builder, entries = build([frame(box(identity=1, place="f:1"), box((5, 5, 1, 1), identity=1, place="f:2"))])
        assert [entry["bbox"] for entry in entries] == [[1, 2, 3, 4]]
        assert builder.report.lines() == ["skipped 1 x second box of an identity in one frame: f:2 (identity 1)"]

    def test_a_bad_box_is_not_the_first(self) -> None:
        _, entries = build([frame(box((1, 2, 0, 4), identity=1), box((5, 5, 1, 1), identity=1))])
        assert [entry["bbox"] for entry in entries] == [[5, 5, 1, 1]]

    def test_classes_that_are_not_wanted_have_none(self) -> None:
        _, entries = build(
            [frame(box(category="car", identity=1), box(identity=1), box((5, 5, 1, 1), identity=2))], keep=["person"]
        )
        assert [(entry["bbox"][0], entry["instance_id"]) for entry in entries] == [(1, 1), (5, 2)]

    def test_without_them_boxes_may_repeat(self) -> None:
        builder, entries = build([frame(box(identity=0), box(identity=0))], identities=False)
        assert len(entries) == 2
        assert not any("instance_id" in entry for entry in entries)
        assert builder.counts["v"].counts().identities == 0

    def test_halves_agree(self) -> None:
        def frames(selected: Sequence[int]) -> list[Frame]:
            rows = {1: ["b", "a"], 2: [], 3: ["c", "a"], 4: ["d", "b"]}
            bad = box((1, 2, math.nan, 4), identity="bad")
            unwanted = box(category="car", identity="car")
            return [
                frame(
                    bad, unwanted, *(box(identity=name) for name in names), number=number, selected=number in selected
                )
                for number, names in rows.items()
            ]

        (_, whole), (_, first), (builder, second) = (
            build(frames(part), keep=["person"]) for part in ((1, 2, 3, 4), (1, 2), (3, 4))
        )
        assert [entry["instance_id"] for entry in whole] == [1, 2, 3, 2, 4, 1]
        assert [entry["instance_id"] for entry in first + second] == [1, 2, 3, 2, 4, 1]
        assert [image["frame_id"] for image in builder.images] == [0, 1]
        assert builder.report.counts.total() == 2  # of the frames that are taken alone

    def test_video_without_a_selected_frame(self) -> None:
        builder, entries = build([frame(box(identity=1), selected=False)], [frame(box(identity=1), video="w")])
        assert [video["name"] for video in builder.videos] == ["w"]
        assert list(builder.counts) == ["w"]
        assert [entry["instance_id"] for entry in entries] == [1]


class TestBorder:
    @pytest.mark.parametrize(
        ("bbox", "inside"),
        [
            ((0, 0, 20, 10), (0, 0, 20, 10)),
            ((-1, 2, 3, 4), (0, 2, 2, 4)),
            ((1, -2, 3, 4), (1, 0, 3, 2)),
            ((18, 2, 3.5, 4), (18, 2, 2, 4)),
            ((1, 8, 3, 4), (1, 8, 3, 2)),
            ((-5, -5, 100, 100), (0, 0, 20, 10)),
        ],
    )
    def test_cut_or_kept(self, bbox: tuple, inside: tuple) -> None:
        _, cut = build([frame(box(bbox))])
        assert (cut[0]["bbox"], cut[0]["area"]) == (list(inside), inside[2] * inside[3])
        builder, kept = build([frame(box(bbox))], clip=False)
        assert (kept[0]["bbox"], kept[0]["area"]) == (list(bbox), bbox[2] * bbox[3])
        kinds = [("kept", "box that reaches beyond the picture")] if bbox != inside else []
        assert list(builder.report.counts) == kinds

    @pytest.mark.parametrize("bbox", [(20, 2, 3, 4), (1, 10, 3, 4), (-3, 2, 3, 4), (1, -9, 3, 4), (50, 50, 1, 1)])
    def test_outside(self, bbox: tuple) -> None:
        builder, entries = build([frame(box(bbox, place="f:1"))])
        assert entries == []
        assert list(builder.report.counts) == [("skipped", "box outside the picture")]
        builder, entries = build([frame(box(bbox))], clip=False)
        assert entries[0]["bbox"] == list(bbox)
        assert list(builder.report.counts) == [("kept", "box outside the picture")]

    def test_rounding_errors_are_no_remark(self) -> None:
        builder, entries = build([frame(box((-1e-12, 0.1, 20 + 1e-9, 9.9)))])
        assert builder.report.lines() == []
        assert entries[0]["bbox"][0] == -1e-12

    @given(st.tuples(*[st.floats(-30, 30)] * 2, *[st.floats(-5, 40)] * 2), st.booleans())
    @settings(max_examples=200, deadline=None)
    def test_what_is_written_has_an_area_inside(self, bbox: tuple, relative: bool) -> None:
        shares = (bbox[0] / 20, bbox[1] / 10, bbox[2] / 20, bbox[3] / 10)
        builder, entries = build([frame(box(shares if relative else bbox), relative=relative)])
        assert len(entries) + builder.report.counts.total() >= 1
        for entry in entries:
            x, y, width, height = entry["bbox"]
            assert min(width, height) > 0
            assert x >= -1e-5
            assert y >= -1e-5
            assert x + width <= 20 + 1e-5
            assert y + height <= 10 + 1e-5


BAD = {
    (math.nan, 2, 3, 4): "not finite",
    (1, math.inf, 3, 4): "not finite",
    (1, 2, 0, 4): "an area",
    (1, 2, 3, -1): "an area",
}


@pytest.mark.parametrize("bbox", BAD)
def test_bad_boxes(bbox: tuple) -> None:
    builder, entries = build([frame(box(bbox, place="f:3"), box())])
    assert len(entries) == 1
    ((action, kind),) = builder.report.counts
    assert action == "skipped"
    assert BAD[bbox] in kind
    with pytest.raises(InputError, match=r"f:3: box with.*mend it, or convert without --strict"):
        build([frame(box(bbox, place="f:3"))], strict=True)


def test_shares_of_the_picture() -> None:
    _, entries = build([frame(box((0.25, 0.5, 0.5, 0.25)), relative=True)])
    assert (entries[0]["bbox"], entries[0]["area"]) == ([5, 5, 10, 2.5], 25)


def test_unknown_and_unwanted_classes() -> None:
    builder, entries = build([frame(box(category="dog", place="f:1"), box(category="car"), box())], keep=["person"])
    assert [entry["category_id"] for entry in entries] == [4]
    assert builder.report.lines() == ["skipped 1 x box of unknown class 'dog': f:1"]


def test_counts() -> None:
    boxes = [
        box(identity=1),
        box(identity=2, ignore=True),
        box(identity=3, crowd=True),
        box(category="car", identity=4),
        box(category="car"),
        box(identity=5, category="dog"),
    ]
    builder, _ = build([frame(*boxes), frame(box(identity=1), number=1)])
    counts = builder.counts["v"]
    assert (counts.images, counts.ignored, counts.boxes) == (2, 2, {"person": 2, "car": 2})
    assert counts.counts() == Counts(images=2, boxes=4, identities=2, videos=1)
    assert counts.counts(["person"]) == Counts(images=2, boxes=2, identities=1, videos=1, classes=("person",))
    assert counts.counts(["dog"]) == Counts(images=2, boxes=0, identities=0, videos=1, classes=("dog",))
