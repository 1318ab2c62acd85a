"""BDD100K's bitmasks: a folder VIDEO with a PNG file for each of its frames, which says whose every pixel is.

Source: doc/source/evaluate.rst ("Segmentation Tracking") and format.rst of https://github.com/bdd100k/bdd100k. Of the
channels, R is the class, G the attributes (none in predictions), ``256 * B + A`` the identity, from 1. Boxes and scores
have no place in it: what is read has the boxes around the masks, and score 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from clmot_qd.datasets.converters.bdd100k import CLASSES
from clmot_qd.datasets.mask_pictures import CROWD, IGNORED, read_bitmasks
from clmot_qd.datasets.mot_text import MotTable, PathLike, empty_table, find_duplicate, make_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation.formats.image_index import ImageIndex, read_image_index
from clmot_qd.evaluation.formats.mask_column import Size
from clmot_qd.evaluation.formats.masks import exclusive_masks, require_numbers
from clmot_qd.evaluation.formats.numbering import fit_identities, server_classes, with_classes
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.evaluation.result_files import result_path
from clmot_qd.files import atomic_path
from clmot_qd.geometry import xyxy_to_xywh
from clmot_qd.masks import RleMasks

LARGEST_CLASS, LARGEST_ID = 255, 65_535


def class_numbers(truth: GroundTruth) -> dict[int, int]:
    """Return the number of each class in the annotation file -> the one in bitmasks: pedestrian 1, rider 2, ...."""
    return server_classes(truth.categories, {name: number for number, name in enumerate(CLASSES, start=1)})


def write(path: PathLike, truth: GroundTruth, tracks: Mapping[str, MotTable]) -> None:
    """Write a file for each frame of every video, also where nothing was found; a video without frames has none.

    A pixel that several masks claim goes to the one of the highest score. Empty masks are left out. Both are counted
    and told in one line. If not all identities of a video are in 1 to 65535, they are numbered anew.

    Raises:
        InputError: ``path`` is the name of a file; predictions have no masks, masks of another size than the images,
            no class or no frame of the annotation file; that has no names or sizes of images, or too many classes.
    """
    if Path(path).is_file() or Path(path).suffix == ".json":
        raise InputError(f"{path}: bitmasks are a folder with a folder of PNG files per video; give a folder")
    index = read_image_index(truth)
    numbers = class_numbers(truth)
    tables = exclusive_masks(path, truth, index, tracks)
    files = {name: _files(path, index, name) for name in index.sequences if len(index.rows_of(name))}
    sizes = {name: _size(index, name, tables.get(name)) for name in files}
    for name, table in tables.items():
        ids = fit_identities(path, name, table.ids, 1, LARGEST_ID)
        tables[name] = replace(with_classes(table, numbers), ids=ids)
        if tables[name].class_ids.max(initial=0) > LARGEST_CLASS:
            raise InputError(
                f"{path}: {name}: more classes than bitmasks have numbers for; give an annotation file of less"
            )
    for name, pictures in files.items():
        _write_video(pictures, tables.get(name, empty_table()), sizes[name])


def _write_video(files: Mapping[int, Path], table: MotTable, size: Size) -> None:
    for frame, file in files.items():
        _write_picture(file, table.select(np.flatnonzero(table.frames == frame)), size)


def _write_picture(file: Path, objects: MotTable, size: Size) -> None:
    from PIL import Image

    picture = np.zeros((*size, 4), dtype=np.uint8)
    crops = objects.masks.crops() if objects.masks is not None else []
    for identity, number, (crop, (left, top)) in zip(objects.ids.tolist(), objects.class_ids.tolist(), crops):
        height, width = crop.shape
        picture[top : top + height, left : left + width][crop] = (number, 0, identity >> 8, identity & 255)
    with atomic_path(file) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def read(path: PathLike, truth: GroundTruth) -> dict[str, MotTable]:
    """Read the files of every video; objects that are marked as a crowd or to be ignored are no predictions.

    Raises:
        InputError: A frame's file is missing, malformed or of another size than its image; it has a class that the
            annotation file does not have, or one identity in two classes.
    """
    index = read_image_index(truth)
    numbers = {new: old for old, new in class_numbers(truth).items()}
    return {name: _read_video(path, truth, index, name, numbers) for name in index.sequences}


def _read_video(
    path: PathLike, truth: GroundTruth, index: ImageIndex, name: str, numbers: Mapping[int, int]
) -> MotTable:
    size = index.size_of(name)
    parts = []
    for frame, file in _files(path, index, name).items():
        parts.append(_read_picture(file, frame, size, numbers, truth.source))
        size = parts[-1].masks.size if parts[-1].masks is not None else size
    if not parts:
        return empty_table()
    columns = {key: [part.columns()[key] for part in parts] for key in parts[0].columns()}
    masks = RleMasks.cat(columns.pop("masks"))
    return MotTable(masks=masks, **{key: np.concatenate(values) for key, values in columns.items()})


def _read_picture(file: Path, frame: int, size: Size | None, numbers: Mapping[int, int], source: str) -> MotTable:
    found = read_bitmasks(file, size)
    rows = np.flatnonzero((found.ids > 0) & (found.attributes & (CROWD | IGNORED) == 0))
    ids, masks = found.ids[rows], found.masks[rows]
    require_numbers(file, numbers, found.class_ids[rows].tolist(), source)
    again = find_duplicate(np.zeros_like(ids), ids)
    if again is not None:
        raise InputError(f"{file}: identity {ids[again]} has pixels of two classes or attributes; it is one object")
    frames = np.full(len(rows), frame)
    table = make_table(frames, ids, xyxy_to_xywh(masks.boxes()), class_ids=found.class_ids[rows], masks=masks)
    return with_classes(table, numbers)


def _files(path: PathLike, index: ImageIndex, sequence: str) -> dict[int, Path]:
    """Return the file of each frame, ascending."""
    index.require_names(sequence)
    rows = index.rows_of(sequence)
    names = [PurePosixPath(index.names[row]).stem for row in rows]
    if len(set(names)) < len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise InputError(
            f"{index.source}: video {sequence!r} has two images called {again}; each needs a file of its own"
        )
    frames = index.frames[rows].tolist()
    return {frame: result_path(path, f"{sequence}/{name}", ".png") for frame, name in zip(frames, names)}


def _size(index: ImageIndex, sequence: str, table: MotTable | None) -> Size:
    size = index.size_of(sequence)
    if size is None and table is not None and table.masks is not None:
        return table.masks.size
    if size is None:
        raise InputError(
            f"{index.source}: images of {sequence!r} have no height and width, which bitmasks need; add them"
        )
    return size
