"""BDD100K's masks as PNG files: those that its own tools score with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from clmot_qd.datasets.converters.images import image_size
from clmot_qd.datasets.converters.mask_boxes import shapes_of
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.scalabel import number_in_name
from clmot_qd.datasets.converters.source import Box, Frame
from clmot_qd.datasets.mask_pictures import CROWD, IGNORED, OCCLUDED, TRUNCATED, read_bitmasks
from clmot_qd.errors import InputError


def is_folder_of_bitmasks(path: Path) -> bool:
    """Whether a folder has PNG files, or a folder of them for each video."""
    return path.is_dir() and any(next(path.glob(form), None) is not None for form in ("*.png", "*/*.png"))


def read_bitmask_frames(path: Path, classes: Sequence[str], videos: bool, report: Report) -> Iterator[Frame]:
    """Give a frame for each PNG file, those of one video together.

    ``other person``, ``other vehicle`` and ``trailer`` stand in these files as pedestrians, cars and trucks with the
    bit "ignore".

    Args:
        path: Folder with ``VIDEO/VIDEO-0000001.png`` or ``NAME.png``; the pictures are called so, but ``.jpg``.
        classes: Names of the classes 1, 2, ...
        videos: Frames are those of videos, and ids those of tracks. Otherwise frames are still pictures.
        report: Where remarks go.

    Raises:
        InputError: A file that is no bitmask, or without a number in its name; one of a video that is of another size
            than the first; none in the place where they are looked for.
    """
    if next(path.glob("*/*.png" if videos else "*.png"), None) is None:
        wanted = "VIDEO/VIDEO-0000001.png" if videos else "NAME.png"
        raise InputError(f"{path}: it has PNG files, but not as {wanted}; see the layout that --help shows")
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()) if videos else [path]:
        files = sorted(file for file in folder.iterdir() if file.suffix == ".png" and file.name[0] != ".")
        for file in files:
            width, height = image_size(files[0] if videos else file)
            boxes = list(_boxes(file, (height, width), classes, videos, report))
            frame = Frame(f"{file.stem}.jpg", width, height, boxes, place=str(file))
            if videos:
                frame.number = _number(file)
                frame.file_name, frame.video = f"{folder.name}/{frame.file_name}", folder.name
                frame.fields = {"frame_index": frame.number}
            yield frame


def _number(file: Path) -> int:
    number = number_in_name(file.name)
    if number is None:
        raise InputError(f"{file}: no number in its name, which should end in -0000001.png")
    return number


def _boxes(file: Path, size: tuple[int, int], classes: Sequence[str], videos: bool, report: Report) -> Iterator[Box]:
    found = read_bitmasks(file, size)
    rows = zip(found.class_ids.tolist(), found.attributes.tolist(), found.ids.tolist(), shapes_of(found.masks))
    for number, attributes, identity, (bbox, fields) in rows:
        place = f"{file}: object {identity}"
        if videos and not identity:
            report.note("kept", "mask of identity 0, its box without identity", place)
        yield Box(
            bbox=bbox,
            category=classes[number - 1] if number <= len(classes) else str(number),
            identity=(identity or None) if videos else None,
            ignore=bool(attributes & IGNORED),
            crowd=bool(attributes & CROWD),
            place=place,
            fields={"occluded": bool(attributes & OCCLUDED), "truncated": bool(attributes & TRUNCATED), **fields},
        )
