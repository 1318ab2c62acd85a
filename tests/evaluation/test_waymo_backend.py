"""The backend "waymo": the cases of CLEAR's Figure 2 and of evictions, hard objects, cut-offs."""

from __future__ import annotations

import numpy as np
import pytest

from clmot_qd.evaluation.backend_waymo import CUT_OFFS, WaymoBackend
from clmot_qd.evaluation.backends import Scores
from clmot_qd.evaluation.scoring_input import ScoringInput

# One frame: places of the objects, places of the tracks. Boxes at one place overlap with the IoU given.
Frame = tuple[dict[int, int], dict[int, int]]


def score(
    frames: list[Frame], iou: float | list[float] = 0.8, scores: list[float] | None = None, hard: tuple[int, ...] = ()
) -> Scores:
    """Score frames of {identity: place}; ``scores`` are those of the tracks 0, 1 ..., hard the hard objects."""
    values = [iou] * len(frames) if isinstance(iou, float) else iou
    similarity = [
        np.array([[value * (place == other) for other in found.values()] for place in true.values()]).reshape(
            len(true), len(found)
        )
        for (true, found), value in zip(frames, values)
    ]
    data = ScoringInput(
        frames=np.arange(len(frames)),
        truth_ids=[np.array(list(true), dtype=int) for true, _ in frames],
        track_ids=[np.array(list(found), dtype=int) for _, found in frames],
        similarity=similarity,
        num_truth_ids=10,
        num_track_ids=10,
        track_scores=[np.array([(scores or [1.0] * 10)[track] for track in found]) for _, found in frames],
        hard=[np.isin(list(true), hard) for true, _ in frames],
    )
    backend = WaymoBackend()
    return backend.scores(backend.count("a", data))


def tally(row: Scores) -> tuple[float, ...]:
    return tuple(row[key] for key in ("FP", "FN", "IDSW", "TP", "GT_Dets"))


class TestFigure2OfClear:
    def test_a_track_that_drifts_away(self) -> None:
        row = score([({1: 0}, {1: 0})] * 3, iou=[0.8, 0.6, 0.4])
        assert tally(row) == (1, 1, 0, 2, 3)
        assert row["MOTP"] == pytest.approx(70)
        assert row["MOTA"] == pytest.approx(100 / 3)

    def test_tracks_that_exchange_their_objects_twice(self) -> None:
        tracks = {1: 1, 2: 2, 3: 3}
        frames = [({1: 1, 2: 2, 3: 3}, tracks)] * 3 + [({1: 2, 2: 1, 3: 3}, tracks)] * 2
        frames += [({1: 2, 2: 3, 3: 1}, tracks)] * 3
        assert tally(score(frames)) == (0, 0, 4, 24, 24)

    def test_a_new_track_takes_over(self) -> None:
        assert tally(score([({1: 0}, {1: 0})] * 2 + [({1: 0}, {2: 0})] * 7)) == (0, 0, 1, 9, 9)

    def test_an_object_stays_with_its_track_across_a_gap(self) -> None:
        """After a missed frame the old track is taken though a new one is there as well."""
        assert tally(score([({1: 0}, {1: 0}), ({1: 0}, {}), ({1: 0}, {2: 0, 1: 0})])) == (1, 1, 0, 2, 3)

    def test_a_track_that_stays_is_no_partner_for_others(self) -> None:
        assert tally(score([({1: 0}, {1: 0}), ({1: 0, 2: 0}, {1: 0})])) == (0, 1, 0, 2, 3)


class TestEviction:
    def test_a_track_leaves_an_object_that_is_gone(self) -> None:
        assert tally(score([({1: 0, 2: 5}, {1: 0, 2: 5}), ({1: 0}, {2: 0})])) == (0, 0, 2, 3, 3)

    def test_a_track_leaves_an_object_that_is_there(self) -> None:
        """That one is missed, which is enough of a punishment."""
        assert tally(score([({1: 0, 2: 5}, {1: 0, 2: 5}), ({1: 0, 2: 5}, {2: 0})])) == (0, 1, 1, 3, 4)

    def test_an_evicted_object_has_no_partner_to_change(self) -> None:
        frames = [({1: 0, 2: 5}, {1: 0, 2: 5}), ({1: 0, 2: 5}, {2: 0}), ({1: 0, 2: 5}, {2: 0, 3: 5})]
        assert tally(score(frames)) == (0, 1, 1, 5, 6)


