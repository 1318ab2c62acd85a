"""A small search on real detections with real embeddings."""

from __future__ import annotations

from pathlib import Path

import pytest

from clmot_qd.apis.detection_files import find_truth, open_detections
from clmot_qd.apis.detections import build_tracker, track_set
from clmot_qd.apis.tuning import GridProposer, Objective, grid_points, split, tune
from clmot_qd.evaluation import evaluate_tracks

DETECTIONS, EMBEDS = "det/det_yolox_nano_generated.txt", "det/emb_osnet_x025_market1501_generated.npy"


def test_two_sequences_at_once(shared_data: Path) -> None:
    """The default setting finds what the released tracker is recorded to find on each sequence by itself."""
    root = shared_data / "MOT15"
    truth = find_truth(None, root)
    assert truth is not None
    found = open_detections(DETECTIONS, root, EMBEDS)
    tracks = track_set(found, build_tracker("JDETracker"), truth)
    recorded = evaluate_tracks(truth, tracks, distractors=(), backends=["motmetrics-plain"]).overall("motmetrics-plain")
    assert [recorded[name] for name in ("IDSW", "FP", "FN")] == [13 + 15, 104 + 432, 84 + 187]
    part, _ = split(found, truth)
    objective = Objective(part, "JDETracker", distractors=())
    search = tune(objective, GridProposer(grid_points(dict(confirm_frames=[1, 2, 3], init_thr=[0.4, 0.62]))), ["IDF1"])
    default = search.default.scores
    same = next(trial for trial in search.trials if trial.settings == dict(confirm_frames=2, init_thr=0.4))
    assert same.scores["IDF1"] == pytest.approx(default["IDF1"])
    assert search.best.settings == dict(confirm_frames=3, init_thr=0.62)
    assert search.best.scores["IDF1"] > default["IDF1"] + 3
    assert search.best.scores["MOTA"] > default["MOTA"] + 10


def test_held_out_halves(shared_data: Path) -> None:
    root = shared_data / "MOT15"
    truth = find_truth(None, root)
    assert truth is not None
    first, second = split(open_detections(DETECTIONS, root, EMBEDS), truth, ["halves"])
    assert second is not None
    scores = [
        Objective(part, "JDETracker")(settings) for part in (first, second) for settings in ({}, {"init_thr": 0.62})
    ]
    boxes = [sum(len(t.boxes) for t in part.truth.sequences.values()) for part in (first, second)]
    assert sum(boxes) == sum(len(t.boxes) for t in truth.sequences.values())
    assert scores[1]["MOTA"] > scores[0]["MOTA"]
