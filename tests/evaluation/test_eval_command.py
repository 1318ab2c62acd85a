"""tools/eval_tracks.py: protocols, processes and TrackEval's files, typed as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import bdd_scene
import mots_scene
import pytest
from locations import REPOSITORY
from trackeval_runs import run_bdd100k, run_kitti_mots

from clmot_qd.datasets.mot_text import write_tracks
from clmot_qd.datasets.mots_text import write_mots


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Annotation file and folder of result files, and the same scene for TrackEval in ``gt`` and ``trackers``."""
    truth, found = {}, {}
    for seed, name in enumerate(("v1", "v2")):
        truth[name], found[name] = bdd_scene.random_scene(seed, 15)
        known = set(bdd_scene.CATEGORIES)
        assert all(label.category in known for labels in found[name] for label in labels)
        write_tracks(tmp_path / "results" / f"{name}.txt", bdd_scene.table(found[name]))
    bdd_scene.write_for_trackeval(tmp_path / "gt", truth)
    bdd_scene.write_for_trackeval(tmp_path / "trackers" / "ours", found)
    (tmp_path / "ann.json").write_text(json.dumps(bdd_scene.cocovid(truth)))
    return ["--gt", str(tmp_path / "ann.json"), "--pred", str(tmp_path / "results"), "--protocol", "bdd100k"]


def run(arguments: list[str]) -> subprocess.CompletedProcess:
    command = [sys.executable, str(REPOSITORY / "tools" / "eval_tracks.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_bdd100k_by_command_is_what_trackeval_writes(files: list[str], tmp_path: Path) -> None:
    out = ["--trackeval-out", str(tmp_path / "ours"), "--out", str(tmp_path / "all.json"), "--jobs", "2"]
    result = run([*files, *out, "--backends", "trackeval", "motmetrics-plain"])
    assert result.returncode == 0, result.stderr
    assert "motmetrics-plain: classes" in result.stdout
    assert "HUMAN" in result.stdout
    theirs = run_bdd100k(tmp_path, tmp_path / "theirs")
    for path in theirs.iterdir():
        assert (tmp_path / "ours" / path.name).read_text() == path.read_text(), path.name
    data = json.loads((tmp_path / "all.json").read_text())
    summary = (theirs / "cls_comb_cls_av_summary.txt").read_text().splitlines()
    printed = dict(zip(*(line.split() for line in summary)))
    row = data["trackeval"]["CLASS-MEAN"]["OVERALL"]
    for key in ("HOTA", "DetA", "AssA", "MOTA", "MOTP", "IDF1", "IDP", "sMOTA"):
        assert f"{row[key]:1.5g}" == printed[key]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "kitti"], "error: protocol: 'kitti' is unknown; choose from"),
        (["--backends", "motmetrics", "--trackeval-out", "there"], "error: there: TrackEval's files can be written if"),
        (["--jobs", "0"], "error: jobs is 0"),
        (["--protocol", "kitti-mots"], "error: protocol kitti-mots does not score iou_type bbox; set iou_type to segm"),
        (["--protocol", "tao", "--iou-type", "segm"], "error: --iou-type segm: track mAP is that of boxes; leave it"),
    ],
)
def test_mistakes_take_one_line(files: list[str], arguments: list[str], message: str) -> None:
    result = run([*files, *arguments])
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(message)
    assert "Traceback" not in result.stderr


def test_scoring_loads_no_network(files: list[str]) -> None:
    """Neither torch nor mmdet is imported: that would take longer than the scoring."""
    loaded = "[name for name in ('torch', 'mmcv') if name in sys.modules]"
    watch = f"import atexit, sys; atexit.register(lambda: print('loaded', {loaded}))"
    start = "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    script = str(REPOSITORY / "tools" / "eval_tracks.py")
    code = f"{watch}; sys.argv = {[script, *files]!r}; {start}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("loaded []\n")


def test_kitti_mots_by_command_is_what_trackeval_writes(tmp_path: Path) -> None:
    lengths = {"0002": 14, "0006": 9}
    for seed, (name, frames) in enumerate(lengths.items()):
        truth, found = mots_scene.random_scene(seed, frames, first=0)
        write_mots(tmp_path / "gt" / "label_02" / f"{name}.txt", truth)
        write_mots(tmp_path / "trackers" / "ours" / f"{name}.txt", found)
    rows = [f"{name} empty 000000 {frames - 1:06d}\n" for name, frames in lengths.items()]
    (tmp_path / "gt" / "evaluate_mots.seqmap.val").write_text("".join(rows))
    options = ["--protocol", "kitti-mots", "--iou-type", "segm", "--trackeval-out", str(tmp_path / "ours")]
    result = run(["--gt", str(tmp_path / "gt"), "--pred", str(tmp_path / "trackers" / "ours"), *options])
    assert result.returncode == 0, result.stderr
    assert "sMOTSA" in result.stdout
    for path in run_kitti_mots(tmp_path, lengths, tmp_path / "theirs").iterdir():
        assert (tmp_path / "ours" / path.name).read_text() == path.read_text(), path.name
