"""Which implementation runs, and that a model stays what it was otherwise."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import torch
from mmcv.ops import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2d,
    ModulatedDeformConv2dPack,
    RoIAlign,
)
from mmdet.models import SingleRoIExtractor
from torch import Tensor, nn

from clmot_qd.ops import dispatch, fast_cpu_operators, mmcv_operators

# Enough that the fast versions pay.
CHANNELS = 32
ROIS = torch.tensor([[0, 2.0, 3.0, 11.0, 14.0], [1, 0.0, 0.0, 20.0, 16.0]])


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def extractor(output_size: int = 7) -> SingleRoIExtractor:
    return SingleRoIExtractor(dict(type="RoIAlign", output_size=output_size, sampling_ratio=0), CHANNELS, [1, 2, 4], 4)


def pyramid(layout: torch.memory_format = torch.contiguous_format) -> list[Tensor]:
    return [noise(2, CHANNELS, 64 // stride, 80 // stride).contiguous(memory_format=layout) for stride in (1, 2, 4)]


def boxes(count: int) -> Tensor:
    """(count, 5), of every size."""
    numbers = torch.rand(count, 5, generator=torch.Generator().manual_seed(1))
    corners = numbers[:, 1:3] * torch.tensor([60.0, 50.0])
    return torch.cat([(numbers[:, :1] * 2).floor(), corners, corners + 1 + 40 * numbers[:, 3:] ** 2], dim=1)


def offsets(module: nn.Module) -> nn.Module:
    """A layer's own offsets start at zero, where it is a plain convolution."""
    torch.nn.init.normal_(module.conv_offset.weight, std=0.3)
    return module


MAP, FEATURES = noise(2, 4, 16, 20), noise(2, CHANNELS, 16, 20)
MODULES: dict[str, tuple[Any, tuple[Tensor, ...]]] = {
    "RoIAlign": (lambda: RoIAlign(7, 1.0, 0), (FEATURES, ROIS)),
    "RoIAlign of few regions": (lambda: RoIAlign(1, 0.1, 0), (FEATURES, ROIS)),
    "extractor": (extractor, (pyramid(), boxes(80))),
    "DeformConv2d": (lambda: DeformConv2d(4, 6, 3, padding=1), (MAP, noise(2, 18, 16, 20))),
    "DCN": (lambda: offsets(DeformConv2dPack(4, 6, 3, padding=1, stride=2)), (MAP,)),
    "ModulatedDeformConv2d": (
        lambda: ModulatedDeformConv2d(4, 6, 3, padding=1),
        (MAP, noise(2, 18, 16, 20), noise(2, 9, 16, 20)),
    ),
    "DCNv2": (lambda: offsets(ModulatedDeformConv2dPack(4, 6, 3, padding=1, deform_groups=2)), (MAP,)),
}


def module_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    return MODULES[name][0]()


def fast(module: nn.Module) -> nn.Module:
    fast_cpu_operators(module)
    return module


@contextmanager
def calls_to_ours() -> Iterator[list[str]]:
    """The names of the fast operators that were called."""
    called: list[str] = []

    def recording(name: str) -> Any:
        function = getattr(dispatch, name)

        def record(*args: Any) -> Any:
            called.append(name)
            return function(*args)

        return record

    names = ("roi_align", "pool_levels", "deform_conv2d")
    with patch.multiple(dispatch, **{name: recording(name) for name in names}):
        yield called


@pytest.mark.parametrize("name", MODULES)
def test_results_are_those_of_mmcv(name: str) -> None:
    inputs = MODULES[name][1]
    expected = module_of(name)(*inputs)
    torch.testing.assert_close(fast(module_of(name))(*inputs), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in MODULES if "few" not in name])
def test_the_fast_operator_runs_unless_mmcvs_is_asked_for(name: str) -> None:
    module, inputs = fast(module_of(name)), MODULES[name][1]
    with calls_to_ours() as called:
        module(*inputs)
        assert len(called) == 1
        with mmcv_operators():
            module(*inputs)
        assert len(called) == 1
        module(*inputs)
        assert len(called) == 2


