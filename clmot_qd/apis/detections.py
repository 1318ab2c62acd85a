"""Tracking given detections: a tracker runs on the rows of a MOT det file, with or without embeddings; no model."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import clmot_qd.trackers
from clmot_qd.apis.track_table import stack_tracks
from clmot_qd.datasets.mot_text import (
    MOT_CLASSES,
    MotTable,
    PathLike,
    read_detections,
    read_ground_truth,
)
from clmot_qd.errors import InputError
from clmot_qd.evaluation.evaluate import TrackScores, evaluate_tracks
from clmot_qd.evaluation.ground_truth import GroundTruth, SequenceTruth
from clmot_qd.trackers import Tracks


class Tracker(Protocol):
    """What every tracker of :mod:`clmot_qd.trackers` can do."""

    def reset(self) -> None:
        """Forget everything, before a new video."""

    def update(
        self, bboxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, embeds: np.ndarray | None, frame_id: int
    ) -> Tracks:
        """Track the detections of one frame."""


def build_tracker(name: str, options: Mapping[str, Any] | None = None) -> Tracker:
    """Build a tracker of :mod:`clmot_qd.trackers` by its class name.

    Raises:
        InputError: An unknown tracker or option.
    """
    names = [entry for entry in clmot_qd.trackers.__all__ if entry.endswith("Tracker")]
    known = {entry: getattr(clmot_qd.trackers, entry) for entry in names}
    if name not in known:
        raise InputError(f"tracker {name!r} is unknown; choose from {', '.join(sorted(known))}")
    accepted = inspect.signature(known[name]).parameters
    for option in options or {}:
        if option not in accepted:
            raise InputError(f"option {option!r}: {name} has no such argument; it has {', '.join(accepted)}")
    return known[name](**(options or {}))


def parse_tracker_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Turn ``["conf_thr=0.4", "per_class=False"]`` into ``{"conf_thr": 0.4, "per_class": False}``.

    Raises:
        InputError: One is not of the form key=value.
    """
    options = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not (key and equals):
            raise InputError(f"option {pair!r} must be of the form key=value, e.g. conf_thr=0.4")
        try:
            options[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            options[key] = text
    return options


def read_embeddings(path: PathLike, rows: int) -> np.ndarray:
    """Read embeddings (rows, C) from a .npy file; row i belongs to row i of the det file.

    Raises:
        InputError: The file cannot be read, has another number of rows, or values that are not finite.
    """
    try:
        embeds = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as .npy ({error})") from error
    if not isinstance(embeds, np.ndarray) or embeds.ndim != 2 or len(embeds) != rows:
        shape = getattr(embeds, "shape", "no array")
        raise InputError(f"{path}: shape {shape}; it must be ({rows}, C), one row per row of the det file")
    embeds = embeds.astype(np.float32)
    bad = ~np.isfinite(embeds).all(axis=1)
    if bad.any():
        raise InputError(f"{path}: row {int(bad.argmax())} (from 0) has a value that is not finite")
    return embeds


def track_detections(
    detections: MotTable, tracker: Tracker, embeds: np.ndarray | None = None, last_frame: int | None = None
) -> MotTable:
    """Run a tracker over the frames 1 .. ``last_frame`` of one video.

    Args:
        detections: Rows in any order, as :func:`~clmot_qd.datasets.mot_text.read_detections` gives them; all count as
            one class.
        tracker: It is reset first.
        embeds: (n, C) one per row of ``detections``; None tracks by motion alone.
        last_frame: The last frame to track, frames without detections included; None stops at the last detection.

    Returns:
        The tracks, in order of the frames. Class -1.
    """
    last = int(detections.frames.max(initial=0)) if last_frame is None else last_frame
    order = np.argsort(detections.frames, kind="stable")
    bounds = np.searchsorted(detections.frames[order], np.arange(1, last + 2))
    corners = np.hstack([detections.bboxes[:, :2], detections.bboxes[:, :2] + detections.bboxes[:, 2:]])
    tracker.reset()
    tracks = []
    for frame in range(1, last + 1):
        rows = order[bounds[frame - 1] : bounds[frame]]
        labels = np.zeros(len(rows), dtype=np.int64)
        chosen = None if embeds is None else embeds[rows]
        tracks.append(tracker.update(corners[rows], detections.scores[rows], labels, chosen, frame))
    return stack_tracks(tracks, range(1, last + 1))


def track_detection_file(
    path: PathLike,
    tracker: Tracker,
    embeds: PathLike | None = None,
    last_frame: int | None = None,
    embed_scale: float = 1.0,
) -> MotTable:
    """Read a det file, and embeddings if there are any, and track; see :func:`track_detections`.

    Args:
        path: The det file.
        tracker: It is reset first.
        embeds: The .npy file.
        last_frame: The last frame to track.
        embed_scale: Embeddings are multiplied by it. A softmax of dot products tells vectors of unit length hardly
            apart; those trained for it are longer.

    Raises:
        InputError: A file is malformed, ``embed_scale`` is not a positive number, or there is nothing to scale.
    """
    if not 0 < embed_scale < np.inf:
        raise InputError(f"embed_scale: expected a positive number, got {embed_scale}")
    if embeds is None and embed_scale != 1:
        raise InputError(f"embed_scale: {embed_scale:g} given without embeddings to multiply")
    detections = read_detections(path)
    vectors = None if embeds is None else read_embeddings(embeds, len(detections)) * np.float32(embed_scale)
    return track_detections(detections, tracker, vectors, last_frame)


def score_file(
    tracks: MotTable,
    ground_truth: PathLike,
    last_frame: int | None = None,
    distractors: Sequence[str] | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> TrackScores:
    """Score the pedestrians of one video against its gt.txt.

    Args:
        tracks: The predictions.
        ground_truth: The gt.txt.
        last_frame: Only frames up to this one count; None takes all in which there is a true or a predicted box.
        distractors: See :func:`~clmot_qd.evaluation.evaluate.evaluate_tracks`.
        note: Is told if the tracks go on after the ground truth has ended.
    """
    boxes = read_ground_truth(ground_truth)
    last_true, last_found = int(boxes.frames.max()), int(tracks.frames.max(initial=0))
    if last_frame is None and last_found > last_true:
        note(f"tracks go on to frame {last_found}, ground truth ends at {last_true}: all that is later counts as false")
    last = max(last_true, last_found) if last_frame is None else last_frame
    truth = SequenceTruth(np.arange(1, last + 1), boxes.select(boxes.frames <= last))
    name = _sequence_name(Path(ground_truth))
    categories = {entry: number for number, entry in enumerate(MOT_CLASSES, start=1)}
    source = GroundTruth(str(ground_truth), categories, {name: truth})
    return evaluate_tracks(source, {name: tracks.select(tracks.frames <= last)}, distractors=distractors)


def _sequence_name(path: Path) -> str:
    """Return SEQUENCE of SEQUENCE/gt/gt.txt, the name of the file otherwise."""
    return path.resolve().parents[1].name if path.parent.name == "gt" else path.stem
