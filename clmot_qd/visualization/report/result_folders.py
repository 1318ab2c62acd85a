"""Tracks from result files: the mode that needs no model."""

from __future__ import annotations

from collections.abc import Sequence

from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError
from clmot_qd.evaluation.formats import read_predictions
from clmot_qd.evaluation.protocols import get_protocol
from clmot_qd.evaluation.result_files import read_truth
from clmot_qd.visualization.report.tracked import Tracked, first_frames, pictures_of, within


def read_tracked(
    ground_truth: PathLike,
    predictions: PathLike,
    images: PathLike | None = None,
    *,
    detector: str | None = None,
    protocol: str = "mot",
    classes: Sequence[str] | None = None,
    distractors: Sequence[str] | None = None,
    max_frames: int | None = None,
) -> Tracked:
    """Read tracks and what they are judged by.

    Args:
        ground_truth: CocoVID file or folder of MOTChallenge sequences.
        predictions: In any format that ``eval_tracks`` reads.
        images: Where the pictures are; see :func:`~clmot_qd.visualization.report.tracked.pictures_of`.
        detector: Of MOT17's three copies, as in ``eval_tracks``.
        protocol: Name of a scoring protocol.
        classes: What is scored; None: what the protocol says.
        distractors: Classes that do not count; None: those of the protocol.
        max_frames: Only the first so many frames of every sequence count.

    Raises:
        InputError: A file is missing or malformed.
    """
    truth = read_truth(ground_truth, None, detector)
    tracks = read_predictions(predictions, truth)
    known = get_protocol(protocol).classes
    chosen = tuple(classes or known or truth.occurring_classes())
    if not chosen:
        raise InputError(f"{truth.source}: no box to score against; is this a test set?")
    pictures = pictures_of(truth, images)
    truth = first_frames(truth, max_frames)
    rules = {"protocol": protocol, "distractors": distractors}
    return Tracked(truth, within(truth, tracks, max_frames), chosen, rules, pictures, f"result files {predictions}")
