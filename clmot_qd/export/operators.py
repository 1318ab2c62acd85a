"""The operators of mmcv as standard operators of ONNX, and two that torch's tracing knows no dynamic form of.

torch.onnx asks an autograd function for its ``symbolic``; mmcv's emit operators of its own domain, which need mmcv's
runtime plug-in (RoIAlign is standard, in a form that rounds rois differently). Inside :func:`standard_operators` they
emit the standard ones instead: ``DeformConv`` of opset 19 and ``RoiAlign`` of opset 16.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from mmcv.ops.deform_conv import DeformConv2dFunction
from mmcv.ops.modulated_deform_conv import ModulatedDeformConv2dFunction
from mmcv.ops.nms import nms
from mmcv.ops.roi_align import RoIAlignFunction
from torch import Tensor

NO_LIMIT = 2**31 - 1


@contextmanager
def standard_operators() -> Iterator[None]:
    """While the block runs, mmcv's deformable convolutions and RoIAlign are exported as standard operators."""
    symbolics: dict[Any, Any] = {
        ModulatedDeformConv2dFunction: _modulated_deform_conv,
        DeformConv2dFunction: _deform_conv,
        RoIAlignFunction: _roi_align,
    }
    with ExitStack() as stack:
        for function, symbolic in symbolics.items():
            stack.enter_context(patch.object(function, "symbolic", staticmethod(symbolic)))
        yield


def _modulated_deform_conv(
    g: Any,
    x: Any,
    offset: Any,
    mask: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    deform_groups: int,
) -> Any:
    """DCNv2. Both sides order offsets as y0, x0, y1, x1, ... within a group, so nothing is permuted."""
    bias = g.op("Constant", value_t=torch.zeros(_channels(weight))) if _is_none(bias) else bias
    return _deform(g, [x, weight, offset, bias, mask], weight, stride, padding, dilation, groups, deform_groups)


def _deform_conv(
    g: Any,
    x: Any,
    offset: Any,
    weight: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    deform_groups: int,
    bias: bool = False,
    im2col_step: int = 32,
) -> Any:
    """DCNv1: no mask, and mmcv refuses a bias."""
    return _deform(g, [x, weight, offset], weight, stride, padding, dilation, groups, deform_groups)


def _deform(
    g: Any, inputs: list[Any], weight: Any, stride: Any, padding: Any, dilation: Any, groups: int, deform_groups: int
) -> Any:
    top, left = _pair(padding)
    return g.op(
        "DeformConv",
        *inputs,
        kernel_shape_i=weight.type().sizes()[2:],
        strides_i=_pair(stride),
        pads_i=[top, left, top, left],
        dilations_i=_pair(dilation),
        group_i=groups,
        offset_group_i=deform_groups,
    )


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _channels(weight: Any) -> int:
    return int(weight.type().sizes()[0])


def _is_none(value: Any) -> bool:
    return value is None or value.node().mustBeNone()


def _roi_align(
    g: Any,
    x: Any,
    rois: Any,
    output_size: Any,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: str,
    aligned: bool,
) -> Any:
    """mmcv's aligned=True is ONNX's half_pixel: rois are shifted by half a cell. A roi's first value is its image."""
    image = g.op("Gather", rois, g.op("Constant", value_t=torch.tensor(0)), axis_i=1)
    corners = g.op("Gather", rois, g.op("Constant", value_t=torch.tensor([1, 2, 3, 4])), axis_i=1)
    height, width = _pair(output_size)
    return g.op(
        "RoiAlign",
        x,
        corners,
        g.op("Cast", image, to_i=torch.onnx.TensorProtoDataType.INT64),
        output_height_i=height,
        output_width_i=width,
        spatial_scale_f=spatial_scale,
        sampling_ratio_i=max(0, sampling_ratio),
        mode_s=pool_mode,
        coordinate_transformation_mode_s="half_pixel" if aligned else "output_half_pixel",
    )


class _TopK(torch.autograd.Function):
    """The k largest of a vector, or all of them if it is shorter; torch's tracing would fix k at what it saw."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, k: int) -> tuple[Tensor, Tensor]:
        best, rows = values.sort(descending=True)
        return best[:k], rows[:k]

    @staticmethod
    def symbolic(g: Any, values: Any, k: int) -> Any:
        wanted = g.op("Constant", value_t=torch.tensor([k]))
        return g.op("TopK", values, g.op("Min", wanted, g.op("Shape", values)), axis_i=0, outputs=2)


class _Suppress(torch.autograd.Function):
    """mmcv's NMS; in ONNX one NonMaxSuppression of one class in one image."""

    @staticmethod
    def forward(ctx: Any, bboxes: Tensor, scores: Tensor, iou_thr: float, most: int) -> Tensor:
        if not len(bboxes):
            return torch.zeros(0, dtype=torch.long)
        return nms(bboxes, scores, iou_thr)[1][:most]

    @staticmethod
    def symbolic(g: Any, bboxes: Any, scores: Any, iou_thr: float, most: int) -> Any:
        def constant(value: Any, dtype: torch.dtype) -> Any:
            return g.op("Constant", value_t=torch.tensor(value, dtype=dtype))

        first = constant([0], torch.int64)
        found = g.op(
            "NonMaxSuppression",
            g.op("Unsqueeze", bboxes, first),
            g.op("Unsqueeze", scores, constant([0, 1], torch.int64)),
            constant([most], torch.int64),
            constant([iou_thr], torch.float32),
        )
        return g.op("Gather", found, constant(2, torch.int64), axis_i=1)


def top_k(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` largest values of a vector, best first, and their rows; fewer where there are fewer. (n,) -> (m,)."""
    return _TopK.apply(values, k)


def suppress(bboxes: Tensor, scores: Tensor, groups: Tensor, iou_thr: float, most: int = NO_LIMIT) -> Tensor:
    """Greedy NMS within groups (classes, pyramid levels), as mmcv's ``batched_nms`` does it.

    Groups are moved apart by the same float32 offsets as there, so that the same boxes survive.

    Args:
        bboxes: (n, 4) xyxy.
        scores: (n,).
        groups: (n,) int64.
        iou_thr: Boxes that overlap a better one of their group by more are dropped.
        most: Boxes kept over all groups.

    Returns:
        (m,) rows, best first.
    """
    # The zeros stand in for the largest coordinate where there is no box.
    largest = torch.cat([bboxes.flatten(), bboxes.new_zeros(1)]).max()
    apart = bboxes + (groups.to(bboxes) * (largest + 1))[:, None]
    return _Suppress.apply(apart, scores, iou_thr, most)
