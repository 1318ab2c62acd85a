"""The scores are, to the last digit, those of trackeval reading the same files; the two backends agree."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from clmot_qd.datasets.mot_text import MOT_CLASSES, MotTable, make_table, write_tracks
from clmot_qd.evaluation import GroundTruth, SequenceTruth, evaluate_tracks, read_mot_root, read_results
from clmot_qd.evaluation.backends import OVERALL

CATEGORIES = {name: number for number, name in enumerate(MOT_CLASSES, start=1)}


def random_scene(seed: int, frames: int, objects: int) -> tuple[MotTable, MotTable]:
    """Ground truth of all classes with marks, and predictions: noisy, some missing, some switched, some false."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 300, (objects, 2))
    speed = rng.uniform(-3, 3, (objects, 2))
    size = rng.uniform(15, 60, (objects, 2))
    classes = rng.choice([1, 1, 1, 2, 3, 7, 8, 9, 12, 13], objects)
    frame, index = (axis.ravel() for axis in np.meshgrid(np.arange(1, frames + 1), np.arange(objects), indexing="ij"))
    present = rng.random(frame.size) < 0.9
    frame, index = frame[present], index[present]
    boxes = np.hstack([start[index] + frame[:, None] * speed[index], size[index]]).round(3)
    marks = (rng.random(frame.size) < 0.85).astype(float)
    truth = make_table(frame, index + 1, boxes, marks, classes[index], rng.random(frame.size).round(3))

    kept = rng.random(frame.size) < 0.85
    noise = rng.normal(0, 3, (kept.sum(), 4))
    found = np.hstack([boxes[kept][:, :2], boxes[kept][:, 2:]]) + noise
    found[:, 2:] = found[:, 2:].clip(2)
    ids = index[kept] + 100 * (frame[kept] > rng.integers(2, frames, objects)[index[kept]])
    tracks = make_table(frame[kept], ids, found.round(5), rng.random(kept.sum()).round(6))
    return truth, tracks


def write_scene(root: Path, name: str, truth: MotTable, frames: int, swap_classes: int | None = None) -> None:
    folder = root / "gt" / name
    (folder / "gt").mkdir(parents=True)
    classes = truth.class_ids.copy()
    if swap_classes is not None:
        classes[truth.class_ids == swap_classes], classes[truth.class_ids == 1] = 1, swap_classes
    columns = [truth.frames, truth.ids, truth.bboxes, truth.scores, classes, truth.visibility]
    np.savetxt(folder / "gt" / "gt.txt", np.column_stack(columns), fmt="%d,%d,%.3f,%.3f,%.3f,%.3f,%d,%d,%.3f")
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={name}\nseqLength={frames}\n")


def run_trackeval(root: Path, lengths: dict[str, int], benchmark: str = "MOT17") -> dict:
    """Let trackeval read the files itself."""
    import trackeval

    dataset = {
        "GT_FOLDER": str(root / "gt"),
        "TRACKERS_FOLDER": str(root / "trackers"),
        "TRACKERS_TO_EVAL": ["ours"],
        "TRACKER_SUB_FOLDER": "",
        "BENCHMARK": benchmark,
        "SEQ_INFO": lengths,
        "SKIP_SPLIT_FOL": True,
        "PRINT_CONFIG": False,
    }
    switches = ["PRINT_RESULTS", "PRINT_CONFIG", "TIME_PROGRESS", "OUTPUT_SUMMARY", "OUTPUT_DETAILED", "PLOT_CURVES"]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = trackeval.Evaluator({"LOG_ON_ERROR": None} | dict.fromkeys(switches, False))
        metrics = [trackeval.metrics.HOTA()]
        metrics += [kind({"PRINT_CONFIG": False}) for kind in (trackeval.metrics.CLEAR, trackeval.metrics.Identity)]
        results, _ = evaluator.evaluate([trackeval.datasets.MotChallenge2DBox(dataset)], metrics)
    return results["MotChallenge2DBox"]["ours"]


def assert_equal_to_trackeval(ours: Mapping[str, Mapping[str, float]], theirs: dict) -> None:
    families = {"HOTA": "HOTA DetA AssA DetRe DetPr AssRe AssPr LocA", "CLEAR": "MOTA MOTP", "Identity": "IDF1 IDP IDR"}
    counts = {"IDSW": "IDSW", "FP": "CLR_FP", "FN": "CLR_FN", "MT": "MT", "ML": "ML", "Frag": "Frag"}
    assert len(ours) == len(theirs)
    for name, row in ours.items():
        result = theirs["COMBINED_SEQ" if name == OVERALL else name]["pedestrian"]
        for family, keys in families.items():
            for key in keys.split():
                assert row[key] == 100 * float(np.mean(result[family][key])), (name, key)
        for key, field in counts.items():
            assert row[key] == result["CLEAR"][field], (name, key)


