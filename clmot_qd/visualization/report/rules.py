"""What tracks are scored by: the test evaluator of a run, and whether two runs are scored alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clmot_qd.evaluation import GroundTruth
from clmot_qd.evaluation.protocols import get_protocol
from clmot_qd.visualization.report.tracked import Tracked

_RULES = ("distractors", "protocol", "iou_thr")


def is_track_map(evaluator: Mapping[str, Any]) -> bool:
    """Whether the evaluator measures TAO's track mAP, which the page does not."""
    return evaluator.get("type") == "TrackMapMetric"


def rules_of(evaluator: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``evaluate_tracks`` that an evaluator's arguments stand for; TAO's is ``plain``."""
    if is_track_map(evaluator):
        return {"protocol": "plain"}
    return {key: evaluator[key] for key in _RULES if key in evaluator}


def scored_classes(evaluator: Mapping[str, Any], truth: GroundTruth) -> tuple[str, ...]:
    """Return the classes that an evaluator with these arguments scores; TAO's scores all that occur."""
    from clmot_qd.apis.detection_cache import classes_of

    if is_track_map(evaluator) and evaluator.get("classes") is None:
        return truth.occurring_classes()
    return classes_of(evaluator, truth)


def difference(one: Tracked, two: Tracked) -> str:
    """Say why two runs cannot be compared: "was scored ..."; empty if they can."""
    if list(one.classes) != list(two.classes) or not _same_truth(one.truth, two.truth):
        return "was scored on other data"
    return "" if _effect(one) == _effect(two) else "was scored by other rules"


def _same_truth(one: GroundTruth, two: GroundTruth) -> bool:
    """Whether the frames and objects are the same."""
    if one.sequences.keys() != two.sequences.keys():
        return False
    for name, first in one.sequences.items():
        second = two.sequences[name]
        if first.frames.tolist() != second.frames.tolist() or len(first.boxes) != len(second.boxes):
            return False
        if not (first.boxes.bboxes == second.boxes.bboxes).all() or not (first.boxes.ids == second.boxes.ids).all():
            return False
    return True


def _effect(tracked: Tracked) -> tuple[Any, ...]:
    """What the rules come to for this data, defaults filled in: all that ``plan_rows`` and the scores look at."""
    rules, known = tracked.rules, tracked.truth.categories
    protocol = get_protocol(rules.get("protocol", "mot"))
    chosen: Sequence[str] | None = rules.get("distractors")
    least = rules.get("iou_thr")
    rows = [[name] for name in tracked.classes] + [list(tracked.classes)]
    return (
        {name for name in (protocol.distractors if chosen is None else chosen) if name in known},
        {name for name in protocol.regions if name in known},
        protocol.unmarked_are_regions,
        [protocol.iou_thr_for(row) if least is None else least for row in rows],
        dict(protocol.easier_levels),
        dict(protocol.groups) if len(tracked.classes) > 1 else {},
    )
