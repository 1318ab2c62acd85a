"""What the trained embeddings are worth: one model's detections, tracked with its embeddings, random ones and none."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clmot_qd.apis.running import explain_build, load_config, load_weights, require_keys, track_evaluator
from clmot_qd.apis.track_table import stack_tracks
from clmot_qd.datasets.mot_text import MotTable
from clmot_qd.evaluation import evaluate_tracks, read_cocovid
from clmot_qd.evaluation.evaluate import TrackScores
from clmot_qd.files import write_text
from clmot_qd.geometry import boxes_to_original
from clmot_qd.trackers import Tracks

if TYPE_CHECKING:
    from mmengine.config import Config

TRAINED, RANDOM, MOTION = "trained embeddings", "random-weight embeddings", "motion only"
COLUMNS = ("IDF1", "MOTA", "HOTA", "AssA", "IDSW", "FP", "FN")


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
        Scores for "trained embeddings", "random-weight embeddings" (the same network, untrained, read at the centres of
        the same boxes) and "motion only" (no embeddings: the Kalman filter and box overlap decide); the tracker and
        its settings are the configuration's in all three.

    Raises:
        InputError: Configuration, checkpoint or data are missing or do not fit.
    """
    from mmengine.registry import init_default_scope

    loaded = load_config(config, options)
    init_default_scope(loaded.get("default_scope", "mmdet"))
    require_keys(loaded, "test_dataloader")
    loaded.test_dataloader.batch_size = 1
    evaluator = track_evaluator(loaded)
    classes = evaluator.get("classes", ("pedestrian",))
    truth = read_cocovid(evaluator["ann_file"])
    frames = list(_detect(loaded, checkpoint, seed, truth.frame_index, progress))
    scores = {}
    for kind in (TRAINED, RANDOM, MOTION):
        progress(f"tracking with {kind}")
        tracks = _track(loaded, frames, kind, truth.class_numbers(classes))
        scores[kind] = evaluate_tracks(truth, tracks, classes, evaluator.get("distractors"), backends=("trackeval",))
    return scores


def _detect(
    config: Config,
    checkpoint: str | PathLike[str],
    seed: int,
    frame_index: Any,
    progress: Callable[[str], None],
) -> Iterator[FrameDetections]:
    """Run the trained model over the test set and read both models' embeddings of what it finds."""
    import torch
    from mmdet.registry import MODELS
    from mmengine.runner import Runner

    device = "cuda" if torch.cuda.is_available() else "cpu"
    untrained = _untrained(config, seed)
    model = explain_build(lambda: MODELS.build(config.model))
    load_weights(model, checkpoint)
    model, untrained = model.to(device).eval(), untrained.to(device).eval()
    loader = explain_build(lambda: Runner.build_dataloader(config.test_dataloader))
    total = len(loader)
    for index, batch in enumerate(loader):
        if index % 50 == 0:
            progress(f"detecting: frame {index} of {total}")
        data = model.data_preprocessor(batch)
        frame = data["data_samples"][0][0]
        images = data["inputs"].flatten(0, 1)
        with torch.no_grad():
            found = model.detector.bbox_head.predict(model.detector.extract_feat(images), [frame], rescale=False)[0]
            random_embeds = untrained.embed_boxes(images, [found.bboxes])[0]
        meta = frame.metainfo
        sequence, number = frame_index[meta["video_id"], meta["frame_id"]]
        yield FrameDetections(
            sequence,
            number,
            boxes_to_original(found.bboxes, meta["scale_factor"], meta["pad_param"]).cpu().numpy(),
            found.scores.cpu().numpy(),
            found.labels.cpu().numpy(),
            {TRAINED: found.embeds.cpu().numpy(), RANDOM: random_embeds.cpu().numpy(), MOTION: None},
        )


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


def _track(config: Config, frames: list[FrameDetections], kind: str, class_numbers: list[int]) -> dict[str, MotTable]:
    """Tracks of every sequence, with one kind of embeddings."""
    from mmdet.registry import MODELS

    tracker = MODELS.build(config.model.tracker)
    found: dict[str, tuple[list[Tracks], list[int]]] = {}
    for frame in frames:
        if frame.sequence not in found:
            tracker.reset()
        tracks, numbers = found.setdefault(frame.sequence, ([], []))
        tracks.append(tracker.update(frame.bboxes, frame.scores, frame.labels, frame.embeds[kind], frame.frame))
        numbers.append(frame.frame)
    return {name: stack_tracks(tracks, numbers, class_numbers) for name, (tracks, numbers) in found.items()}


def comparison_table(scores: dict[str, TrackScores]) -> str:
    """A line per kind of embeddings, best column first: IDF1 is what appearance is for."""
    width = max(len(kind) for kind in scores)
    lines = [f"{'same detections, tracked with':<{width + 5}}" + "".join(f"{name:>8}" for name in COLUMNS)]
    for kind, score in scores.items():
        row = score.overall("trackeval")
        cells = "".join(f"{row[name]:>8}" if isinstance(row[name], int) else f"{row[name]:>8.1f}" for name in COLUMNS)
        lines.append(f"{kind:<{width + 5}}{cells}")
    return "\n".join(lines)


def write_comparison(scores: dict[str, TrackScores], out: str | PathLike[str]) -> None:
    """Write the overall numbers of each kind as JSON."""
    overall = {kind: {name: score.overall("trackeval")[name] for name in COLUMNS} for kind, score in scores.items()}
    write_text(Path(out), json.dumps(overall, indent=2) + "\n")
