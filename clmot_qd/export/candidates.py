"""Boxes of region proposal networks and of dense heads as functions of tensors, with the rules of mmdet's heads.

mmdet's own post-processing branches on what it finds in a picture, and a traced graph would keep the branch that one
picture took. Here is the same arithmetic without branches; the tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import FCOSHead, RetinaHead, RPNHead, RTMDetHead, RTMDetSepBNHead, YOLOXHead
from torch import Tensor

from clmot_qd.errors import InputError
from clmot_qd.export.operators import NO_LIMIT, suppress, top_k
from clmot_qd.models.mot.tracking_model import Feats

Detected = tuple[Tensor, Tensor, Tensor]
"""boxes (n, 4) xyxy in network-input pixels, scores (n,), labels (n,), best first."""


class Clip:
    """Holds boxes inside the picture.

    Args:
        image_shape: (height, width), integers, of the picture without padding.
    """

    def __init__(self, image_shape: Tensor) -> None:
        width, height = image_shape[1:], image_shape[:1]
        self.limit = torch.cat([width, height, width, height]).float()

    def __call__(self, coder: Any, boxes: Tensor) -> Tensor:
        """Boxes (n, 4), clipped if the coder would clip them."""
        return torch.minimum(boxes.clamp(min=0), self.limit) if getattr(coder, "clip_border", True) else boxes


DetectionGraph = Callable[[Feats, Clip], Detected]


def rpn_proposals(head: RPNHead, feats: Feats, clip: Clip) -> Tensor:
    """The proposals (P, 4) of one picture: the best of each level, NMS within each level."""
    rules = head.test_cfg
    maps, deltas = head(feats)
    boxes, scores, levels = [], [], []
    for level, (prior, score, delta) in enumerate(zip(_priors(head, maps), maps, deltas)):
        score = _rows(score, head.cls_out_channels)
        flat = score.sigmoid().squeeze(1) if head.use_sigmoid_cls else score.softmax(-1)[:, 0]
        best, rows = top_k(flat, _limit(rules, "nms_pre"))
        boxes.append(head.bbox_coder.decode(prior[rows], _rows(delta, 4)[rows]))
        scores.append(best)
        levels.append(torch.full_like(rows, level))
    found = _large_enough((clip(head.bbox_coder, torch.cat(boxes)), torch.cat(scores), torch.cat(levels)), rules)
    return apply_nms(*found, rules.nms, rules.max_per_img)[0]


def dense_graph(head: Any) -> DetectionGraph:
    """How a dense head's boxes are computed in the graph.

    Raises:
        InputError: There is no graph for this kind of head.
    """
    if type(head) is YOLOXHead:
        return lambda feats, clip: _yolox(head, feats)
    if type(head) in (RetinaHead, FCOSHead, RTMDetHead, RTMDetSepBNHead):
        return lambda feats, clip: _dense(head, feats, clip)
    raise InputError(
        f"model.detector.bbox_head: {type(head).__name__} cannot be exported; RetinaHead, FCOSHead, YOLOXHead, "
        "RTMDetHead and RTMDetSepBNHead can"
    )


def _dense(head: Any, feats: Feats, clip: Clip) -> Detected:
    """RetinaNet, FCOS, RTMDet: pairs of prior and class above ``score_thr``, the best of each level, one NMS."""
    rules = head.test_cfg
    maps, deltas, *factors = head(feats)
    centerness = factors[0] if factors else [None] * len(maps)
    levels = [_dense_level(head, prior, *parts) for prior, *parts in zip(_priors(head, maps), maps, deltas, centerness)]
    boxes, scores, labels = (torch.cat(parts) for parts in zip(*levels))
    found = _large_enough((clip(head.bbox_coder, boxes), scores, labels), rules)
    return apply_nms(*found, rules.nms, rules.max_per_img)


def _dense_level(head: Any, prior: Tensor, score: Tensor, delta: Tensor, centerness: Tensor | None) -> Detected:
    """The candidates of one level: ranked by class score; the centredness comes in afterwards, as in mmdet."""
    rules = head.test_cfg
    score = _rows(score, head.cls_out_channels)
    score = score.sigmoid() if head.use_sigmoid_cls else score.softmax(-1)[:, :-1]
    keep = score > rules.get("score_thr", 0)
    best, chosen = top_k(score[keep], _limit(rules, "nms_pre"))
    rows, labels = keep.nonzero()[chosen].unbind(1)
    boxes = head.bbox_coder.decode(prior[rows], _rows(delta, 4)[rows])
    return boxes, best if centerness is None else best * _rows(centerness, 1)[rows, 0].sigmoid(), labels


def _yolox(head: YOLOXHead, feats: Feats) -> Detected:
    """YOLOX: each prior has one class, and its score is that class's times the objectness."""
    rules = head.test_cfg
    maps, deltas, objectness = head(feats)
    priors = torch.cat(_priors(head, maps, with_stride=True))
    best, labels = torch.cat([_rows(m, head.cls_out_channels) for m in maps]).sigmoid().max(dim=1)
    scores = best * torch.cat([_rows(m, 1) for m in objectness]).squeeze(1).sigmoid()
    boxes = head._bbox_decode(priors, torch.cat([_rows(m, 4) for m in deltas])[None])[0]
    keep = scores >= rules.score_thr
    return apply_nms(boxes[keep], scores[keep], labels[keep], rules.nms, NO_LIMIT)


def apply_nms(boxes: Tensor, scores: Tensor, labels: Tensor, nms: Mapping[str, Any] | None, most: int) -> Detected:
    """NMS within each label by mmdet's settings.

    Raises:
        InputError: Another kind of NMS than the plain one.
    """
    rules = dict(nms or {})
    kind, iou_thr = rules.pop("type", "nms"), rules.pop("iou_threshold", None)
    agnostic = rules.pop("class_agnostic", False)
    rules.pop("split_thr", None)  # how the work is divided, not what comes out
    if kind != "nms" or iou_thr is None or rules:
        raise InputError(f"model.detector.test_cfg: nms={dict(nms or {})} cannot be exported, type='nms' can")
    rows = suppress(boxes, scores, torch.zeros_like(labels) if agnostic else labels, iou_thr, _positive(most))
    return boxes[rows], scores[rows], labels[rows]


def _priors(head: Any, maps: Sequence[Tensor], **options: Any) -> list[Tensor]:
    """Anchors or points of every level."""
    sizes = [level.shape[-2:] for level in maps]
    return head.prior_generator.grid_priors(sizes, dtype=maps[0].dtype, device=maps[0].device, **options)


def _rows(level: Tensor, width: int) -> Tensor:
    """(1, priors * width, h, w) -> (h * w * priors, width)."""
    return level[0].permute(1, 2, 0).reshape(-1, width)


def _large_enough(found: Detected, rules: Mapping[str, Any]) -> Detected:
    """Boxes whose both sides exceed ``min_bbox_size``; all where it is negative or missing."""
    least = rules.get("min_bbox_size", -1)
    if least < 0:
        return found
    sides = found[0][:, 2:] - found[0][:, :2]
    keep = (sides > least).all(dim=1)
    return found[0][keep], found[1][keep], found[2][keep]


def _limit(rules: Mapping[str, Any], key: str) -> int:
    return _positive(rules.get(key, -1))


def _positive(limit: int) -> int:
    """mmdet's "no limit" is a number that is not positive."""
    return limit if limit > 0 else NO_LIMIT
