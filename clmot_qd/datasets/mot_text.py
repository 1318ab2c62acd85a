"""MOTChallenge text files: ground truth, detections and tracking results.

One row is one box, the fields of a row are separated by commas (or by blanks)::

    ground truth, MOT16 and later   frame, id, x, y, w, h, mark, class, visibility
    ground truth, MOT15             frame, id, x, y, w, h, mark, X, Y, Z          (world coordinates or -1)
    detections                      frame, -1, x, y, w, h, score[, ...]
    results                         frame, id, x, y, w, h, score, -1, -1, -1

Frames count from 1; x, y is the upper left corner in pixels of the original image. Boxes come back as they stand in the
file: nothing is rounded, nothing is shifted by one. Rows may stand in any order. A malformed row raises
:class:`~clmot_qd.errors.InputError` with its line.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from clmot_qd.errors import InputError
from clmot_qd.files import atomic_path
from clmot_qd.geometry import with_area
from clmot_qd.masks import RleMasks

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
PathLike = str | os.PathLike[str]

#: Names of the MOTChallenge classes 1..13, spelled as in mmdet's ``MOTChallengeDataset``.
MOT_CLASSES = (
    "pedestrian",
    "person_on_vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non_mot_vehicle",
    "static_person",
    "distractor",
    "occluder",
    "occluder_on_ground",
    "occluder_full",
    "reflection",
    "crowd",
)

#: Highest number of a frame where the frames between are counted up to it: four days of video. Without a limit one
#: damaged digit would take all memory.
LAST_FRAME = 10_000_000

_LARGEST_EXACT = 2**53  # greater numbers cannot be told from their neighbours
# Only MOT15's ground truth has ten columns: after the mark come world coordinates, not class and visibility.
_MOT15_COLUMNS = 10
_ROW = "frame,id,x,y,w,h,score (or mark)[,class,visibility]"
_REQUIRED_COLUMNS = 7
_MOTS_COLUMNS = 6  # of a mask in place of a box; see mots_text
_RESULT_FORMAT = "%d,%d,%.5f,%.5f,%.5f,%.5f,%.6f,%d,%d,%d"


@dataclass(frozen=True)
class MotTable:
    """The rows of one MOT text file, column by column, in the order of the file.

    Args:
        frames: (n,) frame numbers, from 1.
        ids: (n,) identities; -1 where the file gives none (detections).
        bboxes: (n, 4) x, y, w, h in pixels of the original image.
        scores: (n,) confidence; in ground truth the mark, where 0 means "not to be considered".
        class_ids: (n,) class numbers, 1 = pedestrian; -1 where the file gives none.
        visibility: (n,) visible share of the box; 1 where the file gives none.
        masks: n masks in pixels of the original image; None where the source has boxes alone.
    """

    frames: IntArray
    ids: IntArray
    bboxes: FloatArray
    scores: FloatArray
    class_ids: IntArray
    visibility: FloatArray
    masks: RleMasks | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frames)

    def select(self, rows: BoolArray | IntArray) -> MotTable:
        """Return the rows that a mask or an index array picks."""
        return MotTable(**{name: column[rows] for name, column in self.columns().items()})

    def columns(self) -> dict[str, Any]:
        """Return the columns that there are, by name."""
        return {name: column for name, column in vars(self).items() if column is not None}


def make_table(
    frames: NDArray,
    ids: NDArray,
    bboxes: NDArray,
    scores: NDArray | None = None,
    class_ids: NDArray | None = None,
    visibility: NDArray | None = None,
    masks: RleMasks | None = None,
) -> MotTable:
    """Build a :class:`MotTable` from arrays or lists; missing columns get their neutral value (see there)."""
    size = len(frames)
    return MotTable(
        frames=np.asarray(frames, dtype=np.int64).reshape(size),
        ids=np.asarray(ids, dtype=np.int64).reshape(size),
        bboxes=np.asarray(bboxes, dtype=np.float64).reshape(size, 4),
        scores=np.ones(size) if scores is None else np.asarray(scores, dtype=np.float64).reshape(size),
        class_ids=np.full(size, -1) if class_ids is None else np.asarray(class_ids, dtype=np.int64).reshape(size),
        visibility=np.ones(size) if visibility is None else np.asarray(visibility, dtype=np.float64).reshape(size),
        masks=masks,
    )


def empty_table() -> MotTable:
    """Return a table without rows."""
    return make_table(np.empty(0), np.empty(0), np.empty((0, 4)))


def join_tables(tables: Sequence[MotTable]) -> MotTable:
    """Return the rows of all tables, one after the other; those without rows need not have masks.

    Raises:
        InputError: Masks of different sizes, or in some of the tables alone.
    """
    filled = [table.columns() for table in tables if len(table)]
    if not filled:
        return empty_table()
    if any(columns.keys() != filled[0].keys() for columns in filled):
        raise InputError("some frames of a video have masks, others have none; one model gives the same in all")
    columns = {name: [columns[name] for columns in filled] for name in filled[0]}
    masks = columns.pop("masks", None)
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return MotTable(**joined, masks=None if masks is None else RleMasks.cat(masks))


def read_ground_truth(path: PathLike, *, identities: bool = True, allow_empty: bool = False) -> MotTable:
    """Read a ``gt.txt`` of MOT15, MOT16, MOT17, MOT20 or of a data set in their form.

    A file without classes (MOT15, or -1 in the class column) holds pedestrians: class 1, visibility 1.

    Args:
        path: The file.
        identities: Whether the identities will be used; if not, they may be -1 or repeat within a frame.
        allow_empty: Give an empty table for an empty file instead of an error.

    Raises:
        InputError: The file is missing, empty or malformed; the message names the line.
    """
    rows = _read_rows(path, allow_empty=allow_empty)
    _require_whole_classes(path, rows)
    table = _to_table(rows, with_classes=rows.shape[1] != _MOT15_COLUMNS)
    table = replace(table, class_ids=np.where(table.class_ids == -1, 1, table.class_ids))
    unknown = (table.class_ids < 1) | (table.class_ids > len(MOT_CLASSES))
    _refuse(path, unknown, lambda row: f"class {table.class_ids[row]} is none of MOT's classes 1 to {len(MOT_CLASSES)}")
    if identities:
        _require_identities(path, table)
    return table


def read_ground_truth_rows(path: PathLike, *, first_frame: int = 1, columns: int = 7) -> tuple[MotTable, IntArray]:
    """Read a ``gt.txt`` as it stands; boxes that are none and repeated identities are the caller's to judge.

    Classes of any number stay, too; -1 where the file gives none.

    Args:
        path: The file.
        first_frame: The lowest frame number that can occur.
        columns: The least number of fields; 6 does without score and mark.

    Returns:
        The rows, empty for an empty file, and (n,) the lines of the file in which they stand, from 1.

    Raises:
        InputError: The file is missing or has a row that cannot be read; the message names the line.
    """
    rows, lines = _load(path, columns)
    _check_counters(path, rows[:, :2], first_frame)
    _require_whole_classes(path, rows)
    return _to_table(rows, with_classes=rows.shape[1] != _MOT15_COLUMNS), lines


def read_detections(path: PathLike) -> MotTable:
    """Read a ``det.txt``; row i of the table is the i-th row of the file, whatever the order of its frames.

    Raises:
        InputError: The file is missing, empty or malformed; the message names the line.
    """
    return _to_table(_read_rows(path, allow_empty=False), with_classes=False)


def read_tracks(path: PathLike, first_class: int = 1, first_frame: int = 1) -> MotTable:
    """Read a result file. An empty file is a tracker that found nothing.

    The eighth column is taken as a class if it is ``first_class`` or more, as in the files that :func:`write_tracks`
    writes for several classes; the benchmarks' own files have -1 there, or a coordinate, which is no whole number in
    most rows.

    Args:
        path: The file.
        first_class: The lowest number of a class, 0 or 1; what is below stands for no class.
        first_frame: The lowest frame number that can occur; 0 in results on KITTI-MOTS.

    Raises:
        InputError: The file is missing or malformed, or a row has half a class where the others have whole ones; the
            message names the line.
    """
    rows = _read_rows(path, allow_empty=True, first_frame=first_frame)
    _require_classes_of_the_others(path, rows[:, 7:8], first_class)
    table = _to_table(rows, with_classes=bool(_whole(rows[:, 7:8]).all()))
    classes = np.where(table.class_ids < first_class, -1, table.class_ids)
    table = replace(table, class_ids=classes, visibility=np.ones(len(table)))
    _require_identities(path, table)
    return table


def write_tracks(path: PathLike, table: MotTable) -> None:
    """Write ``frame,id,x,y,w,h,score,class,-1,-1``, sorted by frame and identity, all or nothing.

    The class column is -1 unless the table says otherwise, which makes the file one that the MOTChallenge server takes.
    Boxes keep five decimals, scores six; for thinner boxes see :func:`~clmot_qd.geometry.with_area`.
    """
    with atomic_path(path) as temporary:
        np.savetxt(temporary, _result_rows(table), fmt=_RESULT_FORMAT)


def format_tracks(table: MotTable) -> str:
    """Return the rows as :func:`write_tracks` writes them, for files that grow frame by frame."""
    text = io.StringIO()
    np.savetxt(text, _result_rows(table), fmt=_RESULT_FORMAT)
    return text.getvalue()


def _result_rows(table: MotTable) -> FloatArray:
    order = np.lexsort((table.ids, table.frames))
    filler = np.full((len(table), 2), -1)
    columns = [table.frames, table.ids, with_area(table.bboxes), table.scores, table.class_ids, filler]
    return np.column_stack([column[order] for column in columns])


def is_mots_row(line: str) -> bool:
    """Return whether a line is a row of a mask, as :mod:`clmot_qd.datasets.mots_text` has it, or a damaged one.

    Such are five numbers and the runs, which are text; they may be separated by commas, and the numbers may be any.
    """
    *numbers, runs = line.replace(",", " ").split() or [""]
    return len(numbers) == _MOTS_COLUMNS - 1 and all(map(_is_number, numbers)) and not _is_number(runs)


def find_duplicate(frames: IntArray, ids: IntArray) -> int | None:
    """Return the first row whose (frame, identity) stands in an earlier row as well, or None."""
    order = np.lexsort((ids, frames))  # stable: equal pairs stay in the order of their rows
    repeats = (np.diff(frames[order]) == 0) & (np.diff(ids[order]) == 0)
    return int(order[1:][repeats].min()) if repeats.any() else None


def _to_table(rows: FloatArray, *, with_classes: bool) -> MotTable:
    """Name the columns; those from the eighth on are class and visibility only ``with_classes``."""
    optional = rows[:, 7:9].T if with_classes else ()
    scores = rows[:, 6] if rows.shape[1] >= _REQUIRED_COLUMNS else None
    return make_table(rows[:, 0], rows[:, 1], rows[:, 2:6], scores, *optional)


def _read_rows(path: PathLike, *, allow_empty: bool, first_frame: int = 1) -> FloatArray:
    """Return the file as numbers, (n, 7 or more), checked for what no kind of file may hold."""
    rows, _ = _load(path)
    if not len(rows) and not allow_empty:
        raise InputError(f"{path}: the file is empty; it needs rows {_ROW}")
    _check_numbers(path, rows, first_frame)
    return rows


def _load(path: PathLike, required: int = _REQUIRED_COLUMNS) -> tuple[FloatArray, IntArray]:
    """Return the file as numbers, (n, ``required`` or more), and (n,) the lines of its rows."""
    try:
        return _read_numbers(path, required)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; give a MOT text file with rows {_ROW}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _read_numbers(path: PathLike, required: int) -> tuple[FloatArray, IntArray]:
    first = next(_filled_lines(path), None)
    if first is None:
        return np.empty((0, required)), np.empty(0, dtype=np.int64)
    number, line = first
    if _separator(line) is None and is_mots_row(line):
        what = "a mask (frame id class height width runs), no box"
        raise InputError(f"{path}:{number}: {what}; score MOTS by --iou-type segm, convert it by mots20 or kitti-mots")
    columns = len(line.split(_separator(line)))
    if columns < required:
        raise InputError(f"{path}:{number}: {columns} columns; a row needs {required} or more: {_ROW}")
    lines: list[int] = []
    try:
        rows = np.loadtxt(_numbered(path, lines), delimiter=_separator(line), comments=None, ndmin=2)
        return rows, np.array(lines, dtype=np.int64)
    except UnicodeDecodeError:  # a ValueError as well
        raise
    except ValueError as error:
        _explain(path, _separator(line), columns, error)


def _separator(line: str) -> str | None:
    """Return what separates the fields of a row; None, as for str.split, stands for blanks."""
    return "," if "," in line else None


def _filled_lines(path: PathLike) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, text) of the lines that are not blank: the i-th one is row i of the table."""
    with open(path, encoding="utf-8-sig") as handle:  # Windows editors put a byte order mark before the first number
        yield from ((number, line) for number, line in enumerate(handle, start=1) if line.strip())


