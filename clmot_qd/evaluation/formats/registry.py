"""The result formats by name, and which one a file is in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from clmot_qd.datasets.mot_text import MotTable, PathLike, is_mots_row
from clmot_qd.errors import InputError
from clmot_qd.evaluation.formats import bdd100k, bdd100k_bitmasks, cocovid, mot, mots, tao
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.evaluation.result_files import AS_FOLDER

_MOTS_ROW = re.compile(r"(\d+\s+){5}\S+")
_MOT_NUMBERS = 7  # in a row of MOT text, or more
_PEEK = 1 << 16  # characters at the start of a file that show its format; a first entry is shorter


@dataclass(frozen=True)
class ResultFormat:
    """A way to write tracks down.

    Args:
        write: ``write(path, truth, tracks)``; ``truth`` says what sequences, frames, images and classes there are.
        read: ``read(path, truth)`` -> sequence -> table; where masks may stand beside boxes, ``masks=True`` reads them.
        place: What :func:`write_results_in` calls it within its folder; the folder itself for MOT text.
        of_masks: Whether it is made of masks, so that it has no place for tracks without them.
        beside_boxes: Under which key masks may stand beside its boxes; empty where they may not.
    """

    write: Callable[[PathLike, GroundTruth, Mapping[str, MotTable]], None]
    read: Callable[..., dict[str, MotTable]]
    place: str
    of_masks: bool = False
    beside_boxes: str = ""

    @property
    def keeps_masks(self) -> bool:
        """Whether it has a place for masks."""
        return self.of_masks or bool(self.beside_boxes)


FORMATS: Mapping[str, ResultFormat] = {
    "mot": ResultFormat(mot.write, mot.read, "."),
    "bdd100k": ResultFormat(bdd100k.write, bdd100k.read, "bdd100k.json", beside_boxes="rle"),
    "tao": ResultFormat(tao.write, tao.read, "tao.json"),
    "cocovid": ResultFormat(cocovid.write, cocovid.read, "cocovid.json", beside_boxes="segmentation"),
    "mots": ResultFormat(mots.write, mots.read, "mots", of_masks=True),
    "bdd100k-bitmasks": ResultFormat(bdd100k_bitmasks.write, bdd100k_bitmasks.read, "bdd100k-bitmasks", of_masks=True),
}


def require_formats(names: str | Sequence[str], key: str = "out_format") -> tuple[str, ...]:
    """Return the names of formats as a tuple.

    Raises:
        InputError: One is unknown, or there is none; the message names ``key``.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        if name not in FORMATS:
            raise InputError(f"{key}: {name!r} is unknown; choose from {', '.join(FORMATS)}")
    if not names:
        raise InputError(f"{key} is empty; choose from {', '.join(FORMATS)}")
    return names


def write_results_in(
    folder: PathLike,
    formats: str | Sequence[str],
    truth: GroundTruth,
    tracks: Mapping[str, MotTable],
    only_class: str | None = None,
) -> list[Path]:
    """Write tracks in several formats into one folder.

    Args:
        folder: MOT text goes into it, the others into a JSON file or a folder named after the format.
        formats: Names of :data:`FORMATS`.
        truth: The sequences.
        tracks: Sequence -> predictions.
        only_class: The class of predictions whose class is -1, for the formats that name the class of each one.

    Returns:
        What was written: ``folder`` itself for MOT text, else the file or folder.

    Raises:
        InputError: A format is unknown, or cannot express the tracks.
    """
    written = []
    named = tracks if only_class is None else with_class(tracks, truth.class_numbers([only_class])[0])
    for name in require_formats(formats):
        target = Path(folder) / FORMATS[name].place
        FORMATS[name].write(target, truth, tracks if name == "mot" else named)
        written.append(target)
    return written


def with_class(tracks: Mapping[str, MotTable], number: int) -> dict[str, MotTable]:
    """Return the tracks with a class number in place of -1."""
    return {
        name: replace(table, class_ids=np.where(table.class_ids == -1, number, table.class_ids))
        for name, table in tracks.items()
    }


