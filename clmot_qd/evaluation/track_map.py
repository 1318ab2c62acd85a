"""Track mAP at 3D IoU, the metric of TAO: average precision where a hit is a whole track that overlaps a whole track.

The numbers are those of trackeval's data set class ``TAO`` with its metric ``TrackMAP``, whose matching and averaging
are called here; what comes before them (which takes TrackEval time that grows with the square of the number of tracks)
is ours. Only two things differ, neither of which TAO's own files show:

* a predicted track with the number 0 is a track like any other; TrackEval lets a second track match its object too;
* a true track all of whose boxes are ``iscrowd`` or ``ignore`` is neither found nor missed; TrackEval's class for TAO
  does not look at these marks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from clmot_qd.datasets.mot_text import FloatArray, MotTable, empty_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation.ground_truth import GroundTruth
from clmot_qd.evaluation.scoring_input import check_tracks
from clmot_qd.evaluation.track_map_input import (
    Federation,
    TrackSet,
    limit_per_image,
    make_tracks,
    read_federation,
    track_iou,
)
from clmot_qd.evaluation.track_map_scores import TrackMapScores

#: TAO's limit of predictions per image.
MAX_DETECTIONS = 300

# Class number -> sequence -> what trackeval counted.
_Counts = dict[int, dict[str, dict[Any, Any]]]


def evaluate_track_map(
    truth: GroundTruth,
    tracks: Mapping[str, MotTable],
    classes: Sequence[str] | None = None,
    max_detections: int = MAX_DETECTIONS,
    progress: Callable[[str], None] = lambda line: None,
    federation: Federation | None = None,
) -> TrackMapScores:
    """Score predicted tracks.

    In a video a class counts if it occurs there or is one of its ``neg_category_ids`` (a video without that key: every
    class counts); predictions of other classes are left out. Of a class in ``not_exhaustive_category_ids`` predictions
    that match nothing are left out. The class of a track is that of its first box in the file, its score the mean over
    its boxes.

    Args:
        truth: What is true. All images of the file count, so it lists those that were annotated (TAO: one a second).
        tracks: Sequence -> predictions of all classes; one that is not in here was tracked without any result.
        classes: Names of the classes to score; None takes all that occur in the ground truth.
        max_detections: Best predictions of an image that count, of all classes together; 0 takes all.
        progress: Is given one line per sequence.
        federation: What is annotated where; None reads it from the annotation file.

    Raises:
        InputError: Unknown class or sequence; a frame that the sequence does not have; a prediction without a class; an
            identity twice in a frame; true boxes without identity.
    """
    if max_detections < 0:
        raise InputError(f"max_detections is {max_detections}; it must be 0 (no limit) or greater")
    federation = read_federation(truth) if federation is None else federation
    truth = federation.merge_truth(truth)
    true = {name: _true_tracks(truth.sequences[name].boxes) for name in truth.sequences}
    names = _scored_classes(truth, true, classes)
    _check(truth, tracks)
    counts: _Counts = {number: {} for number in names}
    for index, name in enumerate(sorted(truth.sequences, key=lambda name: name.replace("/", "-")), start=1):
        progress(f"scoring {name} ({index} of {len(truth.sequences)})")
        found = make_tracks(limit_per_image(federation.merge(tracks.get(name, empty_table())), max_detections))
        for number in _classes_here(name, true[name], found, federation, names):
            open_ended = number in federation.not_exhaustive.get(name, ())
            counts[number][name] = _count(true[name], found, number, open_ended)
    return _average(names, counts)


def _true_tracks(boxes: MotTable) -> TrackSet:
    """Return the tracks of a video without crowds that have no identity."""
    return make_tracks(boxes.select((boxes.ids >= 0) | (boxes.scores != 0)))


def _scored_classes(truth: GroundTruth, true: Mapping[str, TrackSet], classes: Sequence[str] | None) -> dict[int, str]:
    """Return number -> name of the classes to score, in the order of the annotation file."""
    occurring = {number for tracks in true.values() for number in tracks.classes.tolist()}
    present = [name for name, number in truth.categories.items() if number in occurring]
    truth.require_scorable(present if classes is None else classes)
    return {truth.categories[name]: name for name in (present if classes is None else classes)}


def _check(truth: GroundTruth, tracks: Mapping[str, MotTable]) -> None:
    for name, found in tracks.items():
        if name not in truth.sequences:
            raise InputError(f"{truth.source}: no sequence {name!r}; it has {', '.join(truth.sequences)}")
        if (found.class_ids == -1).any():
            raise InputError(f"{name}: predictions without a class; track mAP is computed class by class")
        check_tracks(name, truth.sequences[name], found)


def _classes_here(
    name: str, true: TrackSet, found: TrackSet, federation: Federation, names: Mapping[int, str]
) -> list[int]:
    """Return the classes of which there is something to count in a sequence."""
    predicted = {number for number in np.unique(found.classes).tolist() if federation.is_absent(name, number)}
    return [number for number in names if number in predicted | set(true.classes.tolist())]


def _count(true: TrackSet, found: TrackSet, number: int, open_ended: bool) -> dict[Any, Any]:
    """Match the tracks of one class in one video."""
    true = true.select(true.classes == number)
    found = found.select(found.classes == number)
    scores = found.scores()
    order = np.argsort(-scores, kind="stable")
    found = found.select(order)
    data = {
        "not_exhaustively_labeled": open_ended,
        "iou_type": "bbox",
        "dt_track_scores": scores[order],
        **_describe("gt", true),
        **_describe("dt", found),
    }
    if true.crowds().any():
        data["gt_track_iscrowd"] = true.crowds().tolist()
    return _metric().eval_sequence(data)


def _describe(kind: str, tracks: TrackSet) -> dict[str, Any]:
    """Return the entries of one side; identities count from 1, since 0 means "not matched" in trackeval."""
    return {
        f"{kind}_tracks": tracks,
        f"{kind}_track_ids": list(range(1, len(tracks) + 1)),
        f"{kind}_track_areas": (tracks.volumes() / tracks.lengths).tolist(),
        f"{kind}_track_lengths": tracks.lengths.tolist(),
    }


@functools.cache
def _metric() -> Any:
    """Return trackeval's metric, which takes one pair of boxes at a time, with our 3D IoU in its place."""
    from trackeval.metrics import TrackMAP

    class FastTrackMAP(TrackMAP):
        @staticmethod
        def _compute_track_ious(dt: TrackSet, gt: TrackSet, **options: Any) -> FloatArray:
            return track_iou(dt, gt)

    return FastTrackMAP({"PRINT_CONFIG": False})


def _average(names: Mapping[int, str], counts: _Counts) -> TrackMapScores:
    metric = _metric()
    classes = {name: metric.combine_sequences(counts[number]) for number, name in names.items()}
    overall = metric.combine_classes_class_averaged(classes)
    return TrackMapScores(
        {name: {field: result[field] for field in metric.fields} for name, result in classes.items()},
        overall,
    )
