"""The graph of QuasiDenseMOT: pictures in, the detector's boxes with the embeddings of their regions out."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor, nn

from clmot_qd.errors import InputError
from clmot_qd.export.candidates import Clip, Detected, DetectionGraph, apply_nms, dense_graph, rpn_proposals
from clmot_qd.export.centers import Outputs
from clmot_qd.models import QuasiDenseMOT
from clmot_qd.models.mot.tracking_model import Feats
from clmot_qd.ops import FastSingleRoIExtractor


class RegionGraph(nn.Module):
    """What :meth:`QuasiDenseMOT.detect` computes, as a function of tensors alone, one picture at a time.

    Args:
        model: The model, in evaluation mode.

    Raises:
        InputError: A part of the model has no ONNX form here.
    """

    def __init__(self, model: QuasiDenseMOT) -> None:
        super().__init__()
        if model.public_detections:
            raise InputError("model.public_detections: given boxes cannot enter an ONNX file; set it to False")
        self.detector = model.detector
        self.track_head = model.track_head
        self.detect: DetectionGraph = detection_graph(model.detector)
        require_single_extractor("model.track_head.roi_extractor", model.track_head.roi_extractor)

    def forward(self, images: Tensor, image_shape: Tensor) -> Outputs:
        """(1, 3, H, W) normalised, and (height, width) of the picture in it without the padding below and right."""
        feats = self.detector.extract_feat(images)
        bboxes, scores, labels = self.detect(feats, Clip(image_shape))
        head = self.track_head
        embeds = at_regions(head.roi_extractor, head.embed_head, feats, bboxes)
        return bboxes, scores, labels, embeds, torch.zeros_like(labels)


def detection_graph(detector: Any) -> DetectionGraph:
    """How a detector's boxes are computed in the graph.

    Raises:
        InputError: This kind of detector, or a setting of it, has no ONNX form here.
    """
    if getattr(detector, "with_rpn", False) and getattr(detector, "with_roi_head", False):
        return TwoStageGraph(detector)
    return dense_graph(detector.bbox_head)


class TwoStageGraph:
    """Faster R-CNN and Cascade R-CNN: proposals, box heads on their regions, NMS within each class."""

    def __init__(self, detector: Any) -> None:
        self.rpn, self.roi = detector.rpn_head, detector.roi_head
        if type(self.roi) not in (StandardRoIHead, CascadeRoIHead):
            raise InputError(
                f"model.detector.roi_head: {type(self.roi).__name__} cannot be exported, StandardRoIHead (Faster "
                "R-CNN) and CascadeRoIHead can"
            )
        cascade = isinstance(self.roi, CascadeRoIHead)
        self.heads = list(self.roi.bbox_head) if cascade else [self.roi.bbox_head]
        self.extractors = list(self.roi.bbox_roi_extractor) if cascade else [self.roi.bbox_roi_extractor]
        for extractor in self.extractors:
            require_single_extractor("model.detector.roi_head.bbox_roi_extractor", extractor)

    def __call__(self, feats: Feats, clip: Clip) -> Detected:
        """The boxes of one picture."""
        boxes = rpn_proposals(self.rpn, feats, clip)
        logits: list[Tensor] = []
        for stage, (extractor, head) in enumerate(zip(self.extractors, self.heads)):
            scores, deltas = at_regions(extractor, head, feats, boxes)
            logits.append(scores)
            if stage < len(self.heads) - 1:
                boxes = _refined(head, boxes, scores, deltas, clip)
        return self._decide(boxes, torch.stack(logits).sum(0) / len(logits), deltas, clip)

    def _decide(self, boxes: Tensor, logits: Tensor, deltas: Tensor, clip: Clip) -> Detected:
        """Every pair of box and class above ``score_thr``, then NMS within each class."""
        head, rules = self.heads[-1], self.roi.test_cfg
        scores = F.softmax(logits, dim=-1)[:, : head.num_classes]
        regressed = 1 if head.reg_class_agnostic else head.num_classes
        priors = boxes.repeat_interleave(regressed, dim=0)
        decoded = clip(head.bbox_coder, head.bbox_coder.decode(priors, deltas.reshape(-1, 4)))
        decoded = decoded.reshape(-1, regressed, 4).expand(-1, head.num_classes, 4)
        keep = scores > rules.score_thr
        return apply_nms(decoded[keep], scores[keep], keep.nonzero()[:, 1], rules.nms, rules.max_per_img)


def _refined(head: Any, boxes: Tensor, scores: Tensor, deltas: Tensor, clip: Clip) -> Tensor:
    """The boxes that a stage of a cascade hands to the next: moved as its best class says."""
    if not head.reg_class_agnostic:
        best = scores[:, : head.num_classes].argmax(dim=1)
        rows = best[:, None, None].expand(-1, 1, 4)
        deltas = deltas.reshape(-1, head.num_classes, 4).gather(1, rows).squeeze(1)
    return clip(head.bbox_coder, head.bbox_coder.decode(boxes, deltas))


def require_single_extractor(key: str, extractor: Any) -> None:
    """Refuse region extractors other than mmdet's plain one."""
    if type(extractor) not in (SingleRoIExtractor, FastSingleRoIExtractor):
        raise InputError(f"{key}: {type(extractor).__name__} cannot be exported, SingleRoIExtractor can")


def at_regions(extractor: SingleRoIExtractor, head: Any, feats: Feats, boxes: Tensor) -> Any:
    """``head`` on the regions of ``boxes``; one idle region goes along, since runtimes stumble over empty batches."""
    idle = torch.cat([boxes, boxes.new_zeros(1, 4)])
    result = head(region_features(extractor, feats, idle))
    return tuple(part[:-1] for part in result) if isinstance(result, tuple) else result[:-1]


def region_features(extractor: SingleRoIExtractor, feats: Feats, boxes: Tensor) -> Tensor:
    """The extractor's result, computed level by level and put back in order, whichever levels have regions.

    Args:
        extractor: RoIAlign over levels.
        feats: Maps (1, c, h, w).
        boxes: (n, 4) network-input pixels.

    Returns:
        (n, c, height, width).
    """
    levels = feats[: extractor.num_inputs]
    rois = torch.cat([boxes.new_zeros(boxes.shape[0], 1), boxes], dim=1)
    if len(levels) == 1:
        return extractor.roi_layers[0](levels[0], rois)
    target = extractor.map_roi_levels(rois, len(levels))
    rows = [(target == level).nonzero().squeeze(1) for level in range(len(levels))]
    parts = [layer(level, rois[row]) for layer, level, row in zip(extractor.roi_layers, levels, rows)]
    order = torch.cat(rows)
    back = torch.zeros_like(order).scatter(0, order, torch.arange(order.shape[0]))
    return torch.cat(parts)[back]
