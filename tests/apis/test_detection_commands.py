"""The commands on detections answer --help at once and tell mistakes in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
NAMES = [
    "track_detections",
    "cache_detections",
    "tune_tracker",
    "test_embeddings",
    "compare_embeddings",
    "compare_trackers",
]


@pytest.mark.parametrize("name", NAMES)
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
    (tmp_path / "found.csv").write_text("frame,x,y,w,h\n1,1,1,5,5\n1,1,1,5\n")
    command = [sys.executable, str(TOOLS / "track_detections.py"), "--det", "found.csv", "--out", "out.txt"]
    environment = {"PYTHONPATH": str(TOOLS.parent), "PATH": ""}
    result = subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == "error: found.csv:3: 4 columns, the header has 5; mend this row\n"
    assert not (tmp_path / "out.txt").exists()
