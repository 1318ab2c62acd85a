"""Scores of masks are, to the last digit, those of TrackEval's own evaluator reading the same files from disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from mots_scene import SIZE, random_scene
from trackeval_runs import assert_same_files, run_kitti_mots, run_mots_challenge

from clmot_qd.datasets.mot_text import MotTable
from clmot_qd.datasets.mots_text import read_mots, write_mots
from clmot_qd.evaluation import TrackScores, evaluate_tracks, read_mots_root

LENGTHS = {"s1": 24, "s10": 12, "s11": 9, "s2": 5, "s20": 14}  # in TrackEval's order


def write_mots20(root: Path, seed: int = 0) -> None:
    """Write ``root/gt`` and ``root/trackers/ours``; the sequence s2 has no predictions."""
    for index, (name, frames) in enumerate(LENGTHS.items()):
        truth, tracks = random_scene(10 * seed + index, frames)
        folder = root / "gt" / name
        write_mots(folder / "gt" / "gt.txt", truth)
        height, width = SIZE
        (folder / "seqinfo.ini").write_text(
            f"[Sequence]\nname={name}\nseqLength={frames}\nimWidth={width}\nimHeight={height}\n"
        )
        write_mots(root / "trackers" / "ours" / f"{name}.txt", tracks.select(tracks.frames > 24 * (name == "s2")))


def write_kitti(root: Path, seed: int = 0) -> None:
    for index, (name, frames) in enumerate(LENGTHS.items()):
        truth, tracks = random_scene(100 + 10 * seed + index, frames, first=0)
        write_mots(root / "gt" / "label_02" / f"{name}.txt", truth)
        write_mots(root / "trackers" / "ours" / f"{name}.txt", tracks.select(tracks.frames > 24 * (name == "s2") - 1))
    rows = [f"{name} empty 000000 {frames - 1:06d}\n" for name, frames in LENGTHS.items()]
    (root / "gt" / "evaluate_mots.seqmap.val").write_text("".join(rows))


def read(root: Path, first: int) -> dict[str, MotTable]:
    return {path.stem: read_mots(path, first_frame=first, size=SIZE) for path in (root / "trackers" / "ours").iterdir()}


def score(root: Path, protocol: str, **options) -> TrackScores:
    tracks = read(root, first=1 if protocol == "mots20" else 0)
    return evaluate_tracks(read_mots_root(root / "gt"), tracks, protocol=protocol, iou_type="segm", **options)


@pytest.mark.parametrize("seed", range(3))
def test_every_number_of_mots20(tmp_path: Path, seed: int) -> None:
    """Five sequences with regions, empty frames and cars, which MOTS20 passes over; one without predictions."""
    write_mots20(tmp_path, seed)
    scores = score(tmp_path, "mots20", backends=["trackeval"])
    theirs = run_mots_challenge(tmp_path, LENGTHS, tmp_path / "theirs")
    assert assert_same_files(scores, theirs, tmp_path / "ours") == {"pedestrian_summary.txt", "pedestrian_detailed.csv"}
    row = scores.overall("trackeval", "pedestrian")
    assert 0 < row["HOTA"] < 100
    assert min(row[key] for key in ("IDSW", "FP", "FN", "Frag")) > 0
    assert list(scores.by_backend["trackeval"]) == ["pedestrian"]


@pytest.mark.parametrize("seed", range(3))
def test_every_number_of_kitti_mots(tmp_path: Path, seed: int) -> None:
    write_kitti(tmp_path, seed)
    scores = score(tmp_path, "kitti-mots", backends=["trackeval"], jobs=2)
    theirs = run_kitti_mots(tmp_path, LENGTHS, tmp_path / "theirs")
    names = {f"{name}_{kind}" for name in ("car", "pedestrian") for kind in ("summary.txt", "detailed.csv")}
    assert assert_same_files(scores, theirs, tmp_path / "ours") == names
    assert all(scores.overall("trackeval", name)["IDSW"] > 0 for name in ("car", "pedestrian"))


def test_regions_make_a_difference_and_count_together(tmp_path: Path) -> None:
    """Fewer false ones with regions than without, and fewer still where half of a mask may lie in several."""
    write_mots20(tmp_path)
    names = ("pedestrian",)
    plain = score(tmp_path, "plain", classes=names, backends=["trackeval"]).flat()["FP"]
    single = score(tmp_path, "bdd100k", classes=names, backends=["trackeval"]).flat()["FP"]
    joined = score(tmp_path, "mots20", backends=["trackeval"]).flat()["FP"]
    assert joined < single < plain - 10


def test_py_motmetrics_counts_the_same(tmp_path: Path) -> None:
    write_kitti(tmp_path)
    scores = score(tmp_path, "kitti-mots")
    for name in ("car", "pedestrian"):
        ours, other = (scores.overall(backend, name) for backend in ("trackeval", "motmetrics"))
        for key in ("IDSW", "FP", "FN", "TP", "ML", "IDTP"):
            assert ours[key] == other[key], key
        for key in ("MOTSA", "MOTSP", "IDF1"):
            assert ours[key] == pytest.approx(other[key]), key
