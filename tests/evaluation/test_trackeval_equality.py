"""The scores are, to the last digit, those of TrackEval's own evaluator reading the same files from disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import bdd_scene
import numpy as np
import pytest
from bdd_scene import Label
from mot_scene import CATEGORIES, random_scene, write_scene
from trackeval_runs import assert_same_files, run_bdd100k, run_mot_challenge

from clmot_qd.apis.detections import build_tracker, track_detections
from clmot_qd.datasets.mot_text import make_table, read_detections, write_tracks
from clmot_qd.evaluation import (
    GroundTruth,
    SequenceTruth,
    TrackScores,
    evaluate_tracks,
    read_cocovid,
    read_mot_root,
    read_results,
)

LENGTHS = {"s1": 30, "s10": 12, "s11": 9, "s2": 5, "s20": 14, "s3": 8}  # in TrackEval's order
EMPTY = make_table([], [], np.empty((0, 4)))


class TestMotChallenge:
    @pytest.mark.parametrize("protocol", ["mot", "mot20"])
    def test_every_printed_number(self, tmp_path: Path, protocol: str) -> None:
        """Six sequences with all classes, marks and empty frames, one of them without predictions."""
        for seed, (name, frames) in enumerate(LENGTHS.items()):
            truth, tracks = random_scene(seed, frames, objects=25)
            write_scene(tmp_path, name, truth, frames)
            write_tracks(tmp_path / "trackers" / "ours" / f"{name}.txt", tracks if name != "s2" else EMPTY)
        truth = read_mot_root(tmp_path / "gt")
        assert list(truth.sequences) != list(LENGTHS)  # not TrackEval's order, on which the last bit of a sum depends
        scores = evaluate_tracks(
            truth, read_results(tmp_path / "trackers" / "ours", truth), backends=["trackeval"], protocol=protocol
        )
        benchmark = {"mot": "MOT17", "mot20": "MOT20"}[protocol]
        theirs = run_mot_challenge(tmp_path, LENGTHS, tmp_path / "theirs", benchmark)
        names = assert_same_files(scores, theirs, tmp_path / "ours")
        assert names == {"pedestrian_summary.txt", "pedestrian_detailed.csv"}
        assert 0 < scores.flat()["HOTA"] < 100
        assert scores.flat()["IDSW"] > 0

    def test_protocols_and_distractors_make_a_difference_in_these_scenes(self) -> None:
        truth, tracks = random_scene(0, 30, 25)
        source = GroundTruth("here", CATEGORIES, {"a": SequenceTruth(np.arange(1, 31), truth)})
        false = [evaluate_tracks(source, {"a": tracks}, protocol=name).flat()["FP"] for name in ("mot20", "mot")]
        false.append(evaluate_tracks(source, {"a": tracks}, distractors=[]).flat()["FP"])
        assert false == sorted(set(false))

    def test_other_classes_by_exchanging_them(self, tmp_path: Path) -> None:
        """TrackEval scores pedestrians alone; in its files cars and pedestrians are exchanged."""
        truth, tracks = random_scene(0, 30, objects=25)
        write_scene(tmp_path / "ours", "s1", truth, 30)
        write_scene(tmp_path, "s1", truth, 30, swap_classes=CATEGORIES["car"])
        write_tracks(tmp_path / "trackers" / "ours" / "s1.txt", tracks)
        source = read_mot_root(tmp_path / "ours" / "gt")
        scores = evaluate_tracks(source, {"s1": tracks}, ["car"], backends=["trackeval"])
        theirs = run_mot_challenge(tmp_path, {"s1": 30}, tmp_path / "theirs")
        for kind in ("summary.txt", "detailed.csv"):
            (theirs / f"pedestrian_{kind}").rename(theirs / f"car_{kind}")
        assert_same_files(scores, theirs, tmp_path / "out")

    @pytest.mark.parametrize("benchmark", ["MOT15", "MOT17"])
    def test_real_sequences(self, shared_data: Path, tmp_path: Path, benchmark: str) -> None:
        """All real sequences with real detections, tracked by motion; and the two packages agree on each."""
        lengths = {}
        for folder in sorted((shared_data / "annotations" / benchmark).iterdir()):
            target = tmp_path / "gt" / folder.name / "gt"
            target.mkdir(parents=True)
            (target / "gt.txt").write_text((folder / "gt" / "gt.txt").read_text())
            (target.parent / "seqinfo.ini").write_text((folder / "seqinfo.ini").read_text())
            (path,) = (folder / "det").glob("*.txt")
            last = len(read_mot_root(tmp_path / "gt", [folder.name]).sequences[folder.name].frames)
            tracks = track_detections(read_detections(path), build_tracker("JDETracker"), None, last)
            write_tracks(tmp_path / "trackers" / "ours" / f"{folder.name}.txt", tracks)
            lengths[folder.name] = last
        truth = read_mot_root(tmp_path / "gt")
        scores = evaluate_tracks(truth, read_results(tmp_path / "trackers" / "ours", truth))
        theirs = run_mot_challenge(tmp_path, lengths, tmp_path / "theirs", benchmark)
        assert_same_files(scores, theirs, tmp_path / "ours")
        for sequence, row in scores.by_backend["motmetrics"]["pedestrian"].items():
            other = scores.by_backend["trackeval"]["pedestrian"][sequence]
            assert [row[key] for key in ("IDSW", "FP", "FN")] == [other[key] for key in ("IDSW", "FP", "FN")], sequence
            assert row["MOTA"] == pytest.approx(other["MOTA"], abs=1e-9)
            assert row["IDF1"] == pytest.approx(other["IDF1"], abs=0.005)

    @pytest.mark.parametrize("benchmark", ["MOT15", "MOT17"])
    def test_real_truth_against_itself(self, shared_data: Path, benchmark: str) -> None:
        truth = read_mot_root(shared_data / "annotations" / benchmark)
        tracks = {
            name: one.boxes.select((one.boxes.scores != 0) & (one.boxes.class_ids == 1))
            for name, one in truth.sequences.items()
        }
        assert_perfect(evaluate_tracks(truth, tracks))


def assert_perfect(scores: TrackScores) -> None:
    """Everything is 100 in every sequence that has boxes, for all backends and classes."""
    for backend, classes in scores.by_backend.items():
        for rows in classes.values():
            for name, row in rows.items():
                if row["TP"]:
                    values = [row[key] for key in ("HOTA", "MOTA", "MOTP", "IDF1") if key in row]
                    assert values == pytest.approx([100] * len(values)), (backend, name)
                assert row["FP"] == row["FN"] == row["IDSW"] == 0


def score_bdd(
    tmp_path: Path, truth: bdd_scene.Sequences, found: bdd_scene.Sequences, backends=("trackeval", "motmetrics")
) -> TrackScores:
    path = tmp_path / "ann.json"
    path.write_text(json.dumps(bdd_scene.cocovid(truth)))
    tracks = {name: bdd_scene.table(frames) for name, frames in found.items()}
    return evaluate_tracks(read_cocovid(path), tracks, protocol="bdd100k", backends=backends)


BDD_FILES = {
    f"{row}_{kind}"
    for row in (
        *("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
        *("HUMAN", "VEHICLE", "BIKE", "cls_comb_cls_av", "cls_comb_det_av"),
    )
    for kind in ("summary.txt", "detailed.csv")
}


class TestBdd100k:
    @pytest.mark.parametrize("seed", range(3))
    def test_every_printed_number(self, tmp_path: Path, seed: int) -> None:
        """Classes, super-categories and both averages; see :func:`bdd_scene.random_scene` for what lies in it."""
        truth, found = {}, {}
        for index, (name, frames) in enumerate({"v1": 30, "v10": 17, "v2": 8}.items()):
            truth[name], found[name] = bdd_scene.random_scene(10 * seed + index, frames)
        found["v2"] = [[] for _ in found["v2"]]
        bdd_scene.write_for_trackeval(tmp_path / "gt", truth)
        bdd_scene.write_for_trackeval(tmp_path / "trackers" / "ours", found)
        scores = score_bdd(tmp_path, truth, {name: frames for name, frames in found.items() if name != "v2"})
        theirs = run_bdd100k(tmp_path, tmp_path / "theirs")
        assert assert_same_files(scores, theirs, tmp_path / "ours") == BDD_FILES
        assert scores.overall("trackeval", "bus")["FP"] > 0  # predicted, but there is none
        assert scores.overall("trackeval", "train")["Dets"] == 0

    def test_regions_make_a_difference_in_these_scenes(self, tmp_path: Path) -> None:
        truth, found = bdd_scene.random_scene(0, 30)
        with_regions = score_bdd(tmp_path, {"a": truth}, {"a": found}).overall("trackeval", "DETECTION-AVERAGE")
        source = read_cocovid(tmp_path / "ann.json")
        names = [name for name in bdd_scene.CATEGORIES if name not in ("other person", "other vehicle", "trailer")]
        plain = evaluate_tracks(source, {"a": bdd_scene.table(found)}, names, protocol="plain")
        assert with_regions["FP"] < plain.overall("trackeval", "DETECTION-AVERAGE")["FP"] - 10

    def test_real_sample(self, shared_data: Path, tmp_path: Path) -> None:
        """One real sequence of 202 frames with real predictions, both in scalabel's format."""
        samples = shared_data / "label-samples"
        truth = read_scalabel(samples / "scalabel_track_sample_anns.json")
        found = read_scalabel(samples / "scalabel_track_predictions.json")
        assert len(truth) == len(found)
        for name, frames in truth.items():
            assert len(frames) == len(found[name])
        bdd_scene.write_for_trackeval(tmp_path / "gt", truth)
        bdd_scene.write_for_trackeval(tmp_path / "trackers" / "ours", found)
        scores = score_bdd(tmp_path, truth, found)
        theirs = run_bdd100k(tmp_path, tmp_path / "theirs")
        assert assert_same_files(scores, theirs, tmp_path / "ours") == BDD_FILES
        assert 0 < scores.flat()["HOTA"] < 100
        assert_perfect(score_bdd(tmp_path, truth, truth))

    def test_published_figures_of_the_real_sample(self, shared_data: Path, tmp_path: Path) -> None:
        """Scalabel, BDD100K's toolkit, publishes what it computes for these two files, by py-motmetrics.

        It takes x2 - x1 + 1 for the width of a box, and the height likewise; so do both files here.
        """
        samples = shared_data / "label-samples"
        truth, found = (
            {name: [[_inclusive(label) for label in labels] for labels in frames] for name, frames in one.items()}
            for one in (
                read_scalabel(samples / "scalabel_track_sample_anns.json"),
                read_scalabel(samples / "scalabel_track_predictions.json"),
            )
        )
        scores = score_bdd(tmp_path, truth, found, backends=["motmetrics-plain"])
        row, mean = (scores.overall("motmetrics-plain", name) for name in ("DETECTION-AVERAGE", "CLASS-MEAN"))
        assert [row[key] for key in ("FP", "FN", "IDSW", "MT", "ML")] == [126, 942, 45, 62, 33]
        assert [row["IDF1"], row["MOTA"]] == pytest.approx([71.01073676416142, 64.20070762302992])
        assert [mean["IDF1"], mean["MOTA"]] == pytest.approx([32.247819436558384, 24.324204637536687])
        assert [row["MOTP"], mean["MOTP"]] == pytest.approx([87.1614396957838, 50.01285135514636], abs=1e-3)


def _inclusive(label: Label) -> Label:
    x1, y1, x2, y2 = label.corners
    return replace(label, corners=[x1, y1, x2 + 1, y2 + 1])


# Old names that stand in real files.
_RENAMED = {"bike": "bicycle", "caravan": "car", "motor": "motorcycle", "person": "pedestrian", "van": "car"}


def read_scalabel(path: Path) -> dict[str, list[list[Label]]]:
    """Read a scalabel file; identities become numbers, and coordinates multiples of 1/64, so that x + w is exact."""
    numbers: dict[str, int] = {}
    sequences: dict[str, list[list[Label]]] = {}
    for frame in sorted(json.loads(path.read_text()), key=lambda frame: (frame["videoName"], frame["frameIndex"])):
        labels = []
        for label in frame["labels"] or []:
            corners = [round(label["box2d"][key] * 64) / 64 for key in ("x1", "y1", "x2", "y2")]
            number = numbers.setdefault(label["id"], len(numbers) + 1)
            crowd = (label.get("attributes") or {}).get("crowd", False)
            labels.append(Label(number, _RENAMED.get(label["category"], label["category"]), corners, crowd))
        sequences.setdefault(frame["videoName"], []).append(labels)
    return sequences
