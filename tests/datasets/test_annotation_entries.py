"""Boxes of annotation files: asked for one by one, and all at once."""

from __future__ import annotations

import pytest

from clmot_qd.datasets.annotation_entries import are_boxes, is_box

GOOD = [[1, 2, 3, 4], (1.5, 2, 0, 4.5), [-1, -2.5, 0.0, 0], [10**30, 1, 1, 1]]
BAD = [
    [1, 2, 3],
    [1, 2, 3, 4, 5],
    [1, 2, 3, -1],
    [1, 2, -0.5, 1],
    [1, 2, float("inf"), 3],
    [float("nan"), 2, 3, 4],
    [True, 2, 3, 4],
    [1, 2, "3", 4],
    [1, 2, None, 4],
    [[1], 2, 3, 4],
    "1234",
    {1: 1, 2: 2, 3: 3, 4: 4},
    None,
    7,
]


def test_all_at_once_as_one_by_one() -> None:
    assert are_boxes([])
    assert are_boxes(GOOD)
    assert all(map(is_box, GOOD))


@pytest.mark.parametrize("bad", BAD, ids=str)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_one_bad_box_among_good_ones(bad: object, place: int) -> None:
    assert not is_box(bad)
    assert not are_boxes([*GOOD[:place], bad, *GOOD[place:]])
