"""py-motmetrics: what it counts by our rule is what TrackEval counts; unmodified it is its own compute_many."""

from __future__ import annotations

import motmetrics
import numpy as np
import pytest
from mot_scene import CATEGORIES, random_scene

from clmot_qd.datasets.mot_text import make_table
from clmot_qd.evaluation import GroundTruth, SequenceTruth, evaluate_tracks
from clmot_qd.evaluation.scoring_input import Overlaps, Rules, prepare

ALL = ["trackeval", "motmetrics", "motmetrics-plain"]


def crowded(seed: int, frames: int = 60) -> tuple[SequenceTruth, object]:
    """Many objects close together, with tracks that come, go and change: partners are a matter of choice."""
    truth, tracks = random_scene(seed, frames, 60)
    truth.bboxes[:, :2] *= 0.4
    tracks.bboxes[:, :2] *= 0.4
    truth.class_ids[:] = 1
    return SequenceTruth(np.arange(1, frames + 1), truth), tracks


@pytest.mark.parametrize(("seed", "iou_thr"), [(0, 0.5), (1, 0.5), (2, 0.5), (3, 0.7)])
def test_agrees_with_trackeval_where_there_is_a_choice(seed: int, iou_thr: float) -> None:
    sequences = {"a": crowded(seed), "b": crowded(seed + 50, 20)}
    source = GroundTruth("here", CATEGORIES, {name: truth for name, (truth, _) in sequences.items()})
    tracks = {name: tracks for name, (_, tracks) in sequences.items()}
    scores = evaluate_tracks(source, tracks, backends=ALL, iou_thr=iou_thr)
    for place in ("a", "b", "OVERALL"):
        theirs, ours, plain = (scores.by_backend[name]["pedestrian"][place] for name in ALL)
        for key in ("IDSW", "TP", "FP", "FN", "ML", "GT_Dets", "IDTP", "IDFP", "IDFN"):
            assert ours[key] == theirs[key], (place, key)
        for key in ("MOTA", "MOTP", "IDF1"):
            assert ours[key] == pytest.approx(theirs[key], abs=1e-9), (place, key)
        if iou_thr == 0.5:
            assert plain["IDSW"] != theirs["IDSW"]  # the scene has cases in which the rule decides
        assert plain["IDF1"] == pytest.approx(ours["IDF1"])


def test_mostly_tracked_begins_at_80_percent() -> None:
    """The one definition that differs: four of five frames are enough here, not for TrackEval."""
    truth = make_table(np.arange(1, 6), [1] * 5, [[0, 0, 10, 10]] * 5, class_ids=[1] * 5)
    source = GroundTruth("here", CATEGORIES, {"a": SequenceTruth(np.arange(1, 6), truth)})
    scores = evaluate_tracks(source, {"a": truth.select(truth.frames > 1)}, backends=ALL)
    assert [scores.overall(name, "pedestrian")["MT"] for name in ALL] == [0, 1, 1]


def test_the_story_in_which_they_differ() -> None:
    """Object 1 is missed for a frame; then its old track overlaps 0.6, a new one 0.9."""
    truth = make_table([1, 2, 3], [1, 1, 1], [[0, 0, 10, 10]] * 3, class_ids=[1] * 3)
    found = make_table([1, 2, 3, 3], [7, 5, 7, 8], [[0, 0, 10, 10], [50, 0, 10, 10], [2.5, 0, 10, 10], [0, 0, 10, 9]])
    source = GroundTruth("here", CATEGORIES, {"a": SequenceTruth(np.arange(1, 4), truth)})
    scores = evaluate_tracks(source, {"a": found}, backends=ALL)
    assert [scores.overall(name, "pedestrian")["IDSW"] for name in ALL] == [1, 1, 0]


@pytest.mark.parametrize("seed", range(2))
def test_plain_is_its_own_compute_many(seed: int) -> None:
    sequences = {name: crowded(seed + index, 30) for index, name in enumerate("abc")}
    sequences["c"] = sequences["c"][0], sequences["c"][1].select(np.zeros(len(sequences["c"][1]), bool))
    accumulators = []
    for truth, tracks in sequences.values():
        data = prepare(Overlaps(truth, tracks), Rules(classes=(1,)))
        accumulator = motmetrics.MOTAccumulator(auto_id=True)
        for ids, track_ids, iou in zip(data.truth_ids, data.track_ids, data.similarity):
            accumulator.update(ids, track_ids, np.where(iou < 0.5, np.nan, 1 - iou))
        accumulators.append(accumulator)
    names = ["mota", "idf1", "num_switches", "num_misses", "num_false_positives", "mostly_tracked", "mostly_lost"]
    table = motmetrics.metrics.create().compute_many(
        accumulators, names=list(sequences), metrics=names, generate_overall=True
    )
    source = GroundTruth("here", CATEGORIES, {name: truth for name, (truth, _) in sequences.items()})
    tracks = {name: tracks for name, (_, tracks) in sequences.items()}
    scores = evaluate_tracks(source, tracks, distractors=[], backends=["motmetrics-plain"])
    for place, row in scores.by_backend["motmetrics-plain"]["pedestrian"].items():
        theirs = table.loc[place]
        assert [row["MOTA"], row["IDF1"]] == pytest.approx([100 * theirs["mota"], 100 * theirs["idf1"]])
        assert [row[key] for key in ("IDSW", "FN", "FP", "MT", "ML")] == theirs.iloc[2:].tolist()
