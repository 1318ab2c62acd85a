"""Tracks and embeddings of a run's model: its network runs over the test set once, what it finds is kept.

Detections are kept as :mod:`clmot_qd.apis.detection_cache` writes them, beside them the embeddings of the true boxes
and what was measured of them; the folder's name says which model, weights, pipeline and annotations they belong to, so
that a later report of the same checkpoint needs no network, and of the pictures only those that it shows.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clmot_qd.apis.detection_cache import (
    ConfiguredVideos,
    FrameProgress,
    fill_cache,
    identity_of,
    prepare_config,
)
from clmot_qd.apis.detections import build_tracker, track_video
from clmot_qd.apis.embedding_quality_report import TRAINED, TrueBoxReader, TrueObjects, embed_true_boxes
from clmot_qd.apis.running import track_evaluator
from clmot_qd.datasets.detections import CacheFolder
from clmot_qd.datasets.mot_text import MotTable, empty_table
from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth, read_cocovid
from clmot_qd.names import PictureRoot
from clmot_qd.trackers.online_tracker import rejected_note
from clmot_qd.visualization.report.kept import read_objects, read_qualities, write_objects, write_qualities
from clmot_qd.visualization.report.rules import is_track_map, rules_of, scored_classes
from clmot_qd.visualization.report.tracked import Embedded, Tracked, first_frames, pictures_of

if TYPE_CHECKING:
    from mmengine.config import Config

CACHE = "report_cache"
_EMBEDDINGS, _QUALITIES = "true_boxes.npz", "embedding_quality.npz"
_MANY_PAIRS = 10**8  # a few seconds

#: Shows progress of what it is told: (frames done, frames in all).
Bar = Callable[[str], AbstractContextManager[FrameProgress]]


@dataclass(frozen=True)
class ModelSource:
    """A run's model and where to keep what it finds.

    Args:
        config: Path or packaged name.
        checkpoint: Trained weights; None: detections must be in ``detections``.
        cache: Folder for what is kept.
        options: Keys of the configuration to change.
        detections: Folder of ``cache_detections`` to take instead of running the network.
        embeddings: Whether embeddings of the true boxes are read.
        max_frames: Only the first so many frames of every video.
    """

    config: str
    checkpoint: str | Path | None
    cache: Path
    options: Mapping[str, Any] | None = None
    detections: Path | None = None
    embeddings: bool = True
    max_frames: int | None = None


def track_run(
    source: ModelSource, bar: Bar, note: Callable[[str], None], say: Callable[[str], None] = lambda line: None
) -> Tracked:
    """Detect, embed and track the test set of a configuration, as far as that is not kept already.

    Args:
        source: The model.
        bar: See :data:`Bar`.
        note: Is told what the page cannot show, and why.
        say: Is told what takes long and has no bar.

    Raises:
        InputError: Configuration, checkpoint or data are missing or do not fit, or the tracker needs the network.
    """
    config = prepare_config(source.config, dict(source.options or {}))
    evaluator = track_evaluator(config)
    tracker = _build_tracker(config)
    whole = read_cocovid(evaluator["ann_file"])
    truth = first_frames(whole, source.max_frames)
    classes = scored_classes(evaluator, truth)
    truth.require_scorable(classes)  # before the network runs
    pictures = pictures_of(whole, image_root(config.test_dataloader.dataset))
    folder, objects = _find(source, config, truth, classes, bar, note, say)
    videos = CacheFolder(folder)
    numbers = truth.class_numbers(videos.classes or classes)
    empty = [name for name in truth.sequences if name not in videos]
    if empty:
        note(f"{folder} has no detections of {len(empty)} videos, which count as empty; first: {empty[0]}")
    tracks = {name: _track(name, videos, tracker, truth, numbers) for name in truth.sequences}
    if tracker.total_rejected:
        note(rejected_note(tracker.total_rejected))
    if is_track_map(evaluator):
        note("TAO's track mAP is not shown: scores are those of the protocol 'plain', over all predictions")
    told = f"{source.checkpoint or source.detections}, {config.model.tracker['type']}"
    return Tracked(truth, tracks, classes, rules_of(evaluator), pictures, told, objects)


def _build_tracker(config: Config) -> Any:
    """Return the configuration's tracker, which must be one that tracks given detections."""
    described = dict(config.model.get("tracker") or {})
    if not described:
        raise InputError("model.tracker is not set, so there are no tracks; set it, e.g. with --config")
    tracker = build_tracker(described.pop("type"), described)
    if getattr(tracker, "needs_regression", False):
        raise InputError("model.tracker: regression needs the network in every frame; give result files (--pred)")
    return tracker


def _track(name: str, videos: CacheFolder, tracker: Any, truth: GroundTruth, numbers: Sequence[int]) -> MotTable:
    """Return the tracks of a video, none if nothing is known of it."""
    if name not in videos:
        return empty_table()
    return track_video(videos[name], tracker, truth.sequences[name].frames, numbers)


def image_root(dataset: Mapping[str, Any]) -> PictureRoot:
    """Return where the pictures of a data set lie, as mmengine joins it."""
    if "dataset" in dataset:  # a wrapper
        return image_root(dataset["dataset"])
    prefix = dataset.get("data_prefix") or {}
    root = dataset.get("data_root") or ""
    return PictureRoot(os.path.join(root, prefix.get("img_path") or prefix.get("img") or ""), root)


