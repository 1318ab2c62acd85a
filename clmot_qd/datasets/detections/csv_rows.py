"""CSV files with a header: columns by name, in any order.

=================================  ======================================================================
column (or one of its other names)  meaning
=================================  ======================================================================
frame (frame_id)                   number of the frame, from 1
x, y, w, h (left, top, width, ...) upper left corner and size in pixels of the original image, or instead
x1, y1, x2, y2 (xmin, ymin, ...)   two corners
score (conf, confidence)           optional; 1 without it
class (label, category)            optional; a name or a number
video (sequence, seq)              optional; without it the file is about one video
e0, e1, ... (emb_0, embed0, ...)   optional; the embedding
=================================  ======================================================================

Columns may be separated by commas, semicolons or tabs; other columns are left alone.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from clmot_qd.datasets.detections.tables import Rows
from clmot_qd.datasets.mot_text import FloatArray, PathLike
from clmot_qd.errors import InputError
from clmot_qd.geometry import xywh_to_xyxy

_OTHER_NAMES = {
    "frame": ("frame_id", "frame_number"),
    "x": ("left", "bb_left"),
    "y": ("top", "bb_top"),
    "w": ("width", "bb_width"),
    "h": ("height", "bb_height"),
    "x1": ("xmin",),
    "y1": ("ymin",),
    "x2": ("xmax",),
    "y2": ("ymax",),
    "score": ("conf", "confidence"),
    "class": ("label", "category", "class_name"),
    "video": ("sequence", "seq", "video_name"),
}
_NAME = {other: name for name, others in _OTHER_NAMES.items() for other in (name, *others)}
_EMBEDDING = re.compile(r"(?:e|emb|embed|embedding|feat|feature)_?(\d{1,9})")
_SIZED, _CORNERS = ("x", "y", "w", "h"), ("x1", "y1", "x2", "y2")


def read_csv_rows(path: PathLike) -> Rows:
    """Read a CSV file with a header.

    Raises:
        InputError: A column is missing or there twice, or a row is malformed; the message names the line.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            header = handle.readline()
            names = _header(path, header)
            reader = csv.reader(handle, delimiter=_separator(header))
            lines, cells = [], []
            for row in reader:
                if any(cell.strip() for cell in row):
                    lines.append(reader.line_num + 1)
                    cells.append(row)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; give a CSV file with a header") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except csv.Error as error:  # of a quotation mark that nothing ends
        raise InputError(f"{path}: no CSV from line {reader.line_num + 1} on ({error}); mend it") from error
    for line, row in zip(lines, cells):
        if len(row) != len(names):
            raise InputError(f"{path}:{line}: {len(row)} columns, the header has {len(names)}; mend this row")
    return _to_rows(path, names, lines, cells)


def is_header(line: str) -> bool:
    """Whether the first line of a file names columns: its first field is no number."""
    try:
        float(re.split(r"[,;\s]", line.strip(), maxsplit=1)[0])
    except ValueError:
        return True
    return False


def _separator(header: str) -> str:
    return next((mark for mark in (",", ";", "\t") if mark in header), ",")


def _header(path: PathLike, line: str) -> list[str]:
    """Return the names of the columns, as the table above spells them; embedding columns as ``e7``."""
    names = [_spelled(cell.strip().strip('"').lower()) for cell in line.strip().split(_separator(line))]
    for name, count in Counter(names).items():
        if name and count > 1:
            raise InputError(f"{path}:1: two columns stand for {name!r}; rename or remove one")
    wanted = ["frame", *(_CORNERS if "x1" in names else _SIZED)]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InputError(
            f"{path}:1: no column {missing[0]!r}; the header needs frame and x,y,w,h or x1,y1,x2,y2, "
            "and may have score, class, video and e0,e1,..."
        )
    return names


def _spelled(name: str) -> str:
    embedding = _EMBEDDING.fullmatch(name)
    return f"e{int(embedding[1])}" if embedding else _NAME.get(name, "")


def _to_rows(path: PathLike, names: Sequence[str], lines: Sequence[int], cells: Sequence[Sequence[str]]) -> Rows:
    columns = {name: position for position, name in enumerate(names) if name}
    box = [columns[name] for name in (_CORNERS if "x1" in columns else _SIZED)]
    bboxes = _numbers(path, lines, cells, box)
    if "x1" not in columns:
        bboxes = xywh_to_xyxy(bboxes)
    vector = [columns[name] for name in sorted((n for n in columns if n[1:].isdecimal() and n[0] == "e"), key=_digits)]
    score = _numbers(path, lines, cells, [columns["score"]])[:, 0] if "score" in columns else np.ones(len(cells))
    return Rows(
        place=lambda row: f"{path}:{lines[row]}",
        frames=_numbers(path, lines, cells, [columns["frame"]])[:, 0],
        bboxes=bboxes,
        scores=score,
        videos=_words(path, lines, cells, columns, "video"),
        classes=_words(path, lines, cells, columns, "class"),
        embeds=_numbers(path, lines, cells, vector) if vector else None,
    )


def _digits(name: str) -> int:
    return int(name[1:])


def _numbers(
    path: PathLike, lines: Sequence[int], cells: Sequence[Sequence[str]], columns: Sequence[int]
) -> FloatArray:
    """Return these columns as numbers. -> (n, len(columns))."""
    values = np.empty((len(cells), len(columns)))
    for row, fields in enumerate(cells):
        for place, column in enumerate(columns):
            try:
                values[row, place] = float(fields[column])
            except ValueError:
                text = fields[column].strip()
                raise InputError(f"{path}:{lines[row]}: {text!r} in column {column + 1} is not a number") from None
    return values


def _words(
    path: PathLike, lines: Sequence[int], cells: Sequence[Sequence[str]], columns: Mapping[str, int], name: str
) -> list[str] | None:
    """Return a column of names, None where there is none."""
    if name not in columns:
        return None
    words = [fields[columns[name]].strip() for fields in cells]
    if "" in words:
        raise InputError(f"{path}:{lines[words.index('')]}: the {name} is empty; name it in every row")
    return words