@pytest.mark.parametrize("name", MODULES)
def test_a_module_keeps_its_class_parameters_and_copies(name: str) -> None:
    plain, module, inputs = module_of(name), fast(module_of(name)), MODULES[name][1]
    assert isinstance(module, type(plain))
    assert list(module.state_dict()) == list(plain.state_dict())
    expected = module(*inputs)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert type(twin) is type(module)
        assert torch.equal(twin(*inputs), expected)


def test_modules_anywhere_in_a_model_are_found_and_twice_is_once() -> None:
    model = nn.Sequential(nn.ModuleDict({"a": nn.ModuleList([RoIAlign(7)])}), ModulatedDeformConv2dPack(4, 4, 3))
    fast_cpu_operators(model)
    types = [type(module) for module in model.modules()]
    fast_cpu_operators(model)
    assert dispatch.FastRoIAlign in types
    assert dispatch.FastModulatedDeformConv2dPack in types
    assert [type(module) for module in model.modules()] == types


def test_subclasses_that_others_wrote_are_left_alone() -> None:
    class Theirs(RoIAlign):
        def forward(self, input: Tensor, rois: Tensor) -> Tensor:
            return input

    assert type(fast(Theirs(7))) is Theirs


@pytest.mark.parametrize("name", ["RoIAlign", "DCN", "DCNv2"])
def test_a_trace_sees_mmcvs_operators(name: str) -> None:
    module, inputs = fast(module_of(name)), MODULES[name][1]
    with calls_to_ours() as called:
        torch.jit.trace(module, inputs, check_trace=False)
    assert not called


def channels_last(value: Any) -> Any:
    if isinstance(value, list):
        return [channels_last(entry) for entry in value]
    return value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value


@pytest.mark.parametrize("name", MODULES)
def test_mmcvs_operators_understand_channels_last_too(name: str) -> None:
    inputs = MODULES[name][1]
    expected = module_of(name)(*inputs)
    stored = [channels_last(value) for value in inputs]
    module = fast(module_of(name)).to(memory_format=torch.channels_last)
    with mmcv_operators():
        torch.testing.assert_close(module(*stored), expected, atol=1e-5, rtol=1e-5)


def in_bfloat16(value: Any) -> Any:
    return [in_bfloat16(entry) for entry in value] if isinstance(value, list) else value.bfloat16()


@pytest.mark.parametrize("whole", [True, False], ids=["all in bfloat16", "autocast"])
@pytest.mark.parametrize("name", MODULES)
def test_mmcvs_operators_stand_in_float32_for_bfloat16(name: str, whole: bool) -> None:
    """mmcv's kernels know bfloat16 on no device, and mixed precision hands it to them."""
    module, (first, *others) = fast(module_of(name)), MODULES[name][1]
    boxed = name == "extractor" or "RoI" in name
    expected = module(first, *others)
    inputs = (in_bfloat16(first), *(others if boxed else map(in_bfloat16, others)))
    with mmcv_operators(), torch.autocast("cpu", torch.bfloat16, enabled=not whole):
        found = (module.bfloat16() if whole else module)(*inputs)
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).norm() < 0.05 * expected.norm()


def test_gradients_come_through_mmcvs_operators_in_bfloat16() -> None:
    module = fast(module_of("DCNv2"))
    results = []
    for half in (False, True):
        with mmcv_operators(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = module(MAP.bfloat16() if half else MAP).float().square().sum()
        results.append(torch.autograd.grad(loss, list(module.parameters())))
    for exact, coarse in zip(*results):
        assert coarse.dtype == torch.float32
        assert (coarse - exact).norm() < 0.3 * exact.norm()  # offsets are rounded, and it is their gradient too


# ------------------------------------------------------------------------------------------------------- a pyramid
LAYOUTS = [torch.channels_last, torch.contiguous_format]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scale_factor", [None, 1.5])
@pytest.mark.parametrize("count", [0, 1, 80])
def test_regions_of_a_pyramid_and_their_gradients_are_mmdets(
    count: int, scale_factor: float | None, layout: torch.memory_format
) -> None:
    rois = boxes(count)
    results = []
    for module, stored in ((extractor(), torch.contiguous_format), (fast(extractor()), layout)):
        levels = [level.requires_grad_() for level in pyramid(stored)]
        pooled = module(levels, rois, scale_factor)
        results.append([pooled, *torch.autograd.grad((pooled * noise(*pooled.shape)).sum(), levels)])
    for mine, other in zip(results[1], results[0]):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4, check_stride=False)


