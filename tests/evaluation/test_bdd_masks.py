"""BDD100K's segmentation tracking: TrackEval's rules for its boxes, with masks in place of them.

A mask that fills a box of whole pixels overlaps others exactly as the box does, so that TrackEval, which has no such
data set, can read the boxes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import bdd_scene
import numpy as np
import pytest
from bdd_scene import Label
from trackeval_runs import assert_same_files, run_bdd100k

from clmot_qd.datasets.mot_text import MotTable
from clmot_qd.evaluation import TrackScores, evaluate_tracks, read_cocovid
from clmot_qd.masks import RleMasks

SIDE = 330  # pixels of the square pictures


def rectangles(labels: Sequence[Label], apart: bool) -> list[Label]:
    """Round the corners to whole pixels of the picture; ``apart`` leaves out what overlaps a label before it."""
    kept: list[Label] = []
    for label in labels:
        x1, y1, x2, y2 = np.clip(np.round(label.corners), 0, SIDE).tolist()
        overlaps = (
            x1 < other[2] and other[0] < x2 and y1 < other[3] and other[1] < y2
            for other in (one.corners for one in kept)
        )
        if x1 < x2 and y1 < y2 and not (apart and any(overlaps)):
            kept.append(replace(label, corners=[x1, y1, x2, y2]))
    return kept


def masks(labels: Sequence[Label]) -> RleMasks:
    corners = [list(map(int, label.corners)) for label in labels]
    crops = [np.ones((y2 - y1, x2 - x1), dtype=bool) for x1, y1, x2, y2 in corners]
    return RleMasks.of_crops(crops, [(x1, y1) for x1, y1, _, _ in corners], (SIDE, SIDE))


def scenes(seed: int) -> tuple[dict[str, list[list[Label]]], dict[str, list[list[Label]]]]:
    truth, found = {}, {}
    for index, (name, frames) in enumerate({"v1": 30, "v10": 17, "v2": 8}.items()):
        one, other = bdd_scene.random_scene(10 * seed + index, frames)
        truth[name] = [rectangles(labels, apart=False) for labels in one]
        found[name] = [rectangles(labels[::-1], apart=True) for labels in other]
    found["v2"] = [[] for _ in found["v2"]]
    return truth, found


def score(folder: Path, truth: bdd_scene.Sequences, found: bdd_scene.Sequences, **options) -> TrackScores:
    data = bdd_scene.cocovid(truth)
    for image in data["images"]:
        image |= {"height": SIDE, "width": SIDE}
    texts = (text for frames in truth.values() for labels in frames for text in masks(labels).texts())
    for entry, text in zip(data["annotations"], texts, strict=True):
        entry["segmentation"] = {"size": [SIDE, SIDE], "counts": text}
        entry["bbox"] = [0, 0, 1, 1]  # nobody is to look at it
    (folder / "ann.json").write_text(json.dumps(data))
    tracks = {name: table(frames) for name, frames in found.items()}
    return evaluate_tracks(
        read_cocovid(folder / "ann.json", masks=True), tracks, protocol="bdd100k", iou_type="segm", **options
    )


def table(frames: Sequence[Sequence[Label]]) -> MotTable:
    boxes = bdd_scene.table(frames)
    boxes.bboxes[:] = (0, 0, 1, 1)
    return replace(boxes, masks=masks([label for labels in frames for label in labels]))


@pytest.mark.parametrize("seed", range(3))
def test_every_printed_number(tmp_path: Path, seed: int) -> None:
    """Classes, super-categories and both averages."""
    truth, found = scenes(seed)
    bdd_scene.write_for_trackeval(tmp_path / "gt", truth)
    bdd_scene.write_for_trackeval(tmp_path / "trackers" / "ours", found)
    scores = score(tmp_path, truth, {name: frames for name, frames in found.items() if name != "v2"})
    theirs = run_bdd100k(tmp_path, tmp_path / "theirs")
    names = assert_same_files(scores, theirs, tmp_path / "ours")
    assert {"HUMAN_summary.txt", "cls_comb_cls_av_detailed.csv", "rider_detailed.csv"} < names
    row = scores.overall("trackeval", "DETECTION-AVERAGE")
    assert min(row[key] for key in ("IDSW", "FP", "FN", "TP")) > 0


def test_means_over_all_classes(tmp_path: Path) -> None:
    """mMOTSA, mMOTSP and mIDF1 are over the eight classes, of which train and bus do not occur; switches add up."""
    truth, found = scenes(0)
    scores = score(tmp_path, truth, found)
    flat, rows = scores.flat(), scores.by_backend["trackeval"]
    assert len(rows) == 8
    for key in ("MOTSA", "MOTSP", "IDF1", "HOTA"):
        assert flat[f"m{key}"] == pytest.approx(np.mean([one["OVERALL"][key] for one in rows.values()]))
    assert flat["IDSW"] == sum(one["OVERALL"]["IDSW"] for one in rows.values()) > 0
    assert not {key for key in flat if "MOTA" in key or "MOTP" in key}
    assert {"motmetrics/mMOTSA", "motmetrics/mMOTSP", "HUMAN/MOTSA", "CLASS-AGNOSTIC/sMOTSA", "sMOTSA"} <= set(flat)
