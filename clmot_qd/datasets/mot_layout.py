"""Finding sequences and frames in the folder layout of MOTChallenge (MOT15 to MOT20, DanceTrack, SportsMOT)::

ROOT/SEQUENCE/img1/000001.jpg ...      (or the folder that seqinfo.ini calls imDir)
ROOT/SEQUENCE/gt/gt.txt                (absent in test sets)
ROOT/SEQUENCE/seqinfo.ini              (optional)
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.datasets.seqinfo import SeqInfo, read_seqinfo
from clmot_qd.errors import InputError

MOT17_DETECTORS = ("DPM", "FRCNN", "SDP")
_MOST_ANNOUNCED = 1_000_000  # frames without a picture: nine hours of video
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class MotSequence:
    """One sequence folder."""

    name: str
    folder: Path
    info: SeqInfo

    @property
    def ground_truth(self) -> Path:
        """Where the annotations stand, if there are any."""
        return self.folder / "gt" / "gt.txt"

    @property
    def image_folder(self) -> Path:
        """Where the frames stand."""
        return self.folder / self.info.image_dir


@dataclass(frozen=True)
class Frame:
    """One image of a sequence; ``number`` is the frame number that gt.txt uses, from 1."""

    number: int
    path: Path


def natural_key(text: str) -> list[tuple[bool, int, str]]:
    """Return a sort key that puts ``2.jpg`` before ``10.jpg``."""
    return [
        (not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", text) if part
    ]


def find_sequences(
    root: PathLike, names: Sequence[str] | None = None, detector: str | None = None
) -> list[MotSequence]:
    """Return the sequences of a data set in natural order of their names.

    Args:
        root: The folder whose children are the sequences.
        names: Only these; None takes all.
        detector: Of MOT17's three copies of each sequence, which differ in their public detections alone, keep
            ``"DPM"``, ``"FRCNN"`` or ``"SDP"``. Sequences that are no such copies stay.

    Raises:
        InputError: No sequence there, an unknown name or detector.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder that holds the sequence folders")
    folders = {child.name: child for child in root.iterdir() if _is_sequence(child)}
    if not folders:
        raise InputError(f"{root}: {_advice(root)}")
    chosen = _choose(root, sorted(folders, key=natural_key), names)
    chosen = chosen if detector is None else _keep_detector(root, chosen, detector)
    return [MotSequence(name, folders[name], _read_info(folders[name])) for name in chosen]


def list_frames(sequence: MotSequence) -> list[Frame]:
    """Return the images of a sequence in order of their frame numbers.

    The digits of ``000012.jpg`` are the frame number. Where the images are counted from 0, or not all of them are
    called by a number alone, the position in natural order, from 1, takes its place.

    Without a folder of images these are the images that ``seqinfo.ini`` announces, 1 to ``seqLength``.

    Raises:
        InputError: No folder and no ``seqLength``, no image, or two images with one number.
    """
    folder = sequence.image_folder
    there = os.path.isdir(folder)  # unlike Path.is_dir it answers for a name that no folder can have, too
    if not there and sequence.info.length is not None:
        if sequence.info.length > _MOST_ANNOUNCED:
            what = f"seqLength={sequence.info.length}, but no folder {sequence.info.image_dir}"
            raise InputError(f"{sequence.folder / 'seqinfo.ini'}: {what}; put the pictures there or correct it")
        return [_announced(sequence, number) for number in range(1, sequence.info.length + 1)]
    if not there:
        raise InputError(f"{folder}: no such folder; put the images there or correct imDir in seqinfo.ini")
    paths = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."]
    if not paths:
        raise InputError(f"{folder}: no image; it needs files such as 000001.jpg")
    paths.sort(key=lambda path: natural_key(path.name))
    numbers = _frame_numbers(paths)
    frames = sorted((Frame(*pair) for pair in zip(numbers, paths)), key=lambda frame: frame.number)
    for one, two in pairwise(frames):
        if one.number == two.number:
            raise InputError(f"{two.path}: {one.path.name} is frame {one.number} as well; remove one of them")
    return frames


def missing_frame(frames: Sequence[Frame], number: int) -> Frame:
    """Return the image that a frame between others should have: their folder, way to write numbers and suffix."""
    other = frames[0].path
    return Frame(number, other.with_name(f"{number:0{len(other.stem)}d}{other.suffix}"))


def _announced(sequence: MotSequence, number: int) -> Frame:
    return Frame(number, sequence.image_folder / f"{number:06d}{sequence.info.image_suffix}")


def _frame_numbers(paths: Sequence[Path]) -> list[int]:
    by_position = list(range(1, len(paths) + 1))
    if not all(path.stem.isdecimal() for path in paths):
        return by_position
    numbers = [int(path.stem) for path in paths]
    return by_position if min(numbers) < 1 else numbers


def _is_sequence(folder: Path) -> bool:
    return any((folder / part).exists() for part in ("seqinfo.ini", "img1", "gt/gt.txt"))


def _read_info(folder: Path) -> SeqInfo:
    path = folder / "seqinfo.ini"
    return read_seqinfo(path) if path.exists() else SeqInfo()


def _choose(root: Path, known: list[str], names: Sequence[str] | None) -> list[str]:
    if names is None:
        return known
    for name in names:
        if name not in known:
            raise InputError(f"{root}: no sequence {name!r}; there are {', '.join(known)}")
    return [name for name in known if name in names]


def _keep_detector(root: Path, names: list[str], detector: str) -> list[str]:
    if detector not in MOT17_DETECTORS:
        raise InputError(f"detector {detector!r} is none of MOT17's: {', '.join(MOT17_DETECTORS)}")
    others = tuple(f"-{other}" for other in MOT17_DETECTORS if other != detector)
    kept = [name for name in names if not name.endswith(others)]
    if not kept:
        raise InputError(f"{root}: no sequence of detector {detector}; there are {', '.join(names)}")
    return kept


def _advice(root: Path) -> str:
    """Say what to give instead of a root without sequences."""
    if _is_sequence(root):
        return f"this is a sequence itself; give {root.parent} and choose the sequence {root.name}"
    nested = sorted(
        child.name for child in root.iterdir() if child.is_dir() and any(map(_is_sequence, child.iterdir()))
    )
    if nested:
        return f"no sequence directly in here, but in {', '.join(nested)}; give {root / nested[0]}"
    return "no sequence in here (folders with img1/, gt/gt.txt or seqinfo.ini); give the folder that holds them"
