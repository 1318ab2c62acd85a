"""What a user says about classes by name, as arrays over labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real

import numpy as np

from clmot_qd.errors import InputError

#: Labels that a model without class names may give at most.
MANY = 10_000


def score_thresholds(wanted: float | Mapping[str, float] | None, classes: Sequence[str]) -> np.ndarray | None:
    """Least scores by label.

    Args:
        wanted: One for all classes, or {class name: least score}, where a class that is not named keeps all.
        classes: Names by label; empty where they are not known.

    Returns:
        (L,) float32, L the number of classes, ``MANY`` where they are not known; None where nothing is asked for.

    Raises:
        InputError: A score outside of 0 to 1, or a name that is none of ``classes``.
    """
    if wanted is None:
        return None
    values = dict(wanted) if isinstance(wanted, Mapping) else {}
    scores = values if isinstance(wanted, Mapping) else {"": wanted}
    for name, score in scores.items():
        if isinstance(score, bool) or not isinstance(score, Real) or not 0 <= score <= 1:
            raise InputError(f"score_thr{f' of {name!r}' if name else ''} = {score!r}: must lie between 0 and 1")
    if not isinstance(wanted, Mapping):
        return np.full(len(classes) or MANY, wanted, dtype=np.float32)
    thresholds = np.zeros(len(classes), dtype=np.float32)
    thresholds[_places(list(values), classes, "score_thr")] = list(values.values())
    return thresholds


def label_numbers(wanted: Sequence[str] | None, classes: Sequence[str]) -> np.ndarray | None:
    """Labels of the classes ``wanted``; None where all are.

    Raises:
        InputError: None is named, or a name is none of ``classes``.
    """
    if wanted is None:
        return None
    if not isinstance(wanted, Iterable):
        raise InputError(f"keep_classes = {wanted!r}: give a list of class names")
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if not names:
        raise InputError("keep_classes: names no class; leave it out to keep all")
    return np.array(_places(names, classes, "keep_classes (--classes)"))


def _places(names: Sequence[str], classes: Sequence[str], key: str) -> list[int]:
    for name in names:
        if name not in classes:
            known = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
            raise InputError(f"{key}: {name!r} is none of the classes ({known or 'the model names none'})")
    return [classes.index(name) for name in names]


def parse_score_thresholds(words: Sequence[str] | None) -> float | dict[str, float] | None:
    """``["0.4"]`` -> 0.4, ``["car=0.5", "person=0.3"]`` -> {"car": 0.5, "person": 0.3}.

    Raises:
        InputError: A word is neither, or both forms are mixed.
    """
    if not words:
        return None
    pairs = [word.rpartition("=") for word in words]
    try:
        scores = [float(score) for *_, score in pairs]
    except ValueError as error:
        raise InputError(f"--score-thr {' '.join(words)}: give one score, or CLASS=SCORE for each class") from error
    if len(words) == 1 and "=" not in words[0]:
        return scores[0]
    if not all(name for name, _, _ in pairs):
        raise InputError(f"--score-thr {' '.join(words)}: give one score, or CLASS=SCORE for each class")
    return {name: score for (name, _, _), score in zip(pairs, scores)}
