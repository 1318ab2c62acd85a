"""What predicted masks are scored against, read from a folder of MOTS20 or KITTI-MOTS; pictures are not needed.

==========  ========================================================================================================
MOTS20      ``ROOT/SEQUENCE/gt/gt.txt`` and ``seqinfo.ini``: frames 1 to ``seqLength``
KITTI-MOTS  ``ROOT/SEQUENCE.txt``, or that in ``ROOT/instances_txt`` or ``ROOT/label_02``: frames from 0
==========  ========================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from clmot_qd.datasets.mot_layout import IMAGE_SUFFIXES, find_sequences, natural_key
from clmot_qd.datasets.mot_text import LAST_FRAME, PathLike
from clmot_qd.datasets.mots_text import IGNORE_CLASS, IGNORE_NAME, MOTS_CLASSES, read_mots
from clmot_qd.datasets.seqinfo import SeqInfo
from clmot_qd.errors import InputError
from clmot_qd.evaluation.ground_truth import GroundTruth, SequenceTruth
from clmot_qd.files import read_text

_KITTI_FOLDERS = ("instances_txt", "label_02", ".")
_SEQMAP_COLUMNS = 4  # sequence, "empty", first frame, last frame


def read_mots_root(root: PathLike, sequences: Sequence[str] | None = None) -> GroundTruth:
    """Read the masks of all sequences, with regions in which nothing is wrong as the class ``ignore region``.

    How long a sequence of KITTI-MOTS is, say its pictures (``ROOT/image_02/SEQUENCE``), else TrackEval's
    ``evaluate_mots.seqmap*`` in ``ROOT``, else the last mask.

    Args:
        root: The folder.
        sequences: Names of those to take; None takes all.

    Raises:
        InputError: There is no sequence, or one that cannot be read.
    """
    folder = _kitti_folder(Path(root))
    pairs = _mots20(root, sequences) if folder is None else _kitti(Path(root), folder, sequences)
    categories = {name: number for number, name in MOTS_CLASSES.items()} | {IGNORE_NAME: IGNORE_CLASS}
    return GroundTruth(str(root), categories, dict(pairs))


def _kitti_folder(root: Path) -> Path | None:
    """Return the folder of KITTI-MOTS' files; None for a data set in MOTS20's form, or for none."""
    if any(root.glob("*/gt/gt.txt")):
        return None
    folders = [root / name for name in _KITTI_FOLDERS if (root / name).is_dir()]
    return next((folder for folder in folders if any(folder.glob("*.txt"))), None)


def _mots20(root: PathLike, names: Sequence[str] | None) -> Iterator[tuple[str, SequenceTruth]]:
    for sequence in find_sequences(root, names):
        yield sequence.name, _read(sequence.ground_truth, 1, sequence.info.length or 0, _size(sequence.info))


def _size(info: SeqInfo) -> tuple[int, int] | None:
    return (info.height, info.width) if info.height and info.width else None


def _kitti(root: Path, folder: Path, names: Sequence[str] | None) -> Iterator[tuple[str, SequenceTruth]]:
    known = sorted((path.stem for path in folder.glob("*.txt")), key=natural_key)
    for name in known if names is None else names:
        if name not in known:
            raise InputError(f"{folder}: no sequence {name!r}; there are {', '.join(known)}")
    lengths = _seqmap(root)
    for name in known if names is None else [name for name in known if name in names]:
        pictures = [path for path in root.glob(f"image_02/{name}/*") if path.suffix.lower() in IMAGE_SUFFIXES]
        yield name, _read(folder / f"{name}.txt", 0, len(pictures) or lengths.get(name, 0))


def _seqmap(root: Path) -> dict[str, int]:
    """Return sequence -> number of frames, as far as TrackEval's files say so."""
    rows = [line.split() for path in sorted(root.glob("evaluate_mots.seqmap*")) for line in read_text(path).split("\n")]
    full = [row for row in rows if len(row) >= _SEQMAP_COLUMNS and row[3].isdecimal()]
    return {row[0]: min(int(row[3]), LAST_FRAME) + 1 for row in full}


def _read(path: Path, first: int, length: int, size: tuple[int, int] | None = None) -> SequenceTruth:
    table = read_mots(path, first_frame=first, size=size)
    end = max(first + length, int(table.frames.max(initial=first - 1)) + 1)
    return SequenceTruth(np.arange(first, end), table)
