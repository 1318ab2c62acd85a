"""TrackingInferencer: frames in, tracks out, with any model of this package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from typing import Any

import numpy as np

from clmot_qd.apis.class_lists import check_class_count, configured_classes
from clmot_qd.apis.loading import load_weights
from clmot_qd.apis.running import check_device, explain_build, load_config, require_keys
from clmot_qd.errors import InputError
from clmot_qd.trackers import Tracks

# Image loaders that a test pipeline may begin with; frames from memory replace them.
FILE_LOADERS = ("LoadFrame", "LoadImageFromFile", "mmdet.LoadImageFromFile")


class TrackingInferencer:
    """Tracks objects in frames from files, videos or one's own loop.

    ::

        tracking = TrackingInferencer("clmot_tiny_demo", "final.pth")
        for tracks in tracking.stream("street.mp4"):
            print(tracks.instances_id, tracks.bboxes)

    The pipeline is built once, from the configuration's ``test_dataloader``.

    Args:
        config: Path or packaged name of a configuration.
        checkpoint: Its trained weights; None leaves the random weights of the configuration (for tests).
        device: As torch names it; ``'auto'`` takes the first GPU if there is one.
        options: Keys of the configuration to change, e.g. ``{'model.tracker.conf_thr': 0.5}``.

    Raises:
        InputError: Configuration or checkpoint is missing, malformed, or they do not belong together.
    """

    def __init__(
        self,
        config: str,
        checkpoint: str | PathLike[str] | None = None,
        device: str = "auto",
        options: dict[str, Any] | None = None,
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
        self.classes = configured_classes(dataset)
        check_class_count(self.model, self.classes, "test_dataloader")
        if checkpoint is not None:
            load_weights(self.model, checkpoint, self.classes)
        self.model = self.model.to(self.device).eval()
        self._pipeline = explain_build(lambda: Compose(_pipeline_for_arrays(dataset.pipeline)))
        self.reset()

    def reset(self) -> None:
        """Forget all tracks: call it before each video."""
        self._frame_id = 0
        self._size: tuple[int, int] | None = None
        self.model.tracker.reset()

    def update(self, frame: np.ndarray) -> Tracks:
        """Track the next frame of the current video.

        Args:
            frame: (H, W, 3) uint8, BGR as OpenCV reads it.

        Returns:
            The tracks of this frame, boxes in its pixels.

        Raises:
            InputError: Not such an array, or of another size than the frames before it.
        """
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise InputError(f"frame {self._frame_id}: needs (H, W, 3) uint8, got {frame.shape} {frame.dtype}")
        if self._size not in (None, frame.shape[:2]):
            raise InputError(
                f"frame {self._frame_id}: is {frame.shape[1]}x{frame.shape[0]}, the frames before it are "
                f"{self._size[1]}x{self._size[0]}; call reset() before another video"  # type: ignore[index]
            )
        self._size = frame.shape[:2]
        tracks = self._predict(frame)
        self._frame_id += 1
        return tracks

    def _predict(self, frame: np.ndarray) -> Tracks:
        """One frame through pipeline, preprocessor, network and tracker."""
        packed = self._pipeline(_as_results(frame, self._frame_id))
        data = self.model.data_preprocessor({"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]})
        sample = self.model(**data, mode="predict")[0][0]
        found = sample.pred_track_instances
        return Tracks(
            instances_id=found.instances_id.numpy(),
            bboxes=found.bboxes.numpy(),
            scores=found.scores.numpy(),
            labels=found.labels.numpy(),
            detection_index=found.detection_index.numpy(),
        )

    def stream(self, frames: str | PathLike[str] | Iterable[np.ndarray]) -> Iterator[Tracks]:
        """Track one video from its beginning.

        Args:
            frames: A video file, a folder of images, a glob, or any iterable of BGR frames.

        Yields:
            One :class:`Tracks` per frame.

        Raises:
            InputError: The source cannot be opened or a frame cannot be read.
        """
        from clmot_qd.apis.video_io import open_source

        self.reset()
        for frame in open_source(frames) if isinstance(frames, (str, PathLike)) else frames:
            yield self.update(frame)


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


def _as_results(frame: np.ndarray, frame_id: int) -> dict[str, list]:
    """What a video data set would hand to the pipeline for this frame."""
    # The length is not known in advance; nothing downstream of the pipeline reads it for tracking.
    values = dict(
        img=frame, img_path="", img_id=frame_id, frame_id=frame_id, video_id=0, video_length=1, ori_video_length=1
    )
    return {name: [value] for name, value in values.items()}
