"""OnnxTrackingInferencer: frames in, tracks out, from one ONNX file; numpy, scipy, onnxruntime and OpenCV only."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from clmot_qd import trackers
from clmot_qd.apis.tracking_session import Frame, FrameDetections, TrackingSession
from clmot_qd.errors import InputError
from clmot_qd.export.runtime import OnnxDetector
from clmot_qd.trackers import Tracks

TRACKERS = ("BiSoftmaxTracker", "JDETracker", "TAOBiSoftmaxTracker")


class OnnxTrackingInferencer(TrackingSession):
    """Tracks objects with a file of ``tools/export_onnx.py``; used as :class:`TrackingInferencer`, without torch.

    ::

        tracking = OnnxTrackingInferencer("clmot.onnx")
        for tracks in tracking.stream("street.mp4"):
            print(tracks.instances_id, tracks.bboxes)

    Classes, pre-processing and tracker come from the file.

    Args:
        path: The file.
        tracker: Arguments of the file's tracker to change, e.g. ``{'conf_thr': 0.5}``; with ``type``, another tracker
            of ``clmot_qd.trackers`` and its arguments.
        batch_size: See :class:`TrackingSession`; a QDTrack file takes its frames one by one all the same.
        score_thr: See there.
        keep_classes: See there.
        prefetch: See there.
        providers: Execution providers of ONNX Runtime, by preference; None: CUDA if there is one, then the CPU.
        threads: Threads of the CPU provider; None leaves the number to ONNX Runtime.

    Raises:
        InputError: The file is missing, damaged or of another program; a provider, class or argument is unknown.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        tracker: Mapping[str, Any] | None = None,
        batch_size: int = 1,
        score_thr: float | Mapping[str, float] | None = None,
        keep_classes: Sequence[str] | None = None,
        prefetch: int = 8,
        providers: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:
        self.detector = OnnxDetector(path, providers, threads)
        settings = self.detector.settings
        super().__init__(
            settings.classes,
            batch_size=batch_size,
            score_thr=score_thr,
            keep_classes=keep_classes,
            prefetch=prefetch,
        )
        changed = dict(tracker or {})
        self.tracker = build_tracker(changed if "type" in changed else {**settings.tracker, **changed})
        self.reset()

    def _detect(self, frames: Sequence[Frame]) -> list[FrameDetections]:
        return self.detector.detect(frames)

    def _associate(self, detections: FrameDetections, frame_id: int) -> Tracks:
        found = detections
        return self.tracker.update(found.bboxes, found.scores, found.labels, found.embeds, frame_id)

    @property
    def num_rejected(self) -> int:
        """See :attr:`TrackingSession.num_rejected`."""
        return self.tracker.num_rejected

    def _reset_tracker(self) -> None:
        self.tracker.reset()


def build_tracker(settings: Mapping[str, Any]) -> Any:
    """A tracker of this package from its settings, ``type`` and arguments.

    Raises:
        InputError: There is no such tracker, it has no such argument, or it asks for the network between two frames.
    """
    arguments = dict(settings)
    kind = arguments.pop("type", None)
    if kind not in TRACKERS:
        raise InputError(f"tracker: {kind!r} is not one of {', '.join(TRACKERS)}")
    try:
        made = getattr(trackers, kind)(**arguments)
    except TypeError as error:  # an argument it does not have
        raise InputError(f"tracker: {str(error).splitlines()[0]}") from error
    if getattr(made, "needs_regression", False):
        raise InputError("tracker: regression=True asks the detector's box head for boxes, which an ONNX file has not")
    return made
