"""MOTChallenge text: a folder with ``SEQUENCE.txt``, one row for each box.

Source: https://motchallenge.net/instructions. The rows are those of :mod:`clmot_qd.datasets.mot_text`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from clmot_qd.datasets.mot_text import MotTable, PathLike
from clmot_qd.errors import InputError
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.evaluation.result_files import read_results, write_results


def write(path: PathLike, truth: GroundTruth, tracks: Mapping[str, MotTable]) -> None:
    """Write one file for each sequence, an empty one where nothing was found.

    Raises:
        InputError: ``path`` is the name of a file.
    """
    if Path(path).is_file() or Path(path).suffix == ".json":
        raise InputError(f"{path}: MOT text is a folder with one SEQUENCE.txt per sequence; give a folder")
    write_results(path, truth, tracks)


def read(path: PathLike, truth: GroundTruth) -> dict[str, MotTable]:
    """Read the file of every sequence.

    Raises:
        InputError: One is missing or malformed.
    """
    return read_results(path, truth)
