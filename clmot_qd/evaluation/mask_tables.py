"""Masks made ready for scoring: of one size, each with a pixel and, where a protocol asks for it, disjoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from clmot_qd.datasets.mot_text import MotTable, empty_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation.ground_truth import GroundTruth, SequenceTruth
from clmot_qd.masks import RleMasks, make_frames_disjoint


@dataclass
class Repairs:
    """What was changed, in masks."""

    trimmed: int = 0
    predicted: int = 0
    empty: int = 0
    empty_true: int = 0

    def __iadd__(self, other: Repairs) -> Repairs:
        """Add what was changed elsewhere."""
        for key, value in vars(other).items():
            setattr(self, key, getattr(self, key) + value)
        return self

    def __str__(self) -> str:
        """Return one line, empty if nothing was changed."""
        parts = []
        if self.trimmed:
            parts.append(f"{self.trimmed} of {self.predicted} predicted masks lost pixels to others of higher scores")
        if self.empty:
            parts.append(f"{self.empty} predicted masks have no pixel and are left out")
        if self.empty_true:
            parts.append(f"{self.empty_true} true masks have no pixel and are left out")
        return "; ".join(parts)


def require_masks(truth: GroundTruth, tracks: Mapping[str, MotTable]) -> None:
    """Check that all that is true and predicted has masks, of one size in each sequence.

    Raises:
        InputError: It has none, or of different sizes.
    """
    for name, true in truth.sequences.items():
        if true.boxes.masks is None and len(true.boxes):
            raise InputError(f"{truth.source}: {name} has no masks; read the ground truth with masks to score segm")
        found = tracks.get(name, empty_table())
        if found.masks is None and len(found):
            what = "the predictions have no masks, which iou_type segm compares"
            raise InputError(f"{name}: {what}; read them with masks, from a file that has some")
        if len(found) and len(true.boxes):
            require_same_size(masks_of(found), masks_of(true.boxes).size, "the true ones", name)


def require_same_size(found: RleMasks, size: tuple[int, int], whose: str, place: str) -> None:
    """Check that predicted masks are of the size of what they are about.

    Args:
        found: The masks.
        size: (height, width) in pixels.
        whose: What is of that size, for the message.
        place: What is wrong then, likewise.

    Raises:
        InputError: They are of another one.
    """
    if found.size != size:
        what = f"predicted masks are of {found.size} pixels (height, width), {whose} of {size}"
        raise InputError(f"{place}: {what}; they must be in pixels of the original pictures")


def ready_masks(
    truth: GroundTruth, tracks: Mapping[str, MotTable], disjoint: bool
) -> tuple[GroundTruth, dict[str, MotTable], Repairs]:
    """Leave out masks without a pixel, and give pixels that several predictions claim to the one of the highest score.

    Args:
        truth: With masks.
        tracks: Sequence -> predictions with masks; :func:`require_masks` has seen both.
        disjoint: Whether predicted masks of a frame may not share a pixel.

    Returns:
        Both as they are to be scored, with masks in every table, and what was changed.
    """
    repairs = Repairs()
    sequences, ready = {}, {}
    for name, true in truth.sequences.items():
        found = tracks.get(name, empty_table())
        size = _size(found if len(found) else true.boxes)
        ready[name] = ready_table(_with_masks(found, size), disjoint, repairs)
        sequences[name] = _without_empty(replace(true, boxes=_with_masks(true.boxes, size)), repairs)
    return replace(truth, sequences=sequences), ready, repairs


def masks_of(table: MotTable) -> RleMasks:
    """Return the masks of a table that has some."""
    assert table.masks is not None
    return table.masks


def _size(table: MotTable) -> tuple[int, int]:
    return table.masks.size if table.masks is not None else (0, 0)


def _with_masks(table: MotTable, size: tuple[int, int]) -> MotTable:
    """Give a table without rows the masks that it may lack."""
    return table if len(table) else replace(table, masks=RleMasks.empty(size))


def ready_table(found: MotTable, disjoint: bool, repairs: Repairs) -> MotTable:
    """Return the predictions of a sequence, which have masks, as :func:`ready_masks` does; count what was changed."""
    repairs.predicted += len(found)
    if disjoint:
        parts = make_frames_disjoint(found.frames, masks_of(found), found.scores)
        found = replace(found, masks=parts.masks)
        repairs.trimmed += int(parts.trimmed.sum())
    there = masks_of(found).areas() > 0
    repairs.empty += int((~there).sum())
    return found if there.all() else found.select(there)


def _without_empty(true: SequenceTruth, repairs: Repairs) -> SequenceTruth:
    there = masks_of(true.boxes).areas() > 0
    if there.all():
        return true
    repairs.empty_true += int((~there & (true.boxes.scores != 0)).sum())  # regions may lack a mask
    return SequenceTruth(
        true.frames, true.boxes.select(there), None if true.difficulty is None else true.difficulty[there]
    )
