"""The rows of one label file in MOT's form, and the boxes of its frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box
from clmot_qd.datasets.mot_text import BoolArray, IntArray, MotTable, read_ground_truth_rows

_NO_ROWS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class LabelRows:
    """Rows of a file, with their lines.

    Args:
        path: The file.
        table: (n) rows.
        lines: (n,) where they stand, from 1.
    """

    path: Path
    table: MotTable
    lines: IntArray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.table)

    def place(self, row: int | np.integer) -> str:
        """Return ``FILE:LINE`` of a row."""
        return f"{self.path}:{self.lines[row]}"

    def without(self, faulty: BoolArray, kind: str, report: Report) -> LabelRows:
        """Leave rows out and report each of them."""
        for row in np.flatnonzero(faulty):
            report.note("skipped", kind, self.place(row), f"frame {self.table.frames[row]}")
        return LabelRows(self.path, self.table.select(~faulty), self.lines[~faulty])

    def by_frame(self) -> dict[int, IntArray]:
        """Return frame -> its rows, in the order of the file."""
        order = np.argsort(self.table.frames, kind="stable")
        numbers, starts = np.unique(self.table.frames[order], return_index=True)
        return dict(zip(numbers.tolist(), np.split(order, starts[1:])))

    def boxes(self, rows: IntArray, names: Mapping[int, str]) -> LazyBoxes:
        """Return some rows as boxes; a class without a name is called by its number, which no data set has."""
        return LazyBoxes(self, rows, names)


@dataclass(frozen=True)
class LazyBoxes:
    """Boxes of a frame that are made when they are asked for: of a crowded video they would fill a gigabyte."""

    labels: LabelRows
    rows: IntArray
    names: Mapping[int, str]

    def __iter__(self) -> Iterator[Box]:
        """Make the boxes."""
        mine = self.labels.table.select(self.rows)
        columns = (mine.ids, mine.bboxes, mine.scores, mine.class_ids, mine.visibility, self.labels.lines[self.rows])
        for identity, bbox, mark, number, visibility, line in zip(*(column.tolist() for column in columns)):
            yield Box(
                bbox=bbox,
                category=self.names.get(number, str(number)),
                identity=identity if identity >= 0 else None,
                ignore=mark == 0,
                place=f"{self.labels.path}:{line}",
                fields={"visibility": visibility, "mot_conf": mark, "mot_class_id": number},
            )


def read_label_rows(
    path: Path, report: Report, *, first_frame: int = 1, columns: int = 7, default_class: int | None = 1
) -> LabelRows:
    """Read a label file; rows whose mark or visibility is no number are left out, rows without identity are counted.

    Args:
        path: The file.
        report: Where that is noted.
        first_frame: The lowest frame number that can occur.
        columns: The least number of fields of a row.
        default_class: Class of rows that give none; None leaves them -1.

    Raises:
        InputError: See :func:`~clmot_qd.datasets.mot_text.read_ground_truth_rows`.
    """
    table, lines = read_ground_truth_rows(path, first_frame=first_frame, columns=columns)
    if default_class is not None:
        table = replace(table, class_ids=np.where(table.class_ids == -1, default_class, table.class_ids))
    rows = LabelRows(path, table, lines)
    finite = np.isfinite(rows.table.scores) & np.isfinite(rows.table.visibility)
    rows = rows.without(~finite, "row whose mark or visibility is not finite", report)
    for row in np.flatnonzero(rows.table.ids < 0):
        report.note("kept", "box without an identity", rows.place(row))
    return rows


def rows_of(rows: Mapping[int, IntArray], frame: int) -> IntArray:
    """Return the rows of a frame, which may have none."""
    return rows.get(frame, _NO_ROWS)
