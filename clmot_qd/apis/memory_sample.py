"""What a memory measurement runs on: made-up pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    from clmot_qd.models.mot.tracking_model import TrackingModel


def made_up_batch(model: TrackingModel, size: tuple[int, int], views: int, objects: int) -> dict[str, Any]:
    """One sample of noise with boxes, as the training data of ``model`` come: the i-th box is the same in all views.

    Args:
        model: Tells how many identities there can be, and whether the objects have masks.
        size: (width, height), pixels.
        views: Frames in the sample.
        objects: Boxes in each of them.
    """
    import torch
    from mmdet.structures import TrackDataSample

    random = np.random.default_rng(0)
    count = min(objects, model.id_head.num_ids) if model.id_head is not None else objects
    sample = TrackDataSample()
    sample.video_data_samples = [_frame(random, size, view, count) for view in range(views)]
    if getattr(model.detector, "with_mask", False):
        for frame in sample.video_data_samples:
            frame.gt_instances.masks = _full_boxes(frame.gt_instances.bboxes.numpy(), size)
    sample.set_metainfo(dict(key_frames_inds=[0], ref_frames_inds=list(range(1, views))))
    pixels = torch.from_numpy(random.integers(0, 256, (views, 3, size[1], size[0]), dtype=np.uint8))
    return dict(inputs=[pixels], data_samples=[sample])


def _frame(random: np.random.Generator, size: tuple[int, int], number: int, objects: int) -> DetDataSample:
    import torch
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    corners = random.uniform(0, 0.8, (objects, 2))
    boxes = np.concatenate([corners, corners + random.uniform([0.02, 0.05], [0.1, 0.2], (objects, 2))], axis=1)
    shape = (size[1], size[0])
    frame = DetDataSample(
        metainfo=dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0), frame_id=number, video_id=0)
    )
    frame.gt_instances = InstanceData(
        bboxes=torch.from_numpy(boxes * np.tile(size, 2)).float(),
        labels=torch.zeros(objects, dtype=torch.long),
        instances_ids=torch.arange(1, objects + 1),
    )
    frame.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    return frame


def _full_boxes(bboxes: np.ndarray, size: tuple[int, int]) -> BitmapMasks:
    """Masks that fill their boxes."""
    from mmdet.structures.mask import BitmapMasks

    bitmaps = np.zeros((len(bboxes), size[1], size[0]), dtype=np.uint8)
    for bitmap, (left, top, right, bottom) in zip(bitmaps, bboxes.astype(int)):
        bitmap[top:bottom, left:right] = 1
    return BitmapMasks(bitmaps, size[1], size[0])
