"""The commands on MOT files: what they write and print, mistakes as one line, help without loading the package."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from clmot_qd.errors import InputError

TOOLS = Path(__file__).resolve().parents[2] / "tools"
GT = "".join(f"{frame},{identity},{100 * identity},20,30,60,1,1,1\n" for frame in (1, 2, 3) for identity in (1, 2))


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tool_{name}", TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("MOT17-01-DPM", "MOT17-01-SDP"):
        folder = tmp_path / "train" / name
        (folder / "gt").mkdir(parents=True)
        (folder / "img1").mkdir()
        (folder / "gt" / "gt.txt").write_text(GT)
        for frame in (1, 2, 3):
            cv2.imwrite(str(folder / "img1" / f"{frame:06d}.jpg"), np.zeros((48, 64, 3), np.uint8))
    return tmp_path / "train"


def test_convert(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "ann.json"
    options = ["--detector", "SDP", "--split", "first-half", "--classes", "pedestrian", "--no-identities"]
    assert load("mot2cocovid").main(["--root", str(root), "--out", str(out), *options]) == 0
    data = json.loads(out.read_text())
    assert [image["file_name"] for image in data["images"]] == [f"MOT17-01-SDP/img1/00000{n}.jpg" for n in (1, 2)]
    assert len(data["annotations"]) == 4
    assert "instance_id" not in data["annotations"][0]
    assert data["categories"] == [{"id": 1, "name": "pedestrian"}]
    printed = capsys.readouterr()
    assert printed.err.strip() == ""  # a progress bar only where it can be seen
    assert [line.split() for line in printed.out.splitlines()[:2]] == [
        ["MOT", "train:", "class", "boxes", "identities"],
        ["pedestrian", "4", "0"],
    ]
    assert f"written to {out}" in printed.out


def test_track_and_score(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rows = [f"{f},-1,{100 * i},20,30,60,0.9" for f in (3, 1, 2) for i in (1, 2)]
    (tmp_path / "det.txt").write_text("\n".join(rows))
    np.save(tmp_path / "emb.npy", np.array([[1, 0], [0, 1]] * 3))
    out = tmp_path / "results" / "MOT17-01-SDP.txt"
    files = ["--det", str(tmp_path / "det.txt"), "--embeds", str(tmp_path / "emb.npy"), "--out", str(out)]
    more = ["--option", "conf_thr=0.5", "lost_frames=10", "--gt", str(root / "MOT17-01-SDP" / "gt" / "gt.txt")]
    assert load("track_detections").main([*files, *more]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"6 boxes of 2 tracks written to {out}\n")
    assert text.count("100.00") > 10
    assert len(out.read_text().splitlines()) == 6

    scores = tmp_path / "scores.json"
    command = ["--gt", str(root), "--detector", "SDP", "--pred", str(out.parent), "--out", str(scores)]
    assert load("eval_tracks").main(command) == 0
    assert json.loads(scores.read_text())["motmetrics"]["pedestrian"]["OVERALL"]["MOTA"] == 100
    printed = capsys.readouterr()
    assert "trackeval: pedestrian" in printed.out
    assert printed.err.endswith("MOT17-01-SDP (1 of 1)\n")

    ann = tmp_path / "ann.json"
    load("mot2cocovid").main(["--root", str(root), "--out", str(ann)])
    command = ["--gt", str(ann), "--sequences", "MOT17-01-SDP", "--pred", str(out.parent), "--backends", "motmetrics"]
    assert load("eval_tracks").main(command) == 0
    assert "trackeval" not in capsys.readouterr().out
    with pytest.raises(InputError, match=r"MOT17-01-DPM\.txt: no such file"):
        load("eval_tracks").main(["--gt", str(ann), "--pred", str(out.parent)])


@pytest.mark.parametrize("name", ["mot2cocovid", "eval_tracks", "track_detections"])
def test_help_does_not_load_the_package(name: str) -> None:
    watch = "import atexit, sys; atexit.register(lambda: print('loaded', 'clmot_qd' in sys.modules))"
    start = (
        f"import runpy; sys.argv = ['x', '--help']; runpy.run_path({str(TOOLS / name) + '.py'!r}, run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", f"{watch}; {start}"], capture_output=True, text=True, timeout=180)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage:")
    assert result.stdout.endswith("loaded False\n")


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(TOOLS / "mot2cocovid.py"), "--root", "nowhere", "--out", str(tmp_path / "out.json")]
    environment = {"PYTHONPATH": str(TOOLS.parent), "PATH": ""}
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == "error: nowhere: no such folder; give the folder that holds the sequence folders\n"
    assert not (tmp_path / "out.json").exists()
