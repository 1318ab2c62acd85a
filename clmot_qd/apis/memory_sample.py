"""What a memory measurement runs on: made-up pairs, and mixed precision on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mmdet.structures import DetDataSample

    from clmot_qd.models.mot.tracking_model import TrackingModel


def made_up_batch(model: TrackingModel, size: tuple[int, int], views: int, objects: int) -> dict[str, Any]:
    """One sample of noise with boxes, as the training data of ``model`` come: the i-th box is the same in all views.

    Args:
        model: Tells how many identities there can be.
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


@contextmanager
def run_in_half(model: TrackingModel, enabled: bool) -> Iterator[None]:
    """Mixed precision in bfloat16 on the CPU while the block runs, or nothing.

    mmcv's own operators (deformable convolution, RoI pooling, non-maximum suppression) know no half precision on CPUs:
    they get float32 here, so that they count for more than on a GPU.
    """
    import torch
    from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
    from mmdet.models.roi_heads.bbox_heads import BBoxHead

    from clmot_qd.models.heads import CenterEmbedHead

    if not enabled:
        yield
        return
    own = [module for module in model.modules() if type(module).__module__.startswith("mmcv.ops")]
    suppressing = [
        module
        for module in model.modules()
        if isinstance(module, (BaseDenseHead, BBoxHead)) and not isinstance(module, CenterEmbedHead)
    ]
    for module in own:
        module.forward = _in_float32(module.forward)
    handles = [
        module.register_forward_hook(lambda module, args, out: _to(torch.float32, out)) for module in suppressing
    ]
    with torch.autocast("cpu", torch.bfloat16):
        yield
    for handle in handles:
        handle.remove()
    for module in own:
        del module.forward  # the class's own is back


def _in_float32(forward: Callable[..., Any]) -> Callable[..., Any]:
    """``forward`` in full precision, as far as the modules around it can tell in half."""
    import torch

    def full(*args: Any) -> Any:
        with torch.autocast("cpu", enabled=False):
            return _to(torch.bfloat16, forward(*_to(torch.float32, args)))

    return full


def _to(dtype: Any, value: Any) -> Any:
    """Floating-point tensors in ``dtype``, wherever they stand."""
    import torch

    if isinstance(value, tuple):
        return tuple(_to(dtype, entry) for entry in value)
    if isinstance(value, list):
        return [_to(dtype, entry) for entry in value]
    return value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value
