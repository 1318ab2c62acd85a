"""One face for two-stage and dense detectors of mmdet: losses, proposals for the embeddings, and final boxes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.roi_heads.base_roi_head import BaseRoIHead
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox2roi
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from clmot_qd.errors import InputError
from clmot_qd.models.mot.mask_branch import MaskBranch, has_plain_masks, refuse_other_masks, require_masks

Feats = Sequence[Tensor]
Samples = Sequence[DetDataSample]
Losses = dict[str, Any]


class ProposalDetector(ABC):
    """What QuasiDenseMOT asks of a detector. All boxes are xyxy in network-input pixels.

    Args:
        detector: The mmdet detector; it stays owned by the model.
    """

    def __init__(self, detector: Any) -> None:
        self.detector = detector

    @abstractmethod
    def loss_and_propose(self, feats: Feats, samples: Samples) -> tuple[Losses, list[Tensor]]:
        """Detection losses and, per image, proposals (P, 4)."""

    @abstractmethod
    def propose(self, feats: Feats, samples: Samples) -> list[Tensor]:
        """Proposals (P, 4) per image, without losses."""

    @abstractmethod
    def detect(self, feats: Feats, samples: Samples, given: list[Tensor] | None = None) -> list[InstanceData]:
        """Final boxes, scores and labels per image; ``given`` proposals (P, 4) take the place of the detector's own."""

    @property
    def masks(self) -> MaskBranch | None:
        """What gives the final boxes their masks; None of a detector of boxes alone."""
        return None


class TwoStageProposals(ProposalDetector):
    """Faster R-CNN, Mask R-CNN, Cascade R-CNN, ...: the region proposal network proposes, the box heads decide."""

    def __init__(self, detector: Any) -> None:
        super().__init__(detector)
        self._masks = MaskBranch(detector.roi_head) if has_plain_masks(detector.roi_head) else None

    @property
    def masks(self) -> MaskBranch | None:
        """The mask heads of the RoI head, if any that are of the plain kind."""
        return self._masks

    def loss_and_propose(self, feats: Feats, samples: Samples) -> tuple[Losses, list[Tensor]]:
        """RPN and RoI losses. The RPN sees class-agnostic copies: the box head needs the classes of the originals."""
        detector = self.detector
        if detector.roi_head.with_mask:
            require_masks(samples)
        proposal_cfg = detector.train_cfg.get("rpn_proposal", detector.test_cfg.rpn)
        losses, found = detector.rpn_head.loss_and_predict(
            feats, [_class_agnostic(s) for s in samples], proposal_cfg=proposal_cfg
        )
        losses = {name if "rpn" in name else f"rpn_{name}": value for name, value in losses.items()}
        proposals = [result.bboxes for result in found]  # the box heads rename the field
        return {**losses, **detector.roi_head.loss(feats, found, list(samples))}, proposals

    @torch.no_grad()
    def propose(self, feats: Feats, samples: Samples) -> list[Tensor]:
        """The RPN's proposals under its test settings."""
        return [result.bboxes for result in self.detector.rpn_head.predict(feats, list(samples), rescale=False)]

    def detect(self, feats: Feats, samples: Samples, given: list[Tensor] | None = None) -> list[InstanceData]:
        """The box heads on the RPN's proposals or on given ones."""
        boxes = self.propose(feats, samples) if given is None else given
        found = [InstanceData(bboxes=b) for b in boxes]
        roi_head = self.detector.roi_head
        own = type(roi_head).predict is not BaseRoIHead.predict
        if not roi_head.with_mask or (own and self.masks is None):
            # One with a ``predict`` of its own (HTC) makes masks there, which nobody asked for.
            return [_without_masks(one) for one in roi_head.predict(feats, found, list(samples), rescale=False)]
        # Its ``predict`` would paste the masks of all boxes, tracked or not.
        metas = [sample.metainfo for sample in samples]
        return roi_head.predict_bbox(feats, metas, found, roi_head.test_cfg, rescale=False)

    def regress(self, feats: Feats, bboxes: Tensor, image_shape: tuple[int, int]) -> Tensor:
        """Boxes (m, 4) of one image as the last box head moves them, by its best class (Tracktor's step)."""
        roi_head = self.detector.roi_head
        head, extractor = _last(roi_head.bbox_head), _last(roi_head.bbox_roi_extractor)
        scores, deltas = head(extractor(feats[: extractor.num_inputs], bbox2roi([bboxes])))
        labels = scores[:, : head.num_classes].argmax(dim=1)
        if not head.reg_class_agnostic:
            rows = torch.arange(len(labels), device=labels.device)
            deltas = deltas.reshape(len(labels), head.num_classes, 4)[rows, labels]
        return head.bbox_coder.decode(bboxes, deltas, max_shape=image_shape)


