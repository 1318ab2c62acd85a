"""mmcv's RoIAlign and deformable convolutions on the CPU against ours, which models use there.

At the sizes of the papers' networks for a picture of 1088 x 608: the regions of a detector are pooled from a pyramid of
256 channels (of 32 with few samples, where mmcv is at its best, too), and the deformable layers are those at both ends
of DLA-34's up-sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from clmot_qd.benchmark.cases import Case, Group, Missing, Options
from clmot_qd.ops import fast_cpu_operators

_WIDTH, _HEIGHT = 1088, 608
_STRIDES = (4, 8, 16, 32)
# Channels in and out, stride of the map.
_DEFORMABLE = ((64, 64, 4), (256, 128, 16))

# Tensors in, a tensor out; floating ones are differentiable.
Operator = Callable[..., Tensor]


def groups(options: Options) -> Iterator[Group]:
    """Yield a group for each operator, forwards and backwards."""
    if options.device != "cpu":
        yield Group("operators", "any", "call", [Missing("operators", "mmcv's own run on GPUs; ours are for the CPU")])
        return
    strides = _STRIDES[1:] if options.quick else _STRIDES
    for count, training in ((1000, False), (512, True)):
        title = f"RoIAlign of {count} regions, {_way(training)}"
        yield Group("operators", title, "frame", _roi_align_cases(count, strides, training))
    title = f"RoIAlign of 512 regions, 32 channels, sampling ratio 2, {_way(True)}"
    yield Group("operators", title, "frame", _roi_align_cases(512, strides, True, channels=32, sampling_ratio=2))
    for channels, outputs, stride in _DEFORMABLE[1 if options.quick else 0 :]:
        for training in (False, True):
            title = f"DCNv2 {channels} to {outputs} channels at stride {stride}, {_way(training)}"
            yield Group("operators", title, "frame", _deformable_cases(channels, outputs, stride, training))


def _way(training: bool) -> str:
    return "forward and backward" if training else "forward"


def _roi_align_cases(
    count: int, strides: Sequence[int], training: bool, channels: int = 256, sampling_ratio: int = 0
) -> list[Case]:
    """A detector's pooling: every region from the level that fits its size."""
    from mmdet.models import SingleRoIExtractor

    layer = dict(type="RoIAlign", output_size=7, sampling_ratio=sampling_ratio)
    extractor = SingleRoIExtractor(layer, channels, list(strides), finest_scale=14 * strides[0])
    maps = [torch.randn(1, channels, _HEIGHT // stride, _WIDTH // stride) for stride in strides]
    rois = _regions(count)
    return _cases(extractor, maps, lambda pool, *levels: pool(levels, rois), training)


def _deformable_cases(channels: int, outputs: int, stride: int, training: bool) -> list[Case]:
    from mmcv.ops import ModulatedDeformConv2dPack

    layer = ModulatedDeformConv2dPack(channels, outputs, 3, padding=1)
    # Trained layers look a cell or two away.
    nn.init.normal_(layer.conv_offset.weight, std=1 / channels**0.5)
    maps = [torch.randn(1, channels, _HEIGHT // stride, _WIDTH // stride)]
    return _cases(layer, maps, lambda convolve, x: convolve(x), training, half_precision=not training)


def _cases(
    module: Any, maps: list[Tensor], apply: Operator, training: bool, half_precision: bool = False
) -> list[Case]:
    """The same module with mmcv's operators and with ours, the latter on maps of every kind that it is fast on."""
    ours = deepcopy(module)
    fast_cpu_operators(ours)
    last = [x.contiguous(memory_format=torch.channels_last) for x in maps]
    variants: list[tuple[str, Any, list[Tensor], bool]] = [
        ("ours", ours, maps, False),
        ("ours, channels last", deepcopy(ours).to(memory_format=torch.channels_last), last, False),
        ("mmcv", module, maps, True),
    ]
    if half_precision:
        half = deepcopy(ours).to(torch.bfloat16, memory_format=torch.channels_last)
        variants.insert(2, ("ours, channels last, bfloat16", half, [x.bfloat16() for x in last], False))
    return [Case(name, _run(operator, given, apply, training), peer=peer) for name, operator, given, peer in variants]


def _run(module: nn.Module, maps: list[Tensor], apply: Operator, training: bool) -> Callable[[], object]:
    def forward() -> Tensor:
        with torch.no_grad():
            return apply(module, *maps)

    def forward_and_backward() -> Sequence[Tensor]:
        wanted = [x.detach().requires_grad_() for x in maps]
        return torch.autograd.grad(apply(module, *wanted).sum(), [*wanted, *module.parameters()])

    return forward_and_backward if training else forward


def _regions(count: int) -> Tensor:
    """(count, 5): boxes as of people, from 15 to 400 pixels high, more of them small."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.rand(count, 4, generator=generator)
    height = 15 * (400 / 15) ** numbers[:, 0]
    sides = torch.stack([height * (0.3 + 0.4 * numbers[:, 1]), height], dim=1)
    size = torch.tensor([_WIDTH, _HEIGHT])
    corners = numbers[:, 2:] * (size - sides).clamp(min=0)
    boxes = torch.cat([corners, torch.minimum(corners + sides, size)], dim=1)
    return torch.cat([torch.zeros(count, 1), boxes], dim=1)
