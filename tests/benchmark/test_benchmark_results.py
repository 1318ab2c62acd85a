"""A run survives its file, and a file that is none is named."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from clmot_qd.benchmark.cases import Options
from clmot_qd.benchmark.machine import busy_warning, facts_line, machine_facts
from clmot_qd.benchmark.measuring import GroupResult, Measurement
from clmot_qd.benchmark.results import BenchmarkResult, check_distinct, differences, read_result, write_result
from clmot_qd.errors import InputError

FIRST = Measurement("ours", seconds=[0.1, 0.2], peak_mb=[3.5])
SECOND = Measurement("theirs", peer=True, problem="failed: no")
RESULT = BenchmarkResult({"cpu": "x"}, [GroupResult("a", "b", "frame", [FIRST, SECOND], grows=True)], {"a": ["line"]})


def test_there_and_back(tmp_path: Path) -> None:
    write_result(tmp_path / "new" / "benchmark.json", RESULT)
    assert read_result(tmp_path / "new" / "benchmark.json") == RESULT


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"machine": {}, "groups": [{"section": 1}]}', '{"machine": 3, "groups": []}']
)
def test_other_json_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json, as the benchmark\.json of an earlier run: not of the expected"):
        read_result(tmp_path / "x.json")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"give the benchmark\.json of"):
        read_result(tmp_path / "none.json")


def test_what_failed_is_a_problem_and_what_is_not_installed_is_none() -> None:
    missing = Measurement("other", problem="pip install x")
    result = BenchmarkResult({}, [GroupResult("a", "b", "frame", [FIRST, SECOND, missing])])
    assert result.problems == ["a, b, theirs: failed: no"]


def test_find_needs_figures() -> None:
    assert RESULT.find("a", "b", "ours") == FIRST
    assert RESULT.find("a", "b", "theirs") is None
    assert RESULT.find("a", "c", "ours") is None


def test_two_cases_in_one_place_are_refused() -> None:
    check_distinct(RESULT.groups)
    with pytest.raises(InputError, match="a, b, ours: measured twice"):
        check_distinct(RESULT.groups * 2)


def test_runs_on_different_machines_are_told_apart() -> None:
    assert differences(RESULT, BenchmarkResult({"cpu": "y"}), ["cpu", "cores"]) == ["cpu: x, now y"]


def test_the_facts_are_of_this_machine_and_do_not_name_it(tmp_path: Path) -> None:
    facts = machine_facts(Options(threads=3))
    assert facts["threads"] == 3
    assert facts["cores"] >= 1
    assert facts["memory_gib"] > 0
    assert {"numpy", "scipy", "torch"} <= facts.keys()
    assert platform.node() not in json.dumps(facts)
    assert f"numpy {facts['numpy']}" in facts_line(facts)


def test_a_busy_machine_is_told() -> None:
    assert busy_warning({"load_average": 0.2}) is None
    assert "load average 1.7" in str(busy_warning({"load_average": 1.7}))
