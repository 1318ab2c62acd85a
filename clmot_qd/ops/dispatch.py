"""Which implementation a model's operators run on: ours on the CPU, mmcv's anywhere else and when asked for.

mmcv's operators take the memory of a tensor that is stored channels last for one that is not, without a word (DCNv1
alone complains); what goes to them is therefore brought into order first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from mmcv.ops import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2d,
    ModulatedDeformConv2dPack,
    RoIAlign,
    modulated_deform_conv2d,
)
from mmcv.ops import deform_conv2d as mmcv_deform_conv2d
from mmdet.models import SingleRoIExtractor
from torch import Tensor, nn

from clmot_qd.ops.deform_conv import Sampling, deform_conv2d
from clmot_qd.ops.region_pooling import Pooling, entries_of, pool_levels, roi_align, samples_of, sides_of
from clmot_qd.ops.weighted_rows import layout_of

# What a step costs beside one value that mmcv's RoIAlign reads: a bin of a channel, there; a window's cell, for all
# channels, and a copied value, here. Measured forwards and backwards.
BIN_READS, ENTRY_READS, COPY_READS = 12, 14, 0.5
# In cells. On larger regions mmcv gives up; counting their samples would take all memory.
LONGEST_SIDE = 1e5

_mmcv_only: ContextVar[bool] = ContextVar("mmcv_only", default=False)


def fast_cpu_operators(model: nn.Module) -> None:
    """Let every RoIAlign and deformable convolution of mmcv in a model compute faster on the CPU, with equal results.

    Their classes change to subclasses of what they were: parameters, names and hooks stay. On other devices, in
    exports and traces, and for what the fast versions do not know (maximum pooling) mmcv's own code runs as before.

    Args:
        model: Changed in place; subclasses of mmcv's modules that others wrote are left alone.
    """
    for module in model.modules():
        faster = _FASTER.get(type(module))
        if faster is not None:
            module.__class__ = faster


@contextmanager
def mmcv_operators() -> Iterator[None]:
    """While the block runs, models of this thread use mmcv's own operators everywhere: for comparisons."""
    token = _mmcv_only.set(True)
    try:
        yield
    finally:
        _mmcv_only.reset(token)


def _is_ours(x: Tensor) -> bool:
    """Whether the fast versions may take this input; a trace must see the operators that exporters know."""
    traced = torch.jit.is_tracing() or torch.onnx.is_in_onnx_export()
    return x.device.type == "cpu" and not traced and not _mmcv_only.get()


class FastRoIAlign(RoIAlign):
    """RoIAlign of mmcv, computed by :func:`clmot_qd.ops.roi_align` where that is possible."""

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        """(N, C, H, W) and (R, 5) -> (R, C, a, b)."""
        if _is_ours(input):
            rois, pooling = _finite(rois), _pooling(self)
            if pooling is not None and _pay([input], [rois], [pooling]):
                return roi_align(input, rois, pooling)
        return _by_mmcv(super().forward, input, input, rois)


class FastSingleRoIExtractor(SingleRoIExtractor):
    """SingleRoIExtractor of mmdet with all levels pooled at once: the result is neither copied nor kept twice.

    Regions are not rounded to the half precision that the maps may have.
    """

    def forward(self, feats: Sequence[Tensor], rois: Tensor, roi_scale_factor: float | None = None) -> Tensor:
        """Levels (N, C, H, W) and (R, 5) -> (R, C, a, b)."""
        poolings = [_pooling(layer) for layer in self.roi_layers[: len(feats)]]
        known = [pooling for pooling in poolings if pooling is not None]
        if len(known) == len(feats) and _is_ours(feats[0]) and bool(rois.isfinite().all()):
            level_of = self.map_roi_levels(rois, len(feats))
            # mmdet rescales nothing where there is one level.
            unscaled = roi_scale_factor is None or len(feats) == 1
            scaled = rois if unscaled else self.roi_rescale(rois, roi_scale_factor)
            if _pay(feats, [scaled[level_of == level] for level in range(len(feats))], known):
                return pool_levels(feats, scaled, level_of, known)
        pool = super().forward  # it rounds the regions to the type of the maps
        return _by_mmcv(lambda *maps: pool(maps, rois, roi_scale_factor), feats[0], *feats)


def _pooling(layer: nn.Module) -> Pooling | None:
    """What the fast RoIAlign is told; None where it does not know what a layer does."""
    if not isinstance(layer, FastRoIAlign) or layer.pool_mode != "avg" or layer.use_torchvision:
        return None
    return Pooling(layer.output_size, layer.spatial_scale, layer.sampling_ratio, layer.aligned)


