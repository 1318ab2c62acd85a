"""TrackingInferencer: frames in, tracks out, with any model of this package."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np

from clmot_qd.apis.class_lists import check_class_count, configured_classes, head_classes
from clmot_qd.apis.loading import load_checkpoint
from clmot_qd.apis.precision import set_precision
from clmot_qd.apis.running import check_device, explain_build, load_config, require_keys
from clmot_qd.apis.tracking_session import Frame, FrameDetections, TrackingSession
from clmot_qd.errors import InputError
from clmot_qd.geometry import boxes_to_original, scaling_of
from clmot_qd.trackers import Tracks

# Image loaders that a test pipeline may begin with; frames from memory replace them.
FILE_LOADERS = ("LoadFrame", "LoadImageFromFile", "mmdet.LoadImageFromFile")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class NetworkDetections(FrameDetections):
    """Detections of one frame, with what the model needs to track them.

    Attributes:
        sample: The frame's ``DetDataSample``; its metainfo says how the picture was scaled.
        found: The same detections as tensors, boxes in network-input pixels.
        image: (1, 3, H, W), preprocessed; None where the tracker does not look at it.
        feats: Feature maps (1, C, h, w); None likewise.
    """

    sample: Any = None
    found: Any = None
    image: Any = None
    feats: Any = None

    def select(self, rows: np.ndarray) -> NetworkDetections:
        """See :meth:`FrameDetections.select`."""
        import torch

        picked = super().select(rows)
        assert isinstance(picked, NetworkDetections)
        return replace(picked, found=self.found[torch.as_tensor(rows)])


class TrackingInferencer(TrackingSession):
    """Tracks objects in frames from files, videos, streams or one's own loop.

    ::

        tracking = TrackingInferencer("clmot_tiny_demo", "final.pth")
        for tracks in tracking.stream("street.mp4"):
            print(tracks.instances_id, tracks.bboxes)

    The pipeline is built once, from the configuration's ``test_dataloader``. The network sees ``batch_size`` frames at
    once, the tracker one after the other; ids and boxes do not depend on ``batch_size``.

    Args:
        config: Path or packaged name of a configuration.
        checkpoint: Its trained weights; None leaves the random weights of the configuration (for tests).
        device: As torch names it; ``'auto'`` takes the first GPU if there is one.
        options: Keys of the configuration to change, e.g. ``{'model.tracker.conf_thr': 0.5}``.
        batch_size: See :class:`TrackingSession`.
        precision: ``'float16'`` (GPUs) or ``'bfloat16'`` let backbone, neck and heads compute in half precision, see
            :func:`~clmot_qd.apis.precision.set_precision`.
        score_thr: See :class:`TrackingSession`.
        keep_classes: See :class:`TrackingSession`.
        prefetch: See :class:`TrackingSession`.

    Attributes:
        classes: Names by label: the checkpoint's, the configuration's where the checkpoint does not say.
        checkpoint_note: What was loaded, and how, in one line; also in the log.

    Raises:
        InputError: Configuration or checkpoint is missing, malformed, or they do not belong together; an option is out
            of its range.
    """

    def __init__(
        self,
        config: str,
        checkpoint: str | PathLike[str] | None = None,
        device: str = "auto",
        options: dict[str, Any] | None = None,
        *,
        batch_size: int = 1,
        precision: str = "float32",
        score_thr: float | Mapping[str, float] | None = None,
        keep_classes: Sequence[str] | None = None,
        prefetch: int = 8,
    ) -> None:
        import torch
        from mmdet.registry import MODELS
        from mmengine.dataset import Compose
        from mmengine.registry import init_default_scope

        self.config = load_config(config, options)
        init_default_scope(self.config.get("default_scope", "mmdet"))
        if not self.config.model.get("tracker"):
            raise InputError(f"{config}: model.tracker is not set: a detector alone cannot track")
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        check_device(self.device)
        require_keys(self.config, "test_dataloader")
        self.model = explain_build(lambda: MODELS.build(self.config.model))
        dataset = self.config.test_dataloader.dataset
        configured = configured_classes(dataset)
        check_class_count(self.model, configured, "test_dataloader")
        self.checkpoint_note = ""
        classes = configured if checkpoint is None else self._load(checkpoint, configured)
        super().__init__(
            classes, batch_size=batch_size, score_thr=score_thr, keep_classes=keep_classes, prefetch=prefetch
        )
        self.model = self.model.to(self.device).eval()
        set_precision(self.model, precision, self.device)
        self._pipeline = explain_build(lambda: Compose(_pipeline_for_arrays(dataset.pipeline)))
        self.reset()

    def _load(self, checkpoint: str | PathLike[str], configured: tuple[str, ...]) -> tuple[str, ...]:
        """Load the weights; return the names of the classes."""
        loaded = load_checkpoint(self.model, checkpoint, configured)
        self.checkpoint_note = loaded.note
        logger.info(loaded.note)
        # A public file of one class may carry the thirteen names of MOTChallenge: then it does not say.
        counts = {len(configured)} if configured else set(head_classes(self.model).values())
        if counts != {len(loaded.classes)}:
            return configured
        if configured and configured != loaded.classes:
            both = f"calls the classes {', '.join(loaded.classes)}; the configuration says {', '.join(configured)}"
            logger.warning("%s: %s: shown by the checkpoint's names", checkpoint, both)
        return loaded.classes

    def _reset_tracker(self) -> None:
        self.model.tracker.reset()

    def _detect(self, frames: Sequence[Frame]) -> list[FrameDetections]:
        """Pipeline, preprocessor and network; see :meth:`TrackingSession._detect`."""
        import torch

        packed = [self._pipeline(_as_results(frame)) for frame in frames]
        batch = {key: [sample[key] for sample in packed] for key in ("inputs", "data_samples")}
        data = self.model.data_preprocessor(batch)
        samples = [sample[0] for sample in data["data_samples"]]
        images = data["inputs"].flatten(0, 1)
        with torch.no_grad():
            feats = self.model.detector.extract_feat(images)
            found = self.model.detect(feats, samples)
        return [self._frame_detections(row, *pair, images, feats) for row, pair in enumerate(zip(samples, found))]

    def _frame_detections(self, row: int, sample: Any, found: Any, images: Any, feats: Any) -> NetworkDetections:
        """The detections of one frame of a batch."""
        kept = self.model.tracker_sees_images
        return NetworkDetections(
            bboxes=boxes_to_original(found.bboxes, *scaling_of(sample.metainfo)).float().cpu().numpy(),
            scores=found.scores.float().cpu().numpy(),
            labels=found.labels.cpu().numpy(),
            embeds=found.embeds.float().cpu().numpy(),
            sample=sample,
            found=found,
            image=images[row : row + 1] if kept else None,
            feats=[level[row : row + 1] for level in feats] if kept else None,
        )

    def _associate(self, detections: FrameDetections, frame_id: int) -> Tracks:
        assert isinstance(detections, NetworkDetections)
        detections.sample.set_metainfo({"frame_id": frame_id})
        self.model.associate(detections.sample, detections.found, detections.image, detections.feats)
        tracked = detections.sample.pred_track_instances
        return Tracks(
            instances_id=tracked.instances_id.numpy(),
            bboxes=tracked.bboxes.numpy(),
            scores=tracked.scores.numpy(),
            labels=tracked.labels.numpy(),
            detection_index=tracked.detection_index.numpy(),
        )


def _pipeline_for_arrays(pipeline: list[dict]) -> list[dict]:
    """A test pipeline with its image loader replaced by one that takes the image from memory."""
    swapped = []
    for step in pipeline:
        step = dict(step)
        if step["type"] in FILE_LOADERS:
            step = dict(type="mmdet.LoadImageFromNDArray")
        elif "transforms" in step:
            step["transforms"] = _pipeline_for_arrays(step["transforms"])
        swapped.append(step)
    return swapped


def _as_results(frame: Frame) -> dict[str, list]:
    """What a video data set would hand to the pipeline for this frame, whose number is not known yet."""
    # The length is not known either; nothing downstream of the pipeline reads it for tracking.
    values = dict(img=frame, img_path="", img_id=0, frame_id=0, video_id=0, video_length=1, ori_video_length=1)
    return {name: [value] for name, value in values.items()}
