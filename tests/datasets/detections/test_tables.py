"""Classes, frames and choices of a set of detections."""

from __future__ import annotations

import numpy as np
import pytest

from clmot_qd.datasets.detections import DetectionSet, VideoDetections
from clmot_qd.errors import InputError


def video(frames: list[int], labels: list[int] | None = None, **more: np.ndarray) -> VideoDetections:
    count = len(frames)
    bboxes = np.arange(4.0 * count).reshape(count, 4)
    return VideoDetections(np.array(frames), bboxes, np.linspace(0, 1, count), np.array(labels or [0] * count), **more)


def test_rows_by_frame_keep_the_order_of_the_source() -> None:
    found = video([5, 2, 5, 9, 2])
    assert [rows.tolist() for rows in found.by_frame(np.array([1, 2, 5, 7]))] == [[], [1, 4], [0, 2], []]


def test_class_numbers() -> None:
    named = DetectionSet("here", {}, ("car", "person"))
    assert named.class_numbers() == [1, 2]
    assert named.class_numbers({"person": 1, "car": 7}) == [7, 1]
    assert DetectionSet("here", {}).class_numbers({"car": 7}) is None
    with pytest.raises(InputError, match=r"here: class 'car' is none of the annotations' \(person\); .*car=person"):
        named.class_numbers({"person": 1})
    with pytest.raises(InputError, match=r"names and numbers \(3 and car\)"):
        DetectionSet("here", {}, ("car", "3")).class_numbers()
    # A class that is called by a number is that class, whatever number it has.
    assert DetectionSet("here", {}, ("3",)).class_numbers({"3": 1, "dog": 3}) == [1]


def test_keep_classes_renames_and_joins() -> None:
    whole = DetectionSet("here", {"a": video([1, 1, 2, 3], [0, 1, 2, 1], embeds=np.eye(4))}, ("bus", "car", "man"))
    kept = whole.keep_classes({"man": "pedestrian", "bus": "vehicle", "car": "vehicle"})
    assert kept.classes == ("pedestrian", "vehicle")
    assert kept.videos["a"].labels.tolist() == [1, 1, 0, 1]
    few = whole.keep_classes({"car": "car"})
    assert (few.classes, few.videos["a"].frames.tolist()) == (("car",), [1, 3])
    assert few.videos["a"].embeds.argmax(axis=1).tolist() == [1, 3]
    with pytest.raises(InputError, match="no class 'dog'; there are bus, car, man"):
        whole.keep_classes({"dog": "dog"})
    with pytest.raises(InputError, match="none: its detections have no class"):
        DetectionSet("here", {}).keep_classes({"dog": "dog"})


def test_choose_and_within() -> None:
    whole = DetectionSet("here", {"a": video([1, 3, 5]), "b": video([2])})
    assert list(whole.choose(["b"]).videos) == ["b"]
    assert "a" not in whole.choose(["b"]).videos
    with pytest.raises(KeyError):
        whole.choose(["b"]).videos["a"]
    half = whole.within({"a": np.array([2, 3, 4]), "c": np.array([1])})
    assert list(half.videos) == ["a"]
    assert half.videos["a"].frames.tolist() == [3]
    assert half.videos["a"].all_frames().tolist() == [2, 3, 4]


def test_nothing_is_read_before_it_is_asked_for() -> None:
    class Never(dict):
        def __getitem__(self, name: str) -> VideoDetections:
            raise AssertionError(name)

    whole = DetectionSet("here", Never(a=1, b=2), ("car",))
    view = whole.keep_classes({"car": "bus"}).choose(["a"]).within({"a": np.arange(3)})
    assert ("a" in view.videos, "b" in view.videos, len(view.videos)) == (True, False, 1)
