"""TrackingInferencer: frames in, tracks out, with any model of this package."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from clmot_qd.apis.acceleration import accelerate, compile_layers
from clmot_qd.apis.class_lists import check_class_count, configured_classes, head_classes
from clmot_qd.apis.loading import load_checkpoint
from clmot_qd.apis.precision import set_precision
from clmot_qd.apis.running import chosen_device, explain_build, load_config, require_keys
from clmot_qd.apis.tracking_session import Frame, FrameDetections, TrackingSession
from clmot_qd.errors import InputError
from clmot_qd.geometry import boxes_to_original, scaling_of
from clmot_qd.trackers import Tracks

GPU_BATCH = 4
"""Frames of a file that a GPU sees at once, unless the user says otherwise."""

if TYPE_CHECKING:
    from clmot_qd.apis.frame_preparation import PreparedFrame

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class NetworkDetections(FrameDetections):
    """Detections of one frame, with what the model needs to track them.

    Attributes:
        sample: The frame's ``DetDataSample``; its metainfo says how the picture was scaled.
        found: The same detections as tensors, boxes in network-input pixels.
        image: (1, 3, H, W), preprocessed; None where the tracker does not look at it.
        feats: Feature maps (1, C, h, w); None likewise.
        grids: (n, h, w) float32 on the CPU, what becomes the masks of those that are tracked; None of models of boxes.
    """

    sample: Any = None
    found: Any = None
    image: Any = None
    feats: Any = None
    grids: Any = None

    def select(self, rows: np.ndarray) -> NetworkDetections:
        """See :meth:`FrameDetections.select`."""
        import torch

        picked = super().select(rows)
        assert isinstance(picked, NetworkDetections)
        picks = torch.as_tensor(rows)
        return replace(picked, found=self.found[picks], grids=None if self.grids is None else self.grids[picks])


class TrackingInferencer(TrackingSession):
    """Tracks objects in frames from files, videos, streams or one's own loop.

    ::

        tracking = TrackingInferencer("clmot_tiny_demo", "final.pth")
        for tracks in tracking.stream("street.mp4"):
            print(tracks.instances_id, tracks.bboxes)

    The pipeline is built once, from the configuration's ``test_dataloader``. The network sees ``batch_size`` frames at
    once, the tracker one after the other; ids and boxes do not depend on ``batch_size``. The tracks of a model with a
    mask head have ``masks``, in the pixels of the frame::

        file -> read ahead -> pipeline, normalised   (a thread for each)
             -> network on the next batch            (a thread; of files alone)
             -> tracker, caller

    Args:
        config: Path or packaged name of a configuration.
        checkpoint: Its trained weights; None leaves the random weights of the configuration (for tests).
        device: As torch names it; ``'auto'`` takes the first GPU if there is one.
        options: Keys of the configuration to change, e.g. ``{'model.tracker.conf_thr': 0.5}``.
        batch_size: See :class:`TrackingSession`; None: 4 for files on a GPU, 1 elsewhere.
        precision: ``'float16'`` (GPUs) or ``'bfloat16'`` let backbone, neck and heads compute in half precision, see
            :func:`~clmot_qd.apis.precision.set_precision`.
        score_thr: See :class:`TrackingSession`.
        keep_classes: See :class:`TrackingSession`.
        prefetch: See :class:`TrackingSession`.
        optimize: Prepare the model for speed, see :func:`~clmot_qd.apis.acceleration.accelerate`, and detect while the
            frames before are tracked; False runs everything plainly, one after the other, with the same results.
        compile: Compile the layers, see :func:`~clmot_qd.apis.acceleration.compile_layers`: the first frame takes a
            minute or more, the others less time. Needs a C++ compiler on CPUs.

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
        batch_size: int | None = None,
        precision: str = "float32",
        score_thr: float | Mapping[str, float] | None = None,
        keep_classes: Sequence[str] | None = None,
        prefetch: int = 8,
        optimize: bool = True,
        compile: bool = False,
    ) -> None:
        import torch
        from mmdet.registry import MODELS
        from mmengine.dataset import Compose
        from mmengine.registry import init_default_scope

        from clmot_qd.apis.frame_preparation import FramePreparation, for_arrays

        self.config = load_config(config, options)
        init_default_scope(self.config.get("default_scope", "mmdet"))
        if not self.config.model.get("tracker"):
            raise InputError(f"{config}: model.tracker is not set: a detector alone cannot track")
        self.device = chosen_device(device)
        require_keys(self.config, "test_dataloader")
        self.model = explain_build(lambda: MODELS.build(self.config.model))
        dataset = self.config.test_dataloader.dataset
        configured = configured_classes(dataset)
        check_class_count(self.model, configured, "test_dataloader")
        self.checkpoint_note = ""
        classes = configured if checkpoint is None else self._load(checkpoint, configured)
        on_gpu = torch.device(self.device).type != "cpu"
        self._batches_files_alone = batch_size is None
        super().__init__(
            classes,
            batch_size=(GPU_BATCH if on_gpu else 1) if batch_size is None else batch_size,
            score_thr=score_thr,
            keep_classes=keep_classes,
            prefetch=prefetch,
        )
        channels_last = self._make_ready(precision, optimize, compile)
        self._pipeline = explain_build(lambda: Compose(for_arrays(dataset.pipeline)))
        preprocessor = self.model.data_preprocessor
        self._preparation = FramePreparation(self._pipeline, preprocessor, self.device, optimize, channels_last)
        # A tracker that asks the network would meet it at work on the next frames; CUDA graphs stay in their thread.
        self._detects_ahead = optimize and not self.model.tracker_sees_images and not (compile and on_gpu)
        self._preparing_threads = max(1, min(4, (os.cpu_count() or 1) // 4)) if on_gpu else 1
        self.reset()

    def _make_ready(self, precision: str, optimize: bool, compile: bool) -> bool:
        """Bring the model to its device and give it the form in which it runs. -> whether with channels last."""
        self.model = self.model.to(self.device).eval()
        channels_last = optimize and accelerate(self.model)
        set_precision(self.model, precision, self.device)
        if compile:
            compile_layers(self.model, self.device)
        return channels_last

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

    @property
    def num_rejected(self) -> int:
        """See :attr:`TrackingSession.num_rejected`; trackers of mmdet do not say."""
        return getattr(self.model.tracker, "num_rejected", 0)

    @property
    def gives_masks(self) -> bool:
        """See :attr:`TrackingSession.gives_masks`."""
        return self.model.gives_masks

    def _reset_tracker(self) -> None:
        self.model.tracker.reset()

    def _batch_size_of(self, source: Any) -> int:
        # A camera's tracks would come some frames later, which nobody asked for.
        waits = getattr(source, "is_live", False) or not hasattr(source, "fps")
        return 1 if self._batches_files_alone and waits else self.batch_size

    def _prepare(self, frame: Frame) -> PreparedFrame:
        return self._preparation.prepare(frame)

    def _detect(self, frames: Sequence[Frame]) -> list[FrameDetections]:
        return self._detect_prepared([self._prepare(frame) for frame in frames])

    def _detect_prepared(self, prepared: Sequence[PreparedFrame]) -> list[FrameDetections]:
        """Preprocessor and network; see :meth:`TrackingSession._detect`."""
        import torch

        from clmot_qd.models.mot.mask_pasting import grids_on_host

        with torch.no_grad(), self._on_device():
            images, samples = self._preparation.batch(prepared)
            feats = self.model.detector.extract_feat(images)
            found = self.model.detect(feats, samples)
            grids = grids_on_host(found)
            arrays = detections_on_host(found, [scaling_of(sample.metainfo) for sample in samples])
        kept = self.model.tracker_sees_images
        return [
            NetworkDetections(
                **arrays[row],
                sample=samples[row],
                found=found[row],
                image=images[row : row + 1] if kept else None,
                feats=[level[row : row + 1] for level in feats] if kept else None,
                grids=grids[row],
            )
            for row in range(len(samples))
        ]

    def _on_device(self) -> AbstractContextManager[object]:
        """Threads that detect have a current GPU of their own, which mmcv's operators ask for."""
        import torch

        return torch.cuda.device(self.device) if torch.device(self.device).type == "cuda" else nullcontext()

    def _associate(self, detections: FrameDetections, frame_id: int) -> Tracks:
        assert isinstance(detections, NetworkDetections)
        if self.model.tracker_sees_images:
            return self._associate_by_model(detections, frame_id)
        found = detections
        return self.model.tracker.update(found.bboxes, found.scores, found.labels, found.embeds, frame_id)

    def _with_masks(self, tracks: Tracks, detections: FrameDetections) -> Tracks:
        assert isinstance(detections, NetworkDetections)
        if detections.grids is None:
            return tracks
        import torch

        from clmot_qd.models.mot.mask_pasting import paste_tracked

        index, size = torch.as_tensor(tracks.detection_index), detections.sample.metainfo["ori_shape"]
        bboxes = torch.as_tensor(detections.bboxes)
        return replace(tracks, masks=paste_tracked(detections.grids, bboxes, index, size, self.model.mask_thr))

    def _associate_by_model(self, detections: NetworkDetections, frame_id: int) -> Tracks:
        """With trackers of mmdet and those that ask the network again."""
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


def detections_on_host(found: Sequence[Any], scalings: Sequence[tuple[Any, Any]]) -> list[dict[str, np.ndarray]]:
    """The detections of some frames as arrays, by one copy from the device.

    Args:
        found: Per frame an ``InstanceData`` of bboxes (n, 4) in network-input pixels, scores, labels and embeds (n, C).
        scalings: Per frame ``scale_factor`` and ``pad_param``.

    Returns:
        Per frame bboxes in pixels of the frame, scores, labels, embeds; arguments of :class:`FrameDetections`.
    """
    import torch

    # Labels are small enough to be exact in float32.
    columns = [[f.bboxes, f.scores[:, None], f.labels[:, None], f.embeds] for f in found]
    rows = torch.cat([torch.cat([part.float() for part in parts], dim=1) for parts in columns]).cpu().numpy()
    tables = np.split(rows, np.cumsum([len(f) for f in found])[:-1])
    return [
        dict(
            bboxes=boxes_to_original(table[:, :4], *scaling),
            scores=table[:, 4].copy(),
            labels=table[:, 5].astype(np.int64),
            embeds=np.ascontiguousarray(table[:, 6:]),
        )
        for table, scaling in zip(tables, scalings)
    ]
