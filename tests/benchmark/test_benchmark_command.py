"""tools/benchmark.py from end to end: tables, files, exit codes, and what happens to what is missing or broken."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from locations import REPOSITORY

from clmot_qd.benchmark import run, sections
from clmot_qd.benchmark.cases import Case, Group, Missing, Options, ProcessCase
from clmot_qd.benchmark.sections import SECTIONS, Section, choose_sections, load_section
from clmot_qd.errors import InputError


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_command", REPOSITORY / "tools" / "benchmark.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def kept_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command sets threads for its process, which here is everybody's."""
    before, threads = dict(os.environ), torch.get_num_threads()
    yield
    os.environ.clear()
    os.environ.update(before)
    torch.set_num_threads(threads)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sections that take no time; "broken" breaks while its second group is built, "bare" lacks a package."""

    def whole(options: Options) -> Iterator[Group]:
        cases = [Case("ours", lambda: sum(range(1000))), Case("theirs", lambda: sum(range(5000)), peer=True)]
        yield Group("association", "10 objects", "frame", [*cases, Missing("other", "pip install other")])
        process = ProcessCase("process", [sys.executable, "-m", "clmot_qd.benchmark.cases"])
        yield Group("association", "process", "start", [process])

    def broken(options: Options) -> Iterator[Group]:
        yield Group("losses", "fine", "call", [Case("ours", lambda: None)])
        raise RuntimeError("out of order")

    def mistaken(options: Options) -> Iterator[Group]:
        raise InputError("x.json: wrong; do so")
        yield

    def bare(options: Options) -> Iterator[Group]:
        raise ModuleNotFoundError("No module named 'mmdet'", name="mmdet")
        yield

    parts = {"association": whole, "losses": broken, "setup": mistaken, "training": bare}
    monkeypatch.setattr(run, "load_section", lambda section: parts[section.name])


def test_table_and_files(tool: ModuleType, made_up: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["--sections", "association", "--rounds", "3", "--out", str(tmp_path / "new")]) == 0
    shown = capsys.readouterr().out
    for part in ("association: 10 objects", "A theirs", "times A", "other: pip install other", "per start"):
        assert part in shown
    written = json.loads((tmp_path / "new" / "benchmark.json").read_text())
    ours, theirs, other = written["groups"][0]["measurements"]
    assert (len(ours["seconds"]), len(theirs["seconds"]), other["problem"]) == (3, 3, "pip install other")
    assert written["groups"][1]["measurements"][0]["peak_mb"][0] > 1
    page = (tmp_path / "new" / "benchmark.md").read_text()
    assert "## association: 10 objects" in page
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"benchmark.json", "benchmark.md"}
    assert f"wrote {tmp_path / 'new' / 'benchmark.md'}" in shown


def test_before_and_after(tool: ModuleType, made_up: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--sections", "association", "--rounds", "2", "--out", str(tmp_path)]
    tool.main(arguments)
    earlier = tmp_path / "earlier.json"
    written = json.loads((tmp_path / "benchmark.json").read_text())
    written["machine"]["cpu"] = "another"
    written["groups"][0]["measurements"][0]["seconds"] = [1000.0]
    earlier.write_text(json.dumps(written))
    capsys.readouterr()
    tool.main([*arguments, "--before", str(earlier)])
    shown = capsys.readouterr()
    assert "times before" in shown.out
    assert "1000 s" in shown.out
    assert "made elsewhere (cpu: another" in " ".join(shown.err.split())


def test_the_section_that_breaks_costs_nobody_elses_figures(
    tool: ModuleType, made_up: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["losses", "association", "setup", "training"]
    assert tool.main(["--sections", *names, "--rounds", "1", "--out", str(tmp_path)]) == 1
    told = capsys.readouterr()
    page = (tmp_path / "benchmark.md").read_text()
    for part in (
        "## losses: fine",
        "losses: failed: RuntimeError: out of order",
        "## association: 10 objects",
        "setup: failed: x.json: wrong; do so",
        "training: not installed: no module named mmdet",
    ):
        assert part in page
    last = told.err.strip().splitlines()[-2:]
    assert last[0].endswith("losses: failed: RuntimeError: out of order")
    assert last[1].endswith("setup: failed: x.json: wrong; do so")
    assert "Traceback" in told.err


def test_what_was_measured_stays_after_ctrl_c(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def groups(options: Options) -> Iterator[Group]:
        yield Group("losses", "fine", "call", [Case("ours", lambda: None)])
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "load_section", lambda section: groups)
    with pytest.raises(KeyboardInterrupt):
        tool.main(["--sections", "losses", "--out", str(tmp_path)])
    written = json.loads((tmp_path / "benchmark.json").read_text())
    assert [group["title"] for group in written["groups"]] == ["fine"]


def test_profiles_name_places_of_our_cases(
    tool: ModuleType, made_up: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool.main(["--sections", "association", "--rounds", "1", "--out", str(tmp_path), "--profile"])
    profiles = json.loads((tmp_path / "benchmark.json").read_text())["profiles"]
    assert profiles.keys() == {"association, 10 objects, ours", "association, process, process"}
    assert "test_benchmark_command.py" in profiles["association, 10 objects, ours"][1]
    assert "Where the time goes: association, 10 objects, ours" in capsys.readouterr().out


def test_no_profile_unless_asked(tool: ModuleType, made_up: None, tmp_path: Path) -> None:
    tool.main(["--sections", "association", "--rounds", "1", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "benchmark.json").read_text())["profiles"] == {}


def test_threads_reach_the_libraries(tool: ModuleType, made_up: None, tmp_path: Path) -> None:
    tool.main(["--sections", "association", "--rounds", "1", "--threads", "3", "--out", str(tmp_path)])
    assert torch.get_num_threads() == 3
    assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "3"
    assert json.loads((tmp_path / "benchmark.json").read_text())["machine"]["threads"] == 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_told(tool: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--device cuda: torch finds no CUDA GPU; use --device cpu"):
        tool.main(["--sections", "losses", "--device", "cuda", "--out", str(tmp_path)])


def test_a_place_that_cannot_be_written_is_told_before_the_work(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        tool.main(["--out", str(tmp_path / "file")])


@pytest.mark.parametrize("words", [["--sections", "speed"], ["--rounds", "0"], ["--rounds", "x"], ["--threads", "-1"]])
def test_mistyped_options_are_refused(tool: ModuleType, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tool.parse_args(words)
    assert "error: argument" in capsys.readouterr().err


def test_help_loads_nothing(tmp_path: Path) -> None:
    code = f"""
import runpy, sys
sys.argv = ["benchmark.py", "--help"]
try:
    runpy.run_path({str(REPOSITORY / "tools" / "benchmark.py")!r}, run_name="__main__")
except SystemExit:
    print(sorted({{"numpy", "torch", "clmot_qd"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


class TestSections:
    def test_the_command_offers_what_there_is(self, tool: ModuleType) -> None:
        assert tuple(SECTIONS) == tool.SECTIONS

    @pytest.mark.parametrize("name", SECTIONS)
    def test_each_is_a_module(self, name: str) -> None:
        assert callable(load_section(SECTIONS[name]))

    def test_they_keep_the_order_of_the_table(self) -> None:
        assert [section.name for section in choose_sections(["growth", "losses"])] == ["losses", "growth"]
        assert choose_sections(None) == list(SECTIONS.values())

    def test_an_unknown_one_is_told(self) -> None:
        with pytest.raises(InputError, match="--sections speed: no such section; there are association"):
            choose_sections(["losses", "speed"])

    def test_one_that_is_not_there_is_no_module(self) -> None:
        with pytest.raises(ModuleNotFoundError, match=sections.__package__):
            load_section(Section("nowhere", ""))
