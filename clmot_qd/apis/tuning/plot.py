"""One picture of a search: how it went, and what each setting did."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from clmot_qd.apis.tuning.search import Search, Trial
from clmot_qd.files import atomic_path

_COLUMNS = 3
_DOT, _LINE, _BEST = "#9aa7b4", "#1f5fa8", "#d1495b"
# Trials far below the rest would press everything else to one line.
_SHOWN_SHARE = 0.9
_TICKS = 6  # a setting with at most so many values has a tick at each


def plot_search(search: Search, path: str | PathLike[str]) -> None:
    """Write a PNG: the value of each trial and the best so far; then for each setting its values against the result.

    The line of a setting joins, for each of its values, the best trial that has it. Trials with the worst tenth of the
    results may lie below the axis.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    keys = list(dict.fromkeys(key for trial in search.trials for key in trial.settings))
    rows = -(-(len(keys) + 1) // _COLUMNS)
    columns = min(_COLUMNS, len(keys) + 1)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    limits = _limits(search)
    _plot_course(axes[0], search)
    for axis, key in zip(axes[1:], keys):
        _plot_setting(axis, search, key)
    for number, axis in enumerate(axes):
        axis.set_visible(number <= len(keys))
        axis.set_ylim(*limits)
        axis.grid(alpha=0.25)
        if number % columns == 0:
            axis.set_ylabel(search.metrics[0] if len(search.metrics) == 1 else f"mean of {', '.join(search.metrics)}")
    with atomic_path(path) as temporary:
        figure.savefig(temporary)


def _limits(search: Search) -> tuple[float, float]:
    values = np.sort([search.value(trial) for trial in search.trials if trial.scores])
    low = values[int((1 - _SHOWN_SHARE) * (len(values) - 1))]
    low = min(low, search.value(search.default))
    margin = max(0.1 * (values[-1] - low), 0.1)
    return low - margin, values[-1] + margin


def _plot_course(axis: Any, search: Search) -> None:
    places = [place for place, trial in enumerate(search.trials) if trial.scores]
    values = [search.value(search.trials[place]) for place in places]
    axis.plot(places, values, ".", color=_DOT, markersize=5)
    axis.step(places, np.maximum.accumulate(values), where="post", color=_LINE, label="best so far")
    axis.axhline(search.value(search.default), color="black", linewidth=1, linestyle="--", label="default")
    axis.plot(places[int(np.argmax(values))], max(values), "*", color=_BEST, markersize=13, label="chosen")
    axis.set_xlabel("trial")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, frameon=False, borderaxespad=0.2)


def _plot_setting(axis: Any, search: Search, key: str) -> None:
    tried = [trial for trial in search.trials if trial.scores and key in trial.settings]
    values = _in_order({repr(trial.settings[key]): trial.settings[key] for trial in tried}.values())
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    places = {repr(value): value if numeric else place for place, value in enumerate(values)}

    def place(trial: Trial) -> float:
        return places[repr(trial.settings[key])]

    axis.plot(
        [place(trial) for trial in tried], [search.value(trial) for trial in tried], ".", color=_DOT, markersize=5
    )
    if len(values) <= 15:  # a list of values; of a range each value is there about once
        best = [max(search.value(t) for t in tried if repr(t.settings[key]) == repr(value)) for value in values]
        axis.plot([places[repr(value)] for value in values], best, "o-", color=_LINE, markersize=4, linewidth=1.2)
    if key in search.best.settings:
        axis.plot(place(search.best), search.value(search.best), "*", color=_BEST, markersize=13)
    axis.axhline(search.value(search.default), color="black", linewidth=1, linestyle="--")
    if not numeric or len(values) <= _TICKS:
        axis.set_xticks([places[repr(value)] for value in values], [_text(value) for value in values])
    axis.margins(x=0.1 if numeric else 0.25)
    axis.set_xlabel(key)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _in_order(values: Any) -> Sequence[Any]:
    """Sort numbers; keep everything else as it came."""
    values = list(values)
    try:
        return sorted(values)
    except TypeError:
        return values
