"""The tables of the page as rows of cells, which the template lays out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clmot_qd.apis.embedding_quality import EmbeddingQuality
from clmot_qd.evaluation import TrackScores
from clmot_qd.evaluation.backends import OVERALL, Scores
from clmot_qd.evaluation.scores import CLASS_AVERAGE
from clmot_qd.visualization.report.timeline import Switch

BACKEND = "trackeval"
NOTHING = "–"
_NO_CHANGE = "\N{NO-BREAK SPACE}"  # keeps the numbers of a column below each other


@dataclass(frozen=True)
class Column:
    """A column.

    Args:
        name: Its head.
        hint: What it says, in words.
        better: 1 where more is better, -1 where less is, 0 where it cannot be said.
    """

    name: str
    hint: str = ""
    better: int = 0


@dataclass(frozen=True)
class Cell:
    """A cell.

    Args:
        text: What stands in it.
        value: What it is sorted by; None: by its text.
        change: The difference to the first run, with its sign; empty: none is shown.
        tone: "good", "bad" or "" for the difference.
        best: Whether it is the best of its column.
    """

    text: str
    value: float | None = None
    change: str = ""
    tone: str = ""
    best: bool = False


@dataclass(frozen=True)
class Row:
    """A row; ``total`` rows stay at the end when the table is sorted."""

    head: str
    cells: Sequence[Cell]
    total: bool = False


@dataclass(frozen=True)
class Table:
    """A table with heads on top and at the left."""

    caption: str
    corner: str
    columns: Sequence[Column]
    rows: Sequence[Row]


METRICS = (
    Column("HOTA", "balance of detection and association, mean over IoU thresholds, %", 1),
    Column("DetA", "detection part of HOTA, %", 1),
    Column("AssA", "association part of HOTA: the same id over time, %", 1),
    Column("LocA", "how well matched boxes overlap, %", 1),
    Column("MOTA", "1 - (FN + FP + IDSW) / true boxes, %", 1),
    Column("IDF1", "share of boxes with the right identity, %", 1),
    Column("IDSW", "identity switches: another track than when last matched", -1),
    Column("FP", "false alarms: boxes that met no object", -1),
    Column("FN", "misses: objects that no box met", -1),
    Column("MT", "objects tracked for more than 80 % of their life", 1),
    Column("ML", "objects tracked for less than 20 % of their life", -1),
    Column("Frag", "interruptions of tracks", -1),
    Column("GT_Dets", "true boxes"),
    Column("GT_IDs", "objects"),
)
COMPARED = METRICS[:9]
OVER_CLASSES = "percentages are means, counts are sums"


def score_tables(scores: TrackScores) -> list[Table]:
    """Return a table over the classes if there are several, and one for each class with a row per sequence."""
    classes = scores.by_backend[BACKEND]
    tables = []
    if len(classes) > 1:
        rows = [_row(name, parts[OVERALL]) for name, parts in classes.items()]
        rows.append(_row(CLASS_AVERAGE, scores.overall(BACKEND), total=True))
        combined = scores.combined.get(BACKEND, {})
        rows += [_row(name, parts[OVERALL], total=True) for name, parts in combined.items()]
        tables.append(Table(f"All classes ({CLASS_AVERAGE}: {OVER_CLASSES})", "class", METRICS, rows))
    for name, parts in classes.items():
        rows = [_row(sequence, row) for sequence, row in parts.items() if sequence != OVERALL]
        rows.append(_row("all sequences", parts[OVERALL], total=True))
        tables.append(Table(f"Class {name}", "sequence", METRICS, rows))
    return tables


def _row(head: str, scores: Scores, total: bool = False) -> Row:
    return Row(head, [Cell(show(scores.get(column.name)), _sortable(scores, column.name)) for column in METRICS], total)


def show(value: float | None) -> str:
    """Write a count or a percentage as the tables of ``eval_tracks`` do."""
    if value is None or math.isnan(value):
        return NOTHING
    return str(value) if isinstance(value, int) else f"{value:.2f}"


def _sortable(scores: Scores, name: str) -> float | None:
    value = scores.get(name)
    return None if value is None or math.isnan(value) else float(value)


def comparison_tables(runs: Mapping[str, TrackScores], most_classes: int) -> list[Table]:
    """Return a table with a row per run, and for HOTA, IDF1 and IDSW of each class one with a column per run.

    Args:
        runs: Name -> scores, of the same sequences and classes. Differences are to the first one.
        most_classes: The first so many classes have tables of their own.
    """
    overall = {name: scores.overall(BACKEND) for name, scores in runs.items()}
    classes = next(iter(runs.values())).by_backend[BACKEND]
    caption = "All sequences" if len(classes) == 1 else f"All sequences and {len(classes)} classes ({OVER_CLASSES})"
    tables = [Table(caption, "run", COMPARED, _compared_rows(overall, COMPARED))]
    for class_name, parts in list(classes.items())[:most_classes]:
        for metric in COMPARED:
            if metric.name in ("HOTA", "IDF1", "IDSW"):
                rows = [_sequence_row(runs, class_name, sequence, metric) for sequence in parts]
                columns = [Column(name, metric.hint, metric.better) for name in runs]
                tables.append(Table(f"{metric.name} per sequence, class {class_name}", "sequence", columns, rows))
    return tables


def _compared_rows(overall: Mapping[str, Scores], columns: Sequence[Column]) -> list[Row]:
    first = next(iter(overall.values()))
    values = {column.name: [scores[column.name] for scores in overall.values()] for column in columns}
    return [
        Row(
            name,
            [_compared(scores[c.name], None if scores is first else first[c.name], values[c.name], c) for c in columns],
        )
        for name, scores in overall.items()
    ]


def _sequence_row(runs: Mapping[str, TrackScores], class_name: str, sequence: str, column: Column) -> Row:
    values = [scores.by_backend[BACKEND][class_name][sequence][column.name] for scores in runs.values()]
    cells = [_compared(value, values[0] if place else None, values, column) for place, value in enumerate(values)]
    return Row("all sequences" if sequence == OVERALL else sequence, cells, sequence == OVERALL)


def _compared(value: float, first: float | None, values: Sequence[float], column: Column) -> Cell:
    """A cell with its difference to the first run; the best of several different values is marked."""
    text, known = show(value), [entry for entry in values if not math.isnan(entry)]
    if math.isnan(value):
        return Cell(text, change=_NO_CHANGE)
    top = max(known) if column.better > 0 else min(known)
    best = bool(column.better) and value == top and len(set(known)) > 1
    if first is None or math.isnan(first):
        return Cell(text, float(value), _NO_CHANGE, best=best)
    change = value - first
    signed = f"{change:+d}" if isinstance(change, int) else f"{change:+.2f}"
    gain = change * column.better
    return Cell(text, float(value), signed, "good" if gain > 0 else "bad" if gain < 0 else "", best)


def switch_table(switches: Sequence[Switch], most: int) -> Table:
    """Return a row for each of the first ``most`` switches."""
    columns = [
        Column("class"),
        Column("object", "true identity"),
        Column("frame", "frame in which it has another track"),
        Column("from track"),
        Column("to track"),
        Column("frames since", "how long ago it was last matched"),
    ]
    rows = []
    for switch in switches[:most]:
        before, after = switch.before, switch.after
        numbers = [switch.identity, after.frame, before.track, after.track, after.frame - before.frame]
        rows.append(
            Row(switch.sequence, [Cell(switch.class_name), *(Cell(str(number), float(number)) for number in numbers)])
        )
    return Table("Identity switches", "sequence", columns, rows)


def embedding_table(
    qualities: Mapping[str, EmbeddingQuality], areas: Mapping[str, float], corner: str = "class"
) -> Table:
    """Return a row for each class or run: area under the ROC curve, TPR at each FAR, nearest neighbours over time."""
    first = next(iter(qualities.values()))
    columns = [
        Column("true boxes"),
        Column("identities"),
        Column("AUC", "area under the ROC curve: 1 separates all pairs, 0.5 none", 1),
        *(Column(f"TPR@{far:.0e}".replace("e-0", "e-"), f"TPR where FAR is {far:g}, %") for far in first.tpr_at_far),
        *(Column(f"+{gap}", f"the nearest embedding {gap} frames later is itself, %") for gap in first.nearest),
    ]
    rows = []
    for name, quality in qualities.items():
        shares = [*quality.tpr_at_far.values(), *(near.accuracy for near in quality.nearest.values())]
        counts = [Cell(f"{count:,}", float(count)) for count in (quality.objects, quality.identities)]
        area = areas[name]
        cells = [*counts, Cell(NOTHING if math.isnan(area) else f"{area:.4f}", area)]
        rows.append(Row(name, [*cells, *(Cell(show(100 * share), share) for share in shares)]))
    return Table("Embeddings at the true boxes", corner, columns, rows)
