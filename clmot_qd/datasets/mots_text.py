"""Text files of MOTS20 and KITTI-MOTS: ground truth and results with a mask in place of the box.

One row is one mask, its fields are separated by blanks, the same in ground truth and results::

    frame  id  class  height  width  runs

Frames count from 1 in MOTS20, from 0 in KITTI-MOTS. Class 1 is a car, 2 a pedestrian, 10 a region in which nothing is
wrong. In ground truth an id is ``1000 * class + number`` and that of regions 10000, as often as there are regions.
Height and width are those of the picture, the runs COCO's compressed ones. Rows may stand in any order; no pixel may
belong to two of a frame, see :func:`~clmot_qd.masks.make_disjoint`.

A mask that is read and written again keeps every bit, unless it has runs of no pixel: these are joined. A malformed row
raises :class:`~clmot_qd.errors.InputError` with its line.

Source: https://www.vision.rwth-aachen.de/page/mots, and TrackEval's readers of both data sets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clmot_qd.datasets.mot_text import LAST_FRAME, IntArray, MotTable, PathLike, find_duplicate, make_table
from clmot_qd.errors import InputError
from clmot_qd.files import read_text, write_text
from clmot_qd.geometry import xyxy_to_xywh
from clmot_qd.masks import RleMasks, read_runs
from clmot_qd.masks.checks import require_size

#: Class numbers -> names, of both data sets; MOTS20 has no cars.
MOTS_CLASSES = {1: "car", 2: "pedestrian"}
#: Class, id and name of a region in which nothing is wrong.
IGNORE_CLASS, IGNORE_ID, IGNORE_NAME = 10, 10_000, "ignore region"
#: An id of the ground truth is this times the class, plus a number.
IDS_PER_CLASS = 1000

_NUMBERS = ("frame", "id", "class", "height", "width")
_ROW = f"{' '.join(_NUMBERS)} runs, separated by blanks"
_DIGITS = 15  # greater numbers cannot be told from their neighbours


def read_mots(path: PathLike, *, first_frame: int = 1, size: Sequence[int] | None = None) -> MotTable:
    """Read a file of ground truth or of results; an empty one has no rows.

    Masks may be empty or share pixels: that is the caller's to judge, as it depends on what the file is for.

    Args:
        path: The file.
        first_frame: The lowest frame number that can occur: 1 in MOTS20, 0 in KITTI-MOTS.
        size: (height, width) that the masks have to have, in pixels; None takes that of the first row.

    Returns:
        The rows in the order of the file, ids as they stand there. Boxes x, y, w, h are those around the masks, zeros
        for an empty one; scores are 1, and 0 for regions of class 10. The masks of a file without rows are of ``size``,
        or of 0 x 0 pixels.

    Raises:
        InputError: The file is missing, a row is malformed, of another size than ``size`` or the rows before, or has an
            identity that stands in its frame already (regions apart); the message names the line.
    """
    table, lines = read_mots_rows(path, first_frame=first_frame, size=size)
    objects = np.flatnonzero(table.class_ids != IGNORE_CLASS)
    again = find_duplicate(table.frames[objects], table.ids[objects])
    if again is not None:
        row = objects[again]
        first = objects[(table.frames[objects] == table.frames[row]) & (table.ids[objects] == table.ids[row])][0]
        what = f"frame {table.frames[row]} has id {table.ids[row]} already in line {lines[first]}"
        raise InputError(f"{path}:{lines[row]}: {what}; an identity stands at most once in a frame")
    return table


def read_mots_rows(
    path: PathLike, *, first_frame: int = 1, size: Sequence[int] | None = None
) -> tuple[MotTable, IntArray]:
    """Read a file as it stands; repeated identities are the caller's to judge, too. See :func:`read_mots`.

    Returns:
        The rows, and (n,) the lines in which they stand, from 1.
    """
    numbers: list[list[int]] = []
    counts: list[bytes] = []
    lines: list[int] = []
    expected = None if size is None else (int(size[0]), int(size[1]))
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        place = f"{path}:{line}"
        row, runs = _row(text, first_frame, place)
        found = (row[3], row[4])
        if found != (expected := expected or found):
            what = f"a mask of {found[1]} x {found[0]} pixels, the video has {expected[1]} x {expected[0]}"
            raise InputError(f"{place}: {what}; rows are {_ROW}")
        numbers.append(row)
        counts.append(read_runs(runs, *found, place))
        lines.append(line)
    return _table(numbers, RleMasks.of(counts, expected or (0, 0))), np.array(lines, dtype=np.int64)


def write_mots(path: PathLike, table: MotTable) -> None:
    """Write the rows, sorted by frame and identity, all or nothing.

    Raises:
        InputError: The table has no masks.
    """
    write_text(path, format_mots(table))


def format_mots(table: MotTable) -> str:
    """Return the rows as :func:`write_mots` writes them, for files that grow frame by frame.

    Args:
        table: Rows with masks; class numbers and ids are written as they are.

    Raises:
        InputError: The table has no masks.
    """
    if table.masks is None:
        raise InputError("boxes without masks cannot be written as MOTS rows; use a model with a mask head")
    height, width = table.masks.size
    order = np.lexsort((table.ids, table.frames))
    columns = zip(*(column[order].tolist() for column in (table.frames, table.ids, table.class_ids)))
    rows = zip(columns, table.masks[order].texts())
    return "".join(f"{frame} {one} {label} {height} {width} {runs}\n" for (frame, one, label), runs in rows)


def _row(text: str, first_frame: int, place: str) -> tuple[list[int], str]:
    """Return the numbers of a row and its runs."""
    *numbers, runs = text.split()
    if len(numbers) != len(_NUMBERS):
        raise InputError(f"{place}: {len(numbers) + 1} columns; a row is {_ROW}")
    row = [_number(number, name, place) for number, name in zip(numbers, _NUMBERS)]
    if not first_frame <= row[0] <= LAST_FRAME:
        raise InputError(f"{place}: frame {row[0]}: frames count from {first_frame}, up to {LAST_FRAME}")
    require_size(row[3], row[4], place)
    return row, runs


def _number(text: str, name: str, place: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise InputError(f"{place}: {name} {text!r} is no whole number from 0; a row is {_ROW}")
    return int(text)


def _table(numbers: Sequence[Sequence[int]], masks: RleMasks) -> MotTable:
    frames, ids, classes = np.array(numbers, dtype=np.int64).reshape(-1, len(_NUMBERS)).T[:3]
    scores = (classes != IGNORE_CLASS).astype(np.float64)
    return make_table(frames, ids, xyxy_to_xywh(masks.boxes()), scores, classes, masks=masks)
