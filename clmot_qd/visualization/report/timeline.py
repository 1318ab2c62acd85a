"""Which track followed which object, frame by frame, by the rule behind MOTA and IDSW."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from clmot_qd.datasets.mot_text import FloatArray, IntArray, MotTable, empty_table
from clmot_qd.evaluation.backends import OVERALL
from clmot_qd.evaluation.evaluate import plan_rows
from clmot_qd.evaluation.ground_truth import GroundTruth, SequenceTruth
from clmot_qd.evaluation.matching import match_frames
from clmot_qd.evaluation.protocols import get_protocol
from clmot_qd.evaluation.scoring_input import Overlaps, Rules, counting_rows

MISSED = -1
"""In place of a track: the object was there and nothing was matched with it."""


@dataclass(frozen=True)
class Span:
    """Consecutive frames of a sequence in which an object has one track, or none.

    Args:
        start: Position of the first frame in ``Timeline.frames``.
        stop: Position behind the last one.
        track: Its id, or :data:`MISSED`.
    """

    start: int
    stop: int
    track: int


@dataclass(frozen=True)
class Sighting:
    """An object in a frame, and the track that it was matched with; boxes x, y, w, h in the original image."""

    frame: int
    track: int
    true_box: FloatArray
    found_box: FloatArray


@dataclass(frozen=True)
class Switch:
    """An object that has another track than when it was last matched: what IDSW counts.

    Args:
        sequence: Its name.
        class_name: Class of the object.
        identity: Of the object.
        before: Where it was last matched.
        after: Where it has another track.
    """

    sequence: str
    class_name: str
    identity: int
    before: Sighting
    after: Sighting


@dataclass(frozen=True)
class Timeline:
    """The objects of one class in one sequence.

    Args:
        sequence: Its name.
        class_name: The class.
        frames: (T,) frame numbers.
        objects: Identity -> its spans; where it was not in the picture there is none.
        switches: In the order of frames.
        false_alarms: (T,) how many tracks met no object.
    """

    sequence: str
    class_name: str
    frames: IntArray
    objects: Mapping[int, Sequence[Span]]
    switches: Sequence[Switch]
    false_alarms: IntArray

    @property
    def misses(self) -> int:
        """How many boxes nothing was matched with: FN."""
        spans = (span for spans in self.objects.values() for span in spans)
        return sum(span.stop - span.start for span in spans if span.track == MISSED)


def make_timelines(
    truth: GroundTruth,
    tracks: Mapping[str, MotTable],
    classes: Sequence[str],
    protocol: str = "mot",
    distractors: Sequence[str] | None = None,
    iou_thr: float | None = None,
) -> list[Timeline]:
    """Follow every object of every sequence; arguments as in :func:`clmot_qd.evaluation.evaluate_tracks`.

    Returns:
        A timeline for each sequence and each class that it has objects or tracks of. Switches, misses and false alarms
        are those that ``evaluate_tracks`` counts as IDSW, FN and FP.
    """
    plan = plan_rows(truth, get_protocol(protocol), classes, distractors, iou_thr)[OVERALL]
    found = []
    for name, true in truth.sequences.items():
        overlaps = Overlaps(true, tracks.get(name, empty_table()))
        timelines = [_follow(name, class_name, overlaps, plan[class_name]) for class_name in classes]
        found += [timeline for timeline in timelines if timeline.objects or timeline.false_alarms.any()]
    return found


def _follow(sequence: str, class_name: str, overlaps: Overlaps, rules: Rules) -> Timeline:
    truth: SequenceTruth = overlaps.truth
    true_rows, found_rows, similarity = counting_rows(overlaps, rules)
    true_ids = [truth.boxes.ids[rows] for rows in true_rows]
    # The rule of the matching compares ids with -1 for "none"; numbers of rows are as good and never negative.
    kinds = np.unique(overlaps.tracks.ids, return_inverse=True)[1].reshape(-1)
    pairs = match_frames(true_ids, [kinds[rows] for rows in found_rows], similarity, rules.iou_thr)
    present: dict[int, list[tuple[int, int]]] = {}
    sightings: dict[int, list[Sighting]] = {}
    false_alarms = np.zeros(len(truth.frames), dtype=np.int64)
    for place, (true, found, (rows, columns)) in enumerate(zip(true_rows, found_rows, pairs)):
        matched = dict(zip(true[rows].tolist(), found[columns].tolist()))
        false_alarms[place] = len(found) - len(columns)
        for row in true.tolist():
            identity, other = int(truth.boxes.ids[row]), matched.get(row)
            track = MISSED if other is None else int(overlaps.tracks.ids[other])
            present.setdefault(identity, []).append((place, track))
            if other is not None:
                boxes = truth.boxes.bboxes[row], overlaps.tracks.bboxes[other]
                sightings.setdefault(identity, []).append(Sighting(int(truth.frames[place]), track, *boxes))
    switches = [
        Switch(sequence, class_name, identity, before, after)
        for identity, seen in sightings.items()
        for before, after in pairwise(seen)
        if before.track != after.track
    ]
    switches.sort(key=lambda switch: (switch.after.frame, switch.identity))
    objects = {identity: list(_spans(present[identity])) for identity in sorted(present)}
    return Timeline(sequence, class_name, truth.frames, objects, switches, false_alarms)


def _spans(present: Sequence[tuple[int, int]]) -> Iterator[Span]:
    """Join consecutive places with one track. present: (place, track), ascending."""
    start, previous, track = present[0][0], present[0][0] - 1, present[0][1]
    for place, other in present:
        if place != previous + 1 or other != track:
            yield Span(start, previous + 1, track)
            start, track = place, other
        previous = place
    yield Span(start, previous + 1, track)
