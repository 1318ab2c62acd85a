"""A group's figures as a table: for the terminal and in Markdown.

Peers have letters; ours has, for each of them, how many times faster it is and the share of its memory that it takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING

from clmot_qd.benchmark.machine import busy_warning, facts_line
from clmot_qd.benchmark.measuring import GroupResult, Measurement, times_faster
from clmot_qd.benchmark.results import BenchmarkResult

if TYPE_CHECKING:
    from rich.console import RenderableType

HOW_TO_READ = (
    "Time: median over the turns; half of the turns lie within the spread. Peers have letters. Times A: how many times "
    "faster than peer A ours is (median of the ratio within a turn; below 1, A is faster). Memory: highest of the "
    "process, or of the GPU, or what the case holds; share of A: ours divided by A's. Of the first: time divided "
    "by that of the first row."
)


@dataclass(frozen=True)
class GroupTable:
    """Title, heads of the columns, the cells of each row as text, and a line for each case without figures."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    notes: list[str]


def group_table(group: GroupResult, before: BenchmarkResult | None = None) -> GroupTable:
    """Lay out a group's figures.

    Args:
        group: The figures.
        before: An earlier run; adds its times, and how many times faster it is now.
    """
    peers = dict(zip(ascii_uppercase, (entry for entry in group.measurements if entry.peer and entry.seconds)))
    with_memory = any(entry.peak_mb for entry in group.measurements)
    compared = [letter for letter, peer in peers.items() if peer.peak_mb]
    heads = ["", f"per {group.unit}", "spread"] + ["memory"] * with_memory
    heads += [f"times {letter}" for letter in peers] + [f"share of {letter}" for letter in compared]
    heads += ["of the first"] * group.grows + ["before", "times before"] * (before is not None)
    measured = [entry for entry in group.measurements if entry.seconds]
    rows = []
    for entry in measured:
        letter = next((f"{letter} " for letter, peer in peers.items() if peer is entry), "")
        row = [letter + entry.name, *_own_cells(entry, with_memory)]
        row += ["" if entry.peer else _times(times_faster(entry, peer)) for peer in peers.values()]
        row += [_share(entry, peers[letter]) for letter in compared]
        row += [_times(entry.median / measured[0].median)] * group.grows
        rows.append(row + _earlier_cells(group, entry, before))
    notes = [f"{entry.name}: {entry.problem}" for entry in group.measurements if entry.problem]
    return GroupTable(f"{group.section}: {group.title}", heads, rows, notes)


def _own_cells(entry: Measurement, with_memory: bool) -> list[str]:
    factor, unit = _scale(entry.median)
    low, high = (_three_digits(seconds * factor) for seconds in entry.quartiles)
    cells = [f"{_three_digits(entry.median * factor)} {unit}", f"{low}–{high}"]
    return cells + ([_memory_text(entry.memory)] if with_memory else [])


def _earlier_cells(group: GroupResult, entry: Measurement, before: BenchmarkResult | None) -> list[str]:
    if before is None:
        return []
    earlier = before.find(group.section, group.title, entry.name)
    return [time_text(earlier.median), _times(earlier.median / entry.median)] if earlier else ["", ""]


def time_text(seconds: float) -> str:
    """Seconds with three digits, in the unit that suits: s, ms, µs."""
    factor, unit = _scale(seconds)
    return f"{_three_digits(seconds * factor)} {unit}"


def _scale(seconds: float) -> tuple[float, str]:
    """Factor from seconds, and name, of the unit that suits."""
    return (1, "s") if seconds >= 1 else (1e3, "ms") if seconds >= 1e-3 else (1e6, "µs")


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _memory_text(mebibytes: float | None) -> str:
    return "" if mebibytes is None else f"{mebibytes:.0f} MiB" if mebibytes >= 10 else f"{mebibytes:.2f} MiB"


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def _share(entry: Measurement, peer: Measurement) -> str:
    if entry.peer or entry.memory is None or not peer.memory:
        return ""
    return f"{entry.memory / peer.memory:.2f}"


def for_terminal(table: GroupTable) -> RenderableType:
    """The same for the terminal. Title and notes stand outside, where they need not be as narrow as the table."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD)
    for column, head in enumerate(table.heads):
        shown.add_column(head, justify="left" if column == 0 else "right")
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    notes = [Text(f"  {note}\n") for note in table.notes]
    return Group(Text(table.title, style="bold"), *([shown] if table.rows else []), *notes)


def markdown(result: BenchmarkResult, before: BenchmarkResult | None = None) -> str:
    """The whole run as a Markdown page."""
    warning = busy_warning(result.machine)
    parts = ["# Benchmark", facts_line(result.machine), HOW_TO_READ] + ([f"**{warning}**"] if warning else [])
    for group in result.groups:
        table = group_table(group, before)
        align = ["---"] + ["---:"] * (len(table.heads) - 1)
        lines = [table.heads, align, *table.rows]
        parts.append(f"## {table.title}")
        if table.rows:
            parts.append("\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines))
        parts += [f"- {note}" for note in table.notes]
    for name, hottest in result.profiles.items():
        parts += [f"## Where the time goes: {name}", "\n".join(["```text", *hottest, "```"])]
    return "\n\n".join(parts) + "\n"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
