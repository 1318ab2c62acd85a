"""A loaded model under another tracker: its detections, a visitor's choice of association."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from clmot_qd.apis.tracking_session import Frame, FrameDetections, TrackingSession
from clmot_qd.app.choices import ChosenTracker
from clmot_qd.errors import InputError
from clmot_qd.trackers import BiSoftmaxTracker, JDETracker, TAOBiSoftmaxTracker, Tracks

if TYPE_CHECKING:
    import numpy as np

_OURS = {tracker.__name__: tracker for tracker in (JDETracker, BiSoftmaxTracker, TAOBiSoftmaxTracker)}


class RetrackedSession(TrackingSession):
    """Detects with a loaded model and tracks with another tracker, so that no weights are loaded again.

    Args:
        model: The loaded model; what it remembers of a video is forgotten.
        tracker: The visitor's choice; the model's own one, unchanged, stays in the model.
        keep_labels: Labels of the classes to give out; None: all.

    Raises:
        InputError: The tracker cannot be built, or works only inside its model.
    """

    def __init__(
        self, model: TrackingSession, tracker: ChosenTracker, keep_labels: Sequence[int] | None = None
    ) -> None:
        # By label: a checkpoint may call its classes otherwise than the configuration does.
        names = None if keep_labels is None else [model.classes[label] for label in keep_labels]
        super().__init__(model.classes, batch_size=model.batch_size, keep_classes=names)
        self._model = model
        self._detects_ahead, self._preparing_threads = model._detects_ahead, model._preparing_threads
        self._with_embeds = tracker.with_embeds
        self._tracker = None if tracker.unchanged else build_tracker(tracker.config)

    @property
    def gives_masks(self) -> bool:
        """See :attr:`TrackingSession.gives_masks`: masks are those of the detections, whatever tracks them."""
        return self._model.gives_masks

    def _detect(self, frames: Sequence[Frame]) -> list[FrameDetections]:
        return self._model._detect(frames)

    def _prepare(self, frame: Frame) -> Any:
        return self._model._prepare(frame)

    def _detect_prepared(self, prepared: Sequence[Any]) -> list[FrameDetections]:
        return self._model._detect_prepared(prepared)

    def _batch_size_of(self, source: Any) -> int:
        return self._model._batch_size_of(source)

    def _associate(self, detections: FrameDetections, frame_id: int) -> Tracks:
        if self._tracker is None:
            return self._model._associate(detections, frame_id)
        embeds = detections.embeds if self._with_embeds else None
        return self._tracker.update(detections.bboxes, detections.scores, detections.labels, embeds, frame_id)

    def _with_masks(self, tracks: Tracks, detections: FrameDetections) -> Tracks:
        return self._model._with_masks(tracks, detections)

    def _reset_tracker(self) -> None:
        if self._tracker is None:
            self._model.reset()
        else:
            self._tracker.reset()


class Tracker(Protocol):
    """The two verbs of every tracker here."""

    def update(
        self, bboxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, embeds: np.ndarray | None, frame_id: int
    ) -> Tracks:
        """Track the detections of one frame."""

    def reset(self) -> None:
        """Forget everything."""


def build_tracker(config: Mapping[str, Any]) -> Tracker:
    """A tracker of this package or of mmdet that does without its model.

    Raises:
        InputError: It needs the model in every frame, or its arguments are wrong.
    """
    arguments = dict(config)
    name = arguments.pop("type")
    if name not in _OURS:
        return _Stock(config)
    if arguments.get("regression"):
        raise InputError("the configuration's tracker asks its detector in every frame: leave its settings as they are")
    try:
        return _OURS[name](**arguments)
    except TypeError as error:
        raise InputError(f"{name}: {error}") from error


class _Stock:
    """A tracker of mmdet behind the two verbs of ours."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        from mmdet.registry import MODELS

        from clmot_qd.apis.running import explain_build
        from clmot_qd.models.mot.video_tracker import VideoTracker

        self._video = VideoTracker(explain_build(lambda: MODELS.build(dict(config))))

    def update(
        self, bboxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, embeds: np.ndarray | None, frame_id: int
    ) -> Tracks:
        import torch
        from mmdet.structures import DetDataSample
        from mmengine.structures import InstanceData

        frame = DetDataSample(metainfo=dict(frame_id=frame_id, video_id=0))
        frame.pred_instances = InstanceData(
            bboxes=torch.from_numpy(bboxes), scores=torch.from_numpy(scores), labels=torch.from_numpy(labels)
        )
        found = self._video.track_stock(frame, dict(data_sample=frame))
        names = ("instances_id", "bboxes", "scores", "labels", "detection_index")
        return Tracks(**{name: found[name].numpy() for name in names})

    def reset(self) -> None:
        self._video.forget()
