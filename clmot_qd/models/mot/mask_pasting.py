"""From a mask head's small grids to masks of the picture, for the objects that are tracked and no others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from clmot_qd.masks import RleMasks


def give_masks(frame: DetDataSample, size: Sequence[int], threshold: float) -> None:
    """Put masks into the tracks of a frame, or into its detections where nothing tracks them; the grids go.

    Args:
        frame: ``pred_instances`` (bboxes, mask_grids) and, if any, ``pred_track_instances`` (detection_index).
        size: See :func:`paste_grids`.
        threshold: Likewise.
    """
    found = frame.pred_instances
    grids, bboxes = found.pop("mask_grids").float().cpu(), found.bboxes.float().cpu()
    if "pred_track_instances" in frame:
        tracks = frame.pred_track_instances
        tracks.masks = paste_tracked(grids, bboxes, tracks.detection_index, size, threshold)
    else:
        found.masks = paste_grids(grids, bboxes, size, threshold)


def grids_on_host(found: Sequence[InstanceData]) -> list[Tensor | None]:
    """Take the grids out of the detections of some frames, by one copy from the device.

    Args:
        found: Per frame ``mask_grids`` (n_i, h, w), of one model; without, there are none.

    Returns:
        Per frame (n_i, h, w) float32 on the CPU, or None.
    """
    if any("mask_grids" not in one for one in found):
        return [None] * len(found)
    grids = torch.cat([one.pop("mask_grids").float() for one in found]).cpu()
    return list(grids.split([len(one) for one in found]))


def paste_tracked(
    grids: Tensor, bboxes: Tensor, detection_index: Tensor, size: Sequence[int], threshold: float
) -> RleMasks:
    """The masks of tracks: of each the mask of its detection, in the detection's box.

    Args:
        grids: (n, h, w) of all detections, see :func:`paste_grids`.
        bboxes: (n, 4) of all detections; a tracker may show another, smoothed one.
        detection_index: (k,) row of each track's detection; -1 without one, whose mask is empty.
        size: See :func:`paste_grids`.
        threshold: Likewise.
    """
    seen = detection_index >= 0
    rows = detection_index[seen]
    counts = RleMasks.empty(size, len(detection_index)).counts
    counts[seen.numpy()] = paste_grids(grids[rows], bboxes[rows], size, threshold).counts
    return RleMasks((int(size[0]), int(size[1])), counts)


def paste_grids(grids: Tensor, bboxes: Tensor, size: Sequence[int], threshold: float) -> RleMasks:
    """Stretch each grid over its box: the pixels of mmdet's ``FCNMaskHead.predict_by_feat``, encoded box by box.

    mmdet makes a bitmap of the whole picture for each detection, and takes no box without area or beyond the picture.

    Args:
        grids: (n, h, w) float32, probabilities, on the CPU.
        bboxes: (n, 4) xyxy, in the pixels of the picture.
        size: (height, width) of the picture.
        threshold: Least probability of a pixel of the mask.

    Returns:
        n masks; of a box without area, or beyond the picture, an empty one.
    """
    height, width = int(size[0]), int(size[1])
    inside = torch.maximum(bboxes[:, :2], bboxes.new_zeros(2)) < torch.minimum(
        bboxes[:, 2:], bboxes.new_tensor([width, height])
    )
    usable = inside.all(dim=1) & bboxes.isfinite().all(dim=1)
    crops, corners = [np.zeros((0, 0), dtype=bool)] * len(bboxes), [(0, 0)] * len(bboxes)
    for row in usable.nonzero().flatten().tolist():
        one = slice(row, row + 1)
        # On one mask at a time it computes the part of the picture around the box alone.
        pasted, (ys, xs) = _do_paste_mask(grids[one, None], bboxes[one], height, width, skip_empty=True)
        crops[row] = (pasted[0] >= threshold).numpy()
        corners[row] = (int(xs.start), int(ys.start))
    return RleMasks.of_crops(crops, corners, (height, width))
