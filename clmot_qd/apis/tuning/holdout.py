"""Data that a setting is chosen on, and other data that it is reported on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from clmot_qd.datasets.detections import DetectionSet
from clmot_qd.datasets.mot_text import BoolArray
from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth, SequenceTruth

HALVES = "halves"


@dataclass(frozen=True)
class Part:
    """Videos to track and what is true of them.

    Args:
        name: What it is, for tables.
        detections: Of the videos.
        truth: Of the same videos, and of the same frames.
    """

    name: str
    detections: DetectionSet
    truth: GroundTruth


def split(detections: DetectionSet, truth: GroundTruth, holdout: Sequence[str] = ()) -> tuple[Part, Part | None]:
    """Divide the data into what a setting is chosen on and what is held out.

    Args:
        detections: Of the videos.
        truth: Of the same videos.
        holdout: ``["halves"]``: the second half of every video is held out; ``["0.3"]``: every so many videos, about
            this share of them; names: these videos; empty: nothing.

    Returns:
        The data to choose on, and the data held out or None.

    Raises:
        InputError: An unknown video, a share that leaves one side without videos, or no video left.
    """
    if not holdout:
        return Part("all", detections, truth), None
    if list(holdout) == [HALVES]:
        return _half(detections, truth, first=True), _half(detections, truth, first=False)
    names = list(truth.sequences)
    held = _spread(names, holdout[0]) if len(holdout) == 1 and _is_share(holdout[0]) else list(holdout)
    for name in held:
        if name not in names:
            raise InputError(f"--holdout: no video {name!r}; give halves, 0.3 or some of {', '.join(names)}")
    kept = [name for name in names if name not in held]
    if not kept or not held:
        raise InputError(f"--holdout {' '.join(holdout)}: leaves one side without videos (there are {len(names)})")
    return _videos(detections, truth, kept), _videos(detections, truth, held)


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False


def _spread(names: Sequence[str], share: str) -> list[str]:
    """Return about this share of the videos, evenly spread over the list, at least one."""
    count = max(1, round(float(share) * len(names)))
    places = np.linspace(0, len(names) - 1, 2 * count + 1)[1::2].round().astype(int)
    return [names[place] for place in dict.fromkeys(places.tolist())]


def _videos(detections: DetectionSet, truth: GroundTruth, names: Iterable[str]) -> Part:
    chosen = {name: truth.sequences[name] for name in names}
    shown = ", ".join(list(chosen)[:3]) + (", ..." if len(chosen) > 3 else "")
    known = [name for name in detections.videos if name in chosen]
    return Part(shown, detections.choose(known), replace(truth, sequences=chosen))


def _half(detections: DetectionSet, truth: GroundTruth, first: bool) -> Part:
    """Return the first or the second half of the frames of every video; the middle one belongs to the second."""
    sequences = {}
    for name, whole in truth.sequences.items():
        middle = len(whole.frames) // 2
        sequences[name] = _cut(whole, whole.frames[:middle] if first else whole.frames[middle:])
    frames = {name: half.frames for name, half in sequences.items()}
    name = "first halves" if first else "second halves"
    return Part(name, detections.within(frames), replace(truth, sequences=sequences))


def _cut(whole: SequenceTruth, frames: np.ndarray) -> SequenceTruth:
    rows: BoolArray = np.isin(whole.boxes.frames, frames)
    difficulty = None if whole.difficulty is None else whole.difficulty[rows]
    return replace(whole, frames=frames, boxes=whole.boxes.select(rows), difficulty=difficulty)
