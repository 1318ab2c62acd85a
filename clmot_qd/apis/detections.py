"""Tracking given detections, with or without embeddings: a tracker runs on what files say; no model."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import clmot_qd.trackers
from clmot_qd.apis.track_table import stack_tracks
from clmot_qd.datasets.detections import DetectionSet, VideoDetections, read_detection_file, video_name
from clmot_qd.datasets.mot_text import (
    MOT_CLASSES,
    IntArray,
    MotTable,
    PathLike,
    empty_table,
    read_ground_truth,
)
from clmot_qd.errors import InputError
from clmot_qd.evaluation.evaluate import TrackScores, evaluate_tracks
from clmot_qd.evaluation.ground_truth import GroundTruth, SequenceTruth
from clmot_qd.geometry import xywh_to_xyxy
from clmot_qd.trackers import Tracks
from clmot_qd.trackers.online_tracker import rejected_note


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
        InputError: An unknown tracker or option, or a value that it does not take.
    """
    return require_options(name, list(options or {}))(**(options or {}))


def require_options(name: str, options: Sequence[str]) -> type:
    """Return the class of a tracker that has these arguments.

    Raises:
        InputError: An unknown tracker or option.
    """
    names = [entry for entry in clmot_qd.trackers.__all__ if entry.endswith("Tracker")]
    known = {entry: getattr(clmot_qd.trackers, entry) for entry in names}
    if name not in known:
        raise InputError(f"tracker {name!r} is unknown; choose from {', '.join(sorted(known))}")
    accepted = inspect.signature(known[name]).parameters
    for option in options:
        if option not in accepted:
            raise InputError(f"option {option!r}: {name} has no such argument; it has {', '.join(accepted)}")
    return known[name]


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


def track_video(
    found: VideoDetections,
    tracker: Tracker,
    numbers: IntArray | None = None,
    class_ids: Sequence[int] | None = None,
    embed_scale: float = 1.0,
) -> MotTable:
    """Run a tracker over one video.

    Args:
        found: The detections.
        tracker: It is reset first.
        numbers: (T,) the frames to track, ascending, those without detections included; None takes those that are
            known of the video.
        class_ids: Number of each label in the result; None leaves the class open (-1).
        embed_scale: Embeddings are multiplied by it.

    Returns:
        The tracks, in order of the frames, boxes x, y, w, h.

    Raises:
        InputError: There is nothing to scale.
    """
    if found.embeds is None and embed_scale != 1:
        raise InputError(f"embed_scale: {embed_scale:g} given without embeddings to multiply")
    numbers = found.all_frames() if numbers is None else numbers
    embeds = None if found.embeds is None else found.embeds * np.float32(embed_scale)
    tracker.reset()
    tracks = []
    for number, rows in zip(numbers.tolist(), found.by_frame(numbers)):
        chosen = None if embeds is None else embeds[rows]
        tracks.append(tracker.update(found.bboxes[rows], found.scores[rows], found.labels[rows], chosen, number))
    return stack_tracks(tracks, numbers.tolist(), class_ids)


def track_set(
    detections: DetectionSet,
    tracker: Tracker,
    truth: GroundTruth | None = None,
    embed_scale: float = 1.0,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, MotTable]:
    """Run a tracker over all videos, one after the other.

    Args:
        detections: Of the videos.
        tracker: It is reset before each.
        truth: Says which frames a video has, which videos there are, and what number a class has; None takes what the
            detections say.
        embed_scale: Embeddings are multiplied by it. A softmax of dot products tells vectors of unit length hardly
            apart; those trained for it are longer.
        progress: Is given one line per video.

    Returns:
        Video -> tracks. A video of ``truth`` without detections has none.

    Raises:
        InputError: A class or video that ``truth`` does not have, or ``embed_scale`` is not a positive number.
    """
    check_scale(embed_scale)
    class_ids = detections.class_numbers(None if truth is None else truth.categories)
    if truth is not None:
        for name in detections.videos:
            if name not in truth.sequences:
                raise InputError(f"{detections.source}: {truth.source} has no video {name!r}; give its annotations")
    names = list(detections.videos if truth is None else truth.sequences)
    tracks = {}
    for index, name in enumerate(names, start=1):
        progress(f"tracking {name} ({index} of {len(names)})")
        numbers = None if truth is None else truth.sequences[name].frames
        if name in detections.videos:
            tracks[name] = track_video(detections.videos[name], tracker, numbers, class_ids, embed_scale)
            if rejected := getattr(tracker, "num_rejected", 0):
                progress(f"warning: {name}: {rejected_note(rejected)}")
        else:
            tracks[name] = empty_table()
    return tracks


