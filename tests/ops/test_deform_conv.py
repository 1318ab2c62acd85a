"""Deformable convolutions against mmcv's, forwards and backwards."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmcv.ops import deform_conv2d as mmcv_deform_conv2d
from mmcv.ops import modulated_deform_conv2d
from torch import Tensor

from clmot_qd.errors import InputError
from clmot_qd.ops import Sampling, deform_conv2d
from clmot_qd.ops.weighted_rows import add_to_rows

SETTINGS = {
    "plain": ((3, 3), Sampling(padding=(1, 1))),
    "stride": ((3, 3), Sampling(stride=(2, 2), padding=(1, 1))),
    "dilation": ((3, 3), Sampling(padding=(2, 2), dilation=(2, 2))),
    "groups": ((3, 3), Sampling(padding=(1, 1), groups=2)),
    "deform groups": ((3, 3), Sampling(padding=(1, 1), deform_groups=4)),
    "both groups": ((3, 3), Sampling(padding=(1, 1), groups=4, deform_groups=2)),
    "uneven": ((3, 5), Sampling(stride=(1, 2), padding=(0, 2), dilation=(2, 1), groups=2, deform_groups=2)),
    "pointwise": ((1, 1), Sampling()),
}
MODULE = "clmot_qd.ops.deform_conv"
bmm = torch.bmm
CHANNELS, OUTPUTS, HEIGHT, WIDTH = 8, 12, 10, 13


def out_side(side: int, axis: int, kernel: tuple[int, int], sampling: Sampling) -> int:
    reach = sampling.dilation[axis] * (kernel[axis] - 1) + 1
    return (side + 2 * sampling.padding[axis] - reach) // sampling.stride[axis] + 1


def tensors(kernel: tuple[int, int], sampling: Sampling, spread: float = 2.0, images: int = 3) -> list[Tensor]:
    """Input, offset, mask, weight, bias in float64; offsets of ``spread`` cells, far outside the map among them."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    grid = (out_side(HEIGHT, 0, kernel, sampling), out_side(WIDTH, 1, kernel, sampling))
    taps = sampling.deform_groups * kernel[0] * kernel[1]
    return [
        noise(images, CHANNELS, HEIGHT, WIDTH),
        noise(images, 2 * taps, *grid) * spread,
        noise(images, taps, *grid).sigmoid(),
        noise(OUTPUTS, CHANNELS // sampling.groups, *kernel),
        noise(OUTPUTS),
    ]


def ours(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, sampling: Sampling) -> Tensor:
    return deform_conv2d(x, offset, mask, weight, bias, sampling)


def theirs(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, sampling: Sampling) -> Tensor:
    return modulated_deform_conv2d(x, offset, mask, weight, bias, *sampling)


def value_and_gradients(convolve: Any, inputs: list[Tensor], sampling: Sampling) -> list[Tensor]:
    inputs = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    out = convolve(*inputs, sampling)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, inputs, weight)]


def agree(inputs: list[Tensor], sampling: Sampling, tol: float) -> None:
    expected = value_and_gradients(theirs, [tensor.contiguous() for tensor in inputs], sampling)
    for mine, other in zip(value_and_gradients(ours, inputs, sampling), expected):
        assert mine.dtype == other.dtype
        torch.testing.assert_close(mine, other, atol=tol, rtol=tol, check_stride=False)


@pytest.mark.parametrize("spread", [0.0, 0.7, 30.0])
@pytest.mark.parametrize("setting", SETTINGS)
def test_values_and_gradients_are_mmcvs(setting: str, spread: float) -> None:
    kernel, sampling = SETTINGS[setting]
    agree(tensors(kernel, sampling, spread), sampling, tol=1e-10)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_float32_agrees_to_round_off_in_any_layout(layout: torch.memory_format) -> None:
    kernel, sampling = SETTINGS["both groups"]
    inputs = tensors(kernel, sampling)
    inputs = [t.float().contiguous(memory_format=layout) if t.dim() == 4 else t.float() for t in inputs]
    agree(inputs, sampling, tol=2e-4)
    out, *gradients = value_and_gradients(ours, inputs, sampling)
    assert all(result.is_contiguous(memory_format=layout) for result in (out, *gradients[:3]))


@pytest.mark.parametrize("setting", ["plain", "uneven"])
def test_without_mask_it_is_the_first_version(setting: str) -> None:
    kernel, sampling = SETTINGS[setting]
    x, offset, _, weight, _ = tensors(kernel, sampling)
    mine = value_and_gradients(lambda a, b, c, s: deform_conv2d(a, b, None, c, None, s), [x, offset, weight], sampling)
    other = value_and_gradients(lambda a, b, c, s: mmcv_deform_conv2d(a, b, c, *s), [x, offset, weight], sampling)
    for one, two in zip(mine, other):
        torch.testing.assert_close(one, two)


def test_without_offsets_it_is_a_convolution() -> None:
    kernel, sampling = SETTINGS["dilation"]
    x, offset, _, weight, bias = tensors(kernel, sampling)
    expected = F.conv2d(x, weight, bias, sampling.stride, sampling.padding, sampling.dilation, sampling.groups)
    out = deform_conv2d(x, torch.zeros_like(offset), None, weight, bias, sampling)
    torch.testing.assert_close(out, expected, check_stride=False)