def test_a_pyramid_is_pooled_at_once_into_contiguous_memory() -> None:
    levels, rois = pyramid(torch.channels_last), boxes(80)
    assert len(extractor().map_roi_levels(rois, 3).unique()) == 3
    with calls_to_ours() as called:
        assert fast(extractor())(levels, rois).is_contiguous()
    assert called == ["pool_levels"]


def test_a_pyramid_that_lacks_coarse_levels_is_pooled_from_those_there_are() -> None:
    levels, rois = pyramid()[:2], boxes(80)
    torch.testing.assert_close(fast(extractor())(levels, rois), extractor()(levels, rois), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 80])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_regions_are_not_rounded_to_the_half_precision_of_the_maps(count: int, layout: torch.memory_format) -> None:
    rois = boxes(count)
    coarse = fast(extractor(1))([level.bfloat16() for level in pyramid(layout)], rois)
    torch.testing.assert_close(coarse.float(), extractor(1)(pyramid(), rois), atol=0.03, rtol=0.03)


@pytest.mark.parametrize(("output_size", "count"), [(1, 1), (7, 80)])
def test_a_pyramids_few_regions_are_not_worth_copying_maps_for(output_size: int, count: int) -> None:
    with calls_to_ours() as called:
        fast(extractor(output_size))(pyramid(), boxes(count))
    assert ("pool_levels" in called) == (count == 80)


def test_layers_that_others_wrote_pool_their_level_of_a_pyramid() -> None:
    class Theirs(RoIAlign):
        def forward(self, input: Tensor, rois: Tensor) -> Tensor:
            return super().forward(input, rois) + 1

    module = extractor()
    for layer in module.roi_layers:
        layer.__class__ = Theirs
    expected = extractor()(pyramid(), boxes(80)) + 1
    torch.testing.assert_close(fast(module)(pyramid(), boxes(80)), expected)


def test_maximum_pooling_of_a_pyramid_is_mmdets() -> None:
    layer = dict(type="RoIAlign", output_size=7, sampling_ratio=0, pool_mode="max")
    levels, rois = pyramid(), boxes(80)
    expected = SingleRoIExtractor(layer, CHANNELS, [1, 2, 4], 4)(levels, rois)
    with calls_to_ours() as called:
        assert torch.equal(fast(SingleRoIExtractor(layer, CHANNELS, [1, 2, 4], 4))(levels, rois), expected)
    assert not called


# ------------------------------------------------------------------------------------------------ what stays mmcv's
def test_maximum_pooling_is_mmcvs() -> None:
    expected = RoIAlign(7, 1.0, 0, "max")(MAP, ROIS)
    assert torch.equal(fast(RoIAlign(7, 1.0, 0, "max"))(MAP, ROIS), expected)


@pytest.mark.parametrize("channels_last", [True, False])
def test_few_regions_are_not_worth_copying_a_map_for(channels_last: bool) -> None:
    module = fast(RoIAlign(1, 0.1, 0))
    features = FEATURES.contiguous(memory_format=torch.channels_last) if channels_last else FEATURES
    with calls_to_ours() as called:
        module(features, ROIS)
    assert bool(called) == channels_last


