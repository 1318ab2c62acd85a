"""Keeping what a model finds in a test set: one file per video, so that trackers can be tried without the network.

Boxes, scores, labels and embeddings are kept; masks, which no tracker looks at, are not.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clmot_qd.apis.class_lists import built_classes, check_class_count
from clmot_qd.apis.running import explain_build, load_config, load_weights, make_folder, require_keys, track_evaluator
from clmot_qd.datasets.detections import VideoDetections, write_cache
from clmot_qd.datasets.detections.cache_files import cache_path, read_cache, read_identity
from clmot_qd.errors import InputError
from clmot_qd.evaluation import GroundTruth, read_cocovid
from clmot_qd.evaluation.protocols import get_protocol
from clmot_qd.geometry import boxes_to_original, scaling_of

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from mmengine.config import Config

#: Is told frames done and frames in all.
FrameProgress = Callable[[int, int], None]
#: Is given the model, a frame as its data preprocessor gives it, and the frame's feature maps.
FrameReader = Callable[[Any, Mapping[str, Any], Any], None]


@dataclass(frozen=True)
class FrameDetections:
    """Detections of one frame.

    Attributes:
        sequence: Name of the video.
        frame: Its frame number, as result files count.
        bboxes: (n, 4) xyxy, original image.
        scores: (n,).
        labels: (n,) class index.
        embeds: (n, C) not normalised.
        more_embeds: Kind -> embeddings (n, C) of the same boxes by other models.
    """

    sequence: str
    frame: int
    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    embeds: np.ndarray
    more_embeds: Mapping[str, np.ndarray]


def cache_detections(
    config: str,
    checkpoint: str | PathLike[str],
    out: str | PathLike[str],
    options: dict[str, Any] | None = None,
    half: bool = False,
    progress: FrameProgress = lambda done, total: None,
) -> list[Path]:
    """Detect and embed the objects of a configuration's test set.

    Args:
        config: Path or packaged name.
        checkpoint: Trained weights.
        out: Folder for one ``.npz`` per video (:mod:`clmot_qd.datasets.detections.cache_files`). Videos that are in
            there already, complete and by the same model, are left alone.
        options: Keys of the configuration to change.
        half: Store embeddings in half precision: half the space, similarities change by about 0.001.
        progress: See :data:`FrameProgress`.

    Returns:
        The files of all videos.

    Raises:
        InputError: Configuration, checkpoint or data are missing or do not fit, or the folder holds another model's.
    """
    source = ConfiguredVideos(prepare_config(config, options))
    return fill_cache(out, source, checkpoint, half=half, progress=progress)


def prepare_config(config: str, options: dict[str, Any] | None) -> Config:
    """Read a configuration for running its model over its test set, frame by frame.

    Raises:
        InputError: It is missing or has no test set.
    """
    from mmengine.registry import init_default_scope

    loaded = load_config(config, options)
    init_default_scope(loaded.get("default_scope", "mmdet"))
    require_keys(loaded, "test_dataloader")
    loaded.test_dataloader.batch_size = 1
    return loaded


def classes_of(evaluator: Mapping[str, Any], truth: GroundTruth) -> tuple[str, ...]:
    """Return the classes that a ``TrackEvalMetric`` with these arguments scores."""
    named = evaluator.get("classes", ("pedestrian",))
    if named is not None:
        return tuple(named)
    several = get_protocol(evaluator.get("protocol", "mot")).classes
    return several if len(several) > 1 else truth.occurring_classes()


class ConfiguredVideos:
    """The test set of a configuration, with its ground truth.

    Args:
        config: See :func:`prepare_config`.

    Raises:
        InputError: The data are missing, or are no videos.
    """

    def __init__(self, config: Config) -> None:
        from mmengine.runner import Runner

        self.config = config
        self.evaluator = track_evaluator(config)
        self.truth: GroundTruth = read_cocovid(self.evaluator["ann_file"])
        self._loader = explain_build(lambda: Runner.build_dataloader(config.test_dataloader))
        self.dataset = self._loader.dataset
        if not hasattr(self.dataset, "get_len_per_video"):
            raise InputError("test_dataloader.dataset: must be a video data set, e.g. CocoVideoDataset")
        self.classes = built_classes(self.dataset)
        self.videos = self._list_videos()

    def scored_classes(self) -> tuple[str, ...]:
        """Return the classes that the configuration's ``TrackEvalMetric`` scores."""
        return classes_of(self.evaluator, self.truth)

    def _list_videos(self) -> dict[str, tuple[int, int]]:
        """Return sequence -> position in the data set, number of frames."""
        names = {video: sequence for (video, _), (sequence, _) in self.truth.frame_index.items()}
        videos = {}
        for position in range(len(self.dataset)):
            content = self.dataset.get_data_info(position)
            if content["video_id"] not in names:
                what = f"has no video {content['video_id']}, which test_dataloader gives"
                raise InputError(f"{self.truth.source}: {what}; test and score on the same annotation file")
            videos[names[content["video_id"]]] = position, len(content["images"])
        return videos

    def batches(self, names: Iterable[str]) -> Iterator[Any]:
        """Yield the frames of these videos one by one, video by video, whatever sampler the configuration has."""
        from torch.utils.data import DataLoader

        places = [(self.videos[name][0], frame) for name in names for frame in range(self.videos[name][1])]
        workers = self._loader.num_workers
        yield from DataLoader(self.dataset, 1, sampler=places, num_workers=workers, collate_fn=self._loader.collate_fn)

    def place_of(self, meta: Mapping[str, Any]) -> tuple[str, int]:
        """Return sequence and frame number of a frame."""
        return self.truth.frame_index[meta["video_id"], meta["frame_id"]]

    def load_model(self, checkpoint: str | PathLike[str]) -> Any:
        """Return the model with its weights, ready for testing, on the GPU if there is one.

        Raises:
            InputError: Model, classes and checkpoint do not fit.
        """
        from mmdet.registry import MODELS

        model = explain_build(lambda: MODELS.build(self.config.model))
        check_class_count(model, self.classes, "test_dataloader")
        load_weights(model, checkpoint, self.classes)
        if model.gives_masks:
            logger.warning("%s: these detections are boxes: the model's masks are left out", checkpoint)
            model.predict_masks = False
        return on_device(model)


