"""MOT text files: real forms with their oddities, exact round trips, messages for malformed rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clmot_qd.datasets.mot_text import (
    find_duplicate,
    make_table,
    read_detections,
    read_ground_truth,
    read_ground_truth_rows,
    read_tracks,
    write_tracks,
)
from clmot_qd.errors import InputError

MOT15_WORLD = "1,9,499,158,31.03,75.17,1,-4.1554,-7.3591,0\n2,9,501.5,158,31.03,75.17,0,-4.2,-7.3,0\n"
MOT15_MINUS_ONE = "2,1,399,182,121,229,1,-1,-1,-1\n1,1,401,182,121,229,1,-1,-1,-1\n"
MOT17 = "1,1,912,484,97,109,0,7,1\n1,2,1338,418,167,379,1,1,0.98946\n3,0,586.25,447.125,85,263,1,12,0.5\n"
DETECTIONS = "3,-1,1434.9,146.8,289.2,817.2,0.25\n1,-1,100.5,20,30,60,-0.5\n3,-1,1,2,3,4,67.5\n"


def put(folder: Path, text: str, name: str = "gt.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


class TestGroundTruth:
    def test_mot17_keeps_every_column(self, tmp_path: Path) -> None:
        table = read_ground_truth(put(tmp_path, MOT17))
        assert table.frames.tolist() == [1, 1, 3]
        assert table.ids.tolist() == [1, 2, 0]
        assert table.bboxes.tolist() == [[912, 484, 97, 109], [1338, 418, 167, 379], [586.25, 447.125, 85, 263]]
        assert table.scores.tolist() == [0, 1, 1]
        assert table.class_ids.tolist() == [7, 1, 12]
        assert table.visibility.tolist() == [1, 0.98946, 0.5]

    @pytest.mark.parametrize("text", [MOT15_WORLD, MOT15_MINUS_ONE])
    def test_mot15_has_no_classes_but_pedestrians(self, tmp_path: Path, text: str) -> None:
        table = read_ground_truth(put(tmp_path, text))
        assert table.class_ids.tolist() == [1, 1]
        assert table.visibility.tolist() == [1, 1]

    def test_mot15_marks_and_subpixel_boxes_stay(self, tmp_path: Path) -> None:
        table = read_ground_truth(put(tmp_path, MOT15_WORLD))
        assert table.scores.tolist() == [1, 0]
        assert table.bboxes[1].tolist() == [501.5, 158, 31.03, 75.17]

    def test_minus_one_in_the_class_column_is_a_pedestrian(self, tmp_path: Path) -> None:
        assert read_ground_truth(put(tmp_path, "1,1,2,3,4,5,1,-1,-1\n")).class_ids.tolist() == [1]

    def test_seven_columns_are_enough(self, tmp_path: Path) -> None:
        table = read_ground_truth(put(tmp_path, "1,1,2,3,4,5,1\n"))
        assert (table.class_ids.tolist(), table.visibility.tolist()) == ([1], [1])

    def test_rows_keep_the_order_of_the_file(self, tmp_path: Path) -> None:
        assert read_ground_truth(put(tmp_path, MOT15_MINUS_ONE)).frames.tolist() == [2, 1]

    @pytest.mark.parametrize(
        "text",
        [
            "1 5 2.5 3 4 5 1\n2 5 2.5 3 4 5 1\n",
            "1, 5, 2.5, 3, 4, 5, 1\r\n2, 5, 2.5, 3, 4, 5, 1\r\n",
            "\ufeff1,5,2.5,3,4,5,1\n\n   \n2,5,2.5,3,4,5,1",
        ],
        ids=["blanks", "windows line ends", "byte order mark, blank lines, no last line end"],
    )
    def test_other_ways_to_write_rows(self, tmp_path: Path, text: str) -> None:
        table = read_ground_truth(put(tmp_path, text))
        assert (table.frames.tolist(), table.ids.tolist(), table.bboxes[0].tolist()) == ([1, 2], [5, 5], [2.5, 3, 4, 5])

    @pytest.mark.parametrize("text", ["", "\n \n"])
    def test_empty_file(self, tmp_path: Path, text: str) -> None:
        path = put(tmp_path, text)
        assert len(read_ground_truth(path, allow_empty=True)) == 0
        with pytest.raises(InputError, match=rf"{re.escape(str(path))}: the file is empty"):
            read_ground_truth(path)

    def test_identities_are_checked_only_if_they_are_used(self, tmp_path: Path) -> None:
        path = put(tmp_path, "1,-1,2,3,4,5,1,1,1\n1,-1,20,3,4,5,1,1,1\n")
        assert len(read_ground_truth(path, identities=False)) == 2
        with pytest.raises(InputError, match=r"gt\.txt:1: id -1"):
            read_ground_truth(path)

    def test_unknown_class(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"gt\.txt:2: class 14 is none of MOT's classes 1 to 13"):
            read_ground_truth(put(tmp_path, "1,1,2,3,4,5,1,1,1\n1,2,2,3,4,5,1,14,1\n"))


GOOD = "1,1,10,10,5,5,1,1,1\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2,1,10,10,5,5,1,1", "8 columns, the first row has 9"),
        ("2,1,10,10,5,5,1,1,1,1", "10 columns, the first row has 9"),
        ("2,1,10,10,5,x5,1,1,1", "'x5' is not a number"),
        ("2,1,10,10,,5,1,1,1", "'' is not a number"),
        ("2,1,10,10,5,5,nan,1,1", "not finite"),
        ("2,1,inf,10,5,5,1,1,1", "not finite"),
        ("2,1,10,10,0,5,1,1,1", "box of 0 x 5 pixels"),
        ("2,1,10,10,5,-3.5,1,1,1", "box of 5 x -3.5 pixels"),
        ("0,1,10,10,5,5,1,1,1", "frame 0: MOT frames count from 1"),
        ("-4,1,10,10,5,5,1,1,1", "frame -4: MOT frames count from 1"),
        ("1.5,1,10,10,5,5,1,1,1", "whole numbers"),
        ("2,1.5,10,10,5,5,1,1,1", "whole numbers"),
        ("1,1,70,10,5,5,1,1,1", "frame 1 has id 1 already in line 2"),
        ("2,-1,70,10,5,5,1,1,1", "id -1"),
    ],
)
@pytest.mark.parametrize("reader", [read_ground_truth, read_tracks])
def test_malformed_row_is_named(tmp_path: Path, reader, row: str, message: str) -> None:
    path = put(tmp_path, f"\n{GOOD}\n{row}\n3,1,10,10,5,5,1,1,1\n")  # blank lines count as lines, but are no rows
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        reader(path)
    assert str(caught.value).startswith(f"{path}:4: ")
    assert "\n" not in str(caught.value)


class TestDetections:
    def test_rows_stay_where_they_are(self, tmp_path: Path) -> None:
        table = read_detections(put(tmp_path, DETECTIONS))
        assert table.frames.tolist() == [3, 1, 3]
        assert table.scores.tolist() == [0.25, -0.5, 67.5]
        assert table.ids.tolist() == [-1, -1, -1]

    def test_world_coordinates_are_no_classes(self, tmp_path: Path) -> None:
        table = read_detections(put(tmp_path, "1,-1,2,3,4,5,0.9,7,8,9\n"))
        assert (table.class_ids.tolist(), table.visibility.tolist()) == ([-1], [1])

    def test_nothing_to_track(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="the file is empty"):
            read_detections(put(tmp_path, ""))


def test_too_few_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gt\.txt:1: 6 columns; a row needs 7 or more"):
        read_tracks(put(tmp_path, "1,1,2,3,4,5\n"))


@pytest.mark.parametrize("read", [read_ground_truth, read_tracks, read_detections, read_ground_truth_rows])
def test_masks_in_place_of_boxes(tmp_path: Path, read: Callable) -> None:
    """MOTS20's gt.txt, of which the first row alone would say that a column is missing."""
    message = r"gt\.txt:2: a mask \(frame id class height width runs\), no box; score MOTS by --iou-type segm, convert"
    with pytest.raises(InputError, match=message):
        read(put(tmp_path, "\n1 2001 2 48 64 PPYo1\n1 2002 2 48 64 k0\n"))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.txt: cannot be read \(No such file"):
        read_tracks(tmp_path / "no.txt")


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0\x00\x10JFIF", GOOD.encode() + b"\xff\xfe\xfd"])
def test_binary_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gt.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a text file"):
        read_ground_truth(path)


class TestTracks:
    def test_written_rows_are_sorted_and_have_ten_columns(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "folder" / "out.txt"
        boxes = [[1, 2, 3, 4], [5.123456, 6, 7, 8], [9, 10, 11, 12]]
        write_tracks(path, make_table([2, 1, 1], [1, 10, 2], boxes, [0.5, 1, 0.25]))
        assert path.read_text().splitlines() == [
            "1,2,9.00000,10.00000,11.00000,12.00000,0.250000,-1,-1,-1",
            "1,10,5.12346,6.00000,7.00000,8.00000,1.000000,-1,-1,-1",
            "2,1,1.00000,2.00000,3.00000,4.00000,0.500000,-1,-1,-1",
        ]

    def test_no_tracks(self, tmp_path: Path) -> None:
        write_tracks(tmp_path / "out.txt", make_table([], [], np.empty((0, 4))))
        assert (tmp_path / "out.txt").read_text() == ""
        assert len(read_tracks(tmp_path / "out.txt")) == 0

    def test_classes_survive(self, tmp_path: Path) -> None:
        write_tracks(tmp_path / "out.txt", make_table([1, 1], [1, 2], np.ones((2, 4)), class_ids=[3, -1]))
        assert read_tracks(tmp_path / "out.txt").class_ids.tolist() == [3, -1]

    def test_failed_write_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = put(tmp_path, "old", "out.txt")

        def fail(*args: object, **kwargs: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(np, "savetxt", fail)
        with pytest.raises(OSError, match="disk full"):
            write_tracks(path, make_table([1], [1], np.ones((1, 4))))
        assert path.read_text() == "old"
        assert [child.name for child in tmp_path.iterdir()] == ["out.txt"]

    @given(
        rows=st.lists(
            st.tuples(
                st.integers(1, 10_000),
                st.integers(0, 100_000),
                st.tuples(*[st.floats(-5_000, 5_000)] * 2),
                st.tuples(*[st.floats(0.01, 5_000)] * 2),
                st.floats(-10, 100),
            ),
            unique_by=lambda row: row[:2],
            max_size=20,
        )
    )
    @settings(max_examples=40, deadline=None)
    def test_round_trip(self, tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
        path = tmp_path_factory.mktemp("tracks") / "out.txt"
        boxes = np.array([[*row[2], *row[3]] for row in rows]).reshape(-1, 4)
        written = make_table([row[0] for row in rows], [row[1] for row in rows], boxes, [row[4] for row in rows])
        write_tracks(path, written)
        expected = written.select(np.lexsort((written.ids, written.frames)))
        found = read_tracks(path)
        assert found.frames.tolist() == expected.frames.tolist()
        assert found.ids.tolist() == expected.ids.tolist()
        np.testing.assert_allclose(found.bboxes, expected.bboxes, atol=1e-5, rtol=0)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5, rtol=0)


@given(pairs=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=10))
@settings(max_examples=60, deadline=None)
def test_find_duplicate_is_the_first_repeated_row(pairs: list[tuple[int, int]]) -> None:
    frames, ids = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    naive = next((row for row, pair in enumerate(pairs) if pair in pairs[:row]), None)
    assert find_duplicate(frames, ids) == naive


@pytest.mark.parametrize(
    ("column", "classes"),
    [
        ([1.25, -3.5, 4.75, 2], [-1, -1, -1, -1]),  # coordinates of the world
        ([1, 2, -3.5, 0], [-1, -1, -1, -1]),
        ([-1, -1, -1, 0.5], [-1, -1, -1, -1]),
        ([1, 2, -1, 3], [1, 2, -1, 3]),
        ([1, 2, -1, 2.5], None),
        ([2.5, 2], None),
    ],
)
def test_half_a_class_between_classes(tmp_path: Path, column: list[float], classes: list[int] | None) -> None:
    path = put(tmp_path, "".join(f"{frame},1,2,3,4,5,1,{x},7,-1\n" for frame, x in enumerate(column, start=1)))
    if classes is not None:
        assert read_tracks(path).class_ids.tolist() == classes
        return
    row = column.index(2.5) + 1
    with pytest.raises(InputError, match=rf"gt\.txt:{row}: class 2\.5: must be a whole number, as in the other rows"):
        read_tracks(path)


class TestRowsAsTheyStand:
    def test_boxes_and_identities_are_not_judged(self, tmp_path: Path) -> None:
        text = "1,1,2,3,nan,5,1,1,1\n\n1,1,2,3,4,-5,1,99,1\n2,-1,2,3,4,5,0,-1,inf\n"
        table, lines = read_ground_truth_rows(put(tmp_path, text))
        assert lines.tolist() == [1, 3, 4]
        assert np.isnan(table.bboxes[0, 2])
        assert table.bboxes[1].tolist() == [2, 3, 4, -5]
        assert table.class_ids.tolist() == [1, 99, -1]
        assert table.ids.tolist() == [1, 1, -1]

    @pytest.mark.parametrize("text", [MOT15_WORLD, MOT17])
    def test_good_files_read_as_ever(self, tmp_path: Path, text: str) -> None:
        path = put(tmp_path, text)
        table, _ = read_ground_truth_rows(path)
        for name, column in read_ground_truth(path).columns().items():
            found = getattr(table, name)
            assert np.where(found == -1, 1, found).tolist() == column.tolist()

    def test_world_coordinates_may_be_anything(self, tmp_path: Path) -> None:
        table, _ = read_ground_truth_rows(put(tmp_path, "1,1,2,3,4,5,1,nan,0.5,inf\n"))
        assert table.class_ids.tolist() == [-1]

    def test_other_rules(self, tmp_path: Path) -> None:
        path = put(tmp_path, "0 7 2 3 4 5\n1 7 2 3 4 5\n")
        table, _ = read_ground_truth_rows(path, first_frame=0, columns=6)
        assert (table.frames.tolist(), table.scores.tolist(), table.class_ids.tolist()) == ([0, 1], [1, 1], [-1, -1])
        with pytest.raises(InputError, match=r"gt\.txt:1: 6 columns; a row needs 7 or more"):
            read_ground_truth_rows(path, first_frame=0)
        with pytest.raises(InputError, match=r"gt\.txt:1: frame 0: the first frame is 2"):
            read_ground_truth_rows(path, first_frame=2, columns=6)

    def test_empty_file(self, tmp_path: Path) -> None:
        table, lines = read_ground_truth_rows(put(tmp_path, "\n"))
        assert (len(table), len(lines)) == (0, 0)

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ("1,1,2,3,4", "5 columns, the first row has 9"),
            ("1,x,2,3,4,5,1,1,1", "'x' is not a number"),
            ("nan,1,2,3,4,5,1,1,1", "frame nan, id 1: both must be whole numbers"),
            ("1,inf,2,3,4,5,1,1,1", "frame 1, id inf: both must be whole numbers"),
            ("0,1,2,3,4,5,1,1,1", "frame 0: MOT frames count from 1"),
            ("1,1,2,3,4,5,1,1.5,1", "class 1.5: must be a whole number"),
            ("1,1,2,3,4,5,1,nan,1", "class nan: must be a whole number"),
        ],
    )
    def test_what_cannot_be_read_is_refused(self, tmp_path: Path, row: str, message: str) -> None:
        path = put(tmp_path, f"{GOOD}\n{row}\n")
        with pytest.raises(InputError, match=re.escape(f"{path}:3: {message}")):
            read_ground_truth_rows(path)