@pytest.mark.parametrize(
    ("output_size", "sampling_ratio", "channels", "pays"),
    [(7, 0, 128, True), (7, 2, 128, True), (7, 0, 4, False), (7, 2, 4, False), (1, 2, 128, False), (1, 0, 128, True)],
)
def test_few_channels_and_few_samples_of_large_bins_are_mmcvs(
    output_size: int, sampling_ratio: int, channels: int, pays: bool
) -> None:
    features, rois = noise(2, channels, 32, 40).contiguous(memory_format=torch.channels_last), ROIS * 2
    rois[:, 0] = ROIS[:, 0]
    expected = RoIAlign(output_size, 1.0, sampling_ratio)(features.contiguous(), rois)
    with calls_to_ours() as called:
        pooled = fast(RoIAlign(output_size, 1.0, sampling_ratio))(features, rois)
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)
    assert bool(called) == pays


@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("column", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["RoIAlign", "extractor"])
def test_an_infinite_region_gives_zeros_and_leaves_the_others_alone(
    name: str, column: int, sampling_ratio: int
) -> None:
    """mmcv gives zeros, too, but with a sampling ratio it reads outside the map."""
    module, (maps, rois) = fast(module_of(name)), MODULES[name][1]
    for layer in getattr(module, "roi_layers", [module]):
        layer.sampling_ratio = sampling_ratio
    expected, rois = module(maps, rois), rois.clone()
    expected[1], rois[1, column] = 0, float("-inf" if column < 3 else "inf")
    torch.testing.assert_close(module(maps, rois), expected, atol=1e-5, rtol=1e-5)


def test_regions_of_no_numbers_are_zeros_in_a_pyramid_as_in_mmdets() -> None:
    rois = boxes(80)
    rois[3, 2] = float("nan")
    expected = extractor()(pyramid(), rois)
    assert not expected[3].any()
    torch.testing.assert_close(fast(extractor())(pyramid(torch.channels_last), rois), expected, atol=1e-5, rtol=1e-5)


def test_regions_too_long_to_count_their_samples_are_mmcvs() -> None:
    rois = torch.tensor([[0.0, 0, 0, 2e5, 8]])
    with calls_to_ours() as called:
        pooled = fast(RoIAlign(7, 1.0, 0))(FEATURES, rois)
    torch.testing.assert_close(pooled, RoIAlign(7, 1.0, 0)(FEATURES, rois))
    assert not called


@pytest.mark.parametrize("count", [1, 80])
def test_regions_of_a_single_level_are_not_rescaled_as_in_mmdet(count: int) -> None:
    levels, rois = pyramid()[:1], boxes(count)
    expected = extractor()(levels, rois, 1.5)
    with calls_to_ours() as called:
        pooled = fast(extractor())(levels, rois, 1.5)
    assert bool(called) == (count == 80)
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["RoIAlign", "extractor"])
def test_inverted_boxes_are_refused_as_by_mmcv(name: str) -> None:
    maps, rois = MODULES[name][1]
    inverted = torch.cat([rois, torch.tensor([[0, 9.0, 9.0, 3.0, 3.0]])])
    with pytest.raises(RuntimeError) as expected:
        module_of(name)(maps, inverted)
    with pytest.raises(RuntimeError, match=str(expected.value).split("\n")[0][:20]):
        fast(module_of(name))(channels_last(maps), inverted)


def test_a_map_smaller_than_the_kernel_is_padded_as_by_mmcv() -> None:
    module, small, moves = module_of("DeformConv2d"), MAP[:, :, :2, :2], noise(2, 18, 2, 2)
    torch.testing.assert_close(fast(copy.deepcopy(module))(small, moves), module(small, moves))


def test_other_devices_keep_mmcvs_operators() -> None:
    assert dispatch._is_ours(torch.zeros(1))
    assert not dispatch._is_ours(torch.zeros(1, device="meta"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", MODULES)
def test_on_a_gpu_mmcvs_operators_run(name: str) -> None:
    module, inputs = fast(module_of(name)), MODULES[name][1]
    expected = module(*inputs)
    with calls_to_ours() as called:
        result = module.cuda()(
            *(value.cuda() if torch.is_tensor(value) else [x.cuda() for x in value] for value in inputs)
        )
    assert not called
    torch.testing.assert_close(result.cpu(), expected, atol=1e-4, rtol=1e-4)
