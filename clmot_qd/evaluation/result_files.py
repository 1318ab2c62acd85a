"""Folders of MOT result files: one SEQUENCE.txt for each sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from clmot_qd.datasets.mot_text import MotTable, PathLike, read_tracks, write_tracks
from clmot_qd.errors import InputError
from clmot_qd.evaluation.ground_truth import GroundTruth, read_cocovid, read_mot_root
from clmot_qd.evaluation.mots_truth import read_mots_root
from clmot_qd.names import path_below

#: What to do with the text file of one sequence.
AS_FOLDER = "put it into a folder as SEQUENCE.txt, by the name of its sequence in the ground truth, and give the folder"


def read_truth(
    path: PathLike, sequences: Sequence[str] | None = None, detector: str | None = None, masks: bool = False
) -> GroundTruth:
    """Read ground truth from a CocoVID file or, if ``path`` is a folder, from its MOTChallenge or MOTS sequences.

    Args:
        path: File or folder.
        sequences: Names of those to take; None takes all.
        detector: Of a folder keep this one of MOT17's three copies.
        masks: Read masks as well; a folder is MOTS20's or KITTI-MOTS' then.

    Raises:
        InputError: See :func:`~clmot_qd.evaluation.ground_truth.read_cocovid`, ``read_mot_root`` and
            :func:`~clmot_qd.evaluation.mots_truth.read_mots_root`.
    """
    if Path(path).is_dir() and masks:
        if detector is not None:
            raise InputError(f"{path}: a detector can be chosen of MOT17's boxes only; leave it out to score masks")
        return read_mots_root(path, sequences)
    if Path(path).is_dir():
        return read_mot_root(path, sequences, detector)
    if detector is not None:
        raise InputError(f"{path}: a detector can be chosen from a folder of sequences only; use the sequences' names")
    truth = read_cocovid(path, masks)
    if sequences is None:
        return truth
    for name in sequences:
        if name not in truth.sequences:
            raise InputError(f"{path}: no sequence {name!r}; it has {', '.join(truth.sequences)}")
    return replace(truth, sequences={name: truth.sequences[name] for name in truth.sequences if name in sequences})


def read_results(folder: PathLike, truth: GroundTruth) -> dict[str, MotTable]:
    """Read the result file of every sequence of the ground truth; other files in the folder are left alone.

    Raises:
        InputError: A file is missing or malformed. A tracker that found nothing leaves an empty file.
    """
    first_class = 0 if 0 in truth.categories.values() else 1
    first_frames = {name: int(true.frames.min(initial=1) > 0) for name, true in truth.sequences.items()}
    return {
        name: read_tracks(file, first_class, first_frames[name])
        for name, file in require_results(folder, truth).items()
    }


def require_results(folder: PathLike, truth: GroundTruth) -> dict[str, Path]:
    """Return the text file of every sequence of the ground truth.

    Raises:
        InputError: One is missing, or ``folder`` is a file.
    """
    if Path(folder).is_file():
        raise InputError(f"{folder}: a single file; {AS_FOLDER}")
    files = {name: _file(folder, name) for name in truth.sequences}
    missing = [file for file in files.values() if not file.is_file()]
    if missing:
        raise InputError(f"{missing[0]}: no such file; every sequence needs one, even if it is empty")
    return files


def write_results(folder: PathLike, truth: GroundTruth, tracks: Mapping[str, MotTable]) -> None:
    """Write one result file for every sequence of the ground truth, an empty one where nothing was found."""
    for name in truth.sequences:
        write_tracks(_file(folder, name), tracks[name])


def _file(folder: PathLike, name: str) -> Path:
    return result_path(folder, name, ".txt")


def result_path(folder: PathLike, name: str, suffix: str) -> Path:
    """Return the file of a sequence; a name with ``/``, such as TAO's, is a file in a folder below.

    Raises:
        InputError: The name leads out of the folder, or no file can be called so.
    """
    return path_below(folder, name, suffix, "result file")
