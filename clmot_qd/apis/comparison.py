"""What embeddings and trackers are worth: one model's detections, tracked in several ways."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from clmot_qd.apis.detection_cache import ConfiguredVideos, fill_cache, prepare_config
from clmot_qd.apis.detections import track_video
from clmot_qd.apis.running import explain_build
from clmot_qd.datasets.detections import CacheFolder
from clmot_qd.datasets.mot_text import MotTable
from clmot_qd.errors import InputError
from clmot_qd.evaluation import TrackScores, evaluate_tracks
from clmot_qd.files import write_text

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


def compare_embeddings(
    config: str,
    checkpoint: str | PathLike[str],
    options: dict[str, Any] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = print,
    cache: str | PathLike[str] | None = None,
) -> dict[str, TrackScores]:
    """Track the test set of ``config`` three times from the same detections.

    Args:
        config: Path or packaged name.
        checkpoint: Trained weights.
        options: Keys of the configuration to change.
        seed: Of the random weights.
        progress: Receives a line now and then.
        cache: Folder that keeps the detections for the next time (:mod:`clmot_qd.apis.detection_cache`); None: a
            temporary one. Memory holds one video at a time.

    Returns:
        Scores for "trained embeddings", "random-weight embeddings" (the same network, untrained, on the same boxes) and
        "motion only" (no embeddings: a Kalman filter and box overlap decide); the tracker and its settings are the
        configuration's in all three.

    Raises:
        InputError: Configuration, checkpoint or data are missing or do not fit.
    """
    loaded = _prepared(config, options)
    tracker, random = loaded.model.tracker, f"random{seed}"
    ways = {
        TRAINED: (tracker, ""),
        RANDOM: (tracker, random),
        MOTION: (_without_appearance(tracker), None),
    }
    return _compare(loaded, checkpoint, ways, {random: untrained_model(loaded, seed)}, progress, cache)


def compare_trackers(
    config: str,
    checkpoint: str | PathLike[str],
    trackers: Mapping[str, dict[str, Any]],
    options: dict[str, Any] | None = None,
    progress: Callable[[str], None] = print,
    cache: str | PathLike[str] | None = None,
) -> dict[str, TrackScores]:
    """Detect the objects of the test set once and track them with each of several trackers.

    Args:
        config: Path or packaged name.
        checkpoint: Trained weights.
        trackers: Name of a row -> arguments of its tracker; without ``type`` they change the configuration's tracker.
        options: Keys of the configuration to change.
        progress: Receives a line now and then.
        cache: Folder that keeps the detections for the next time (:mod:`clmot_qd.apis.detection_cache`); None: a
            temporary one. Memory holds one video at a time.

    Returns:
        Scores by the names of ``trackers``.

    Raises:
        InputError: Configuration, checkpoint, data or a tracker's arguments are missing or do not fit.
    """
    loaded = _prepared(config, options)
    ways = {name: (_changed(loaded.model.tracker, change), "") for name, change in trackers.items()}
    return _compare(loaded, checkpoint, ways, {}, progress, cache)


# Name of a row -> the tracker's configuration, and the kind of embeddings it is given (None: no embeddings).
Ways = Mapping[str, tuple[dict[str, Any], str | None]]


def _prepared(config: str, options: dict[str, Any] | None) -> Config:
    loaded = prepare_config(config, options)
    if not loaded.model.get("tracker"):
        raise InputError(f"{config}: model.tracker is not set: there is nothing to compare with")
    return loaded


def _compare(
    config: Config,
    checkpoint: str | PathLike[str],
    ways: Ways,
    untrained: Mapping[str, Any],
    progress: Callable[[str], None],
    cache: str | PathLike[str] | None,
) -> dict[str, TrackScores]:
    """Detect once, then track in each way."""
    for name, (tracker, _) in ways.items():  # a mistake shows before the network runs
        _build_tracker(tracker, name)
    scoring = _Scoring(config)

    def tell(done: int, total: int) -> None:
        if done % 50 == 0:
            progress(f"detecting: frame {done} of {total}")

    with nullcontext(cache) if cache is not None else TemporaryDirectory(prefix="clmot_qd-") as folder:
        fill_cache(folder, scoring.source, checkpoint, untrained, progress=tell)
        return scoring.of(folder, ways, progress)


class _Scoring:
    """Test set and protocol of a configuration; its classes are the names that labels stand for."""

    def __init__(self, config: Config) -> None:
        self.source = ConfiguredVideos(config)
        self.truth = self.source.truth
        self.classes = self.source.scored_classes()
        rules = ("distractors", "protocol", "iou_thr")
        self.rules = {key: self.source.evaluator[key] for key in rules if key in self.source.evaluator}
        self.numbers = self.truth.class_numbers(self.source.classes or self.classes)

    def of(self, folder: str | PathLike[str], ways: Ways, progress: Callable[[str], None]) -> dict[str, TrackScores]:
        """Scores of each way, tracking the videos of a cache folder."""
        scores = {}
        for name, (tracker, kind) in ways.items():
            progress(f"tracking: {name}")
            videos = CacheFolder(folder, kind or "")
            tracks = self._track(_build_tracker(tracker, name), videos, without_embeds=kind is None)
            options = {"backends": ("trackeval",), "iou_type": "bbox", **self.rules}
            scores[name] = evaluate_tracks(self.truth, tracks, self.classes, **options)
        return scores

    def _track(self, tracker: Any, videos: CacheFolder, without_embeds: bool) -> dict[str, MotTable]:
        tracks = {}
        for name in self.source.videos:
            found = videos[name]
            if without_embeds:
                found = replace(found, embeds=None)
            tracks[name] = track_video(found, tracker, class_ids=self.numbers)
        return tracks


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


def untrained_model(config: Config, seed: int) -> Any:
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