@pytest.mark.parametrize("values", [1, 1000, 7777])
def test_computing_piece_by_piece_changes_nothing(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{MODULE}.VALUES_AT_ONCE", values)
    kernel, sampling = SETTINGS["both groups"]
    agree(tensors(kernel, sampling), sampling, tol=1e-10)


def test_gradients_are_the_numerical_ones() -> None:
    kernel, sampling = SETTINGS["plain"]
    x, offset, mask, weight, bias = tensors(kernel, sampling, images=1)
    # Away from whole cells, where the interpolation has a kink.
    offset = offset.floor() + 0.2 + 0.6 * torch.rand(offset.shape, generator=torch.Generator().manual_seed(4))
    inputs = [x[:, :2, :4, :5], offset[..., :4, :5], mask[..., :4, :5], weight[:3, :2], bias[:3]]
    inputs = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    assert torch.autograd.gradcheck(lambda *given: ours(*given, sampling), inputs)


def test_no_image_gives_no_map() -> None:
    kernel, sampling = SETTINGS["plain"]
    inputs = tensors(kernel, sampling, images=0)
    out, *gradients = value_and_gradients(ours, inputs, sampling)
    assert out.shape == (0, OUTPUTS, HEIGHT, WIDTH)
    assert not gradients[3].any()


def test_bfloat16_stays_near_float32() -> None:
    kernel, sampling = SETTINGS["plain"]
    inputs = [tensor.bfloat16() for tensor in tensors(kernel, sampling)]
    coarse = value_and_gradients(ours, inputs, sampling)
    exact = value_and_gradients(ours, [tensor.float() for tensor in inputs], sampling)
    for mine, other in zip(coarse, exact):
        assert mine.dtype == torch.bfloat16
        assert (mine.float() - other).norm() < 0.02 * other.norm()


def test_under_autocast_the_offsets_type_decides() -> None:
    kernel, sampling = SETTINGS["plain"]
    x, offset, mask, weight, bias = (tensor.float() for tensor in tensors(kernel, sampling))
    expected = deform_conv2d(x, offset, mask, weight, bias, sampling)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(deform_conv2d(x, offset, mask, weight, bias, sampling), expected)
        assert deform_conv2d(x, offset.bfloat16(), mask, weight, bias, sampling).dtype == torch.bfloat16


def test_backwards_inside_autocast_loses_nothing() -> None:
    kernel, sampling = SETTINGS["plain"]
    inputs = [tensor.float().requires_grad_() for tensor in tensors(kernel, sampling)]
    expected = torch.autograd.grad(ours(*inputs, sampling).sum(), inputs)
    total = ours(*inputs, sampling).sum()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gradients = torch.autograd.grad(total, inputs)
    for mine, other in zip(gradients, expected):
        assert torch.equal(mine, other)


NAMES = ("x", "offset", "mask", "weight", "bias")


@pytest.mark.parametrize("wanted", [("x",), ("offset",), ("mask",), ("weight",), ("bias",), ("x", "mask"), NAMES[1:4]])
def test_gradients_that_nobody_asks_for_are_left_out(wanted: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, sampling = SETTINGS["both groups"]
    frozen = dict(zip(NAMES, tensors(kernel, sampling)))
    everything = {name: tensor.clone().requires_grad_() for name, tensor in frozen.items()}
    ours(*everything.values(), sampling).sum().backward()
    inputs = {name: everything[name].detach().requires_grad_(name in wanted) for name in NAMES}
    spread, products = [], []
    monkeypatch.setattr(f"{MODULE}.add_to_rows", lambda *args: spread.append(add_to_rows(*args)))
    out = ours(*inputs.values(), sampling)
    monkeypatch.setattr("torch.bmm", lambda *args: products.append(bmm(*args)) or products[-1])
    out.sum().backward()
    for name, tensor in inputs.items():
        assert (tensor.grad is not None) == (name in wanted)
        if tensor.grad is not None:
            torch.testing.assert_close(tensor.grad, everything[name].grad)
    assert bool(spread) == ("x" in wanted)
    assert len(products) == ("weight" in wanted) + bool({"x", "offset", "mask"} & {*wanted})


@pytest.mark.parametrize(
    ("wrong", "shape"),
    [
        ("offset", (3, 18, 8, 13)),
        ("offset", (3, 18, 13, 10)),
        ("offset", (3, 36, 10, 13)),
        ("offset", (1, 18, 10, 13)),
        ("mask", (3, 9, 13, 10)),
        ("mask", (3, 18, 10, 13)),
        ("mask", (1, 9, 10, 13)),
        ("input", (3, CHANNELS + 1, HEIGHT, WIDTH)),
        ("input", (3, CHANNELS, HEIGHT + 1, WIDTH)),
        ("input", (CHANNELS, HEIGHT, WIDTH)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(wrong: str, shape: tuple[int, ...]) -> None:
    kernel, sampling = SETTINGS["plain"]
    inputs = dict(zip(("input", *NAMES[1:]), tensors(kernel, sampling)))
    inputs[wrong] = torch.zeros(shape, dtype=torch.float64)
    with pytest.raises(InputError, match=r"deformable convolution: expected .* of shape") as error:
        ours(*inputs.values(), sampling)
    assert "\n" not in str(error.value)


def test_offsets_that_are_no_numbers_give_no_numbers_instead_of_an_error() -> None:
    kernel, sampling = SETTINGS["plain"]
    x, offset, mask, weight, bias = tensors(kernel, sampling)
    offset[0, 0, 0, 0], offset[1, 0, 0, 0] = float("nan"), 1e30
    out = ours(x, offset, mask, weight, bias, sampling)
    assert out[0, :, 0, 0].isnan().all()
    assert out[1:].isfinite().all()
