"""What the metrics see: one sequence and one row of the results, frame by frame, without what does not count."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from clmot_qd.datasets.mot_text import BoolArray, FloatArray, IntArray, MotTable, find_duplicate
from clmot_qd.errors import InputError
from clmot_qd.evaluation.ground_truth import SequenceTruth
from clmot_qd.evaluation.mask_tables import masks_of
from clmot_qd.evaluation.matching import EPSILON, best_pairs, match_frames
from clmot_qd.geometry import xywh_to_xyxy
from clmot_qd.trackers.similarity import pairwise_iou

# A prediction is in a region with more than this share of its area.
_REGION_SHARE = 0.5


@dataclass(frozen=True)
class ScoringInput:
    """True and predicted boxes of one sequence and one class; each list has one entry for each of the T frames.

    Args:
        frames: (T,) frame numbers.
        truth_ids: Identities (g_t,) of the true boxes, renumbered to 0 .. num_truth_ids - 1.
        track_ids: Identities (p_t,) of the predicted boxes, renumbered to 0 .. num_track_ids - 1.
        similarity: IoU (g_t, p_t) of the pairs.
        track_scores: Scores (p_t,) of the predicted boxes.
        iou_thr: Least IoU of a match.
        hard: Masks (g_t,) of the true boxes that need not be found; None if all must be.
    """

    frames: IntArray
    truth_ids: list[IntArray]
    track_ids: list[IntArray]
    similarity: list[FloatArray]
    num_truth_ids: int
    num_track_ids: int
    track_scores: list[FloatArray]
    iou_thr: float = 0.5
    hard: list[BoolArray] | None = None

    def without_hard_misses(self) -> ScoringInput:
        """Return the input for packages that know nothing of hard boxes.

        Those that the MOTChallenge's rule leaves unmatched are gone; those that it matches count like others.
        """
        if self.hard is None:
            return self
        kept = [~mask for mask in self.hard]
        for mask, (rows, _) in zip(kept, match_frames(self.truth_ids, self.track_ids, self.similarity, self.iou_thr)):
            mask[rows] = True
        truth_ids, num_truth_ids = _renumber([ids[mask] for ids, mask in zip(self.truth_ids, kept)])
        similarity = [iou[mask] for iou, mask in zip(self.similarity, kept)]
        return replace(self, truth_ids=truth_ids, num_truth_ids=num_truth_ids, similarity=similarity, hard=None)


@dataclass(frozen=True)
class Rules:
    """What counts in one row of the results; classes are numbers, as in ``MotTable.class_ids``.

    The meaning of the fields is that of :class:`~clmot_qd.evaluation.protocols.Protocol`.
    """

    classes: tuple[int, ...]
    distractors: tuple[int, ...] = ()
    regions: tuple[int, ...] = ()
    joined_regions: bool = False
    unmarked_are_regions: bool = False
    iou_thr: float = 0.5
    hardest: int | None = None


class Overlaps:
    """One sequence frame by frame: rows of its boxes and predictions, and the IoU of all of them, computed once."""

    def __init__(self, truth: SequenceTruth, tracks: MotTable) -> None:
        self.truth = truth
        self.tracks = tracks
        self.true_rows = _rows_by_frame(truth.frames, truth.boxes)
        self.found_rows = _rows_by_frame(truth.frames, tracks)
        self.iou = self._ious()

    def _ious(self) -> list[FloatArray]:
        self._true, self._found = xywh_to_xyxy(self.truth.boxes.bboxes), xywh_to_xyxy(self.tracks.bboxes)
        rows = zip(self.true_rows, self.found_rows)
        return [pairwise_iou(self._true[true], self._found[found]) for true, found in rows]

    def inside(self, found: IntArray, true: IntArray, joined: bool = False) -> FloatArray:
        """Return the share of the predictions (n,) that lies in each of the true objects (m,). -> (n, m).

        ``joined``, where they are masks: the share that lies in any of them. -> (n, 1).
        """
        inner, outer = self._found[found][:, None], self._true[true][None]
        sides = np.minimum(inner[..., 2:], outer[..., 2:]) - np.maximum(inner[..., :2], outer[..., :2])
        area = np.prod(inner[..., 2:] - inner[..., :2], axis=2)
        return np.prod(np.maximum(sides, 0), axis=2) / np.where(area > EPSILON, area, np.inf)


class MaskOverlaps(Overlaps):
    """The same with the pixels of masks, which both tables must have."""

    def _ious(self) -> list[FloatArray]:
        self._true_masks, self._found_masks = masks_of(self.truth.boxes), masks_of(self.tracks)
        rows = zip(self.true_rows, self.found_rows)
        return [self._true_masks[true].iou(self._found_masks[found]) for true, found in rows]

    def inside(self, found: IntArray, true: IntArray, joined: bool = False) -> FloatArray:
        """See the parent."""
        regions = self._true_masks[true]
        return self._found_masks[found].inside(regions.union() if joined else regions)


def prepare(overlaps: Overlaps, rules: Rules) -> ScoringInput:
    """Select what counts in one row of the results.

    1. Predictions that meet a distractor are removed, then those that meet nothing and lie in a region
       (:class:`~clmot_qd.evaluation.protocols.Protocol`).
    2. Of the true boxes those of the classes remain, without the ones that are not to be considered (score 0).
    3. Of those, objects that are too hard are marked: they need not be found.
    """
    truth, tracks = overlaps.truth, overlaps.tracks
    truth_rows, track_rows, similarity = counting_rows(overlaps, rules)
    truth_ids, num_truth_ids = _renumber([truth.boxes.ids[rows] for rows in truth_rows])
    track_ids, num_track_ids = _renumber([tracks.ids[rows] for rows in track_rows])
    hard = None
    if rules.hardest is not None:
        hard = [truth.difficulties()[rows] > rules.hardest for rows in truth_rows]
    return ScoringInput(
        frames=truth.frames,
        truth_ids=truth_ids,
        track_ids=track_ids,
        similarity=similarity,
        num_truth_ids=num_truth_ids,
        num_track_ids=num_track_ids,
        track_scores=[tracks.scores[rows] for rows in track_rows],
        iou_thr=rules.iou_thr,
        hard=hard,
    )


def counting_rows(overlaps: Overlaps, rules: Rules) -> tuple[list[IntArray], list[IntArray], list[FloatArray]]:
    """Return for each frame the rows of the true boxes (g,) and of the predictions (p,) that count, and IoU (g, p)."""
    boxes, tracks = overlaps.truth.boxes, overlaps.tracks
    scored = np.isin(boxes.class_ids, rules.classes) & (boxes.scores != 0)
    wanted = np.isin(tracks.class_ids, (*rules.classes, -1))
    other = ~np.isin(boxes.class_ids, rules.classes)
    on_distractor = other & np.isin(boxes.class_ids, rules.distractors)
    region = (other & np.isin(boxes.class_ids, rules.regions)) | ((boxes.scores == 0) & rules.unmarked_are_regions)
    truth_rows, track_rows, similarity = [], [], []
    for true, found, iou in zip(overlaps.true_rows, overlaps.found_rows, overlaps.iou):
        if not wanted[found].all():
            found, iou = found[wanted[found]], iou[:, wanted[found]]
        keep = ~_meets(iou, on_distractor[true], rules.iou_thr)
        iou = iou[scored[true]]
        if region[true].any():
            keep &= ~_lost_in(overlaps.inside(found, true[region[true]], rules.joined_regions), iou, rules.iou_thr)
        truth_rows.append(true[scored[true]])
        track_rows.append(found[keep])
        similarity.append(iou[:, keep])
    return truth_rows, track_rows, similarity


def check_tracks(name: str, truth: SequenceTruth, tracks: MotTable) -> None:
    """Check that predictions lie in frames of the sequence and use an identity at most once in a frame.

    Raises:
        InputError: They do not.
    """
    outside = ~np.isin(tracks.frames, truth.frames)
    if outside.any():
        span = f"frames {truth.frames.min()} to {truth.frames.max()}" if len(truth.frames) else "no frames"
        raise InputError(f"{name}: prediction in frame {tracks.frames[outside][0]}, but the sequence has {span}")
    again = find_duplicate(tracks.frames, tracks.ids)
    if again is not None:
        raise InputError(f"{name}: frame {tracks.frames[again]} has two predictions of identity {tracks.ids[again]}")


def _meets(iou: FloatArray, on_distractor: BoolArray, iou_thr: float) -> BoolArray:
    """Return the mask (p,) of the predictions whose best partner is a distractor. iou (g, p), on_distractor (g,)."""
    meets = np.zeros(iou.shape[1], dtype=bool)
    if on_distractor.any():
        rows, columns = best_pairs(iou, iou_thr)
        meets[columns[on_distractor[rows]]] = True
    return meets


def _lost_in(inside: FloatArray, iou: FloatArray, iou_thr: float) -> BoolArray:
    """Return the mask (p,) of the predictions without a partner that lie in a region. inside (p, r), iou (g, p)."""
    lost: BoolArray = np.any(inside > _REGION_SHARE + EPSILON, axis=1)
    if lost.any():
        _, columns = best_pairs(iou, iou_thr)
        lost[columns] = False
    return lost


def _rows_by_frame(frames: IntArray, table: MotTable) -> list[IntArray]:
    """Return the rows of each frame, in the order of the table."""
    order = np.argsort(table.frames, kind="stable")
    bounds = np.searchsorted(table.frames[order], frames, side="right")
    return np.split(order, bounds)[: len(frames)]


def _renumber(ids: list[IntArray]) -> tuple[list[IntArray], int]:
    """Replace identities by 0, 1, 2 ... in ascending order; also return how many there are."""
    joined = np.concatenate(ids) if ids else np.empty(0, dtype=np.int64)
    unique, numbers = np.unique(joined, return_inverse=True)
    return np.split(numbers, np.cumsum([len(part) for part in ids])[:-1]) if ids else [], len(unique)
