"""Grids and spaces from the command line."""

from __future__ import annotations

import re

import pytest

from clmot_qd.apis.tuning import Range, grid_points, parse_grid, parse_space
from clmot_qd.errors import InputError


def test_grid() -> None:
    grid = parse_grid(["match_thr=0.6,0.7", "lost_frames=10", "motion=None,kalman", "per_class=True,False"])
    assert grid == {
        "match_thr": (0.6, 0.7),
        "lost_frames": (10,),
        "motion": (None, "kalman"),
        "per_class": (True, False),
    }
    points = grid_points({"a": (1, 2), "b": ("x", None)})
    assert points == [dict(a=1, b="x"), dict(a=1, b=None), dict(a=2, b="x"), dict(a=2, b=None)]


def test_space() -> None:
    space = parse_space(["match_thr=0.4:0.9", "lost_frames=10:60", "gate_thr=5:9.5", "motion=None,kalman"])
    assert space == {
        "match_thr": Range(0.4, 0.9),
        "lost_frames": Range(10, 60),
        "gate_thr": Range(5, 9.5),
        "motion": (None, "kalman"),
    }
    assert [entry.whole for entry in space.values() if isinstance(entry, Range)] == [False, True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("match_thr", "--space match_thr: write KEY=VALUES, e.g. match_thr=0.4:0.9"),
        ("=0.4:0.9", "write KEY=VALUES"),
        ("match_thr=", "write KEY=VALUES"),
        ("match_thr=0.9:0.4", "the range is empty; write the smaller number first"),
        ("match_thr=0.4:0.4", "the range is empty"),
        ("match_thr=0.4:a", "'a' is not a number; a range is LOW:HIGH"),
        ("match_thr=True:3", "'True' is not a number"),
        ("motion=None,", "a value is empty or stands twice"),
        ("motion=1,2,1", "a value is empty or stands twice"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        parse_space([text])
    if ":" not in text:
        with pytest.raises(InputError, match="--grid"):
            parse_grid([text])


def test_a_key_twice() -> None:
    for parse in (parse_grid, parse_space):
        with pytest.raises(InputError, match="a: stands twice"):
            parse(["a=1,2", "a=3,4"])
