"""The mask heads of a two-stage detector: small grids for its final boxes, and their loss by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox2roi
from mmengine.structures import InstanceData
from torch import Tensor, nn

from clmot_qd.errors import InputError

# The head makes a map for each class before one is taken: 240 MB of them with the 1203 classes of LVIS.
REGIONS_AT_ONCE = 64

_PLAIN = (StandardRoIHead.predict_mask, CascadeRoIHead.predict_mask)


class MaskBranch:
    """Mask R-CNN's third branch, which looks at final boxes in tests and at regions on objects in training.

    Args:
        roi_head: With one mask head, or one for each stage of a cascade; it stays owned by the detector.

    Attributes:
        heads: The mask heads.
        threshold: ``test_cfg.rcnn.mask_thr_binary``: least probability of a pixel of a mask.

    Raises:
        InputError: The threshold is no probability.
    """

    def __init__(self, roi_head: Any) -> None:
        self.roi_head = roi_head
        self.heads: list[nn.Module] = _listed(roi_head.mask_head)
        self.threshold = float((roi_head.test_cfg or {}).get("mask_thr_binary", 0.5))
        if not 0 <= self.threshold <= 1:
            raise InputError(f"model.detector.test_cfg.rcnn.mask_thr_binary: {self.threshold:g} is not from 0 to 1")

    @torch.no_grad()
    def grids(self, feats: Sequence[Tensor], found: Sequence[InstanceData]) -> list[Tensor]:
        """Of each box the probabilities of its own class, which :func:`.mask_pasting.paste_grids` stretches over it.

        Args:
            feats: Maps of the neck, each (N, c, h, w).
            found: Per image bboxes (n_i, 4) in network-input pixels and labels (n_i,).

        Returns:
            Per image (n_i, h, w) float32; the mean of the stages of a cascade.
        """
        rois, labels = bbox2roi([one.bboxes for one in found]), torch.cat([one.labels for one in found])
        if not len(rois):
            return [rois.new_zeros(0, 1, 1) for _ in found]
        parts = zip(rois.split(REGIONS_AT_ONCE), labels.split(REGIONS_AT_ONCE))
        grids = torch.cat([self._probabilities(feats, *part) for part in parts])
        return list(grids.split([len(one) for one in found]))

    def _probabilities(self, feats: Sequence[Tensor], rois: Tensor, labels: Tensor) -> Tensor:
        stages = [self._stage(stage, feats, rois, labels) for stage in range(len(self.heads))]
        return stages[0] if len(stages) == 1 else torch.stack(stages).mean(dim=0)

    def _stage(self, stage: int, feats: Sequence[Tensor], rois: Tensor, labels: Tensor) -> Tensor:
        cascade = (stage,) if isinstance(self.roi_head, CascadeRoIHead) else ()
        # Private, and the only place of mmdet that leads from regions to the maps of all classes.
        maps = self.roi_head._mask_forward(*cascade, feats, rois)["mask_preds"]
        rows = torch.arange(len(labels), device=labels.device)
        head: Any = self.heads[stage]
        return maps[rows, torch.zeros_like(labels) if head.class_agnostic else labels].float().sigmoid()

    def loss(
        self, feats: Sequence[Tensor], proposals: Sequence[Tensor], samples: Sequence[DetDataSample]
    ) -> dict[str, Tensor]:
        """The mask losses alone, on the regions that the detector's own sampler draws.

        Args:
            feats: Maps of the neck, each (N, c, h, w).
            proposals: Per image (P, 4) xyxy, network-input pixels.
            samples: ``gt_instances`` with masks and, if any, ``ignored_instances`` are read.

        Raises:
            InputError: See :func:`require_masks`.
        """
        require_masks(samples)
        regions = [InstanceData(bboxes=boxes) for boxes in proposals]
        # The box heads say where the next stage of a cascade looks, so they run as well; frozen ones keep no graph.
        losses = self.roi_head.loss(feats, regions, list(samples))
        return {name: value for name, value in losses.items() if "loss_mask" in name}


def require_masks(samples: Sequence[DetDataSample]) -> None:
    """Refuse objects without masks, and masks that stayed as they were when their picture was cut or scaled.

    Raises:
        InputError: Naming the pipeline step that loads them, or both sizes.
    """
    for sample in samples:
        if "masks" not in sample.gt_instances:
            raise InputError(
                "the detector has a mask head, but the training data come without masks: add LoadTrackMasks to "
                "train_pipeline after the step that loads the annotations"
            )
        _require_size(sample)


def _require_size(sample: DetDataSample) -> None:
    masks, meta = sample.gt_instances.masks, sample.metainfo
    if "img_shape" not in meta or _fit(masks, meta["img_shape"], meta.get("batch_input_shape")):
        return
    height, width = meta["img_shape"][:2]
    raise InputError(
        f"{meta.get('img_path', 'train_pipeline')}: masks of {masks.width} x {masks.height} pixels for a picture "
        f"of {width} x {height}: a step of train_pipeline or of batch_augments changes pictures but not their "
        "masks; take one that does, such as mmdet's Resize, RandomFlip, RandomCrop, Pad"
    )


def _fit(masks: Any, shape: Sequence[int], batch_shape: Sequence[int] | None) -> bool:
    """Whether masks are of a picture's size, or were padded with the batch (``pad_mask=True`` of the preprocessor)."""
    (height, width), size = shape[:2], (masks.height, masks.width)
    if not len(masks) or size == (height, width):
        return True
    if batch_shape is None or size != tuple(batch_shape):
        return False
    pixels = masks.to_ndarray()
    return not pixels[:, height:].any() and not pixels[:, :, width:].any()


