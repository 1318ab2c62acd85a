"""The masks of one MOTS sequence, from its text file or from its folder of PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from clmot_qd.datasets.converters.images import image_size
from clmot_qd.datasets.converters.mask_boxes import shapes_of
from clmot_qd.datasets.converters.mot import with_missing, within
from clmot_qd.datasets.converters.mot_rows import LabelRows, rows_of
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box
from clmot_qd.datasets.mask_pictures import read_mots_picture
from clmot_qd.datasets.mot_layout import Frame as Picture
from clmot_qd.datasets.mot_text import IntArray
from clmot_qd.datasets.mots_text import IDS_PER_CLASS, IGNORE_CLASS, read_mots_rows
from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks, make_disjoint

Size = tuple[int, int]
_NONE = "video without labels, its frames alone"


class VideoLabels(Protocol):
    """The labels of a sequence; ``size`` is (height, width), None if they do not say."""

    @property
    def pictures(self) -> list[Picture]:
        """The frames, those that have labels but no picture included."""

    @property
    def size(self) -> Size | None:
        """Of the pictures."""

    def boxes(self, picture: Picture, names: Mapping[int, str]) -> list[Box]:
        """The boxes of a frame; ``names`` are those of the classes."""

    def place(self, picture: Picture) -> str:
        """Where they stand, for messages."""


def read_labels(
    path: Path,
    pictures: list[Picture],
    size: Size | None,
    first_frame: int,
    classes: Sequence[int],
    report: Report,
) -> VideoLabels:
    """Read the labels of a sequence.

    Args:
        path: Text file, or folder of PNG files; without either there are no labels.
        pictures: The pictures, in order.
        size: (height, width) that masks have to have; None takes that of the first one.
        first_frame: The lowest frame number that can occur.
        classes: Numbers of the classes that are objects of the data set.
        report: Where remarks go.

    Raises:
        InputError: A row or a PNG file that cannot be read, or of another size; labels of none of the pictures.
    """
    if path.is_dir():
        return _read_pictures(path, pictures, size, report)
    if not path.exists():
        report.note("kept", _NONE, str(path))
        return _PictureLabels(path, pictures, size, frozenset())
    table, lines = read_mots_rows(path, first_frame=first_frame, size=size)
    if not len(table):
        report.note("kept", "video without a mask in its label file", str(path))
        return _PictureLabels(path, pictures, size, frozenset())
    rows = _settled(within(LabelRows(path, table, lines), pictures, report), classes, report)
    return _RowLabels(rows, with_missing(pictures, rows), table.masks.size if table.masks else size, rows.by_frame())


def _read_pictures(folder: Path, pictures: list[Picture], size: Size | None, report: Report) -> VideoLabels:
    found = {path.stem: path for path in folder.iterdir() if path.suffix.lower() == ".png" and path.name[0] != "."}
    stems = {picture.path.stem for picture in pictures}
    if stems.isdisjoint(found):
        wanted = f"names such as {pictures[0].path.stem}.png" if pictures else "pictures"
        raise InputError(f"{folder}: none of its {len(found)} PNG files belongs to a picture; they need {wanted}")
    for stem, path in sorted(found.items()):
        if stem not in stems:
            report.note("skipped", "PNG file of masks of a frame without a picture", str(path))
    for picture in pictures:
        if picture.path.stem not in found:
            report.note("kept", "frame without a PNG file of masks, without objects", str(picture.path))
    there = frozenset(stems & found.keys())
    if size is None and there:
        width, height = image_size(found[min(there)])
        size = (height, width)
    return _PictureLabels(folder, pictures, size, there)


@dataclass(frozen=True)
class _PictureLabels:
    """PNG files, of the frames with these stems of names."""

    folder: Path
    pictures: list[Picture]
    size: Size | None
    stems: frozenset[str]

    def boxes(self, picture: Picture, names: Mapping[int, str]) -> list[Box]:
        if picture.path.stem not in self.stems:
            return []
        place = self.place(picture)
        ids, masks = read_mots_picture(place, self.size)
        places = [f"{place}: {one}" for one in ids.tolist()]
        return _boxes(ids, ids // IDS_PER_CLASS, masks, places, names)

    def place(self, picture: Picture) -> str:
        return str(self.folder / f"{picture.path.stem}.png") if self.stems else str(self.folder)


@dataclass(frozen=True)
class _RowLabels:
    """Rows of a text file, by frame."""

    rows: LabelRows
    pictures: list[Picture]
    size: Size | None
    by_frame: Mapping[int, IntArray]

    def boxes(self, picture: Picture, names: Mapping[int, str]) -> list[Box]:
        rows = rows_of(self.by_frame, picture.number)
        mine = self.rows.table.select(rows)
        assert mine.masks is not None
        return _boxes(mine.ids, mine.class_ids, mine.masks, [self.rows.place(row) for row in rows], names)

    def place(self, picture: Picture) -> str:
        rows = rows_of(self.by_frame, picture.number)
        return self.rows.place(rows[0]) if len(rows) else str(self.rows.path)


def _boxes(
    ids: IntArray, classes: IntArray, masks: RleMasks, places: Sequence[str], names: Mapping[int, str]
) -> list[Box]:
    """Return masks as boxes; a class without a name is called by its number, which no data set has."""
    boxes = []
    for one, number, place, (bbox, fields) in zip(ids.tolist(), classes.tolist(), places, shapes_of(masks)):
        region = number == IGNORE_CLASS
        box = Box(bbox, names.get(number, str(number)), None if region else one, region, region, place, fields)
        boxes.append(box)
    return boxes


def _settled(rows: LabelRows, classes: Sequence[int], report: Report) -> LabelRows:
    """Let no two masks of a frame share a pixel, and leave out those without one."""
    table = rows.table
    assert table.masks is not None
    other = (table.ids >= IDS_PER_CLASS) & (table.ids // IDS_PER_CLASS != table.class_ids)
    for row in np.flatnonzero(other):
        what = f"id {table.ids[row]}, class {table.class_ids[row]}"
        report.note("kept", "mask whose id is of another class than its row, which counts", rows.place(row), what)
    # Of equal ranks the earlier row keeps the pixels; what is left out afterwards has none to take.
    ranks = 2.0 * np.isin(table.class_ids, classes) + (table.class_ids == IGNORE_CLASS)
    counts = table.masks.counts.copy()
    for mine in rows.by_frame().values():
        apart = make_disjoint(table.masks[mine], ranks[mine])
        counts[mine] = apart.masks.counts
        for row in mine[apart.trimmed]:
            report.note("clipped", "mask that shares pixels with another one of its frame", rows.place(row))
    masks = RleMasks(table.masks.size, counts)
    settled = LabelRows(rows.path, replace(table, masks=masks), rows.lines)
    return settled.without(masks.areas() == 0, "mask without a pixel", report)