def _pay(levels: Sequence[Tensor], rois: Sequence[Tensor], poolings: Sequence[Pooling]) -> bool:
    """Whether the fast RoIAlign is to take these regions of these maps; inverted boxes go to mmcv, which refuses them.

    With few channels, or few samples in large bins, mmcv is faster. Maps that are not stored channels last are copied
    first, which a few regions are not worth. mmcv does not know bfloat16.
    """
    sides = [sides_of(boxes, pooling)[1] for boxes, pooling in zip(rois, poolings)]
    if not all(bool(((side >= 0) & (side < LONGEST_SIDE)).all()) for side in sides):
        return False
    if levels[0].dtype not in (torch.float32, torch.float64):
        return True
    entries = [entries_of(side, pooling, x.shape[2:]) for side, pooling, x in zip(sides, poolings, levels)]
    ours = ENTRY_READS * sum(float(one.sum()) for one in entries)
    ours += COPY_READS * sum(x.numel() for x in levels if layout_of(x) is not torch.channels_last)
    return ours <= levels[0].shape[1] * sum(_reads(side, pooling) for side, pooling in zip(sides, poolings))


def _reads(sides: Tensor, pooling: Pooling) -> float:
    """What mmcv's RoIAlign reads of a channel for these regions, four values for each sample."""
    samples, bins = samples_of(sides, pooling), len(sides) * pooling.output_size[0] * pooling.output_size[1]
    return 4 * float(samples.sum()) + BIN_READS * bins


def _finite(rois: Tensor) -> Tensor:
    """Infinite regions become empty ones outside the map: both give zeros, where mmcv does not end the process."""
    endless = rois.isinf().any(dim=1, keepdim=True)
    outside = torch.cat([torch.zeros_like(rois[:, :1]), torch.full_like(rois[:, 1:], -LONGEST_SIDE)], dim=1)
    return torch.where(endless, outside, rois) if bool(endless.any()) else rois


class FastDeformConv2d(DeformConv2d):
    """DeformConv2d of mmcv, computed by :func:`clmot_qd.ops.deform_conv2d` where that is possible."""

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """(N, C, h, w) and offsets (N, D * K * 2, H, W) -> (N, O, H, W)."""
        # mmcv pads maps that are smaller than the kernel.
        if all(side >= kernel for side, kernel in zip(x.shape[2:], self.kernel_size)):
            return _first_version(self, x, offset)
        return _by_mmcv(super().forward, offset, x, offset)


class FastDeformConv2dPack(DeformConv2dPack):
    """DeformConv2dPack (``DCN``) of mmcv, see :class:`FastDeformConv2d`."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, O, H, W)."""
        return _first_version(self, x, self.conv_offset(x))


class FastModulatedDeformConv2d(ModulatedDeformConv2d):
    """ModulatedDeformConv2d of mmcv, see :class:`FastDeformConv2d`."""

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """(N, C, h, w), offsets (N, D * K * 2, H, W) and masks (N, D * K, H, W) -> (N, O, H, W)."""
        return _second_version(self, x, offset, mask)


class FastModulatedDeformConv2dPack(ModulatedDeformConv2dPack):
    """ModulatedDeformConv2dPack (``DCNv2``) of mmcv, see :class:`FastDeformConv2d`."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, O, H, W)."""
        first, second, mask = self.conv_offset(x).chunk(3, dim=1)
        return _second_version(self, x, torch.cat([first, second], dim=1), mask.sigmoid())


def _first_version(module: DeformConv2d, x: Tensor, offset: Tensor) -> Tensor:
    if _is_ours(x):
        return deform_conv2d(x, offset, None, module.weight, None, _sampling(module))
    rest = (*_sampling(module), False, module.im2col_step)
    return _by_mmcv(lambda *tensors: mmcv_deform_conv2d(*tensors, *rest), offset, x, offset, module.weight)


def _second_version(module: ModulatedDeformConv2d, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
    if _is_ours(x):
        return deform_conv2d(x, offset, mask, module.weight, module.bias, _sampling(module))
    rest = (module.bias, *_sampling(module))  # mmcv gives the bias the type of the rest
    return _by_mmcv(lambda *tensors: modulated_deform_conv2d(*tensors, *rest), offset, x, offset, mask, module.weight)


def _by_mmcv(operator: Callable[..., Tensor], like: Tensor, *tensors: Tensor) -> Tensor:
    """Give mmcv contiguous tensors, in float32 in bfloat16's place, which its kernels know on no device."""
    if like.dtype != torch.bfloat16:
        return operator(*(tensor.contiguous() for tensor in tensors))
    with torch.autocast(like.device.type, enabled=False):
        return operator(*(tensor.float().contiguous() for tensor in tensors)).to(like.dtype)


def _sampling(module: DeformConv2d | ModulatedDeformConv2d) -> Sampling:
    return Sampling(module.stride, module.padding, module.dilation, module.groups, module.deform_groups)


_FASTER: dict[type[nn.Module], type[nn.Module]] = {
    RoIAlign: FastRoIAlign,
    SingleRoIExtractor: FastSingleRoIExtractor,
    DeformConv2d: FastDeformConv2d,
    DeformConv2dPack: FastDeformConv2dPack,
    ModulatedDeformConv2d: FastModulatedDeformConv2d,
    ModulatedDeformConv2dPack: FastModulatedDeformConv2dPack,
}
