"""The rule of the MOTChallenge against every possible assignment, and what it keeps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from clmot_qd.evaluation.matching import match_frames


def brute_force(truth_ids: list, track_ids: list, similarity: list, thr: float) -> list[set[tuple[int, int]]]:
    """Try all assignments of each frame: most pairs of the frame before, then the largest sum of IoUs."""
    partner: dict[int, int] = {}
    result = []
    for true, found, iou in zip(truth_ids, track_ids, similarity):
        best: tuple[float, float] = (-1, -1)
        chosen: set[tuple[int, int]] = set()
        for count in range(min(len(true), len(found)) + 1):
            for rows in itertools.combinations(range(len(true)), count):
                for columns in itertools.permutations(range(len(found)), count):
                    pairs = list(zip(rows, columns))
                    if any(iou[pair] < thr for pair in pairs):
                        continue
                    kept = sum(partner.get(true[row]) == found[column] for row, column in pairs)
                    worth = (kept, sum(iou[pair] for pair in pairs))
                    if worth > best:
                        best, chosen = worth, set(pairs)
        result.append(chosen)
        if len(true) and len(found):
            partner = {true[row]: found[column] for row, column in chosen}
    return result


@pytest.mark.parametrize("seed", range(20))
def test_equals_all_assignments_tried(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth_ids = [rng.permutation(5)[: rng.integers(0, 5)] for _ in range(12)]
    track_ids = [rng.permutation(5)[: rng.integers(0, 5)] for _ in range(12)]
    similarity = [rng.random((len(true), len(found))) for true, found in zip(truth_ids, track_ids)]
    pairs = [set(zip(*map(np.ndarray.tolist, pair))) for pair in match_frames(truth_ids, track_ids, similarity, 0.4)]
    assert pairs == brute_force(truth_ids, track_ids, similarity, 0.4)
    assert sum(map(len, pairs)) > 5


def test_an_object_that_was_missed_is_free_again() -> None:
    """Track 8 is better once the object has been out of sight for a frame; until then track 7 stays."""
    both, ids = np.array([[0.6, 0.9]]), np.array([0])
    frames = [([7], [[0.9]]), ([7, 8], both), ([5], [[0.1]]), ([7, 8], both)]
    pairs = list(
        match_frames([ids] * 4, [np.array(tracks) for tracks, _ in frames], [np.array(iou) for _, iou in frames], 0.5)
    )
    assert [columns.tolist() for _, columns in pairs] == [[0], [0], [], [1]]


@pytest.mark.parametrize("empty", ["true", "found"])
def test_frames_with_one_side_alone_are_passed_over(empty: str) -> None:
    truth_ids = [np.array([0])] * 3
    track_ids = [np.array([7]), np.array([7, 8]), np.array([7, 8])]
    similarity = [np.array([[0.9]]), np.array([[0.6, 0.9]]), np.array([[0.6, 0.9]])]
    if empty == "true":
        truth_ids[1], similarity[1] = np.empty(0, int), np.empty((0, 2))
    else:
        track_ids[1], similarity[1] = np.empty(0, int), np.empty((1, 0))
    columns = [pair[1].tolist() for pair in match_frames(truth_ids, track_ids, similarity, 0.5)]
    assert columns == [[0], [], [0]]


def test_the_threshold_itself_is_enough() -> None:
    ids = [np.array([0])]
    for iou, found in ((0.5, 1), (0.5 - 1e-9, 0)):
        ((rows, _),) = match_frames(ids, ids, [np.array([[iou]])], 0.5)
        assert len(rows) == found