def has_plain_masks(roi_head: Any) -> bool:
    """Whether a RoI head has mask heads that do nothing but look at final boxes."""
    if not roi_head.with_mask or type(roi_head).predict_mask not in _PLAIN:
        return False
    return all(_is_plain(head) for head in _listed(roi_head.mask_head))


def refuse_other_masks(detector: Any, with_masks: bool) -> None:
    """Refuse detectors whose masks do not come from plain mask heads on final boxes.

    Args:
        detector: The mmdet detector.
        with_masks: Whether its masks are wanted; without them a two-stage detector may be of any kind.

    Raises:
        InputError: Naming the detector or the head.
    """
    roi_head, dense = getattr(detector, "roi_head", None), getattr(detector, "bbox_head", None)
    if getattr(roi_head, "with_mask", False):
        assert roi_head is not None
        if with_masks and not has_plain_masks(roi_head):
            other = [type(head).__name__ for head in _listed(roi_head.mask_head) if not _is_plain(head)]
            name = other[0] if other else type(roi_head).__name__
            raise InputError(
                f"model.detector.roi_head: {name} makes masks in a way of its own; take StandardRoIHead or "
                "CascadeRoIHead with FCNMaskHead (Mask R-CNN, Cascade Mask R-CNN), or set model.predict_masks=False "
                "to track boxes alone"
            )
    elif getattr(detector, "with_mask", False) or hasattr(dense, "mask_head"):
        raise InputError(
            f"model.detector: {type(detector).__name__} makes its masks without regions, which cannot be tracked here; "
            "take a two-stage detector with a mask head (Mask R-CNN, Cascade Mask R-CNN)"
        )


def _is_plain(head: Any) -> bool:
    kind = type(head)
    return (
        issubclass(kind, FCNMaskHead)
        and kind.forward is FCNMaskHead.forward
        and kind.predict_by_feat is FCNMaskHead.predict_by_feat
    )


def _listed(head: Any) -> list[Any]:
    """The heads of all stages, or the one there is."""
    return list(head) if isinstance(head, nn.ModuleList) else [head]