class TestHardObjects:
    def test_not_found(self) -> None:
        assert tally(score([({1: 0, 2: 5}, {1: 0})] * 3, hard=(2,))) == (0, 0, 0, 3, 3)

    def test_found(self) -> None:
        assert tally(score([({1: 0, 2: 5}, {2: 5})] * 3, hard=(2,))) == (0, 3, 0, 3, 6)

    def test_a_hard_object_in_sight_is_not_gone(self) -> None:
        """Dropping hard objects that are missed beforehand would count a second mismatch."""
        frames = [({1: 0, 2: 5}, {1: 0, 2: 5}), ({1: 0, 2: 5}, {2: 0})]
        assert score(frames, hard=(2,))["IDSW"] == 1


class TestCutOffs:
    def test_the_best_one_counts(self) -> None:
        """Track 2 with score 0.35 is always false: from 0.4 on it is not there."""
        row = score([({1: 0}, {1: 0, 2: 5})] * 4, scores=[0, 0.75, 0.35])
        assert tally(row) == (0, 0, 0, 4, 4)
        assert row["CutOff"] == 0.4

    def test_the_lowest_of_equal_ones(self) -> None:
        assert score([({1: 0}, {1: 0})], scores=[0, 0.75])["CutOff"] == 0

    def test_a_score_on_the_cut_off_is_kept(self) -> None:
        row = score([({1: 0}, {1: 0, 2: 5})] * 4, scores=[0, 0.5, 0.45])
        assert (row["CutOff"], row["TP"]) == (0.5, 4)

    def test_one_cut_off_for_all_sequences(self) -> None:
        """Each alone would choose its own; together 0 costs two, 0.4 costs three."""
        backend = WaymoBackend()
        parts = {}
        for name, frames in {"a": [({1: 0}, {1: 0, 2: 5})] * 2, "b": [({1: 0}, {1: 0})] * 3}.items():
            scores = {"a": [0, 0.9, 0.3], "b": [0, 0.3]}[name]
            data = ScoringInput(
                np.arange(len(frames)),
                [np.array(list(true)) for true, _ in frames],
                [np.array(list(found)) for _, found in frames],
                [np.array([[0.8 * (p == q) for q in found.values()] for p in true.values()]) for true, found in frames],
                2,
                3,
                [np.array([scores[track] for track in found]) for _, found in frames],
            )
            parts[name] = backend.count(name, data)
        assert [backend.scores(part)["CutOff"] for part in parts.values()] == [0.4, 0.0]
        row = backend.scores(backend.pool(parts))
        assert (row["CutOff"], row["FP"], row["FN"]) == (0.0, 2, 0)

    def test_a_metric_that_is_defined_goes_before_one_that_is_not(self) -> None:
        """Without predictions no object would be left to divide by: the hard one need not be found."""
        row = score([({1: 0}, {1: 0, 2: 5, 3: 6, 4: 7})], scores=[0.5] * 5, hard=(1,))
        assert (row["MOTA"], row["CutOff"]) == (-200, 0)

    def test_no_object(self) -> None:
        row = score([({}, {1: 0})])
        assert np.isnan(row["MOTA"])
        assert row["FP"] == 1
        assert len(CUT_OFFS) == 11


def test_threshold_is_that_of_the_input() -> None:
    assert tally(score([({1: 0}, {1: 0})], iou=0.5)) == (0, 0, 0, 1, 1)
    assert tally(score([({1: 0}, {1: 0})], iou=0.499)) == (1, 1, 0, 0, 1)
    assert tally(score([({1: 0}, {1: 0})], iou=0.499, scores=[0, 0.9])) == (0, 1, 0, 0, 1)  # best without predictions
