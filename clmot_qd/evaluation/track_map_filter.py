"""HOTA, CLEAR and Identity on TAO: leave out the predictions of which the annotation cannot tell right from wrong.

What is left is scored like any data set (protocol ``plain``), and gives the numbers of trackeval's class ``TAO``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clmot_qd.datasets.mot_text import BoolArray, IntArray, MotTable, empty_table
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.evaluation.matching import best_pairs
from clmot_qd.evaluation.scoring_input import check_tracks
from clmot_qd.evaluation.track_map import MAX_DETECTIONS
from clmot_qd.evaluation.track_map_input import Federation, limit_per_image, read_federation
from clmot_qd.geometry import xywh_to_xyxy
from clmot_qd.trackers.similarity import pairwise_iou

_IOU_THR = 0.5


def judged(
    truth: GroundTruth,
    tracks: Mapping[str, MotTable],
    max_detections: int = MAX_DETECTIONS,
    federation: Federation | None = None,
) -> tuple[GroundTruth, dict[str, MotTable]]:
    """Return ground truth with merged classes, and the predictions that can be judged. Left out are:

    * predictions beyond the ``max_detections`` best of an image (0: none);
    * those in images without any true box;
    * those of a class that has no true box in the image, unless the class is in the video's ``neg_category_ids`` (a
      video without that key: unless nothing) and not in its ``not_exhaustive_category_ids``;
    * of a class in ``not_exhaustive_category_ids`` those that match no true box with an IoU of 0.5.

    Args:
        truth: What is true.
        tracks: Sequence -> predictions.
        max_detections: TAO's number is 300.
        federation: What is annotated where; None reads it from the annotation file.

    Raises:
        InputError: A frame that the sequence does not have, an identity twice in a frame.
    """
    federation = read_federation(truth) if federation is None else federation
    truth, kept = federation.merge_truth(truth), {}
    for name, true in truth.sequences.items():
        found = federation.merge(tracks.get(name, empty_table()))
        check_tracks(name, true, found)
        found = limit_per_image(found, max_detections)
        kept[name] = found.select(_can_be_judged(name, true.boxes, found, federation))
    return truth, kept


def _can_be_judged(name: str, true: MotTable, found: MotTable, federation: Federation) -> BoolArray:
    places, known = _place(found), _place(true)
    present = np.isin(places, known)
    absent = _listed(found.class_ids, federation.negative.get(name), otherwise=True)
    open_ended = _listed(found.class_ids, federation.not_exhaustive.get(name), otherwise=False)
    keep = np.isin(found.frames, true.frames) & np.where(present, True, absent & ~open_ended)
    for place in np.unique(places[present & open_ended]).tolist():
        rows, boxes = np.flatnonzero(places == place), true.bboxes[known == place]
        matched = best_pairs(pairwise_iou(xywh_to_xyxy(boxes), xywh_to_xyxy(found.bboxes[rows])), _IOU_THR)[1]
        keep[np.delete(rows, matched)] = False
    return keep


def _place(table: MotTable) -> IntArray:
    """One number (n,) for each pair of frame and class."""
    return table.frames * (1 << 32) + table.class_ids


def _listed(class_ids: IntArray, classes: frozenset[int] | None, otherwise: bool) -> BoolArray:
    if classes is None:
        return np.full(len(class_ids), otherwise)
    return np.isin(class_ids, list(classes))
