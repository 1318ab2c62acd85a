"""Scoring result files: ours beside TrackEval's own evaluator, from the same files to the same scores."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from clmot_qd.benchmark.cases import Case, Group, Missing, Options
from clmot_qd.datasets.mot_text import make_table, write_tracks
from clmot_qd.evaluation import evaluate_tracks, read_mot_root, read_results

_SCENES = {"30 objects": (4, 600, 30), "100 objects": (2, 600, 100)}  # sequences, frames in each, objects in each
_QUICK_SCENES = {"10 objects": (2, 60, 10)}
_FIELDS = "%d,%d,%.3f,%.3f,%.3f,%.3f,%d,%d,%.3f"


def groups(options: Options) -> Iterator[Group]:
    """Yield a group for each kind of scene; HOTA, CLEAR and Identity of MOTChallenge files."""
    for name, (sequences, frames, objects) in (_QUICK_SCENES if options.quick else _SCENES).items():
        with TemporaryDirectory(prefix="clmot_qd-") as folder:
            root, lengths = Path(folder), {f"video{number}": frames for number in range(sequences)}
            for seed, sequence in enumerate(lengths):
                _write_sequence(root, sequence, frames, objects, seed)
            yield Group(
                "evaluation",
                f"{name}, {sequences} sequences of {frames} frames",
                "evaluation",
                [
                    Case("clmot_qd", partial(_score, root)),
                    Case("clmot_qd, 2 processes", partial(_score, root, jobs=2)),
                    _trackeval(root, lengths),
                ],
            )


def _score(root: Path, jobs: int = 1) -> object:
    truth = read_mot_root(root / "gt")
    tracks = read_results(root / "trackers" / "peer", truth)
    return evaluate_tracks(truth, tracks, backends=("trackeval",), jobs=jobs)


def _trackeval(root: Path, lengths: dict[str, int]) -> Case | Missing:
    """TrackEval called as its script run_mot_challenge.py does it; its plots and printing left out."""
    name = "TrackEval's Evaluator"
    try:
        import trackeval
    except ModuleNotFoundError:
        return Missing(name, "pip install trackeval")
    switches = {"PRINT_CONFIG": False, "PRINT_RESULTS": False, "TIME_PROGRESS": False, "PLOT_CURVES": False}
    files = {"OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False, "OUTPUT_EMPTY_CLASSES": False, "LOG_ON_ERROR": None}
    data: dict[str, Any] = {
        "GT_FOLDER": str(root / "gt"),
        "TRACKERS_FOLDER": str(root / "trackers"),
        "TRACKER_SUB_FOLDER": "",
    }
    data |= {"TRACKERS_TO_EVAL": ["peer"], "BENCHMARK": "MOT17", "SKIP_SPLIT_FOL": True, "PRINT_CONFIG": False}

    def evaluate() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            metrics = [trackeval.metrics.HOTA()]
            metrics += [kind({"PRINT_CONFIG": False}) for kind in (trackeval.metrics.CLEAR, trackeval.metrics.Identity)]
            dataset = trackeval.datasets.MotChallenge2DBox(data | {"SEQ_INFO": lengths})
            trackeval.Evaluator(switches | files).evaluate([dataset], metrics)

    return Case(name, evaluate, peer=True)


def _write_sequence(root: Path, name: str, frames: int, objects: int, seed: int) -> None:
    """Ground truth of pedestrians and some distractors; results with noise, misses and changes of identity."""
    random = np.random.default_rng(seed)
    start, speed = random.uniform(0, 1800, (objects, 2)), random.normal(0, 1, (objects, 2))
    size, kinds = random.uniform([20, 50], [60, 150], (objects, 2)), random.choice([1, 1, 1, 1, 8], objects)
    frame, index = (axis.ravel() for axis in np.mgrid[1 : frames + 1, 0:objects])
    boxes = np.hstack([start[index] + frame[:, None] * speed[index], size[index]])
    folder = root / "gt" / name
    (folder / "gt").mkdir(parents=True)
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={name}\nseqLength={frames}\n", encoding="utf-8")
    ones = np.ones(len(frame))
    rows = np.column_stack([frame, index + 1, boxes, ones, kinds[index], ones])
    np.savetxt(folder / "gt" / "gt.txt", rows, fmt=_FIELDS)
    found = random.random(len(frame)) < 0.9
    frame, index, boxes = frame[found], index[found], boxes[found] + random.normal(0, 3, (found.sum(), 4))
    ids = index + objects * (frame > random.integers(2, frames, objects)[index])
    write_tracks(
        root / "trackers" / "peer" / f"{name}.txt", make_table(frame, ids + 1, boxes, random.random(len(frame)))
    )
