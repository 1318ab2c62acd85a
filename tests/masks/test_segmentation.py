"""``segmentation`` of annotation files: text, lists of runs, polygons of several parts, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pycocotools import mask as mask_api

from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks, has_segmentation, read_segmentation

SIZE = (6, 8)


def pixels(value: Any) -> np.ndarray:
    return RleMasks.of([read_segmentation(value, SIZE, "here")], SIZE).bitmaps()[0]


def test_text_keeps_every_bit_and_runs_are_the_same_mask() -> None:
    bitmap = np.random.default_rng(0).random(SIZE) < 0.5
    bitmap[0, 0] = False
    text = RleMasks.of_bitmaps(bitmap[None]).texts()[0]
    assert read_segmentation({"size": [6, 8], "counts": text}, SIZE, "here") == text.encode()
    ends = np.flatnonzero(np.diff(bitmap.T.ravel().astype(int), prepend=0))
    runs = np.diff(ends, prepend=0, append=48).tolist()
    assert read_segmentation({"size": [6, 8], "counts": runs}, SIZE, "here") == text.encode()


@pytest.mark.parametrize(
    "runs",
    [[6, 0, 5, 20, 0, 10, 7], [0, 0, 0, 0, 5, 20, 23], [0, 7, 0, 3, 38], [10, 8, 30, 0], [3, 0, 0, 0, 45], [0, 48]],
)
def test_runs_without_a_pixel_are_joined(runs: list[int]) -> None:
    """With them pycocotools finds no overlap of a mask with itself."""
    expected = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(SIZE[::-1]).T
    text = mask_api.frPyObjects({"size": list(SIZE), "counts": runs}, *SIZE)["counts"].decode()
    same = RleMasks.of_bitmaps(expected[None])
    for counts in (runs, text):
        masks = RleMasks.of([read_segmentation({"size": [6, 8], "counts": counts}, SIZE, "here")], SIZE)
        assert np.array_equal(masks.bitmaps()[0], expected)
        assert masks.iou(masks).item() == masks.iou(same).item() == expected.any()
        assert counts is text or masks.texts() == same.texts()


def test_parts_of_polygons_are_joined_and_those_without_area_have_no_pixel() -> None:
    square, other = [1, 1, 4, 1, 4, 3, 1, 3], [5, 4, 8, 4, 8, 6, 5, 6.0]
    expected = np.zeros(SIZE, dtype=bool)
    expected[1:3, 1:4] = True
    assert np.array_equal(pixels([square]), expected)
    expected[4:6, 5:8] = True
    assert np.array_equal(pixels([square, other]), expected)
    for part in ([0, 0], [0, 0, 7, 5], [], [5], [0, 0, 7, 0, 7, 5, 6]):
        assert np.array_equal(pixels([square, part, other]), expected)
        assert not pixels([part]).any()
    assert not pixels([]).any()
    assert not pixels([[0, 0, 8, 6]]).any()


@pytest.mark.parametrize(("value", "there"), [(None, False), ([], False), ([[]], True), ("text", True)])
def test_an_empty_list_is_no_segmentation(value: Any, there: bool) -> None:
    assert has_segmentation({"segmentation": value}) is there
    assert has_segmentation({}) is False


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"size": [8, 6], "counts": "`1"}, r"here: its mask is of size \[8, 6\] \(height, width\), the picture of"),
        ({"counts": "`1"}, "here: its mask is of size None"),
        ({"size": [6, 8], "counts": [40, 9]}, "runs that fill 8 x 6 pixels"),
        ({"size": [6, 8], "counts": [40]}, "runs that fill 8 x 6 pixels"),
        ({"size": [6, 8], "counts": "\u00e4"}, "runs that fill 8 x 6 pixels"),
        ({"size": [6, 8]}, "runs that fill 8 x 6 pixels"),
        ([[1, 1, 4, 1, 99]], "a polygon is a list of numbers"),
        ([[1, 1, 4, 1, 4, float("nan")]], "a polygon is a list of numbers"),
        ("polygon", "segmentation is neither polygons nor a mask"),
        (None, "segmentation is neither polygons nor a mask"),
    ],
)
def test_mistakes(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_segmentation(value, SIZE, "here")


def test_pictures_have_a_size() -> None:
    with pytest.raises(InputError, match="here: a picture of 0 x 6 pixels"):
        read_segmentation([], (6, 0), "here")


def test_areas_of_many_masks() -> None:
    """More than pycocotools counts by itself."""
    bitmaps = np.zeros((600, 3, 5), dtype=bool)
    for index, bitmap in enumerate(bitmaps):
        bitmap.ravel()[: index % 16] = True
    assert RleMasks.of_bitmaps(bitmaps).areas().tolist() == [index % 16 for index in range(600)]