def _numbered(path: PathLike, lines: list[int]) -> Iterator[str]:
    """Yield the lines that are not blank, and append their numbers to ``lines``."""
    for number, line in _filled_lines(path):
        lines.append(number)
        yield line


def _line_of_row(path: PathLike, row: int) -> int:
    return next(number for index, (number, _) in enumerate(_filled_lines(path)) if index == row)


def _explain(path: PathLike, separator: str | None, columns: int, error: ValueError) -> NoReturn:
    """Raise InputError for the first row that is not a row of as many numbers as the first one has fields."""
    for number, line in _filled_lines(path):
        parts = line.split(separator)
        if len(parts) != columns:
            raise InputError(f"{path}:{number}: {len(parts)} columns, the first row has {columns}; mend this row")
        for part in parts:
            if not _is_number(part):
                raise InputError(f"{path}:{number}: {part.strip()!r} is not a number; rows are {_ROW}")
    raise InputError(f"{path}: not a MOT text file ({error}); rows are {_ROW}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_numbers(path: PathLike, rows: FloatArray, first_frame: int = 1) -> None:
    """Refuse what no kind of file may hold."""
    _refuse(path, ~np.all(np.isfinite(rows), axis=1), lambda row: "a value is not finite; every field must be a number")
    _check_counters(path, rows[:, :2], first_frame)
    size = "box of {:g} x {:g} pixels: width and height must be greater than 0"
    _refuse(path, np.any(rows[:, 4:6] <= 0, axis=1), lambda row: size.format(*rows[row, 4:6]))


def _check_counters(path: PathLike, rows: FloatArray, first_frame: int = 1) -> None:
    """Refuse rows (n, 2) of frame and identity that are no whole numbers, and frames before the first."""
    whole = _whole(rows[:, 0]) & _whole(rows[:, 1])
    what = f"both must be whole numbers, below {_LARGEST_EXACT}"
    _refuse(path, ~whole, lambda row: f"frame {rows[row, 0]:g}, id {rows[row, 1]:g}: {what}")
    rule = "MOT frames count from 1" if first_frame == 1 else f"the first frame is {first_frame}"
    _refuse(path, rows[:, 0] < first_frame, lambda row: f"frame {rows[row, 0]:g}: {rule}")


def _require_whole_classes(path: PathLike, rows: FloatArray) -> None:
    if rows.shape[1] > _REQUIRED_COLUMNS and rows.shape[1] != _MOT15_COLUMNS:
        _refuse(path, ~_whole(rows[:, 7]), lambda row: f"class {rows[row, 7]:g}: must be a whole number")


def _require_classes_of_the_others(path: PathLike, column: FloatArray, first_class: int) -> None:
    """Refuse a row without a whole number where most have one that is a class: such a column holds no coordinates."""
    whole = np.all(_whole(column), axis=1)
    classes = (column[whole] >= first_class) | (column[whole] == -1)
    if 2 * whole.sum() >= len(column) and classes.all() and (column[whole] >= first_class).any():
        _refuse(path, ~whole, lambda row: f"class {column[row, 0]:g}: must be a whole number, as in the other rows")


def _whole(values: FloatArray) -> BoolArray:
    return (np.abs(values) < _LARGEST_EXACT) & (values == np.floor(values))


def _require_identities(path: PathLike, table: MotTable) -> None:
    """Refuse rows without an identity and identities that stand twice in a frame."""
    _refuse(path, table.ids < 0, lambda row: f"id {table.ids[row]}: this file needs identities, 0 or greater")
    again = find_duplicate(table.frames, table.ids)
    if again is not None:
        first = np.flatnonzero((table.frames == table.frames[again]) & (table.ids == table.ids[again]))[0]
        place = f"{path}:{_line_of_row(path, again)}"
        what = f"frame {table.frames[again]} has id {table.ids[again]} already in line {_line_of_row(path, int(first))}"
        raise InputError(f"{place}: {what}; an identity stands at most once in a frame")


def _refuse(path: PathLike, faulty: BoolArray, describe: Callable[[int], str]) -> None:
    """Raise InputError for the first faulty row, if there is one."""
    if faulty.any():
        row = int(faulty.argmax())
        raise InputError(f"{path}:{_line_of_row(path, row)}: {describe(row)}")
