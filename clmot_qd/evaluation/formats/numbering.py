"""Numbers of classes and identities as a server wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count

import numpy as np

from clmot_qd.datasets.mot_text import IntArray, MotTable, PathLike
from clmot_qd.datasets.mots_text import IGNORE_CLASS, IGNORE_NAME, MOTS_CLASSES
from clmot_qd.errors import InputError


def server_classes(categories: Mapping[str, int], fixed: Mapping[str, int]) -> dict[int, int]:
    """Return the number of each class in an annotation file -> the one in a result file, each another one.

    Classes that the server knows get its number. Others keep theirs; where that is 0 or one of the server's, they get
    one above all others.

    Args:
        categories: Name -> number in the annotation file.
        fixed: Name -> number of the server's classes.
    """
    taken = {0, *fixed.values()}
    free = count(max([*taken, *categories.values()]) + 1)
    numbers = {}
    for name, number in categories.items():
        numbers[number] = fixed[name] if name in fixed else number if number not in taken else next(free)
    return numbers


def mots_classes(categories: Mapping[str, int]) -> dict[int, int]:
    """Return the number of each class in an annotation file -> the one in MOTS text: car 1, pedestrian 2, ....

    A ``person``, as COCO calls it, is a pedestrian, unless there are pedestrians as well.
    """
    fixed = {name: number for number, name in MOTS_CLASSES.items()} | {IGNORE_NAME: IGNORE_CLASS}
    if "pedestrian" not in categories:
        fixed["person"] = fixed["pedestrian"]
    return server_classes(categories, fixed)


def with_classes(table: MotTable, numbers: Mapping[int, int]) -> MotTable:
    """Return the table with other class numbers, of which ``numbers`` has all."""
    found, place = np.unique(table.class_ids, return_inverse=True)
    new = np.array([numbers[number] for number in found.tolist()], dtype=np.int64)
    return replace(table, class_ids=new[place])


def fit_identities(path: PathLike, sequence: str, ids: IntArray, lowest: int, highest: int) -> IntArray:
    """Return identities (n,) as they are if all are in a range, else numbered from 1 in their order.

    Raises:
        InputError: There are more of them than the range has numbers.
    """
    if not len(ids) or (lowest <= ids.min() and ids.max() <= highest):
        return ids
    unique, place = np.unique(ids, return_inverse=True)
    if len(unique) > highest:
        what = f"{len(unique)} identities; this format has numbers for {highest}"
        raise InputError(f"{path}: {sequence}: {what}; raise the score threshold of the tracker")
    return place.astype(np.int64) + 1