def on_device(model: Any) -> Any:
    """Return the model in evaluation mode, on the GPU if there is one."""
    import torch

    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def fill_cache(
    out: str | PathLike[str],
    source: ConfiguredVideos,
    checkpoint: str | PathLike[str],
    untrained: Mapping[str, Any] | None = None,
    half: bool = False,
    progress: FrameProgress = lambda done, total: None,
    also: FrameReader | None = None,
) -> list[Path]:
    """Write the cache files that are not there yet; memory holds the detections of one video.

    Args:
        out: The folder.
        source: The test set.
        checkpoint: Trained weights.
        untrained: Kind -> further model that embeds the same boxes.
        half: Store embeddings in half precision.
        progress: See :data:`FrameProgress`.
        also: Is shown every frame that the network sees.

    Raises:
        InputError: The model does not fit, or the folder holds another model's files.
    """
    make_folder(out)
    identity, kinds = identity_of(source.config, checkpoint, half), {"", *(untrained or {})}
    missing = [name for name in source.videos if not _is_there(out, name, source, identity, kinds)]
    total = sum(count for _, count in source.videos.values())
    done = total - sum(source.videos[name][1] for name in missing)
    progress(done, total)
    if missing:
        model = source.load_model(checkpoint)
        others = {kind: on_device(other) for kind, other in (untrained or {}).items()}
        frames = _detect(model, others, source, _counted(source.batches(missing), done, total, progress), also)
        for name, group in groupby(frames, key=lambda frame: frame.sequence):
            found, more = _stack(list(group))
            write_cache(out, name, found, source.classes, identity, more, half)
    return [cache_path(out, name) for name in source.videos]


def _counted(batches: Iterable[Any], done: int, total: int, progress: FrameProgress) -> Iterator[Any]:
    for count, batch in enumerate(batches, start=done + 1):
        yield batch
        progress(count, total)


def identity_of(config: Config, checkpoint: str | PathLike[str], half: bool = False) -> dict[str, Any]:
    """Return what the detections depend on: model without its tracker, test pipeline, weights, precision."""
    model = {key: value for key, value in config.model.items() if key != "tracker"}
    text = json.dumps([model, config.test_dataloader.dataset.get("pipeline")], sort_keys=True, default=repr)
    weights = hashlib.sha256()
    if Path(checkpoint).is_file():
        with open(checkpoint, "rb") as handle:
            while block := handle.read(1 << 20):
                weights.update(block)
    else:  # an address
        weights.update(str(checkpoint).encode())
    return dict(
        model=str(config.model.get("type")),
        config=hashlib.sha256(text.encode()).hexdigest()[:16],
        checkpoint=weights.hexdigest()[:16],
        half=half,
    )


def _is_there(
    out: str | PathLike[str], name: str, source: ConfiguredVideos, identity: Mapping[str, Any], kinds: set[str]
) -> bool:
    """Whether the file of a video is complete: same model, all embeddings wanted, all frames of the video."""
    path = cache_path(out, name)
    if not path.exists():
        return False
    try:
        found, there = read_identity(path)
        numbers = read_cache(path)[2].all_frames()
    except InputError:
        return False  # damaged: it is made again
    for key, value in identity.items():
        if found.get(key) != value:
            raise InputError(f"{path}: was made with another {key}; choose another folder or remove its files")
    return kinds <= set(there) and len(numbers) == source.videos[name][1]


def _detect(
    model: Any, others: Mapping[str, Any], source: ConfiguredVideos, batches: Iterable[Any], also: FrameReader | None
) -> Iterator[FrameDetections]:
    """Yield the detections of batches of one frame."""
    import torch

    for batch in batches:
        data = model.data_preprocessor(batch)
        frame = data["data_samples"][0][0]
        images = data["inputs"].flatten(0, 1)
        with torch.no_grad():
            feats = model.detector.extract_feat(images)
            found = model.detect(feats, [frame])[0]
            if also is not None:
                also(model, data, feats)
        boxes = boxes_to_original(found.bboxes, *scaling_of(frame.metainfo))
        yield FrameDetections(
            *source.place_of(frame.metainfo),
            boxes.cpu().numpy(),
            found.scores.cpu().numpy(),
            found.labels.cpu().numpy(),
            found.embeds.cpu().numpy(),
            {kind: other.embed_boxes(images, [found.bboxes])[0].cpu().numpy() for kind, other in others.items()},
        )


def _stack(frames: list[FrameDetections]) -> tuple[VideoDetections, dict[str, np.ndarray]]:
    """The detections of a video's frames, and the further embeddings of them."""
    numbers = np.array([frame.frame for frame in frames])
    counts = [len(frame.bboxes) for frame in frames]
    columns = {
        name: np.concatenate([getattr(frame, name) for frame in frames])
        for name in ("bboxes", "scores", "labels", "embeds")
    }
    more = {kind: np.concatenate([frame.more_embeds[kind] for frame in frames]) for kind in frames[0].more_embeds}
    return VideoDetections(frames=np.repeat(numbers, counts), numbers=numbers, **columns), more
