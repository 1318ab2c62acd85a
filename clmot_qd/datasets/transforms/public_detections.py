"""Given boxes instead of the detector's own proposals: MOTChallenge's public detections."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmengine.structures import InstanceData

from clmot_qd.datasets.mot_text import MotTable, read_detections
from clmot_qd.errors import InputError


@TRANSFORMS.register_module()
class LoadPublicDetections(BaseTransform):
    """Puts the boxes of ``ROOT/VIDEO/det/det.txt`` into each packed frame as its ``proposals``.

    For models with ``public_detections=True``, whose box heads then start from these boxes. Goes last, after
    ``PackTrackInputs``, and so needs no step of its own to pack them: the data sample has a place for proposals. The
    boxes are xyxy in pixels of the original image; no step before this one moves them.

    The frames must know ``video_name`` and ``mot_frame_id`` (name both in the ``meta_keys`` of ``PackTrackInputs``). A
    frame of an annotation file without ``mot_frame_id`` has the number ``frame_id + frame_offset`` in ``det.txt``.

    Args:
        root: folder of the sequence folders.
        min_score: boxes below this are left out. Scores of public detections have no common range; None takes all.
        frame_offset: 1 where ``frame_id`` counts from 0, 0 where it counts from 1.

    Raises:
        InputError: a frame without ``video_name``, and a ``det.txt`` that is missing or malformed.
    """

    def __init__(self, root: str | os.PathLike[str], min_score: float | None = None, frame_offset: int = 1) -> None:
        """Keep the arguments; files are read when their first frame comes."""
        self.root = os.fspath(root)
        self.min_score = min_score
        self.frame_offset = frame_offset

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
        table = _read(self.root, meta["video_name"])
        number = meta.get("mot_frame_id")
        chosen = table.frames == (meta["frame_id"] + self.frame_offset if number is None else number)
        if self.min_score is not None:
            chosen &= table.scores >= self.min_score
        corners, sizes = np.split(table.bboxes[chosen].astype(np.float32), 2, axis=1)
        return np.hstack([corners, corners + sizes])

    def __repr__(self) -> str:
        """Name and arguments."""
        arguments = f"root={self.root!r}, min_score={self.min_score}, frame_offset={self.frame_offset}"
        return f"{type(self).__name__}({arguments})"


@lru_cache(maxsize=1)  # frames come video by video
def _read(root: str, video: str) -> MotTable:
    path = Path(root, video, "det", "det.txt")
    if not path.is_file():
        raise InputError(f"{path}: no such file: put the public detections of the sequence there, or correct 'root'")
    return read_detections(path)
