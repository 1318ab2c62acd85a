"""Rows of MOTS text files: bit for bit, and what is no row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as mask_api

from clmot_qd.datasets.mot_text import MotTable, make_table
from clmot_qd.datasets.mots_text import format_mots, read_mots, read_mots_rows, write_mots
from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks

SIZE = (7, 9)


def bitmaps(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.random((count, *SIZE)) < rng.random((count, 1, 1))


def table(seed: int = 0, frames: int = 6, each: int = 3) -> MotTable:
    rng = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(1, frames + 1), each)
    ids = np.tile(2001 + np.arange(each), frames)
    order = rng.permutation(len(ids))
    masks = RleMasks.of_bitmaps(bitmaps(seed, len(ids)))
    return make_table(numbers[order], ids[order], np.zeros((len(ids), 4)), class_ids=np.full(len(ids), 2), masks=masks)


def masks_of(rows: MotTable) -> RleMasks:
    assert rows.masks is not None
    return rows.masks


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gt.txt"


def rle(pixels: list[int], size: tuple[int, int] = SIZE) -> str:
    """A mask of some pixels, counted by column."""
    flat = np.zeros(size[0] * size[1], dtype=bool)
    flat[pixels] = True
    return RleMasks.of_bitmaps(flat.reshape(size[::-1]).T[None]).texts()[0]


def test_runs_without_a_pixel_are_joined(path: Path) -> None:
    """pycocotools finds no overlap with them."""
    text = mask_api.frPyObjects({"size": list(SIZE), "counts": [7, 0, 5, 20, 0, 10, 21]}, *SIZE)["counts"].decode()
    path.write_text(f"1 2001 2 {SIZE[0]} {SIZE[1]} {text}\n")
    masks = masks_of(read_mots(path))
    assert masks.texts() == [rle(list(range(12, 42)))]
    assert masks.iou(masks) == 1


@pytest.mark.parametrize("seed", range(5))
def test_what_is_written_is_read_bit_for_bit(path: Path, seed: int) -> None:
    before = table(seed)
    write_mots(path, before)
    after = read_mots(path)
    order = np.lexsort((before.ids, before.frames))
    assert masks_of(after).size == SIZE
    assert masks_of(after).texts() == masks_of(before)[order].texts()
    for column in ("frames", "ids", "class_ids", "scores", "visibility"):
        assert np.array_equal(getattr(after, column), getattr(before, column)[order])
    text = path.read_text()
    assert format_mots(after) == text
    write_mots(path, after)
    assert path.read_text() == text


def test_boxes_are_those_around_the_masks(path: Path) -> None:
    before = table(3)
    write_mots(path, before)
    after = read_mots(path)
    for bitmap, (x, y, width, height) in zip(masks_of(after).bitmaps(), after.bboxes):
        rows, columns = np.nonzero(bitmap)
        assert (x, y) == (columns.min(), rows.min())
        assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)


def test_the_published_example(path: Path) -> None:
    runs = "WSV:2d;1O10000O10000O1O100O100O1O100O1000000000000000O100O102N5K00O1O1N2O110OO2O001O1NTga3"
    path.write_text(f"52 1005 1 375 1242 {runs}\n")
    rows = read_mots(path, first_frame=0)
    assert (rows.frames[0], rows.ids[0], rows.class_ids[0]) == (52, 1005, 1)
    assert masks_of(rows).size == (375, 1242)
    assert masks_of(rows).texts() == [runs]
    assert format_mots(rows) == path.read_text()


def test_rows_in_any_order_with_blank_lines_and_windows_line_ends(path: Path) -> None:
    path.write_bytes(f"\ufeff3 2001 2 7 9 {rle([1])}\r\n\r\n1\t2001  2 7 9 {rle([2])} \r\n".encode())
    rows, lines = read_mots_rows(path)
    assert rows.frames.tolist() == [3, 1]
    assert lines.tolist() == [1, 3]


def test_regions_have_score_zero_and_may_repeat(path: Path) -> None:
    region = f"1 10000 10 7 9 {rle([5])}\n1 10000 10 7 9 {rle([6])}\n"
    path.write_text(f"1 2001 2 7 9 {rle([1])}\n{region}")
    rows = read_mots(path)
    assert rows.scores.tolist() == [1, 0, 0]
    assert rows.class_ids.tolist() == [2, 10, 10]


def test_empty_file_and_empty_mask(path: Path) -> None:
    path.write_text("\n")
    assert (len(read_mots(path)), masks_of(read_mots(path)).size) == (0, (0, 0))
    assert masks_of(read_mots(path, size=(4, 5))).size == (4, 5)
    path.write_text(f"1 1 2 7 9 {rle([])}\n")
    rows = read_mots(path)
    assert rows.bboxes.tolist() == [[0, 0, 0, 0]]
    assert masks_of(rows).areas().tolist() == [0]


GOOD = rle([1, 2])
BAD = {
    f"1 2001 2 7 {GOOD}": "5 columns; a row is frame id class height width runs, separated by blanks",
    "1,2001,10,20,30,40,1,1,1": "1 columns; a row is frame id",
    f"1 2001 2 7 9 {GOOD} 0.9": "7 columns; a row is frame id",
    f"1.5 2001 2 7 9 {GOOD}": "frame '1.5' is no whole number",
    f"1 -1 2 7 9 {GOOD}": "id '-1' is no whole number",
    f"1 x 2 7 9 {GOOD}": "id 'x' is no whole number",
    f"1 1_0 2 7 9 {GOOD}": "id '1_0' is no whole number",
    f"1 ٣ 2 7 9 {GOOD}": "id '٣' is no whole number",
    f"1 {'9' * 400} 2 7 9 {GOOD}": "is no whole number",
    f"0 2001 2 7 9 {GOOD}": "frame 0: frames count from 1",
    f"10000001 2001 2 7 9 {GOOD}": "frames count from 1, up to 10000000",
    f"1 2001 2 9 7 {GOOD}": "a mask of 7 x 9 pixels, the video has 9 x 7",
    f"1 2001 2 0 9 {GOOD}": "sides are 1 to 65536",
    f"1 2001 2 7 99999999 {GOOD}": "sides are 1 to 65536",
    f"1 2001 2 7 9 {rle([1], (7, 10))}": "its mask is no list of runs that fill 9 x 7 pixels",
    f"1 2001 2 7 9 {rle([1], (7, 8))}": "its mask is no list of runs that fill 9 x 7 pixels",
    f"1 2001 2 7 9 {GOOD[:-1]}": "its mask is no list of runs that fill 9 x 7 pixels",
    "1 2001 2 7 9 ~~~": "its mask is no list of runs that fill 9 x 7 pixels",
    "1 2001 2 7 9 ooooooooo": "its mask is no list of runs that fill 9 x 7 pixels",
}


@pytest.mark.parametrize("row", BAD)
def test_what_is_no_row_is_refused_with_its_line(path: Path, row: str) -> None:
    path.write_text(f"1 2002 2 7 9 {rle([9])}\n\n{row}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_mots(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert BAD[row] in str(caught.value)


def test_frame_zero_is_one_of_kitti(path: Path) -> None:
    path.write_text(f"0 1001 1 7 9 {GOOD}\n")
    assert read_mots(path, first_frame=0).frames.tolist() == [0]


def test_size_that_is_asked_for(path: Path) -> None:
    path.write_text(f"1 2001 2 7 9 {GOOD}\n")
    assert len(read_mots(path, size=(7, 9))) == 1
    with pytest.raises(InputError, match=r"gt\.txt:1: a mask of 9 x 7 pixels, the video has 10 x 7"):
        read_mots(path, size=(7, 10))


def test_identity_twice_in_a_frame(path: Path) -> None:
    rows = [f"1 10000 10 7 9 {GOOD}", f"2 2001 2 7 9 {GOOD}", f"1 2001 2 7 9 {GOOD}", "", f"2 2001 1 7 9 {GOOD}"]
    path.write_text("\n".join(rows))
    with pytest.raises(InputError, match=r"gt\.txt:5: frame 2 has id 2001 already in line 2; an identity stands"):
        read_mots(path)
    assert len(read_mots_rows(path)[0]) == 4


def test_missing_file_and_no_text(path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_mots(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no text in UTF-8"):
        read_mots(path)


def test_boxes_alone_cannot_be_written(path: Path) -> None:
    with pytest.raises(InputError, match="boxes without masks"):
        write_mots(path, make_table([1], [1], np.array([[1, 2, 3, 4]])))
    assert not path.exists()


def test_trackeval_reads_the_same(path: Path) -> None:
    """Its own reader sees the same frames, identities, classes and masks."""
    from trackeval.datasets import MOTSChallenge

    folder = path.parent
    for name in ("gt/MOTS-train/a/gt", "tr/MOTS-train/t/data"):
        (folder / name).mkdir(parents=True)
    before = table(7, each=1)
    region = make_table([2], [10000], np.zeros((1, 4)), class_ids=[10], masks=RleMasks.empty(SIZE, 1))
    write_mots(folder / "tr/MOTS-train/t/data/a.txt", before)
    text = format_mots(before) + format_mots(region)
    (folder / "gt/MOTS-train/a/gt/gt.txt").write_text(text)
    config = {"GT_FOLDER": str(folder / "gt"), "TRACKERS_FOLDER": str(folder / "tr"), "SEQ_INFO": {"a": 6}}
    theirs = MOTSChallenge({**config, "PRINT_CONFIG": False})._load_raw_file("t", "a", is_gt=True)
    ours = read_mots(folder / "gt/MOTS-train/a/gt/gt.txt")
    for frame in range(1, 7):
        mine = ours.select((ours.frames == frame) & (ours.class_ids != 10))
        assert theirs["gt_ids"][frame - 1].tolist() == mine.ids.tolist()
        assert theirs["gt_classes"][frame - 1].tolist() == mine.class_ids.tolist()
        assert [one["counts"].decode() for one in theirs["gt_dets"][frame - 1]] == masks_of(mine).texts()