class DenseProposals(ProposalDetector):
    """RetinaNet, FCOS, YOLOX, RTMDet, ...: the head's own top boxes are the proposals.

    Args:
        detector: The mmdet detector.
        proposal_cfg: ``nms_pre``, ``score_thr``, ``nms`` and ``max_per_img`` of the boxes proposed in training: many,
            and close to each other, unlike the detector's ``test_cfg``.
    """

    def __init__(self, detector: Any, proposal_cfg: dict[str, Any]) -> None:
        super().__init__(detector)
        self.proposal_cfg = ConfigDict(proposal_cfg)

    def loss_and_propose(self, feats: Feats, samples: Samples) -> tuple[Losses, list[Tensor]]:
        """The head's losses, and its top boxes as they are before this step."""
        losses, found = self.detector.bbox_head.loss_and_predict(feats, list(samples), proposal_cfg=self.proposal_cfg)
        return losses, [self._best(result) for result in found]

    @torch.no_grad()
    def propose(self, feats: Feats, samples: Samples) -> list[Tensor]:
        """The head's top boxes."""
        head, metas = self.detector.bbox_head, [sample.metainfo for sample in samples]
        found = head.predict_by_feat(*head(feats), batch_img_metas=metas, cfg=self.proposal_cfg, rescale=False)
        return [self._best(result) for result in found]

    def _best(self, found: InstanceData) -> Tensor:
        """At most ``max_per_img`` boxes by score (not every head cuts them off itself)."""
        return found.bboxes[found.scores.argsort(descending=True)[: self.proposal_cfg.max_per_img]].detach()

    def detect(self, feats: Feats, samples: Samples, given: list[Tensor] | None = None) -> list[InstanceData]:
        """The head's boxes under its test settings."""
        if given is not None:
            raise InputError(
                f"{type(self.detector).__name__}: given proposals need a two-stage detector; a dense one makes its own "
                "boxes (set model.public_detections=False)"
            )
        return self.detector.bbox_head.predict(feats, list(samples), rescale=False)


def proposals_of(detector: nn.Module, dense_proposal_cfg: dict[str, Any], with_masks: bool = True) -> ProposalDetector:
    """The adapter that fits a detector; ``with_masks=False`` where boxes alone are wanted of it.

    Raises:
        InputError: It has neither proposal and box heads, nor a dense head, or makes masks in a way that is not known.
    """
    refuse_other_masks(detector, with_masks)
    if getattr(detector, "with_rpn", False) and getattr(detector, "with_roi_head", False):
        return TwoStageProposals(detector)
    head = getattr(detector, "bbox_head", None)
    if head is not None and hasattr(head, "loss_and_predict"):
        return DenseProposals(detector, dense_proposal_cfg)
    raise InputError(
        f"model.detector: {type(detector).__name__} has neither rpn_head and roi_head nor a dense bbox_head, so there "
        "are no proposals to embed"
    )


def _without_masks(found: InstanceData) -> InstanceData:
    found.pop("masks", None)
    return found


def _last(stages: Any) -> Any:
    """The last stage of a cascade, or the one there is."""
    return stages[-1] if isinstance(stages, nn.ModuleList) else stages


def _class_agnostic(sample: DetDataSample) -> DetDataSample:
    """A copy whose objects all have class 0; the original keeps its classes (mmdet 3.3 overwrites them)."""
    objects = sample.gt_instances.clone()
    objects.labels = torch.zeros_like(objects.labels)
    copy = sample.clone()  # shares its fields with the original, so the field is replaced, not changed
    copy.gt_instances = objects
    return copy
