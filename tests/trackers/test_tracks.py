"""Tracks: the lengths of its arrays agree, and it can be empty."""

import numpy as np
import pytest

from clmot_qd.trackers import Tracks


def columns(count: int) -> dict[str, np.ndarray]:
    return {
        "instances_id": np.arange(count),
        "bboxes": np.zeros((count, 4)),
        "scores": np.zeros(count),
        "labels": np.zeros(count, dtype=int),
        "detection_index": np.zeros(count, dtype=int),
    }


def test_length_is_the_number_of_tracks() -> None:
    assert len(Tracks(**columns(3))) == 3


@pytest.mark.parametrize("name", ["bboxes", "scores", "labels", "detection_index"])
def test_a_column_of_another_length_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"Tracks\.{name}: expected shape"):
        Tracks(**(columns(3) | {name: columns(2)[name]}))


def test_boxes_with_a_fifth_column_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Tracks\.bboxes"):
        Tracks(**(columns(2) | {"bboxes": np.zeros((2, 5))}))


def test_empty_has_the_shapes_and_types_of_a_full_one() -> None:
    empty = Tracks.empty()
    assert len(empty) == 0
    assert empty.bboxes.shape == (0, 4)
    assert empty.instances_id.dtype == empty.labels.dtype == empty.detection_index.dtype == np.int64
    assert empty.bboxes.dtype == empty.scores.dtype == np.float32