LENGTHS = {"s1": 30, "s2": 12, "s3": 5}


@pytest.mark.parametrize("benchmark", ["MOT17", "MOT20"])
@pytest.mark.parametrize("scored", ["pedestrian", "car"])
def test_equals_trackeval_on_the_same_files(tmp_path: Path, scored: str, benchmark: str) -> None:
    """trackeval scores pedestrians alone; for cars its files have cars and pedestrians exchanged."""
    number = CATEGORIES[scored]
    for seed, (name, frames) in enumerate(LENGTHS.items()):
        truth, tracks = random_scene(seed, frames, objects=25)
        tracks = tracks if name != "s3" else make_table([], [], np.empty((0, 4)))
        write_scene(tmp_path / "ours", name, truth, frames)
        write_scene(tmp_path / "theirs", name, truth, frames, swap_classes=number)
        write_tracks(tmp_path / "theirs" / "trackers" / "ours" / f"{name}.txt", tracks)
    truth = read_mot_root(tmp_path / "ours" / "gt")
    tracks = read_results(tmp_path / "theirs" / "trackers" / "ours", truth)
    extra = ["non_mot_vehicle"] if benchmark == "MOT20" else []
    distractors = ["person_on_vehicle", "static_person", "distractor", "reflection", *extra]
    ours = evaluate_tracks(truth, tracks, [scored], distractors, backends=["trackeval"])
    assert_equal_to_trackeval(
        ours.by_backend["trackeval"][scored], run_trackeval(tmp_path / "theirs", dict(LENGTHS), benchmark)
    )
    assert 0 < ours.flat()["HOTA"] < 100
    assert ours.flat()["IDSW"] > 0


def test_distractors_make_a_difference_in_these_scenes() -> None:
    truth, tracks = random_scene(0, 30, 25)
    source = GroundTruth("here", CATEGORIES, {"a": SequenceTruth(np.arange(1, 31), truth)})
    with_them, without = (evaluate_tracks(source, {"a": tracks}, distractors=names) for names in (None, []))
    assert with_them.flat()["FP"] < without.flat()["FP"]


def test_equals_trackeval_for_mot15(shared_data: Path, tmp_path: Path) -> None:
    """Real ground truth, its Faster R-CNN detections with made-up identities as tracks."""
    source = shared_data / "annotations" / "MOT15" / "PETS09-S2L1"
    rows = np.loadtxt(source / "det" / "det_sort_frcnn.txt", delimiter=",")
    order = np.argsort(rows[:, 0], kind="stable")
    rows = rows[order]
    position = np.concatenate([np.arange(count) for count in np.unique(rows[:, 0], return_counts=True)[1]])
    tracks = make_table(rows[:, 0], position, rows[:, 2:6], rows[:, 6])
    folder = tmp_path / "gt" / "PETS09-S2L1" / "gt"
    folder.mkdir(parents=True)
    (folder / "gt.txt").write_text((source / "gt" / "gt.txt").read_text())
    write_tracks(tmp_path / "trackers" / "ours" / "PETS09-S2L1.txt", tracks)
    truth = read_mot_root(tmp_path / "gt")
    ours = evaluate_tracks(truth, read_results(tmp_path / "trackers" / "ours", truth), backends=["trackeval"])
    theirs = run_trackeval(tmp_path, {"PETS09-S2L1": 795}, "MOT15")
    assert_equal_to_trackeval(ours.by_backend["trackeval"]["pedestrian"], theirs)


@pytest.mark.parametrize("seed", range(3))
def test_backends_agree(seed: int) -> None:
    """Objects far apart leave no choice of partner, so the two definitions cannot differ."""
    rng = np.random.default_rng(seed)
    frame, index = (axis.ravel() for axis in np.meshgrid(np.arange(1, 41), np.arange(12), indexing="ij"))
    boxes = np.column_stack([100 * index, 5 * frame, np.full(frame.size, 30), np.full(frame.size, 60)]).astype(float)
    kept = rng.random(frame.size) < 0.8
    switched = index + 50 * (frame > rng.integers(1, 60, 12)[index])
    noisy = (boxes + rng.normal(0, 5, boxes.shape))[kept]
    truth = make_table(frame, index, boxes, class_ids=np.ones(frame.size))
    scores = evaluate_tracks(
        GroundTruth("here", CATEGORIES, {"a": SequenceTruth(np.arange(1, 41), truth)}),
        {"a": make_table(frame[kept], switched[kept], noisy)},
    ).flat()
    assert scores["IDSW"] > 3
    assert scores["FP"] > 0
    for key in ("IDSW", "FP", "FN"):
        assert scores[key] == scores[f"motmetrics/{key}"]
    for key in ("MOTA", "MOTP", "IDF1"):
        assert scores[key] == pytest.approx(scores[f"motmetrics/{key}"], abs=0.1)
