"""mmdet's anchor and box heads, dividing by the counts of all processes as its other heads do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mmdet.models.dense_heads import AnchorHead, RPNHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmengine.dist import get_world_size
from torch import Tensor, nn

from clmot_qd.models.process_counts import shared_count


def share_counts(detector: nn.Module) -> None:
    """Let processes that train together divide by common counts, in place; one process computes what it always did.

    Anchor heads (proposal networks, RetinaNet) divide by the number of their own process's sampled anchors, box heads
    by that of its sampled regions, mask heads by that of those on objects. These are equal on all processes where
    samplers fill up, and not otherwise. FCOS, YOLOX, RTMDet and the like share their counts already.

    Args:
        detector: The heads in it get another ``get_targets``, ``loss`` or ``loss_and_target``.
    """
    for module in detector.modules():
        if isinstance(module, AnchorHead) and _divides_by_own_count(type(module)):
            module.get_targets = partial(_targets, module.get_targets)
        elif isinstance(module, BBoxHead):
            module.loss = partial(_box_loss, module.loss)
        elif isinstance(module, FCNMaskHead):
            module.loss_and_target = partial(_mask_loss, module.loss_and_target)


def _divides_by_own_count(head: type[AnchorHead]) -> bool:
    """Whether a head computes its losses as the base class does; another may reduce by itself, or return others."""
    stock = head.loss_by_feat in (AnchorHead.loss_by_feat, RPNHead.loss_by_feat)
    return stock and head.get_targets is AnchorHead.get_targets


def _targets(get_targets: Callable[..., tuple], *args: Any, **kwargs: Any) -> tuple:
    """What ``AnchorHead.get_targets`` returns, with ``avg_factor`` of all processes."""
    targets = get_targets(*args, **kwargs)
    if get_world_size() == 1:
        return targets
    count = targets[1][0].new_tensor(targets[4], dtype=torch.float32)  # of the weights' kind and device
    return (*targets[:4], shared_count(count), *targets[5:])


def _box_loss(loss: Callable[..., dict[str, Tensor]], *args: Any, **kwargs: Any) -> dict[str, Tensor]:
    """What ``BBoxHead.loss`` returns; its arguments are cls_score, bbox_pred, rois, labels, label_weights, ..."""
    losses = loss(*args, **kwargs)
    if get_world_size() == 1:
        return losses
    scores, weights = args[0], args[4]
    counts = torch.stack([(weights > 0).sum(), weights.new_tensor(len(weights))]).float()
    classes, boxes = counts.clamp(min=1) / shared_count(counts)
    scaled = {name: value * (boxes if name == "loss_bbox" else classes) for name, value in losses.items()}
    # Without a region the head leaves entries out, and its layers out of the graph; the others would wait for them.
    nothing = {} if len(weights) else dict(loss_cls=0.0 * scores.sum(), acc=scores.new_zeros(1))
    return nothing | {name: scaled[name] if "loss" in name else value for name, value in losses.items()}


def _mask_loss(loss_and_target: Callable[..., dict[str, Any]], mask_preds: Tensor, *args: Any, **kwargs: Any) -> dict:
    """What ``FCNMaskHead.loss_and_target`` returns, its loss a mean over the regions of all processes."""
    found = loss_and_target(mask_preds, *args, **kwargs)
    if get_world_size() == 1:
        return found
    count = mask_preds.new_tensor(len(mask_preds), dtype=torch.float32)
    loss = found["loss_mask"]["loss_mask"] * count / shared_count(count)
    return {**found, "loss_mask": {**found["loss_mask"], "loss_mask": loss}}
