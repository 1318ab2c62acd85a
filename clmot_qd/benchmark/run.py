"""A run of the benchmark: section by section, each group's table as soon as it is measured."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clmot_qd.benchmark.cases import Case, Group, Missing, Options, ProcessCase
from clmot_qd.benchmark.machine import busy_warning, check_device, facts_line, machine_facts
from clmot_qd.benchmark.measuring import GroupResult, Measurement, measure_group
from clmot_qd.benchmark.results import BenchmarkResult, check_distinct, differences, read_result, write_result
from clmot_qd.benchmark.sections import Section, load_section
from clmot_qd.benchmark.table import HOW_TO_READ, for_terminal, group_table, markdown
from clmot_qd.errors import InputError, one_line
from clmot_qd.files import check_writable, write_text

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 140  # where the tables go to a file or another program
# What makes figures of two runs comparable.
_SAME = ("cpu", "cores", "device", "threads", "quick", "torch", "numpy")


def run_benchmark(
    sections: Sequence[Section],
    options: Options,
    out: str | os.PathLike[str],
    before: str | os.PathLike[str] | None = None,
    profile: bool = False,
) -> BenchmarkResult:
    """Measure sections, print their tables, and write ``benchmark.json`` and ``benchmark.md``.

    Both files are written anew after every group: what was measured before Ctrl-C stays.

    Args:
        sections: In the order of the table.
        options: How to measure.
        out: Folder of the two files.
        before: ``benchmark.json`` of an earlier run, for a column beside its figures.
        profile: Find the hottest places of our cases as well, in runs of their own after the timed ones.

    Raises:
        InputError: The device or the earlier run is missing, or nothing can be written.
    """
    from rich.console import Console

    for name in ("benchmark.json", "benchmark.md"):
        check_writable(Path(out, name))
    earlier = read_result(before) if before is not None else None
    check_device(options.device)
    _set_threads(options)
    result = BenchmarkResult(machine_facts(options))
    shown, notes = Console(highlight=False), Console(stderr=True, highlight=False)
    if not shown.is_terminal:
        shown.width = _WIDTH
    _print_start(result, earlier, shown, notes)
    for section in sections:
        for group in _measured(section, options, profile, result, notes):
            result.groups.append(group)
            check_distinct(result.groups)
            shown.print(for_terminal(group_table(group, earlier)))
            _write(out, result, earlier)
        _print_profiles(result, section, shown)
    _write(out, result, earlier)
    return result


def _set_threads(options: Options) -> None:
    """torch's threads; the numerical libraries' are set before they are loaded, by the command."""
    if options.threads is not None:
        try:
            import torch
        except ModuleNotFoundError:
            return
        torch.set_num_threads(options.threads)


def _print_start(result: BenchmarkResult, earlier: BenchmarkResult | None, shown: Console, notes: Console) -> None:
    shown.print(f"{facts_line(result.machine)}\n\n{HOW_TO_READ}\n")
    warnings = [busy_warning(result.machine)]
    if earlier is not None:
        other = differences(earlier, result, _SAME)
        warnings.append(f"the earlier run was made elsewhere ({'; '.join(other)})" if other else None)
    for warning in warnings:
        if warning:
            notes.print(f"note: {warning}", style="yellow")


def _measured(
    section: Section, options: Options, profile: bool, result: BenchmarkResult, notes: Console
) -> Iterator[GroupResult]:
    """Build and measure a section's groups; one that cannot be built is a result as well, and ends the section."""
    with notes.status(f"{section.name}: preparing") as status:
        try:
            groups = load_section(section)(options)
            while (group := _next_group(groups)) is not None:
                measured = measure_group(group, options, _teller(group, status.update))
                if profile and section.profiled:
                    status.update(f"{section.name}: {group.title}: profiling")
                    _add_profiles(result, group, measured, section)
                yield measured
                del group  # its memory is free before the next one is built
                status.update(f"{section.name}: preparing")
        except ModuleNotFoundError as error:
            yield _not_built(section, f"not installed: no module named {error.name}")
        except InputError as error:
            yield _not_built(section, f"failed: {one_line(error)}")
        except Exception as error:  # one broken section must not cost the others' figures
            traceback.print_exc(file=sys.stderr)
            yield _not_built(section, f"failed: {type(error).__name__}: {error}".splitlines()[0])


def _next_group(groups: Iterator[Group]) -> Group | None:
    return next(groups, None)


def _teller(group: Group, update: Callable[[str], None]) -> Callable[[str, int], None]:
    return lambda name, turn: update(
        f"{group.section}: {group.title}: {name}, " + (f"turn {turn}" if turn else "warm-up")
    )


def _not_built(section: Section, problem: str) -> GroupResult:
    return GroupResult(section.name, section.about, "run", [Measurement(section.name, problem=problem)])


def _add_profiles(result: BenchmarkResult, group: Group, measured: GroupResult, section: Section) -> None:
    from clmot_qd.benchmark.profiling import profile_cases

    running: Sequence[Case | ProcessCase | Missing]
    running = [case for case, entry in zip(group.cases, measured.measurements) if entry.seconds and not entry.peer]
    if group.grows:  # the largest says it all; the long videos are processes that mostly start
        running = [case for case in running if not isinstance(case, ProcessCase)][-1:]
    for name, lines in profile_cases(running, with_operators=section.layers).items():
        result.profiles[f"{group.section}, {group.title}, {name}"] = lines


def _print_profiles(result: BenchmarkResult, section: Section, shown: Console) -> None:
    for name, lines in result.profiles.items():
        if name.startswith(f"{section.name}, "):
            shown.print(f"Where the time goes: {name}", style="bold")
            shown.print("\n".join(lines) + "\n", markup=False)


def _write(out: str | os.PathLike[str], result: BenchmarkResult, earlier: BenchmarkResult | None) -> None:
    write_result(Path(out, "benchmark.json"), result)
    write_text(Path(out, "benchmark.md"), markdown(result, earlier))
