"""From one frame's detections to its tracks, with our trackers and with mmdet's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from clmot_qd.trackers import Tracks


class VideoTracker:
    """Feeds a tracker frame by frame and resets it where a new video begins.

    Ours take arrays and return :class:`Tracks`; mmdet's get what they ask for, the model included.

    Args:
        tracker: The tracker itself.
    """

    def __init__(self, tracker: Any) -> None:
        self.tracker = tracker
        # Both kinds have an ``update``; only mmdet's have a ``track`` that runs parts of the model.
        self.is_stock = hasattr(tracker, "track")
        self._last_frame: tuple[Any, int] | None = None

    def track(self, frame: DetDataSample, regress: Callable[[np.ndarray], np.ndarray]) -> InstanceData:
        """Track one frame with a tracker of ours.

        A new ``video_id``, or a ``frame_id`` that does not grow, begins a new video.

        Args:
            frame: ``pred_instances`` (bboxes, scores, labels, embeds) and metainfo are read.
            regress: The model's regression for trackers that need it: (m, 4) -> (m, 4).

        Returns:
            instances_id, bboxes, scores, labels, detection_index, on the CPU.
        """
        self._begin(frame)
        return _of_tracks(self._update(frame, regress))

    def track_stock(self, frame: DetDataSample, arguments: Mapping[str, Any]) -> InstanceData:
        """Track one frame with a tracker of mmdet.

        Args:
            frame: As for :meth:`track`.
            arguments: Keyword arguments of its ``track``.

        Returns:
            As :meth:`track`.
        """
        self._begin(frame)
        return _of_stock(self.tracker.track(**arguments), frame.pred_instances)

    def forget(self) -> None:
        """Take the next frame for the first one of a video, whatever its number."""
        self._last_frame = None

    def _begin(self, frame: DetDataSample) -> None:
        video, frame_id = frame.metainfo.get("video_id"), int(frame.metainfo.get("frame_id", 0))
        if self._last_frame is None or self._last_frame[0] != video or frame_id <= self._last_frame[1]:
            self.tracker.reset()
        self._last_frame = (video, frame_id)

    def _update(self, frame: DetDataSample, regress: Callable[[np.ndarray], np.ndarray]) -> Tracks:
        detected = frame.pred_instances
        bboxes, scores, embeds = (detected[name].float().cpu().numpy() for name in ("bboxes", "scores", "embeds"))
        extra = {"regress": regress} if getattr(self.tracker, "needs_regression", False) else {}
        frame_id = int(frame.metainfo.get("frame_id", 0))
        return self.tracker.update(bboxes, scores, detected.labels.cpu().numpy(), embeds, frame_id, **extra)


def _of_tracks(tracks: Tracks) -> InstanceData:
    return InstanceData(
        instances_id=torch.from_numpy(tracks.instances_id).long(),
        bboxes=torch.from_numpy(tracks.bboxes).float(),
        scores=torch.from_numpy(tracks.scores).float(),
        labels=torch.from_numpy(tracks.labels).long(),
        detection_index=torch.from_numpy(tracks.detection_index).long(),
    )


def _of_stock(found: InstanceData, detected: InstanceData) -> InstanceData:
    """What a stock tracker returned, in the order and the types of ours."""
    found = found.cpu()  # mmdet's trackers mix devices
    found = found[found.instances_id.argsort()]
    return InstanceData(
        instances_id=found.instances_id.long(),
        bboxes=found.bboxes.float(),
        scores=found.scores.float(),
        labels=found.labels.long(),
        detection_index=_detection_of(found, detected),
    )


def _detection_of(found: InstanceData, detected: InstanceData) -> Tensor:
    """Row of the detection whose box each track shows, -1 for a box of the tracker's own. -> (k,).

    Where several classes have the same box, as class-agnostic box heads give them, the label tells which it is.
    """
    if not len(found) or not len(detected):
        return torch.full((len(found),), -1)
    bboxes, labels = detected.bboxes.cpu().float(), detected.labels.cpu()
    same = (found.bboxes.float()[:, None] == bboxes[None]).all(dim=2)
    likeness = same.int() + (same & (found.labels[:, None] == labels[None])).int()
    return torch.where(same.any(dim=1), likeness.argmax(dim=1), -1)
