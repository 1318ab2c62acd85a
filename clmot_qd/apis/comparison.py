"""What embeddings and trackers are worth: one model's detections, tracked in several ways."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clmot_qd.apis.class_lists import built_classes, check_class_count
from clmot_qd.apis.running import explain_build, load_config, load_weights, require_keys, track_evaluator
from clmot_qd.apis.track_table import stack_tracks
from clmot_qd.datasets.mot_text import MotTable
from clmot_qd.errors import InputError
from clmot_qd.evaluation import evaluate_tracks, read_cocovid
from clmot_qd.evaluation.evaluate import TrackScores
from clmot_qd.files import write_text
from clmot_qd.geometry import boxes_to_original, scaling_of
from clmot_qd.trackers import Tracks

if TYPE_CHECKING:
    from mmengine.config import Config

TRAINED, RANDOM, MOTION = "trained embeddings", "random-weight embeddings", "motion only"
COLUMNS = ("IDF1", "MOTA", "HOTA", "AssA", "IDSW", "FP", "FN")

# The inference half of QDTrack's Table 4, on top of the configuration's tracker.
_PLAIN = dict(remove_duplicates=False, memo_backdrop_frames=0)
TABLE_4: dict[str, dict[str, Any]] = {
    "cosine": dict(match_metric="cosine", **_PLAIN),
    "bi-softmax": dict(match_metric="bisoftmax", **_PLAIN),
    "bi-softmax, no duplicates": dict(match_metric="bisoftmax", remove_duplicates=True, memo_backdrop_frames=0),
    "bi-softmax, no duplicates, backdrops": dict(
        match_metric="bisoftmax", remove_duplicates=True, memo_backdrop_frames=1
    ),
}


@dataclass(frozen=True)
class FrameDetections:
    """Detections of one frame with both models' embeddings of them.

    Attributes:
        sequence: Name of the video.
        frame: Its frame number, as result files count.
        bboxes: (n, 4) xyxy, original image.
        scores: (n,).
        labels: (n,) class index.
        embeds: Embeddings (n, C) by kind; None for motion only.
    """

    sequence: str
    frame: int
    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    embeds: dict[str, np.ndarray | None]


def compare_embeddings(
    config: str,
    checkpoint: str | PathLike[str],
    options: dict[str, Any] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = print,
) -> dict[str, TrackScores]:
    """Track the test set of ``config`` three times from the same detections.

    Args:
        config: Path or packaged name.
        checkpoint: Trained weights.
        options: Keys of the configuration to change.
        seed: Of the random weights.
        progress: Receives a line now and then.

    Returns:
        Scores for "trained embeddings", "random-weight embeddings" (the same network, untrained, on the same boxes) and
        "motion only" (no embeddings: a Kalman filter and box overlap decide); the tracker and its settings are the
        configuration's in all three.

    Raises:
        InputError: Configuration, checkpoint or data are missing or do not fit.
    """
    loaded = _prepared(config, options)
    tracker = loaded.model.tracker
    ways = {kind: (tracker, kind) for kind in (TRAINED, RANDOM)} | {MOTION: (_without_appearance(tracker), MOTION)}
    return _compare(loaded, checkpoint, ways, _untrained(loaded, seed), progress)


def compare_trackers(
    config: str,
    checkpoint: str | PathLike[str],
    trackers: Mapping[str, dict[str, Any]],
    options: dict[str, Any] | None = None,
    progress: Callable[[str], None] = print,
) -> dict[str, TrackScores]:
    """Detect the objects of the test set once and track them with each of several trackers.

    Args:
        config: Path or packaged name.
        checkpoint: Trained weights.
        trackers: Name of a row -> arguments of its tracker; without ``type`` they change the configuration's tracker.
        options: Keys of the configuration to change.
        progress: Receives a line now and then.

    Returns:
        Scores by the names of ``trackers``.

    Raises:
        InputError: Configuration, checkpoint, data or a tracker's arguments are missing or do not fit.
    """
    loaded = _prepared(config, options)
    ways = {name: (_changed(loaded.model.tracker, change), TRAINED) for name, change in trackers.items()}
    return _compare(loaded, checkpoint, ways, None, progress)


def _prepared(config: str, options: dict[str, Any] | None) -> Config:
    from mmengine.registry import init_default_scope

    loaded = load_config(config, options)
    init_default_scope(loaded.get("default_scope", "mmdet"))
    require_keys(loaded, "test_dataloader")
    if not loaded.model.get("tracker"):
        raise InputError(f"{config}: model.tracker is not set: there is nothing to compare with")
    loaded.test_dataloader.batch_size = 1
    return loaded


def _compare(
    config: Config,
    checkpoint: str | PathLike[str],
    ways: Mapping[str, tuple[dict[str, Any], str]],
    untrained: Any | None,
    progress: Callable[[str], None],
) -> dict[str, TrackScores]:
    """Detect once, then track in each way: a tracker's configuration, and the kind of embeddings it is given."""
    from mmengine.runner import Runner

    for name, (tracker, _) in ways.items():  # a mistake shows before the network runs
        _build_tracker(tracker, name)
    loader = explain_build(lambda: Runner.build_dataloader(config.test_dataloader))
    scoring = _Scoring(config, built_classes(loader.dataset))
    frames = list(_detect(config, checkpoint, loader, untrained, scoring.truth.frame_index, progress))
    return scoring.of(frames, ways, progress)


