"""What is refused, what is dropped and counted, and what is kept of a frame's detections."""

from typing import Any

import numpy as np
import pytest

from clmot_qd.errors import InputError
from clmot_qd.trackers.detections import covered_boxes, parse_detections
from clmot_qd.trackers.pairs import Pairs

GOOD = {
    "bboxes": [[0, 0, 10, 20], [5, 5, 30, 60], [1, 2, 3, 4]],
    "scores": [0.9, 0.8, 0.7],
    "labels": [0, 1, 0],
    "embeds": np.eye(3, 8),
}


def parse(**changed: Any) -> Any:
    return parse_detections(**(GOOD | {"score_thr": 0.4} | changed))


def test_good_detections_pass_unchanged() -> None:
    found = parse()
    np.testing.assert_array_equal(found.bboxes, GOOD["bboxes"])
    np.testing.assert_array_equal(found.scores, GOOD["scores"])
    np.testing.assert_array_equal(found.labels, GOOD["labels"])
    np.testing.assert_array_equal(found.embeds, GOOD["embeds"])
    np.testing.assert_array_equal(found.index, [0, 1, 2])
    assert found.num_rejected == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bboxes": np.zeros((3, 5))}, r"^bboxes: expected shape \(n, 4\).*got \(3, 5\)$"),
        ({"bboxes": np.zeros(4)}, r"^bboxes: expected shape"),
        ({"bboxes": np.zeros((0, 5))}, r"^bboxes: expected shape"),
        ({"bboxes": "boxes"}, r"^bboxes: expected an array of numbers"),
        ({"bboxes": [[0, 0, 1, 1], [0, 0, 1]]}, r"^bboxes: expected an array of numbers"),
        ({"scores": [0.9, 0.8]}, r"^scores: expected shape \(3,\), one value per box, got \(2,\)$"),
        ({"scores": np.ones((3, 1))}, r"^scores: expected shape"),
        ({"labels": [0]}, r"^labels: expected shape"),
        ({"labels": [0.0, 1.0, 0.5]}, r"^labels: expected integers"),
        ({"labels": ["a", "b", "c"]}, r"^labels: expected integers"),
        ({"embeds": np.zeros((2, 8))}, r"^embeds: expected shape \(3, C\), one row per box, got \(2, 8\)$"),
        ({"embeds": np.zeros(8)}, r"^embeds: expected shape"),
        ({"embeds": np.zeros((3, 0))}, r"^embeds: expected shape"),
        ({"bboxes": [[0, 0, 9, 9], [300, 200, 40, 100], [1, 2, 3, 4]]}, r"^bboxes: row 1 is \(300, 200, 40, 100\)"),
    ],
)
def test_malformed_input_is_refused_in_one_line(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse(**changed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["bboxes", "scores", "embeds"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_dropped_and_counted(name: str, value: float) -> None:
    values = np.array(GOOD[name], dtype=float)
    values[1] = value
    found = parse(**{name: values})
    np.testing.assert_array_equal(found.index, [0, 2])
    np.testing.assert_array_equal(found.embeds, np.eye(3, 8)[[0, 2]])
    assert found.num_rejected == 1


@pytest.mark.parametrize("box", [[5, 5, 5, 60], [5, 5, 30, 5], [5, 5, 5, 5], [0, 0, 1e12, 10]])
def test_a_box_without_area_or_beyond_measure_is_dropped_and_counted(box: list[float]) -> None:
    found = parse(bboxes=[GOOD["bboxes"][0], box, GOOD["bboxes"][2]])
    np.testing.assert_array_equal(found.index, [0, 2])
    assert found.num_rejected == 1


def test_low_scores_are_dropped_without_a_word() -> None:
    """Equal to the threshold is low; what stands in such a row does not matter, even a box inside out."""
    found = parse(scores=[0.4, 0.1, 0.7], bboxes=[[0, 0, 10, 20], [30, 30, 5, 5], [1, 2, 3, 4]])
    np.testing.assert_array_equal(found.index, [2])
    assert found.num_rejected == 0


@pytest.mark.parametrize("embeds", [None, [], np.zeros((0, 8)), np.zeros((0, 0))])
@pytest.mark.parametrize("bboxes", [[], np.zeros((0, 4))])
def test_no_detections(bboxes: Any, embeds: Any) -> None:
    found = parse(bboxes=bboxes, scores=[], labels=[], embeds=embeds)
    assert len(found) == found.num_rejected == 0
    assert found.bboxes.shape == (0, 4)


def test_the_arrays_given_are_not_changed_and_not_kept() -> None:
    given = {name: np.array(value) for name, value in GOOD.items()}
    found = parse(**given)
    found.bboxes[:], found.scores[:], found.labels[:], found.embeds[:] = 0, 0, 0, 0
    for name, value in GOOD.items():
        np.testing.assert_array_equal(given[name], value)


def test_selected_detections_keep_their_rows_together() -> None:
    found = parse(scores=[0.9, 0.3, 0.7]).select(np.array([1, 0]))
    np.testing.assert_array_equal(found.index, [2, 0])
    np.testing.assert_array_equal(found.bboxes, [GOOD["bboxes"][2], GOOD["bboxes"][0]])
    np.testing.assert_array_equal(found.scores, [0.7, 0.9])
    np.testing.assert_array_equal(found.labels, [0, 0])
    np.testing.assert_array_equal(found.embeds, np.eye(3, 8)[[2, 0]])
    assert parse(embeds=None).select(np.array([0])).embeds is None


def listed(overlap: np.ndarray) -> Pairs:
    rows, cols = np.nonzero(overlap)
    return Pairs(rows, cols, overlap[rows, cols])


def test_boxes_covered_by_those_before_them() -> None:
    overlap = np.array([[1.0, 0.4, 0.6], [0.4, 1.0, 0.5], [0.6, 0.5, 1.0]])
    assert covered_boxes(listed(overlap), np.arange(3), np.array([0.1, 0.39, 0.6])).tolist() == [False, True, False]
    assert covered_boxes(listed(overlap[[2]]), np.array([2]), np.array([0.59])).tolist() == [True]
    assert covered_boxes(listed(np.zeros((0, 3))), np.zeros(0, dtype=int), np.zeros(0)).tolist() == []


# --- precision of the embeddings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"), [("float16", "float32"), ("float32", "float32"), ("float64", "float64"), ("int64", "float64")]
)
def test_single_precision_stays_single(given: str, kept: str) -> None:
    embeds = parse(embeds=np.eye(3, 8, dtype=given)).embeds
    assert embeds.dtype == kept
    np.testing.assert_array_equal(embeds, np.eye(3, 8))
    assert parse(embeds=np.eye(3, 8, dtype=given).tolist()).embeds.dtype == np.float64


@pytest.mark.filterwarnings("error")
def test_what_single_precision_could_not_multiply_is_widened() -> None:
    embeds = np.eye(3, 8, dtype=np.float32) * np.float32(3e38)
    found = parse(embeds=embeds)
    assert found.embeds.dtype == np.float64
    np.testing.assert_array_equal(found.embeds, embeds.astype(float))
    embeds[1] = np.inf
    assert parse(embeds=embeds).index.tolist() == [0, 2]
    embeds = np.eye(3, 8, dtype=np.float32)
    embeds[1, 0] = np.nan
    assert parse(embeds=embeds).embeds.dtype == np.float32


def test_tensors_are_read_as_they_are() -> None:
    torch = pytest.importorskip("torch")
    assert parse(embeds=torch.eye(3)).embeds.dtype == np.float32
    assert parse(embeds=torch.eye(3, dtype=torch.float64)).embeds.dtype == np.float64
