"""Several runs side by side: a row for each, and their curves over one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clmot_qd.apis.embedding_quality_report import ALL_CLASSES
from clmot_qd.visualization.report import figures
from clmot_qd.visualization.report.figures import Picture
from clmot_qd.visualization.report.rules import difference
from clmot_qd.visualization.report.tables import COMPARED, Column, Table, comparison_tables, embedding_table
from clmot_qd.visualization.report.tracked import Tracked

if TYPE_CHECKING:
    from clmot_qd.visualization.report.page import ReportRun


@dataclass(frozen=True)
class Comparison:
    """What the template shows before the runs; ``columns`` are those that need a word."""

    tables: Sequence[Table]
    columns: Sequence[Column]
    curves: Picture | None
    notes: Sequence[str]


def compare(runs: Sequence[ReportRun], most_classes: int) -> Comparison:
    """Compare runs with the first one that has tracks; up to ``most_classes`` classes are told by sequence."""
    scored = {run.name: run.tracked for run in runs if run.tracked is not None}
    histories = {run.name: run.history for run in runs if run.history is not None}
    differences = {name: difference(next(iter(scored.values())), tracked) for name, tracked in scored.items()}
    alike = {name: tracked for name, tracked in scored.items() if not differences[name]}
    notes = [f"{name} has no tracks, so it has no row." for name in (run.name for run in runs) if name not in scored]
    notes += [f"{name} {why} than the first run, so it has no row." for name, why in differences.items() if why]
    tables: list[Table] = []
    if len(alike) > 1:
        tables = comparison_tables({name: tracked.scores for name, tracked in alike.items()}, most_classes)
        left_out = len(next(iter(alike.values())).classes) - most_classes
        if left_out > 0:
            notes.append(f"{left_out} classes are not compared by sequence; eval_tracks has all.")
    columns = COMPARED if tables else ()
    tables += _compared_embeddings(alike)
    curves = figures.compared_curves(histories) if len(histories) > 1 else None
    return Comparison(tables, columns, curves, notes)


def _compared_embeddings(runs: Mapping[str, Tracked]) -> list[Table]:
    """A row for each run, over all classes."""
    known = {name: run.embedded.qualities for name, run in runs.items() if run.embedded is not None}
    if len(known) < 2:
        return []
    overall = {name: found.get(ALL_CLASSES) or next(iter(found.values())) for name, found in known.items()}
    areas = {name: figures.roc_area(quality) for name, quality in overall.items()}
    return [embedding_table(overall, areas, "run")]