class _Scoring:
    """Ground truth and protocol of a configuration's test set; ``labels`` are the names that labels stand for."""

    def __init__(self, config: Config, labels: tuple[str, ...]) -> None:
        evaluator = track_evaluator(config)
        self.distractors = evaluator.get("distractors")
        self.truth = read_cocovid(evaluator["ann_file"])
        self.classes = evaluator.get("classes", ("pedestrian",)) or self.truth.occurring_classes()
        self.labels = labels or self.classes

    def of(
        self,
        frames: list[FrameDetections],
        ways: Mapping[str, tuple[dict[str, Any], str]],
        progress: Callable[[str], None],
    ) -> dict[str, TrackScores]:
        """Scores of each way."""
        scores = {}
        for name, (tracker, kind) in ways.items():
            progress(f"tracking: {name}")
            tracks = _track(_build_tracker(tracker, name), frames, kind, self.truth.class_numbers(self.labels))
            scores[name] = evaluate_tracks(self.truth, tracks, self.classes, self.distractors, backends=("trackeval",))
        return scores


def _detect(
    config: Config,
    checkpoint: str | PathLike[str],
    loader: Any,
    untrained: Any | None,
    frame_index: Any,
    progress: Callable[[str], None],
) -> Iterator[FrameDetections]:
    """Run the trained model over the test set; with ``untrained``, read its embeddings of the same boxes too."""
    import torch
    from mmdet.registry import MODELS

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = explain_build(lambda: MODELS.build(config.model))
    classes = built_classes(loader.dataset)
    check_class_count(model, classes, "test_dataloader")
    load_weights(model, checkpoint, classes)
    model = model.to(device).eval()
    if untrained is not None:
        untrained = untrained.to(device).eval()
    total = len(loader)
    for index, batch in enumerate(loader):
        if index % 50 == 0:
            progress(f"detecting: frame {index} of {total}")
        data = model.data_preprocessor(batch)
        frame = data["data_samples"][0][0]
        images = data["inputs"].flatten(0, 1)
        with torch.no_grad():
            found = model.detect(model.detector.extract_feat(images), [frame])[0]
        embeds: dict[str, np.ndarray | None] = {TRAINED: found.embeds.cpu().numpy(), MOTION: None}
        if untrained is not None:
            embeds[RANDOM] = untrained.embed_boxes(images, [found.bboxes])[0].cpu().numpy()
        meta = frame.metainfo
        sequence, number = frame_index[meta["video_id"], meta["frame_id"]]
        yield FrameDetections(
            sequence,
            number,
            boxes_to_original(found.bboxes, *scaling_of(meta)).cpu().numpy(),
            found.scores.cpu().numpy(),
            found.labels.cpu().numpy(),
            embeds,
        )


