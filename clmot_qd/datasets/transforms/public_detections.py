"""Given boxes instead of the detector's own proposals: public detections, from files of any format."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmengine.structures import InstanceData

from clmot_qd.datasets.detections import DetectionSet, VideoDetections, read_detection_file, video_file
from clmot_qd.errors import InputError


@TRANSFORMS.register_module()
class LoadPublicDetections(BaseTransform):
    """Puts the boxes of ``ROOT/VIDEO/det/det.txt``, or of other files, into each packed frame as its ``proposals``.

    For models with ``public_detections=True``, whose box heads then start from these boxes. Goes last, after
    ``PackTrackInputs``, and so needs no step of its own to pack them: the data sample has a place for proposals. The
    boxes are xyxy in pixels of the original image; no step before this one moves them. Their classes are not looked at.

    The frames must know ``video_name`` and ``mot_frame_id`` (name both in the ``meta_keys`` of ``PackTrackInputs``). A
    frame of an annotation file without ``mot_frame_id`` has the number ``frame_id + frame_offset`` in the files.

    Args:
        root: folder of the sequence folders; or one file of all videos (CSV or JSON with the videos' names), or a
            folder of cache files. Formats: :func:`clmot_qd.datasets.detections.read_detection_file`.
        min_score: boxes below this are left out. Scores of public detections have no common range; None takes all.
        frame_offset: 1 where ``frame_id`` counts from 0, 0 where it counts from 1.
        det: where the file of a sequence stands below its folder, or below ``root`` with ``{video}`` in it; None:
            ``root`` has the detections of all videos.

    Raises:
        InputError: a frame without ``video_name``, a file that is missing or malformed, a video it does not have.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        min_score: float | None = None,
        frame_offset: int = 1,
        det: str | None = "det/det.txt",
    ) -> None:
        """Keep the arguments; files are read when their first frame comes."""
        self.root = os.fspath(root)
        self.min_score = min_score
        self.frame_offset = frame_offset
        self.det = det

    def transform(self, results: dict) -> dict:
        """Add ``proposals`` with ``bboxes`` (P, 4) float32 to every frame of the packed sample."""
        if "data_samples" not in results:
            raise InputError("LoadPublicDetections: put it after PackTrackInputs, at the end of the pipeline")
        for frame in results["data_samples"].video_data_samples:
            frame.proposals = InstanceData(bboxes=torch.from_numpy(self._boxes(frame.metainfo)))
        return results

    def _boxes(self, meta: dict[str, Any]) -> np.ndarray:
        if meta.get("video_name") is None:
            raise InputError(
                "LoadPublicDetections: a frame has no video_name: test on a CocoVideoDataset, and name video_name in "
                "the meta_keys of PackTrackInputs"
            )
        found = _read(self.root, self.det, meta["video_name"])
        number = meta.get("mot_frame_id")
        chosen = found.frames == (meta["frame_id"] + self.frame_offset if number is None else number)
        if self.min_score is not None:
            chosen &= found.scores >= self.min_score
        return found.bboxes[chosen].astype(np.float32)

    def __repr__(self) -> str:
        """Name and arguments."""
        arguments = (
            f"root={self.root!r}, min_score={self.min_score}, frame_offset={self.frame_offset}, det={self.det!r}"
        )
        return f"{type(self).__name__}({arguments})"


@lru_cache(maxsize=1)  # frames come video by video
def _read(root: str, det: str | None, video: str) -> VideoDetections:
    if det is None:
        found = _read_all(root)
        if video not in found.videos:
            raise InputError(f"{root}: no video {video!r}; it has {', '.join(found.videos)}")
        return found.videos[video]
    path = video_file(root, video, det)
    found = read_detection_file(path)
    if len(found.videos) != 1:
        raise InputError(f"{path}: is about {len(found.videos)} videos; give it as 'root', with det=None")
    return next(iter(found.videos.values()))


@lru_cache(maxsize=1)
def _read_all(root: str) -> DetectionSet:
    return read_detection_file(root)
