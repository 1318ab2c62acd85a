"""From one frame to the key/ref sample that mmdet's track transforms and PackTrackInputs work on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import BaseBoxes

from clmot_qd.errors import InputError

from .random_flip import TrackRandomFlip

# Mirroring left-right on top of a flip that was applied before.
MIRRORED_DIRECTION = {
    None: "horizontal",
    "horizontal": None,
    "vertical": "diagonal",
    "diagonal": "vertical",
}


@TRANSFORMS.register_module()
class WithinFrameTwoView(BaseTransform):
    """One loaded frame becomes a key and a reference view whose objects correspond, without identity labels.

    CL-MOT, Sec. 4.1 and Fig. 3: the image is copied and the copy flipped horizontally; both are then augmented
    independently by the steps that follow. The i-th annotation of the frame has id i (from 1) in both views, so the
    same id is the same object, and later steps that drop an object in one view keep the rest in correspondence.
    Identity labels are not read: ``gt_instances_ids`` and the raw ``instances``, if a dataset brought any, are thrown
    away here.

    Input: one frame with ``img`` (H, W, 3), ``gt_bboxes`` (n, 4), ``gt_bboxes_labels``, ``gt_ignore_flags``, either
    flat (mmdet's image data sets) or as lists of length 1 (a video data set after ``BaseFrameSample``).
    Output: every key is a list ``[key, ref]``; ``key_frame_flags`` = [True, False]; ``gt_bboxes`` are numpy float32
    arrays, since ``PackTrackInputs`` takes no ``HorizontalBoxes``; ``gt_instances_ids`` (n,) int64; ``gt_masks`` if
    they were loaded. The views share no memory. Put the rest of the pipeline into
    ``TransformBroadcaster(share_random_params=False, transforms=[...])``.

    Args:
        mirror_ref: flip the reference view. False leaves the two views to the steps that follow.
        keep_ids: True keeps the loaded ``gt_instances_ids`` instead of numbering the annotations: for identity
            classification on two views.

    Raises:
        InputError: the pipeline before this step gives more than one frame, or no boxes, or no identities to keep.
    """

    def __init__(self, mirror_ref: bool = True, keep_ids: bool = False) -> None:
        """Keep the choices."""
        self.mirror_ref = mirror_ref
        self.keep_ids = keep_ids
        self._flip = TrackRandomFlip(prob=1.0, direction="horizontal")

    def transform(self, results: dict) -> dict[str, list]:
        """Make the two views; see the class."""
        key = one_frame(results, type(self).__name__)
        key.pop("instances", None)
        if self.keep_ids:
            key["gt_instances_ids"] = loaded_identities(key, type(self).__name__)
        else:
            key["gt_instances_ids"] = np.arange(1, len(key["gt_bboxes"]) + 1, dtype=np.int64)
        pixels = {name: key.pop(name) for name in ("img", "gt_masks") if name in key}  # mirroring copies them
        ref = {**copy.deepcopy(key), **(pixels if self.mirror_ref else copy.deepcopy(pixels))}
        key.update(pixels)
        if self.mirror_ref:
            self._mirror(ref)
        return collate_views([key, ref])

    def _mirror(self, view: dict) -> None:
        """Flip a view: all annotations move, ``homography_matrix`` is composed, the picture is a new one."""
        direction = view.get("flip_direction")
        self._flip(view)
        view["flip_direction"] = MIRRORED_DIRECTION[direction]
        view["flip"] = view["flip_direction"] is not None

    def __repr__(self) -> str:
        """Name and arguments."""
        return f"{type(self).__name__}(mirror_ref={self.mirror_ref}, keep_ids={self.keep_ids})"


@TRANSFORMS.register_module()
class SingleView(BaseTransform):
    """One loaded frame becomes a sample with the key view alone and its true identities: the supervised baseline.

    Takes the place of :class:`WithinFrameTwoView` in a pipeline for identity classification; the steps before and
    after stay, except that ``LoadTrackAnnotations`` reads the identities. Same input and output, with lists of length
    1, ``key_frame_flags`` = [True] and ``gt_instances_ids`` (n,) int64 as loaded.

    Raises:
        InputError: no identities were loaded, or the pipeline before this step gives more than one frame, or no boxes.
    """

    def transform(self, results: dict) -> dict[str, list]:
        """Wrap the frame; see the class."""
        key = one_frame(results, type(self).__name__)
        key["gt_instances_ids"] = loaded_identities(key, type(self).__name__)
        key.pop("instances", None)
        return collate_views([key])

    def __repr__(self) -> str:
        """Name."""
        return f"{type(self).__name__}()"


def one_frame(results: dict, step: str) -> dict[str, Any]:
    """The flat dict of the one frame in ``results``, with boxes as a numpy array (n, 4) and a contiguous image.

    ``step`` is named in the message where ``results`` is not one frame with boxes.
    """
    frame = dict(results)
    if isinstance(results.get("img"), list):
        if len(results["img"]) != 1:
            raise InputError(f"{step}: takes one frame, got {len(results['img'])}: sample one with BaseFrameSample")
        frame = {name: values[0] for name, values in results.items()}
    for name, loader in (("img", "LoadFrame"), ("gt_bboxes", "LoadAnnotations(with_bbox=True)")):
        if name not in frame:
            raise InputError(f"{step}: the frame has no {name!r}: put {loader} before it in the pipeline")
    if isinstance(frame["gt_bboxes"], BaseBoxes):
        frame["gt_bboxes"] = frame["gt_bboxes"].numpy()
    frame["img"] = np.ascontiguousarray(frame["img"])
    return frame


def loaded_identities(frame: dict[str, Any], step: str) -> np.ndarray:
    """``gt_instances_ids`` (n,) int64 of a frame; ``step`` is named in the message where there are none."""
    if "gt_instances_ids" not in frame:
        raise InputError(
            f"{step}: no identities in the frame: read them with LoadTrackAnnotations from a CocoIdentityDataset"
        )
    return frame["gt_instances_ids"].astype(np.int64)


def collate_views(views: Sequence[dict[str, Any]]) -> dict[str, list]:
    """A dict of lists over views of one frame, the first of them the key; a key that only some have is None elsewhere.

    Still images get the metas of a one-frame video. As in mmdet's frame samplers, ``video_length`` counts the frames of
    the sample and ``ori_video_length`` those of the video.
    """
    names = {name: None for view in views for name in view}
    sample: dict[str, list] = {name: [view.get(name) for view in views] for name in names}
    sample["key_frame_flags"] = [True] + [False] * (len(views) - 1)
    sample["video_length"] = [len(views)] * len(views)
    still = {"frame_id": 0, "ori_video_length": 1, "video_id": views[0].get("img_id")}
    for name, value in still.items():
        sample.setdefault(name, [value] * len(views))
    return sample
