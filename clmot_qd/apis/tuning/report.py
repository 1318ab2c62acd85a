"""What a search found, as text: ranked trials, chosen beside default, a snippet to paste."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clmot_qd.apis.tuning.objective import COUNTS, METRICS, value_of
from clmot_qd.apis.tuning.search import Search, Trial

Scores = Mapping[str, float]


def trial_table(search: Search, most: int = 15) -> str:
    """Lay out the best trials, best first, and the default setting where it stands among them."""
    ranked = search.ranked()
    keys = list(dict.fromkeys(key for trial in ranked for key in trial.settings))
    columns = list(dict.fromkeys([*search.metrics, "HOTA", "MOTA", "IDF1"]))
    shown = [(place, trial) for place, trial in enumerate(ranked, start=1) if place <= most or not trial.settings]
    rows = [["rank", *columns, "IDSW", *keys]]
    for place, trial in shown:
        numbers = [f"{trial.scores[name]:.2f}" for name in columns] + [f"{trial.scores['IDSW']:.0f}"]
        settings = [_short(trial.settings[key]) if key in trial.settings else "-" for key in keys]
        rows.append([f"{place}", *numbers, *(settings if trial.settings else ["default", *[""] * (len(keys) - 1)])])
    refused = sum(not trial.scores for trial in search.trials)
    text = _columns(rows)
    return text + (f"\n{refused} settings are not valid (see the notes in trials.csv)" if refused else "")


def comparison_lines(search: Search, part: str, held_out: tuple[str, Scores, Scores] | None) -> str:
    """Lay out the chosen setting beside the default, on the data it was chosen on and on those held out.

    Args:
        search: The search.
        part: Name of the data it was chosen on.
        held_out: Name of the data held out, scores of the default and of the chosen setting on them.
    """
    names = (*METRICS, *COUNTS)
    rows = [["", *names]]
    for title, default, best in [(part, search.default.scores, search.best.scores), *([held_out] if held_out else [])]:
        mark = "held out" if held_out and title == held_out[0] else "chosen on"
        rows.append([f"{mark} ({title}): default", *_cells(default)])
        rows.append([f"{mark} ({title}): best", *_cells(best)])
    text = _columns(rows)
    if search.best is search.default:
        return text + "\nnothing that was tried is better than the default"
    if held_out is None:
        return text + "\nno data were held out: on other data expect less (--holdout)"
    gain = value_of(held_out[2], search.metrics) - value_of(held_out[1], search.metrics)
    metric = search.metrics[0] if len(search.metrics) == 1 else f"the mean of {' and '.join(search.metrics)}"
    if gain <= 0:
        return text + f"\nheld out, {metric} is {-gain:.2f} points below the default: keep the default"
    return text + f"\nheld out, the chosen setting gains {gain:.2f} points in {metric}"


def snippet(tracker: str, fixed: Mapping[str, Any], trial: Trial) -> str:
    """Return the setting as a configuration has it."""
    arguments = {"type": tracker, **fixed, **trial.settings}
    lines = "".join(f"        {key}={value!r},\n" for key, value in arguments.items()).replace("'", '"')
    return f"model = dict(\n    tracker=dict(\n        _delete_=True,\n{lines}    ),\n)\n"


def _cells(scores: Scores) -> list[str]:
    return [f"{scores[name]:.2f}" for name in METRICS] + [f"{scores[name]:.0f}" for name in COUNTS]


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _columns(rows: list[list[str]]) -> str:
    """Align the columns, the first to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) if not n else cell.rjust(width) for n, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