def check_scale(embed_scale: float) -> None:
    """Refuse what is no positive number.

    Raises:
        InputError: It is none.
    """
    if not 0 < embed_scale < np.inf:
        raise InputError(f"embed_scale: expected a positive number, got {embed_scale}")


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
    corners = xywh_to_xyxy(detections.bboxes)
    labels = np.zeros(len(corners), dtype=np.int64)
    found = VideoDetections(detections.frames, corners, detections.scores, labels, embeds)
    return track_video(found, tracker, None if last_frame is None else np.arange(1, last_frame + 1))


def track_detection_file(
    path: PathLike,
    tracker: Tracker,
    embeds: PathLike | None = None,
    last_frame: int | None = None,
    embed_scale: float = 1.0,
) -> MotTable:
    """Read the detections of one video in any format, and track; see :func:`track_video`.

    Args:
        path: The file, see :func:`~clmot_qd.datasets.detections.read_detection_file`.
        tracker: It is reset first.
        embeds: The .npy or .npz file of its embeddings.
        last_frame: The last frame to track.
        embed_scale: See :func:`track_set`.

    Raises:
        InputError: A file is malformed or about several videos, ``embed_scale`` is not a positive number, or there is
            nothing to scale.
    """
    check_scale(embed_scale)
    detections = read_detection_file(path, embeds)
    if len(detections.videos) != 1:
        raise InputError(f"{path}: is about {len(detections.videos)} videos ({', '.join(detections.videos)}), not one")
    found = next(iter(detections.videos.values()))
    numbers = None if last_frame is None else np.arange(1, last_frame + 1)
    return track_video(found, tracker, numbers, detections.class_numbers(), embed_scale)


def score_file(
    tracks: MotTable,
    ground_truth: PathLike,
    last_frame: int | None = None,
    distractors: Sequence[str] | None = None,
    note: Callable[[str], None] = lambda line: None,
    backends: Sequence[str] = ("trackeval", "motmetrics"),
) -> TrackScores:
    """Score the pedestrians of one video against its gt.txt.

    Args:
        tracks: The predictions.
        ground_truth: The gt.txt.
        last_frame: Only frames up to this one count; None takes all in which there is a true or a predicted box.
        distractors: See :func:`~clmot_qd.evaluation.evaluate.evaluate_tracks`.
        note: Is told if the tracks go on after the ground truth has ended.
        backends: See :func:`~clmot_qd.evaluation.evaluate.evaluate_tracks`.
    """
    boxes = read_ground_truth(ground_truth)
    last_true, last_found = int(boxes.frames.max()), int(tracks.frames.max(initial=0))
    if last_frame is None and last_found > last_true:
        note(f"tracks go on to frame {last_found}, ground truth ends at {last_true}: all that is later counts as false")
    last = max(last_true, last_found) if last_frame is None else last_frame
    truth = SequenceTruth(np.arange(1, last + 1), boxes.select(boxes.frames <= last))
    name = video_name(Path(ground_truth))
    categories = {entry: number for number, entry in enumerate(MOT_CLASSES, start=1)}
    source = GroundTruth(str(ground_truth), categories, {name: truth})
    return evaluate_tracks(source, {name: tracks.select(tracks.frames <= last)}, None, distractors, backends)
