"""The tables: who is compared with whom, in which units, before and after."""

from __future__ import annotations

import pytest
from rich.console import Console

from clmot_qd.benchmark.measuring import GroupResult, Measurement
from clmot_qd.benchmark.results import BenchmarkResult
from clmot_qd.benchmark.table import for_terminal, group_table, markdown, time_text

FACTS = {
    "clmot_qd": "1.0",
    "cpu": "a cpu",
    "cores": 2,
    "memory_gib": 8,
    "python": "3.11",
    "threads": 1,
    "load_average": 0.1,
    "device": "cpu",
}


def figures(*entries: Measurement, **fields) -> GroupResult:
    return GroupResult("here", "100 objects", "frame", list(entries), **fields)


RIVALS = figures(
    Measurement("ours", seconds=[0.002, 0.002, 0.004], peak_mb=[50]),
    Measurement("theirs", peer=True, seconds=[0.02, 0.03, 0.06], peak_mb=[100]),
    Measurement("others", peer=True, seconds=[0.001, 0.001, 0.001]),
    Measurement("absent", problem="pip install x"),
)


def test_ours_is_compared_with_each_peer() -> None:
    table = group_table(RIVALS)
    assert table.title == "here: 100 objects"
    assert table.heads == ["", "per frame", "spread", "memory", "times A", "times B", "share of A"]
    assert table.rows == [
        ["ours", "2 ms", "2–3", "50 MiB", "15", "0.50", "0.50"],
        ["A theirs", "30 ms", "25–45", "100 MiB", "", "", ""],
        ["B others", "1 ms", "1–1", "", "", "", ""],
    ]
    assert table.notes == ["absent: pip install x"]


def test_before_and_after() -> None:
    earlier = BenchmarkResult(FACTS, [figures(Measurement("ours", seconds=[0.02]))])
    table = group_table(RIVALS, earlier)
    assert table.heads[-2:] == ["before", "times before"]
    assert [row[-2:] for row in table.rows] == [["20 ms", "10"], ["", ""], ["", ""]]


def test_an_earlier_group_of_another_title_is_another() -> None:
    other = GroupResult("here", "10 objects", "frame", [Measurement("ours", seconds=[0.02])])
    assert group_table(RIVALS, BenchmarkResult(FACTS, [other])).rows[0][-2:] == ["", ""]


def test_growth_is_read_downwards() -> None:
    table = group_table(figures(Measurement("10", seconds=[1]), Measurement("100", seconds=[2.5]), grows=True))
    assert table.heads[-1] == "of the first"
    assert [row[-1] for row in table.rows] == ["1.00", "2.50"]


def test_a_case_that_broke_later_shows_both_figures_and_problem() -> None:
    table = group_table(figures(Measurement("a", seconds=[1], problem="failed: x")))
    assert (len(table.rows), table.notes) == (1, ["a: failed: x"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (123.4, "123 s"),
        (1, "1 s"),
        (0.9994, "999 ms"),
        (0.01234, "12.3 ms"),
        (0.00005, "50 µs"),
        (4.2e-8, "0.042 µs"),
    ],
)
def test_units_of_time(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_the_spread_stands_in_the_unit_of_the_median() -> None:
    assert group_table(figures(Measurement("a", seconds=[0.5, 1.5, 2.5]))).rows[0][1:] == ["1.5 s", "1–2"]


def test_markdown_has_a_row_per_case_and_nothing_else_between_the_bars() -> None:
    named = figures(Measurement("a|b", seconds=[1]), Measurement("c", problem="failed: x"))
    page = markdown(BenchmarkResult({**FACTS, "load_average": 3.0}, [named], {"here, a": ["100 % f"]}))
    assert "| a\\|b | 1 s | 1–1 |" in page
    assert "- c: failed: x" in page
    assert "**load average 3.0" in page
    assert "## Where the time goes: here, a\n\n```text\n100 % f\n```" in page
    assert page.startswith("# Benchmark\n\na cpu, 2 cores, 1 threads")


def test_a_group_without_figures_has_no_empty_table() -> None:
    assert "| ---" not in markdown(BenchmarkResult(FACTS, [figures(Measurement("c", problem="none"))]))


def test_the_terminal_shows_the_same() -> None:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(for_terminal(group_table(RIVALS)))
    shown = console.export_text()
    for cell in ("here: 100 objects", "A theirs", "25–45", "share of A", "absent: pip install x"):
        assert cell in shown
