"""Profiles name the place that takes the time."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from clmot_qd.benchmark.cases import Case, Missing, ProcessCase
from clmot_qd.benchmark.profiling import profile_cases
from clmot_qd.trackers.similarity import pairwise_iou

CODE = """
import sys, time
assert sys.argv == ['-c', '--y'] and __name__ == '__main__'
def slow():
    time.sleep(0.3)
slow()
"""


def slow() -> None:
    time.sleep(0.05)


def both() -> None:
    slow()
    sum(range(100))


def test_the_hottest_function_comes_first_and_takes_the_blame_for_what_it_calls_in_c() -> None:
    started = time.perf_counter()
    lines = profile_cases([Case("a", both)], with_operators=False)["a"]
    whole = 1000 * (time.perf_counter() - started)
    assert lines[0].split() == ["share", "ms", "calls", "function"]
    share, milliseconds, calls, *place = lines[1].split()
    assert float(share.rstrip("%")) > 90
    assert 50 <= float(milliseconds) <= whole
    assert calls == "1"
    assert place[1] == "slow"
    assert place[0].split(":")[0].endswith("test_profiling.py")


def test_places_begin_with_the_package_not_the_disk() -> None:
    import numpy as np

    boxes = np.tile([0.0, 0, 9, 9], (300, 1))
    lines = profile_cases([Case("a", lambda: pairwise_iou(boxes, boxes))], with_operators=False)["a"]
    places = [line.split()[3] for line in lines[1:]]
    assert any(place.startswith("clmot_qd/trackers/similarity.py:") for place in places)
    assert not [place for place in places if "site-packages" in place]


def test_operators_of_torch_are_named() -> None:
    large = torch.ones(300, 300)
    lines = profile_cases([Case("a", lambda: large @ large)], with_operators=True)["a"]
    start = next(number for number, line in enumerate(lines) if line.split()[-1] == "operator")
    assert lines[start + 1].split()[-1] == "aten::mm"


def test_what_comes_before_a_run_comes_before_each_and_is_not_profiled() -> None:
    order: list[str] = []
    case = Case("a", lambda: order.append("run"), before=lambda: (order.append("before"), slow()))
    lines = profile_cases([case], with_operators=True)["a"]
    assert order == ["before", "run"] * 2
    assert not [line for line in lines if " slow" in line]


def test_processes(tmp_path: Path) -> None:
    """Modules and scripts; the arguments are the program's own, and so is a leave without error."""
    script = tmp_path / "tool.py"
    script.write_text(
        "import sys, time\nassert sys.argv[1:] == ['--x', '1'] and __name__ == '__main__'\n"
        "def slow():\n    time.sleep(0.3)\nslow()\nsys.exit(0)\n"
    )
    cases = [
        ProcessCase("script", [sys.executable, str(script), "--x", "1"]),
        ProcessCase("broken", [sys.executable, str(script)]),
        ProcessCase("module", [sys.executable, "-m", "clmot_qd.benchmark.cases"]),
        ProcessCase("code", [sys.executable, "-W", "ignore", "-c", CODE, "--y"]),
        ProcessCase("other", ["true"]),
        Missing("missing", "pip"),
    ]
    found = profile_cases(cases, with_operators=False)
    assert list(found) == ["script", "broken", "module", "code"]
    assert found["script"][1].endswith("tool.py:3 slow")
    assert found["broken"] == ["not profiled, exit code 1: AssertionError"]
    assert found["module"][0].endswith("function")
    assert found["code"][1].endswith("<string>:4 slow")


def test_operators_of_a_process(tmp_path: Path) -> None:
    script = tmp_path / "tool.py"
    script.write_text("import torch\na = torch.ones(900, 900)\nfor _ in range(5):\n    a @ a\n")
    lines = profile_cases([ProcessCase("a", [sys.executable, str(script)])], with_operators=True)["a"]
    start = next(number for number, line in enumerate(lines) if line.split()[-1] == "operator")
    assert any("aten::mm" in line for line in lines[start + 1 :])
