"""Where the time of our cases goes: functions of Python, and torch's operators."""

from __future__ import annotations

import cProfile
import json
import pstats
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from clmot_qd.benchmark.cases import Case, Missing, ProcessCase

_LINES = 8


def profile_cases(cases: Sequence[Case | ProcessCase | Missing], with_operators: bool) -> dict[str, list[str]]:
    """Profile cases, each in a run of its own.

    Args:
        cases: Processes that do not run Python are left out.
        with_operators: torch's operators as well.

    Returns:
        Lines of text by the names of the cases, hottest place first.
    """
    profiles = {}
    for case in cases:
        if isinstance(case, Case):
            profiles[case.name] = _profile_call(case, with_operators)
        elif isinstance(case, ProcessCase) and _python_arguments(case):
            profiles[case.name] = _profile_process(case, with_operators)
    return profiles


def _profile_call(case: Case, with_operators: bool) -> list[str]:
    if case.before is not None:
        case.before()
    lines = function_lines(profile_functions(case.run))
    if with_operators:
        if case.before is not None:
            case.before()
        lines += operator_lines(profile_operators(case.run))
    return lines


def _python_arguments(case: ProcessCase) -> list[str]:
    """A case's command from ``-m MODULE``, ``-c CODE`` or the script on; nothing if it is not run by Python."""
    program, *arguments = case.argv
    if program != sys.executable:
        return []
    while arguments and arguments[0].startswith("-") and arguments[0] not in ("-m", "-c"):
        del arguments[: 2 if arguments[0] in ("-W", "-X") else 1]
    return arguments


def _profile_process(case: ProcessCase, with_operators: bool) -> list[str]:
    """Run a case under :mod:`clmot_qd.benchmark.profiled_process`."""
    with tempfile.TemporaryDirectory(prefix="clmot_qd-") as folder:
        target = Path(folder, "profile.json")
        kinds = ["functions"] + ["operators"] * with_operators
        command = [sys.executable, "-m", "clmot_qd.benchmark.profiled_process", str(target), "+".join(kinds)]
        done = subprocess.run([*command, *_python_arguments(case)], capture_output=True, text=True)
        if done.returncode or not target.exists():
            words = done.stderr.strip().splitlines()
            return [f"not profiled, exit code {done.returncode}: {words[-1] if words else 'no message'}"]
        lines: list[str] = json.loads(target.read_text(encoding="utf-8"))
        return lines


def profile_functions(call: Callable[[], object]) -> pstats.Stats:
    """Profile a call by Python functions; what compiled functions take counts for the function that calls them."""
    profile = cProfile.Profile(builtins=False)
    profile.runcall(call)
    return pstats.Stats(profile)


def profile_operators(call: Callable[[], object]) -> Any:
    """Profile a call by torch's operators; the events that torch's profiler averages."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
    with profile(activities=activities, acc_events=True) as profiler:
        call()
    return profiler.key_averages()


def function_lines(stats: pstats.Stats) -> list[str]:
    """The hottest functions by their own time: share, milliseconds, calls, place."""
    functions = stats.stats  # type: ignore[attr-defined]
    rows = [(own, calls, _place(*key)) for key, (_, calls, own, _, _) in functions.items()]
    return _lines("function", rows)


def operator_lines(events: Iterable[Any]) -> list[str]:
    """The hottest operators by their own time, on the GPU if there is one."""
    averages = list(events)
    on_gpu = sum(getattr(event, "self_device_time_total", 0) for event in averages) > 0
    kind = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    return _lines("operator", [(getattr(event, kind) / 1e6, event.count, event.key) for event in averages])


def _lines(what: str, rows: list[tuple[float, int, str]]) -> list[str]:
    total = sum(own for own, _, _ in rows)
    if not total:
        return []
    hottest = sorted(rows, reverse=True)[:_LINES]
    head = f"{'share':>6} {'ms':>10} {'calls':>8}  {what}"
    return [head] + [f"{own / total:6.1%} {own * 1e3:10.2f} {calls:8d}  {place}" for own, calls, place in hottest]


def _place(file: str, line: int, name: str) -> str:
    """A function as "clmot_qd/trackers/kalman.py:40 predict": from the package on, not from the root of the disk."""
    from_package = re.sub(r"^.*(?:site-packages|dist-packages|lib/python[\d.]+)/", "", file)
    if from_package == file and "/clmot_qd/" in file:
        from_package = "clmot_qd/" + file.rsplit("/clmot_qd/", 1)[1]
    return f"{from_package}:{line} {name}" if line else name