def _changed(tracker: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A tracker's configuration with other arguments, or another tracker where ``change`` names a type."""
    return dict(change) if "type" in change else {**tracker, **change}


def _without_appearance(tracker: dict[str, Any]) -> dict[str, Any]:
    """The same tracker by motion alone. JDETracker does without embeddings; the bi-softmax trackers must be told."""
    if "BiSoftmax" not in tracker["type"]:
        return tracker
    motion = dict(appearance_weight=0.0, iou_weight=1.0, motion="kalman")
    if tracker["type"] == "BiSoftmaxTracker":
        return {**tracker, **motion}
    # The TAO variant compares appearance alone.
    shared = ("init_score_thr", "obj_score_thr", "match_score_thr", "memo_tracklet_frames", "with_cats")
    kept = {key: tracker[key] for key in shared if key in tracker}
    return dict(type="BiSoftmaxTracker", memo_backdrop_frames=0, **kept, **motion)


def _build_tracker(config: dict[str, Any], name: str) -> Any:
    from mmdet.registry import MODELS

    tracker = explain_build(lambda: MODELS.build(dict(config)))
    if hasattr(tracker, "track"):
        raise InputError(f"{name}: {config['type']} is mmdet's; only trackers of this package track given detections")
    if getattr(tracker, "needs_regression", False):
        raise InputError(f"{name}: regression needs the network in every frame; compare it with mim test")
    return tracker


def _untrained(config: Config, seed: int) -> Any:
    """The configuration's model with random weights, whatever checkpoint it would start training from."""
    import torch
    from mmdet.registry import MODELS
    from mmengine.logging import MMLogger

    random_model = copy.deepcopy(config.model)
    _drop_pretrained(random_model)
    torch.manual_seed(seed)
    model = explain_build(lambda: MODELS.build(random_model))
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)  # mmengine reports the initialisation of every single tensor
    model.init_weights()
    logger.setLevel(level)
    return model


def _drop_pretrained(node: Any) -> None:
    """Remove every ``init_cfg`` that loads a checkpoint, in place."""
    if isinstance(node, dict):
        recipe = node.get("init_cfg")
        if isinstance(recipe, dict) and recipe.get("type") == "Pretrained":
            del node["init_cfg"]
        for child in node.values():
            _drop_pretrained(child)


def _track(tracker: Any, frames: list[FrameDetections], kind: str, class_numbers: list[int]) -> dict[str, MotTable]:
    """Tracks of every sequence, with one kind of embeddings."""
    found: dict[str, tuple[list[Tracks], list[int]]] = {}
    for frame in frames:
        if frame.sequence not in found:
            tracker.reset()
        tracks, numbers = found.setdefault(frame.sequence, ([], []))
        tracks.append(tracker.update(frame.bboxes, frame.scores, frame.labels, frame.embeds[kind], frame.frame))
        numbers.append(frame.frame)
    return {name: stack_tracks(tracks, numbers, class_numbers) for name, (tracks, numbers) in found.items()}


def comparison_table(scores: dict[str, TrackScores]) -> str:
    """A line per way of tracking, best column first: IDF1 is what appearance is for."""
    width = max(len(kind) for kind in scores)
    lines = [f"{'same detections, tracked with':<{width + 5}}" + "".join(f"{name:>8}" for name in COLUMNS)]
    for kind, score in scores.items():
        row = score.overall("trackeval")
        cells = "".join(f"{row[name]:>8}" if isinstance(row[name], int) else f"{row[name]:>8.1f}" for name in COLUMNS)
        lines.append(f"{kind:<{width + 5}}{cells}")
    return "\n".join(lines)


def write_comparison(scores: dict[str, TrackScores], out: str | PathLike[str]) -> None:
    """Write the overall numbers of each way as JSON."""
    overall = {kind: {name: score.overall("trackeval")[name] for name in COLUMNS} for kind, score in scores.items()}
    write_text(Path(out), json.dumps(overall, indent=2) + "\n")
