"""The embedding quality of a model: its embeddings at the true boxes of a test set, as table, JSON and picture."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from clmot_qd.apis.comparison import untrained_model
from clmot_qd.apis.detection_cache import ConfiguredVideos, FrameProgress, on_device, prepare_config
from clmot_qd.apis.embedding_quality import GAPS, EmbeddingQuality, Nearest, embedding_quality
from clmot_qd.errors import InputError
from clmot_qd.evaluation import SequenceTruth
from clmot_qd.files import write_text
from clmot_qd.geometry import boxes_to_network, scaling_of, xywh_to_xyxy

ALL_CLASSES = "all classes"
#: Model (trained, random weights) -> class, or ALL_CLASSES where there are several -> quality.
Report = dict[str, dict[str, EmbeddingQuality]]
TRAINED, RANDOM = "trained", "random weights"


@dataclass(frozen=True)
class TrueObjects:
    """The true boxes of a test set with the embeddings that models give them; n objects.

    Args:
        embeds: Model -> (n, C).
        ids: (n,) identities within a video.
        frames: (n,) frame numbers.
        videos: (n,) number of the video.
        labels: (n,) index into ``classes``.
        classes: Names.
    """

    embeds: Mapping[str, np.ndarray]
    ids: np.ndarray
    frames: np.ndarray
    videos: np.ndarray
    labels: np.ndarray
    classes: Sequence[str]


def measure_embeddings(
    config: str,
    checkpoint: str | PathLike[str],
    options: dict[str, Any] | None = None,
    random_seed: int | None = None,
    gaps: Sequence[int] = GAPS,
    progress: FrameProgress = lambda done, total: None,
) -> Report:
    """Read a model's embeddings at the true boxes of its test set and measure them.

    Args:
        config: Path or packaged name; every model that has ``embed_boxes``.
        checkpoint: Trained weights.
        options: Keys of the configuration to change.
        random_seed: Also measure the same network with random weights drawn from this seed.
        gaps: See :func:`~clmot_qd.apis.embedding_quality.embedding_quality`.
        progress: Is told frames done and frames in all.

    Raises:
        InputError: Configuration, checkpoint or data are missing or do not fit; no identities to compare.
    """
    if not gaps or min(gaps) < 1:
        raise InputError(f"gaps {list(gaps)}: give distances in frames, 1 or more")
    loaded = prepare_config(config, options)
    source = ConfiguredVideos(loaded)
    models = {TRAINED: source.load_model(checkpoint)}
    if random_seed is not None:
        models[RANDOM] = on_device(untrained_model(loaded, random_seed))
    objects = embed_true_boxes(source, models, source.scored_classes(), progress)
    return {name: quality_by_class(objects, name, gaps) for name in models}


def embed_true_boxes(
    source: ConfiguredVideos, models: Mapping[str, Any], classes: Sequence[str], progress: FrameProgress
) -> TrueObjects:
    """Read embeddings at the true boxes of these classes that have an identity and are to be considered."""
    reader = TrueBoxReader(source, classes)
    total = sum(frames for _, frames in source.videos.values())
    for done, batch in enumerate(source.batches(source.videos)):
        progress(done, total)
        reader.read(models, next(iter(models.values())).data_preprocessor(batch))
    progress(total, total)
    return reader.objects()


class TrueBoxReader:
    """Reads embeddings at true boxes, frame by frame.

    Args:
        source: The test set.
        classes: Boxes of these classes are read if they have an identity and are to be considered.

    Raises:
        InputError: The ground truth has no such class.
    """

    def __init__(self, source: ConfiguredVideos, classes: Sequence[str]) -> None:
        self._source, self._classes = source, classes
        self._numbers = source.truth.class_numbers(classes)
        self._chosen = {name: _rows_by_frame(truth, self._numbers) for name, truth in source.truth.sequences.items()}
        self._order = {name: position for position, name in enumerate(source.videos)}
        self._parts: list[tuple[np.ndarray, ...]] = []
        self._embeds: dict[str, list[np.ndarray]] = {}

    def read(self, models: Mapping[str, Any], data: Mapping[str, Any], feats: Any = None) -> None:
        """Read one frame.

        Args:
            models: Name -> model, the same ones in every frame.
            data: The frame as ``data_preprocessor`` gives it.
            feats: Its feature maps, if there is one model and they are known already.
        """
        import torch

        meta = data["data_samples"][0][0].metainfo
        sequence, frame = self._source.place_of(meta)
        rows = self._chosen[sequence].get(frame)
        if rows is None:
            return
        boxes = self._source.truth.sequences[sequence].boxes.select(rows)
        corners = xywh_to_xyxy(boxes.bboxes)
        network = torch.as_tensor(boxes_to_network(corners, *scaling_of(meta)), dtype=torch.float32)
        for name, model in models.items():
            found = model.embed_boxes(data["inputs"].flatten(0, 1), [network], feats)[0]
            self._embeds.setdefault(name, []).append(found.float().cpu().numpy())
        labels = np.array([self._numbers.index(number) for number in boxes.class_ids.tolist()])
        self._parts.append((boxes.ids, boxes.frames, np.full(len(rows), self._order[sequence]), labels))

    def read_trained(self, model: Any, data: Mapping[str, Any], feats: Any) -> None:
        """Read one frame of the trained model, which has its feature maps already."""
        self.read({TRAINED: model}, data, feats)

    def objects(self) -> TrueObjects:
        """What has been read.

        Raises:
            InputError: Nothing.
        """
        if not self._parts:
            told = f"no box of {', '.join(self._classes)} has an identity to compare"
            raise InputError(f"{self._source.truth.source}: {told}")
        joined = {name: np.concatenate(vectors) for name, vectors in self._embeds.items()}
        ids, frames, videos, labels = (np.concatenate(column) for column in zip(*self._parts))
        return TrueObjects(joined, ids, frames, videos, labels, self._classes)


def _rows_by_frame(truth: SequenceTruth, numbers: Sequence[int]) -> dict[int, np.ndarray]:
    boxes = truth.boxes
    rows = np.flatnonzero(np.isin(boxes.class_ids, numbers) & (boxes.scores != 0) & (boxes.ids >= 0))
    rows = rows[np.argsort(boxes.frames[rows], kind="stable")]
    frames, starts = np.unique(boxes.frames[rows], return_index=True)
    return dict(zip(frames.tolist(), np.split(rows, starts[1:])))


def quality_by_class(objects: TrueObjects, model: str, gaps: Sequence[int]) -> dict[str, EmbeddingQuality]:
    """Measure the embeddings of one model: class, or ALL_CLASSES where there are several -> quality."""

    def measure(rows: np.ndarray, labels: np.ndarray | None) -> EmbeddingQuality:
        embeds = objects.embeds[model][rows]
        ids, frames, videos = objects.ids[rows], objects.frames[rows], objects.videos[rows]
        return embedding_quality(embeds, ids, frames, videos, labels, gaps=gaps)

    present = np.unique(objects.labels).tolist()
    found = {objects.classes[label]: measure(objects.labels == label, None) for label in present}
    if len(present) > 1:
        found[ALL_CLASSES] = measure(np.ones(len(objects.labels), dtype=bool), objects.labels)
    return found


def report_table(report: Report) -> str:
    """Lay out the report: TPR at each FAR and nearest neighbours over each gap, in percent."""
    first = next(iter(next(iter(report.values())).values()))
    lines = []
    for name, quality in next(iter(report.values())).items():
        pairs = f"{int(quality.same.sum()):,} pairs of one identity, {int(quality.different.sum()):,} of two"
        lines.append(f"{name}: {quality.objects:,} true boxes of {quality.identities:,} identities; {pairs}")
    width = max(len(_title(model, name)) for model, classes in report.items() for name in classes)
    fars = "".join(f"{level:>8.0e}" for level in first.tpr_at_far)
    gaps = "".join(f"{f'+{gap}':>8}" for gap in first.nearest)
    lines += [
        "",
        f"{'':<{width}}{'TPR [%] at FAR':>{len(fars)}}    {'nearest is itself [%], frames later':>{len(gaps)}}",
    ]
    lines.append(f"{'':<{width}}{fars}    {gaps}")
    for model, classes in report.items():
        for name, quality in classes.items():
            rates = "".join(_cell(100 * value) for value in quality.tpr_at_far.values())
            shares = "".join(_cell(100 * near.accuracy) for near in quality.nearest.values())
            lines.append(f"{_title(model, name):<{width}}{rates}    {shares}")
    for name, quality in next(iter(report.values())).items():
        shares = "".join(_cell(100 * near.chance) for near in quality.nearest.values())
        lines.append(f"{_title('chance', name):<{width}}{'':<{len(fars)}}    {shares}")
    return "\n".join(lines)


def _title(model: str, name: str) -> str:
    return f"{model}, {name}"


def _cell(value: float) -> str:
    return f"{'-':>8}" if math.isnan(value) else f"{value:>8.2f}"


def write_report(report: Report, path: str | PathLike[str]) -> None:
    """Write all numbers but the histograms as JSON; what is not defined becomes null."""
    content = {model: {name: _numbers(quality) for name, quality in rows.items()} for model, rows in report.items()}
    write_text(path, json.dumps(content, indent=2) + "\n")


def _numbers(quality: EmbeddingQuality) -> dict[str, Any]:
    return dict(
        objects=quality.objects,
        identities=quality.identities,
        same_pairs=int(quality.same.sum()),
        different_pairs=int(quality.different.sum()),
        tpr_at_far={f"{level:.0e}": _defined(value) for level, value in quality.tpr_at_far.items()},
        thresholds={f"{level:.0e}": _defined(value) for level, value in quality.thresholds.items()},
        nearest={str(gap): _nearest_numbers(near) for gap, near in quality.nearest.items()},
    )


def _nearest_numbers(near: Nearest) -> dict[str, Any]:
    return dict(objects=near.objects, accuracy=_defined(near.accuracy), chance=_defined(near.chance))


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value