def read_predictions(
    path: PathLike, truth: GroundTruth, form: str | None = None, masks: bool = False, need_masks: bool = False
) -> dict[str, MotTable]:
    """Read predictions in any format.

    Args:
        path: File or folder.
        truth: What is predicted.
        form: Name of the format; None looks at the file.
        masks: Read the masks that may stand beside boxes, too; they take time, and have to be right then. A format
            that is made of masks gives them in any case.
        need_masks: Read masks, and take no predictions without; the format is looked for accordingly.

    Raises:
        InputError: The format is unknown, the file is malformed, or has no masks where they are needed; the message
            names file, entry and key.
    """
    name = detect_format(path, need_masks) if form is None else require_formats(form, "format of the predictions")[0]
    if need_masks:
        _require_place_for_masks(Path(path), name)
    options = {"masks": masks or need_masks} if FORMATS[name].beside_boxes else {}
    tables = FORMATS[name].read(path, truth, **options)
    if need_masks and any(len(table) and table.masks is None for table in tables.values()):
        _refuse_boxes(path, name)
    return tables


def _require_place_for_masks(path: Path, name: str) -> None:
    """Refuse a format of boxes, and the folder of a test run that has masks in a folder or file below."""
    is_mots = name == "mots" and next(path.glob("*.txt"), None) is not None
    below = [] if is_mots or not path.is_dir() else [str(place) for place in _with_masks_in(path)]
    if below:
        raise InputError(f"{path}: no masks in the folder itself, but in {' or '.join(below)}; give that path")
    if not FORMATS[name].keeps_masks:
        _refuse_boxes(path, name)


def _with_masks_in(folder: Path) -> Iterator[Path]:
    """Yield what :func:`write_results_in` has written with masks."""
    for form in FORMATS.values():
        place = folder / form.place
        if (form.of_masks and place.is_dir()) or (
            form.beside_boxes and place.is_file() and f'"{form.beside_boxes}"' in _peek(place)
        ):
            yield place


def _refuse_boxes(path: PathLike, name: str) -> NoReturn:
    known = ", ".join(name for name, form in FORMATS.items() if form.keeps_masks)
    what = f"boxes without masks (taken for {name}), and masks are asked for"
    raise InputError(f"{path}: {what}; give a file or folder with masks ({known}), or ask for boxes")


def detect_format(path: PathLike, masks: bool = False) -> str:
    """Return the format of a file or folder, from its first entry.

    Args:
        path: File or folder.
        masks: Whether masks are looked for: text that is not MOT's is that of masks then, and ``track_id`` beside
            ``segmentation`` not TAO's, which has none.

    Raises:
        InputError: It is in none.
    """
    path = Path(path)
    if path.is_dir():
        return _detect_in_folder(path, masks)
    start = _peek(path)
    for key, name in _TELLTALES.items():
        if f'"{key}"' in start:
            return "cocovid" if name == "tao" and masks and '"segmentation"' in start else name
    if "".join(start.split()) == "[]":
        return "cocovid"  # nothing was found: all lists look the same
    if not start.lstrip().startswith(("[", "{")):
        raise InputError(f"{path}: a text file, no JSON; {AS_FOLDER}")
    keys = ", ".join(_TELLTALES)
    raise InputError(f"{path}: no format of predictions: no entry has one of the keys {keys}; name it (--pred-format)")


def _detect_in_folder(folder: Path, masks: bool) -> str:
    texts = [file for file in folder.glob("**/*.txt") if file.is_file()]
    for file in sorted(texts, key=lambda file: (len(file.parts), file)):  # another format may lie in a folder below
        line = _first_line(file)
        if _MOTS_ROW.fullmatch(line) or is_mots_row(line):
            return "mots"
        if _is_mot_row(line):  # neither a sequence without tracks nor a text of another kind
            return "mot"
    if texts:
        return "mots" if masks else "mot"
    if next(folder.glob("*.json"), None) is not None:
        return "bdd100k"
    return "bdd100k-bitmasks" if next(folder.glob("*/**/*.png"), None) is not None else "mot"


def _is_mot_row(line: str) -> bool:
    try:
        return len([float(field) for field in line.replace(",", " ").split()]) >= _MOT_NUMBERS
    except ValueError:
        return False


def _first_line(file: Path) -> str:
    with open(file, encoding="utf-8-sig", errors="replace") as handle:
        return next(filter(None, map(str.strip, handle.read(_PEEK).splitlines())), "")


_TELLTALES = {"labels": "bdd100k", "videoName": "bdd100k", "track_id": "tao", "instance_id": "cocovid"}


def _peek(path: Path) -> str:
    try:
        with open(path, encoding="utf-8-sig") as handle:
            return handle.read(_PEEK)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path of the predictions") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no text; give JSON or a folder of MOT text files") from error