def _find(
    source: ModelSource,
    config: Config,
    truth: GroundTruth,
    classes: Sequence[str],
    bar: Bar,
    note: Callable[[str], None],
    say: Callable[[str], None],
) -> tuple[Path, Embedded | None]:
    """Return the folder with the detections and, if they are wanted and to be had, embeddings of the true boxes."""
    if source.checkpoint is None:
        if source.detections is None:
            raise InputError(f"{source.cache.parent}: no checkpoint, so there are no tracks; give one (--checkpoint)")
        if source.embeddings:
            note("No checkpoint, so embeddings of the true boxes are not shown.")
        return source.detections, None
    kept = source.cache / _key(source, config, classes)
    detections = source.detections or kept / "detections"
    objects = read_objects(kept / _EMBEDDINGS) if source.embeddings else None
    detected = source.detections is not None or _complete(detections, truth)
    if not detected or (objects is None and source.embeddings):
        videos = _Videos(config, truth)
        reader = None
        if not detected:
            if objects is None and source.embeddings and not any(detections.glob("*.npz")):
                reader = _ReaderInPassing(videos, classes)  # the same run of the network serves both
            with bar("detecting") as tell:
                also = None if reader is None else reader.read
                fill_cache(detections, videos, source.checkpoint, progress=tell, also=also)
        if objects is None and source.embeddings:
            objects = _embed(videos, reader, source.checkpoint, classes, bar, note)
            if objects is not None:
                write_objects(kept / _EMBEDDINGS, objects)
                (kept / _QUALITIES).unlink(missing_ok=True)
    return detections, None if objects is None else _measured(objects, kept / _QUALITIES, note, say)


def _measured(
    objects: Embedded, path: Path, note: Callable[[str], None], say: Callable[[str], None]
) -> Embedded | None:
    """Return the embeddings with their qualities, which take long where there are many boxes, and are kept."""
    known = read_qualities(path)
    if known is None:
        boxes = np.bincount(objects.objects.labels).astype(object)
        pairs = int((boxes * (boxes - 1) // 2).sum()) * (1 if len(boxes) == 1 else 2)  # each, then all together
        if pairs > _MANY_PAIRS:
            say(f"comparing {pairs / 1e9:.1f} billion pairs of {len(objects.objects.ids):,} embeddings, once")
        try:
            known = objects.qualities
        except InputError as error:  # a value that is not finite
            note(f"Embeddings are not shown: {error}")
            return None
        write_qualities(path, known)
    return replace(objects, measured=known)


class _Videos(ConfiguredVideos):
    """The test set as far as the ground truth reaches, which may have been cut."""

    def __init__(self, config: Config, truth: GroundTruth) -> None:
        super().__init__(config)
        self.truth = truth
        self.videos = {
            name: (position, min(count, len(truth.sequences[name].frames)))
            for name, (position, count) in self.videos.items()
        }


class _ReaderInPassing:
    """Reads the true boxes while the network detects: what is wrong with them ends the reading, not the detection."""

    def __init__(self, videos: ConfiguredVideos, classes: Sequence[str]) -> None:
        self._reader: TrueBoxReader | InputError
        try:
            self._reader = TrueBoxReader(videos, classes)
        except InputError as error:
            self._reader = error

    def read(self, model: Any, data: Mapping[str, Any], feats: Any) -> None:
        """Read one frame, unless an earlier one could not be read."""
        if not isinstance(self._reader, InputError):
            try:
                self._reader.read_trained(model, data, feats)
            except InputError as error:
                self._reader = error

    def objects(self) -> TrueObjects:
        """What has been read.

        Raises:
            InputError: Something could not be read, or there was nothing.
        """
        if isinstance(self._reader, InputError):
            raise self._reader
        return self._reader.objects()


def _embed(
    videos: ConfiguredVideos,
    reader: _ReaderInPassing | None,
    checkpoint: str | Path,
    classes: Sequence[str],
    bar: Bar,
    note: Callable[[str], None],
) -> Embedded | None:
    """Return what has been read in passing; else run the network. None: there is nothing, which is noted."""
    try:
        if reader is not None:
            return Embedded(reader.objects(), tuple(videos.videos))
        with bar("embedding") as tell:
            found = embed_true_boxes(videos, {TRAINED: videos.load_model(checkpoint)}, classes, tell)
            return Embedded(found, tuple(videos.videos))
    except InputError as error:  # ground truth without identities
        note(f"Embeddings are not shown: {error}")
        return None


def _key(source: ModelSource, config: Config, classes: Sequence[str]) -> str:
    """Return the name of the folder for what this model finds in these annotations."""
    identity = identity_of(config, source.checkpoint or "")
    annotations = Path(track_evaluator(config)["ann_file"]).read_bytes()
    data = [sorted(identity.items()), hashlib.sha256(annotations).hexdigest(), list(classes), source.max_frames]
    return f"{Path(source.checkpoint or '').stem}-{hashlib.sha256(repr(data).encode()).hexdigest()[:12]}"


def _complete(folder: Path, truth: GroundTruth) -> bool:
    """Whether all videos have been detected; what is damaged is made again."""
    try:
        videos = CacheFolder(folder)
        return all(
            name in videos and len(videos[name].all_frames()) == len(truth.sequences[name].frames)
            for name in truth.sequences
        )
    except InputError:
        return False
