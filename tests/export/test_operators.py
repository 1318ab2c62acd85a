"""The standard operators against mmcv's, each alone in a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmcv.ops import RoIAlign, batched_nms
from mmcv.ops.deform_conv import deform_conv2d
from mmcv.ops.modulated_deform_conv import ModulatedDeformConv2dFunction, modulated_deform_conv2d
from torch import Tensor, nn

from clmot_qd.export.operators import standard_operators, suppress, top_k

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")


class Graph(nn.Module):
    """A function as a module."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


def in_runtime(path: Path, function: Any, traced: list[Tensor], axes: dict[str, Any], given: list[Tensor]) -> Any:
    """What ONNX Runtime makes of ``given``, after the function was traced on ``traced``."""
    names = [f"in{n}" for n in range(len(traced))]
    with torch.no_grad(), standard_operators():
        torch.onnx.export(
            Graph(function), tuple(traced), str(path), dynamo=False, opset_version=19, input_names=names,
            dynamic_axes=axes,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(str(path))
    return session.run(None, {name: value.numpy() for name, value in zip(names, given)})


MAPS = {f"in{n}": {0: "batch", 2: "height", 3: "width"} for n in range(3)}


@pytest.mark.parametrize("scale", [1.0, 50.0])
@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups", "deform_groups", "with_bias"),
    [(1, 1, 1, 1, 1, True), (2, 1, 1, 1, 1, False), (1, 2, 2, 1, 2, True), (1, 1, 1, 2, 4, True)],
)
def test_modulated_deformable_convolution_is_deform_conv_of_opset_19(
    tmp_path: Path,
    stride: int,
    padding: int,
    dilation: int,
    groups: int,
    deform_groups: int,
    with_bias: bool,
    scale: float,
) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(8, 8 // groups, 3, 3, generator=generator) / 9
    bias = torch.randn(8, generator=generator) if with_bias else None

    def inputs(batch: int, height: int, width: int) -> list[Tensor]:
        down = [(side + 2 * padding - 2 * dilation - 1) // stride + 1 for side in (height, width)]
        shapes = [(batch, 8, height, width), (batch, 18 * deform_groups, *down), (batch, 9 * deform_groups, *down)]
        x, offset, mask = (torch.randn(shape, generator=generator) for shape in shapes)
        return [scale * x, 2 * offset, mask.sigmoid()]

    def convolve(x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        settings = (stride, padding, dilation, groups, deform_groups)
        return modulated_deform_conv2d(x, offset, mask, weight, bias, *settings)

    given = inputs(2, 17, 26)
    (found,) = in_runtime(tmp_path / "dcn.onnx", convolve, inputs(1, 12, 15), MAPS, given)
    expected = convolve(*given).numpy()
    assert np.abs(expected).max() > scale / 2
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * max(1, np.abs(expected).max()))


def test_deformable_convolution_without_mask(tmp_path: Path) -> None:
    weight = torch.randn(6, 4, 3, 3) / 6
    given = [torch.randn(2, 8, 14, 11), torch.randn(2, 36, 7, 6)]
    traced = [torch.randn(1, 8, 10, 10), torch.randn(1, 36, 5, 5)]

    def convolve(x: Tensor, offset: Tensor) -> Tensor:
        return deform_conv2d(x, offset, weight, 2, 1, 1, 2, 2)

    (found,) = in_runtime(tmp_path / "dcn.onnx", convolve, traced, MAPS, given)
    np.testing.assert_allclose(found, convolve(*given).numpy(), rtol=0, atol=2e-6)


def test_symbolics_of_mmcv_are_back_after_the_export() -> None:
    before = ModulatedDeformConv2dFunction.symbolic
    with standard_operators():
        assert ModulatedDeformConv2dFunction.symbolic is not before
    assert ModulatedDeformConv2dFunction.symbolic is before


@pytest.mark.parametrize("aligned", [True, False])
def test_roi_align(tmp_path: Path, aligned: bool) -> None:
    layer = RoIAlign(output_size=(3, 5), spatial_scale=0.25, sampling_ratio=0, aligned=aligned)
    level = torch.randn(2, 4, 20, 30)
    rois = torch.tensor([[0, 3.3, 4.1, 60.7, 50.2], [1, -9, -5, 140, 90], [1, 10, 10, 10.5, 12], [0, 90, 70, 118, 79]])
    axes = {"in0": {2: "height", 3: "width"}, "in1": {0: "rois"}}
    (found,) = in_runtime(tmp_path / "roi.onnx", layer, [level[:, :, :9, :9], rois[:1]], axes, [level, rois])
    np.testing.assert_allclose(found, layer(level, rois).numpy(), rtol=0, atol=1e-5)


def candidates(count: int, groups: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(count)
    corner = 60 * torch.rand(count, 2, generator=generator)
    boxes = torch.cat([corner, corner + 5 + 40 * torch.rand(count, 2, generator=generator)], dim=1)
    labels = torch.randint(groups, (count,), generator=generator)
    return [boxes, torch.rand(count, generator=generator), labels]


@pytest.mark.parametrize("most", [7, 1000])
@pytest.mark.parametrize("count", [0, 1, 80])
def test_suppression_keeps_what_mmcv_keeps_in_its_order(tmp_path: Path, count: int, most: int) -> None:
    def kept(boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        return suppress(boxes, scores, labels, 0.4, most)

    given = candidates(count, 3)
    axes = {f"in{n}": {0: "boxes"} for n in range(3)}
    (found,) = in_runtime(tmp_path / "nms.onnx", kept, candidates(5, 3), axes, given)
    expected = batched_nms(*given, dict(type="nms", iou_threshold=0.4))[1][:most].numpy() if count else []
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(kept(*given).numpy(), expected)
    assert count < 80 or most > 10 or len(found) == most


@pytest.mark.parametrize("count", [0, 3, 40])
def test_the_best_k_are_all_where_there_are_fewer(tmp_path: Path, count: int) -> None:
    values = torch.randn(count)
    best, rows = in_runtime(
        tmp_path / "top.onnx", lambda v: top_k(v, 5), [torch.randn(20)], {"in0": {0: "n"}}, [values]
    )
    expected = np.argsort(-values.numpy())[:5]
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(best, values.numpy()[expected])
