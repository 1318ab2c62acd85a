"""Tracks: the lengths of its arrays agree, and it can be empty."""

import numpy as np
import pytest

from clmot_qd.masks import RleMasks
from clmot_qd.trackers import Tracks
from clmot_qd.trackers.detections import parse_detections


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


def test_of_detections_with_ids() -> None:
    boxes = [[0, 0, 1, 1], [9, 9, 9, 9], [2, 2, 4, 4], [5, 5, 6, 7]]  # the second has no area
    found = parse_detections(boxes, [0.5, 0.6, 0.7, 0.8], [1, 2, 3, 4], None, 0)
    tracks = Tracks.of_detections(np.array([7, -1, 3]), found)
    assert (tracks.instances_id.tolist(), tracks.detection_index.tolist()) == ([3, 7], [3, 0])
    np.testing.assert_array_equal(tracks.bboxes, [boxes[3], boxes[0]])
    np.testing.assert_allclose(tracks.scores, [0.8, 0.5])
    assert tracks.labels.tolist() == [4, 1]
    assert tracks.bboxes.dtype == tracks.scores.dtype == np.float32


def test_masks_are_decoded_for_supervision() -> None:
    bitmaps = np.zeros((3, 4, 5), dtype=bool)
    bitmaps[[0, 1], 2, 3] = True
    tracks = Tracks(**columns(3), masks=RleMasks.of_bitmaps(bitmaps))
    found = tracks.to_supervision()
    assert found.mask is not None
    assert found.mask.dtype == bool
    np.testing.assert_array_equal(found.mask, bitmaps)
    nobody = tracks.select(np.array([], dtype=int)).to_supervision()
    assert nobody.mask is not None
    assert nobody.mask.shape == (0, 4, 5)
    assert Tracks(**columns(3)).to_supervision().mask is None
