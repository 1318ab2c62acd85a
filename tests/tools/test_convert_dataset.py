"""The command: help of every data set, dry run, mistakes as one line, a bar only on a terminal."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from locations import REPOSITORY
from PIL import Image

from clmot_qd.datasets.converters import data_sets
from clmot_qd.errors import InputError

TOOL = REPOSITORY / "tools" / "convert_dataset.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tool_convert_dataset", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "MOT17" / "train" / "MOT17-09-SDP"
    (folder / "img1").mkdir(parents=True)
    (folder / "gt").mkdir()
    (folder / "gt" / "gt.txt").write_text("1,1,1,2,3,4,1,1,1\n1,2,1,2,3,-4,1,1,1\n1,3,9,2,3,4,0,7,1\n")
    Image.new("RGB", (20, 10)).save(folder / "img1" / "000001.jpg")
    return folder.parent


def test_convert(tool: ModuleType, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "annotations" / "train.json"
    assert tool.main(["mot17", "--root", str(root), "--out", str(out), "--detector", "SDP"]) == 0
    data = json.loads(out.read_text())
    assert [entry["instance_id"] for entry in data["annotations"]] == [1, 2]
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert ["difference", "0", "-524", "-5324", "-25"] in [line.split() for line in lines]
    place = root / "MOT17-09-SDP" / "gt" / "gt.txt"
    assert f"skipped 1 x box without an area: {place}:2 (x 1, y 2, w 3, h -4)" in lines
    assert lines[-1] == f"written to {out}"
    assert printed.err.strip() == ""


def test_bar_on_a_terminal(
    tool: ModuleType, root: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    tool.main(["mot17", "--root", str(root), "--dry-run"])
    printed = capsys.readouterr()
    assert "converting" in printed.err
    assert "converting" not in printed.out


def test_dry_run(tool: ModuleType, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "out.json"
    assert tool.main(["mot17", "--root", str(root), "--dry-run", "--out", str(out)]) == 0
    assert sorted(tmp_path.rglob("*")) == before
    dry = capsys.readouterr().out
    tool.main(["mot17", "--root", str(root), "--out", str(out)])
    assert capsys.readouterr().out.replace(f"written to {out}", "nothing written (--dry-run)") == dry


def test_common_options(tool: ModuleType, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = ["mot17", "--root", str(root), "--out", str(out)]
    tool.main([*command, "--classes", "static_person", "--no-identities"])
    data = json.loads(out.read_text())
    assert data["categories"] == [{"id": 7, "name": "static_person"}]
    assert [entry["bbox"] for entry in data["annotations"]] == [[9, 2, 3, 4]]
    assert "instance_id" not in data["annotations"][0]
    with pytest.raises(InputError, match=r"gt\.txt:2: box without an area"):
        tool.main([*command, "--strict"])
    with pytest.raises(InputError, match="no size recorded"):
        tool.main([*command, "--images", "trust"])


@pytest.mark.parametrize("argv", [["mot17", "--root", "x"], ["mot17", "--out", "x"], ["mot99", "--root", "x"], []])
def test_incomplete_commands(tool: ModuleType, argv: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        tool.main(argv)
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("name", data_sets())
def test_help(tool: ModuleType, name: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        tool.main([name, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    entry = data_sets()[name]
    assert entry.layout in text  # its lines are not broken anew
    assert all(option.flag in text for option in entry.options)
    assert "--dry-run" in text


def test_list_of_data_sets(tool: ModuleType, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        tool.main(["--help"])
    text = capsys.readouterr().out
    for name in ("mot15", "mot16", "mot17", "mot20", "dancetrack", "mot-text", "jde-text", "coco"):
        assert f"\n    {name} " in text


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(TOOL), "mot17", "--root", "nowhere", "--out", str(tmp_path / "out.json")]
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": ""}
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == "error: nowhere: no such folder; give the folder that holds the sequence folders\n"
    assert list(tmp_path.iterdir()) == []
