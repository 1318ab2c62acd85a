"""Tracks from result files: the mode that needs no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth
from clmot_qd.evaluation.formats import read_predictions
from clmot_qd.evaluation.protocols import get_protocol
from clmot_qd.evaluation.result_files import read_truth
from clmot_qd.names import PictureRoot
from clmot_qd.visualization.report.rules import rules_of, scored_classes
from clmot_qd.visualization.report.tracked import Tracked, first_frames, pictures_of, within


def read_tracked(
    ground_truth: PathLike,
    predictions: PathLike,
    images: PathLike | PictureRoot | None = None,
    *,
    detector: str | None = None,
    protocol: str | None = None,
    classes: Sequence[str] | None = None,
    evaluator: Mapping[str, Any] | None = None,
    max_frames: int | None = None,
) -> Tracked:
    """Read tracks and what they are judged by.

    Args:
        ground_truth: CocoVID file or folder of MOTChallenge sequences.
        predictions: In any format that ``eval_tracks`` reads.
        images: Where the pictures are; see :func:`~clmot_qd.visualization.report.tracked.pictures_of`.
        detector: Of MOT17's three copies, as in ``eval_tracks``.
        protocol: Name of a scoring protocol, with its own distractors and IoU; None: the evaluator's rules, else "mot".
        classes: What is scored; None: what the evaluator scores, else what the protocol says.
        evaluator: Arguments of a run's ``TrackEvalMetric`` or ``TrackMapMetric``.
        max_frames: Only the first so many frames of every sequence count.

    Raises:
        InputError: A file is missing or malformed, or there is nothing to score.
    """
    whole = read_truth(ground_truth, None, detector)
    truth = first_frames(whole, max_frames)
    rules = rules_of(evaluator or {}) if protocol is None else {"protocol": protocol}
    chosen, option = _chosen(truth, classes, evaluator, rules)
    if problem := _problem(truth, chosen):
        raise InputError(f"{problem} ({option})")
    tracks = read_predictions(predictions, whole)
    pictures = pictures_of(whole, images)
    return Tracked(truth, within(truth, tracks, max_frames), chosen, rules, pictures, f"result files {predictions}")


def _chosen(
    truth: GroundTruth, classes: Sequence[str] | None, evaluator: Mapping[str, Any] | None, rules: Mapping[str, Any]
) -> tuple[tuple[str, ...], str]:
    """Return the classes to score, and which option says so or could say otherwise."""
    if classes is not None:
        return tuple(classes), "--classes names them"
    if evaluator:
        return scored_classes(evaluator, truth), "the run's evaluator scores them; others by --classes"
    protocol = get_protocol(rules.get("protocol", "mot"))
    told = f"--protocol {protocol.name} scores them; others by --classes, all by --protocol plain"
    return protocol.classes or truth.occurring_classes(), told


def _problem(truth: GroundTruth, classes: Sequence[str]) -> str:
    """Say why these classes cannot be scored; empty if they can."""
    try:
        truth.require_scorable(classes)
    except InputError as error:
        return str(error)
    return ""
