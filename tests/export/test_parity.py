"""How two runtimes are compared: what counts as the same detection, as close and as wrong."""

from __future__ import annotations

import numpy as np

from clmot_qd.apis.tracking_session import FrameDetections
from clmot_qd.export.parity import compare, match_rows


def detections(boxes: list[list[float]], scores: list[float], labels: list[int] | None = None) -> FrameDetections:
    count = len(scores)
    return FrameDetections(
        np.array(boxes, dtype=np.float32).reshape(count, 4),
        np.array(scores, dtype=np.float32),
        np.array(labels or [0] * count, dtype=np.int64),
        np.arange(2 * count, dtype=np.float32).reshape(count, 2),
    )


BOX = [10.0, 20.0, 30.0, 60.0]


def test_rows_that_changed_places_are_the_same() -> None:
    other = [100.0, 20.0, 130.0, 60.0]
    first, second = detections([BOX, other], [0.5, 0.4]), detections([other, BOX], [0.4, 0.5])
    rows, columns = match_rows(first, second)
    assert dict(zip(rows.tolist(), columns.tolist())) == {0: 1, 1: 0}
    assert compare([(first, second.select(np.array([1, 0])))]).detections == 2


def test_one_detection_is_not_matched_twice() -> None:
    parity = compare([(detections([BOX, BOX], [0.5, 0.5]), detections([BOX], [0.5]))])
    assert (parity.detections, parity.unmatched) == (1, 1)
    assert not parity.close
    assert parity.wrong  # a third of all


def test_other_labels_and_other_places_are_other_objects() -> None:
    moved = [value + 0.6 for value in BOX]
    for second in (detections([BOX], [0.5], [1]), detections([moved], [0.5]), detections([], [])):
        parity = compare([(detections([BOX], [0.5]), second)])
        assert parity.detections == 0
        assert parity.unmatched == 1 + len(second)
        assert parity.wrong


def test_differences_are_absolute_and_judged_by_size() -> None:
    large = [value * 10 for value in BOX]
    for shift, close, wrong in ((0.05, True, False), (0.3, False, False)):
        moved = [large[0], large[1], large[2], large[3] + shift]
        parity = compare([(detections([large], [0.5]), detections([moved], [0.5]))])
        assert np.isclose(parity.boxes, shift, atol=1e-3)
        assert (parity.close, parity.wrong) == (close, wrong)
    parity = compare([(detections([BOX], [0.5]), detections([BOX], [0.52]))])
    assert np.isclose(parity.scores, 0.02)
    assert parity.wrong


def test_frames_add_up() -> None:
    same = (detections([BOX], [0.5]), detections([BOX], [0.5]))
    alone = (detections([BOX], [0.5]), detections([], []))
    parity = compare([same] * 60 + [alone])
    assert (parity.detections, parity.unmatched) == (60, 1)
    assert not parity.close
    assert not parity.wrong
    nothing = detections([], [])
    assert compare([(nothing, nothing)]).close
