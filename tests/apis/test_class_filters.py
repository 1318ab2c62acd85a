"""Thresholds and classes as words on a command line, and the options of track_video."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
from locations import REPOSITORY

from clmot_qd.apis.class_filters import label_numbers, parse_score_thresholds, score_thresholds
from clmot_qd.apis.precision import PRECISIONS
from clmot_qd.apis.track_outputs import OUTPUTS
from clmot_qd.errors import InputError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (None, None),
        ([], None),
        (["0.4"], 0.4),
        (["car=0.5", "person=.3"], {"car": 0.5, "person": 0.3}),
        (["traffic light=0.5"], {"traffic light": 0.5}),
        (["a=b=0.5"], {"a=b": 0.5}),
    ],
)
def test_words_for_scores(words: list[str] | None, expected: Any) -> None:
    assert parse_score_thresholds(words) == expected


@pytest.mark.parametrize("words", [["often"], ["0.3", "0.4"], ["0.3", "car=0.4"], ["car=often"], ["car="], ["=0.4"]])
def test_other_words_are_refused(words: list[str]) -> None:
    with pytest.raises(InputError, match=r"--score-thr .*: give one score, or CLASS=SCORE"):
        parse_score_thresholds(words)


def test_thresholds_by_label() -> None:
    assert score_thresholds(None, ("a", "b")) is None
    assert score_thresholds(0.25, ("a", "b")).tolist() == [0.25, 0.25]
    assert score_thresholds({"b": 0.5}, ("a", "b")).tolist() == [0.0, 0.5]
    assert score_thresholds(0, ("a",)).tolist() == [0.0]
    np.testing.assert_array_equal(score_thresholds(0.25, ())[[0, 1203]], [0.25, 0.25])


def test_labels_of_names() -> None:
    assert label_numbers(None, ("a", "b")) is None
    assert label_numbers(["b"], ("a", "b")).tolist() == [1]
    assert label_numbers("b", ("a", "b")).tolist() == [1]


def test_a_long_list_of_classes_is_cut_in_messages() -> None:
    with pytest.raises(InputError, match=r"none of the classes \(c0, c1, c2, c3, c4, c5, c6, c7, \.\.\.\)"):
        label_numbers(["x"], [f"c{n}" for n in range(80)])


def test_the_command_knows_the_outputs_and_precisions_that_there_are() -> None:
    spec = importlib.util.spec_from_file_location("track_video", REPOSITORY / "tools" / "track_video.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tuple(OUTPUTS) == tool.OUTPUTS
    needed = ["clip", "--config", "c", "--checkpoint", "p"]
    for precision in PRECISIONS:
        assert tool.parse_args([*needed, "--precision", precision]).precision == precision
    plain = tool.parse_args(needed)
    assert (plain.outputs, plain.batch_size, plain.precision) == (None, None, "float32")
