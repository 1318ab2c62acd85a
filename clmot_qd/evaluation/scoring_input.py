"""What the metrics see: one sequence and one class, frame by frame, after MOTChallenge's preprocessing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from clmot_qd.datasets.mot_text import BoolArray, FloatArray, IntArray, MotTable, find_duplicate
from clmot_qd.errors import InputError
from clmot_qd.evaluation.ground_truth import SequenceTruth
from clmot_qd.trackers.similarity import pairwise_iou

_EPSILON = float(np.finfo(float).eps)


@dataclass(frozen=True)
class ScoringInput:
    """True and predicted boxes of one sequence and one class; each list has one entry for each of the T frames.

    Args:
        frames: (T,) frame numbers.
        truth_ids: Identities (g_t,) of the true boxes, renumbered to 0 .. num_truth_ids - 1.
        track_ids: Identities (p_t,) of the predicted boxes, renumbered to 0 .. num_track_ids - 1.
        similarity: IoU (g_t, p_t) of the pairs.
    """

    frames: IntArray
    truth_ids: list[IntArray]
    track_ids: list[IntArray]
    similarity: list[FloatArray]
    num_truth_ids: int
    num_track_ids: int


def prepare(
    truth: SequenceTruth, tracks: MotTable, class_number: int, distractors: Collection[int], iou_thr: float
) -> ScoringInput:
    """Select what counts, as trackeval's ``MotChallenge2DBox.get_preprocessed_seq_data`` does for pedestrians.

    1. Predictions of the class are matched with the true boxes of all classes (largest sum of IoUs, none below
       ``iou_thr``); those that meet a distractor are removed.
    2. Of the true boxes those of the class remain, without the ones that are not to be considered (score 0). A
       prediction on such a box stays and becomes a false positive.

    Args:
        truth: The sequence.
        tracks: Its predictions of the class; all their frames must be frames of the sequence (:func:`check_tracks`).
        class_number: The class, as in ``truth.boxes.class_ids``.
        distractors: Numbers of the distractor classes.
        iou_thr: Least IoU of a match.
    """
    boxes = truth.boxes
    scored = (boxes.class_ids == class_number) & (boxes.scores != 0)
    on_distractor = np.isin(boxes.class_ids, list(distractors))
    truth_ids, track_ids, similarity = [], [], []
    for true, found in zip(_rows_by_frame(truth.frames, boxes), _rows_by_frame(truth.frames, tracks)):
        iou = pairwise_iou(_to_xyxy(boxes.bboxes[true]), _to_xyxy(tracks.bboxes[found]))
        keep = ~_meets(iou, on_distractor[true], iou_thr)
        truth_ids.append(boxes.ids[true][scored[true]])
        track_ids.append(tracks.ids[found][keep])
        similarity.append(iou[scored[true]][:, keep])
    truth_ids, num_truth_ids = _renumber(truth_ids)
    track_ids, num_track_ids = _renumber(track_ids)
    return ScoringInput(truth.frames, truth_ids, track_ids, similarity, num_truth_ids, num_track_ids)


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
    if not on_distractor.any():
        return meets
    iou = np.where(iou < iou_thr - _EPSILON, 0.0, iou)
    rows, columns = linear_sum_assignment(iou, maximize=True)
    matched = iou[rows, columns] > _EPSILON
    meets[columns[matched & on_distractor[rows]]] = True
    return meets


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


def _to_xyxy(bboxes: FloatArray) -> FloatArray:
    return np.hstack([bboxes[:, :2], bboxes[:, :2] + bboxes[:, 2:]])
