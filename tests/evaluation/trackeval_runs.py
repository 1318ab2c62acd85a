"""TrackEval's evaluator on files on disk, as its scripts call it, and its files beside ours."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clmot_qd.evaluation.scores import TrackScores
from clmot_qd.evaluation.trackeval_files import write_trackeval_files


def run_trackeval(dataset: type, config: Mapping[str, Any], out: Path) -> Path:
    """Let TrackEval read the files and write its summary and detailed tables. Returns the folder of these."""
    import trackeval

    switches = {"PRINT_CONFIG": False, "TIME_PROGRESS": False, "PLOT_CURVES": False, "LOG_ON_ERROR": None}
    common = {"TRACKERS_TO_EVAL": ["ours"], "TRACKER_SUB_FOLDER": "", "OUTPUT_FOLDER": str(out), "PRINT_CONFIG": False}
    with contextlib.redirect_stdout(io.StringIO()):
        metrics = [trackeval.metrics.HOTA()]
        metrics += [kind({"PRINT_CONFIG": False}) for kind in (trackeval.metrics.CLEAR, trackeval.metrics.Identity)]
        trackeval.Evaluator(switches).evaluate([dataset(common | dict(config))], metrics)
    return out / "ours"


def run_mot_challenge(root: Path, lengths: Mapping[str, int | None], out: Path, benchmark: str = "MOT17") -> Path:
    """Score ``root/trackers/ours`` against ``root/gt``."""
    import trackeval

    config = {"GT_FOLDER": str(root / "gt"), "TRACKERS_FOLDER": str(root / "trackers"), "BENCHMARK": benchmark}
    config |= {"SEQ_INFO": dict(lengths), "SKIP_SPLIT_FOL": True}
    return run_trackeval(trackeval.datasets.MotChallenge2DBox, config, out)


def run_bdd100k(root: Path, out: Path) -> Path:
    """Score ``root/trackers/ours`` against ``root/gt``."""
    import trackeval

    config = {"GT_FOLDER": str(root / "gt"), "TRACKERS_FOLDER": str(root / "trackers")}
    return run_trackeval(trackeval.datasets.BDD100K, config, out)


def run_mots_challenge(root: Path, lengths: Mapping[str, int], out: Path) -> Path:
    """Score ``root/trackers/ours`` against ``root/gt/SEQUENCE/gt/gt.txt``."""
    import trackeval

    config = {"GT_FOLDER": str(root / "gt"), "TRACKERS_FOLDER": str(root / "trackers")}
    config |= {"SEQ_INFO": dict(lengths), "SKIP_SPLIT_FOL": True}
    return run_trackeval(trackeval.datasets.MOTSChallenge, config, out)


def run_kitti_mots(root: Path, lengths: Mapping[str, int], out: Path) -> Path:
    """Score ``root/trackers/ours`` against ``root/gt/label_02/SEQUENCE.txt``."""
    import trackeval

    config = {"GT_FOLDER": str(root / "gt"), "TRACKERS_FOLDER": str(root / "trackers"), "SEQ_INFO": dict(lengths)}
    return run_trackeval(trackeval.datasets.KittiMOTS, config, out)


def assert_same_files(scores: TrackScores, theirs: Path, ours: Path) -> set[str]:
    """Every file that TrackEval has written is, byte for byte, one of ours. Returns their names."""
    write_trackeval_files(scores, ours)
    names = {path.name for path in theirs.iterdir()}
    assert names
    for name in names:
        assert (ours / name).read_text() == (theirs / name).read_text(), name
    return names
