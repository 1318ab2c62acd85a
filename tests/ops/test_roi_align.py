"""RoIAlign against mmcv's, forwards and backwards."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmcv.ops import RoIAlign
from torch import Tensor

from clmot_qd.ops import Pooling, roi_align
from clmot_qd.ops.weighted_rows import sum_rows

HEIGHT, WIDTH, SCALE = 19, 23, 0.25
# Image index and xyxy in pixels; the map ends at 92 x 76.
CORNER_CASES = torch.tensor(
    [
        [0, 10, 10, 10, 10],  # no extent
        [0, 10, 10, 40, 10],  # no height
        [1, 3.3, 4.7, 3.9, 5.2],  # less than a cell
        [1, 0, 0, 92, 76],  # the whole map
        [0, -60, -60, 200, 200],  # more than the map
        [2, -40, -40, -20, -20],  # outside
        [0, 92, 76, 120, 110],  # from the far corner on
        [2, 88, 0, 92, 76],  # the last column
        [0, -4, -4, 24, 24],  # samples right at -1
        [1, 30, 5, 31, 70],  # slender
        [1, 8, 8, 36, 36],  # samples on cells
    ],
    dtype=torch.float64,
)


def random_rois(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.rand(count, 5, generator=generator, dtype=torch.float64)
    corners = numbers[:, 1:3] * torch.tensor([110.0, 90.0]) - 10
    sides = numbers[:, 3:] ** 2 * torch.tensor([80.0, 60.0])
    return torch.cat([(numbers[:, :1] * 3).floor(), corners, corners + sides], dim=1)


ROIS = torch.cat([CORNER_CASES, random_rois(60, seed=1)])


def maps(dtype: torch.dtype = torch.float64, channels_last: bool = False) -> Tensor:
    values = torch.randn(3, 5, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return values.to(dtype).contiguous(memory_format=layout).requires_grad_()


def pooled_and_gradient(pool: Any, features: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
    pooled = pool(features, rois.to(features.dtype))
    seed = torch.Generator().manual_seed(2)
    weight = torch.randn(pooled.shape, generator=seed, dtype=torch.float64).to(features.dtype)
    return pooled.detach(), torch.autograd.grad(pooled, features, weight)[0]


def agree(
    pooling: Pooling, rois: Tensor, dtype: torch.dtype = torch.float64, channels_last: bool = False, tol: float = 1e-10
) -> None:
    features = maps(dtype, channels_last)
    # mmcv misreads maps that are stored channels last.
    plain = features.detach().contiguous().requires_grad_()
    theirs = pooled_and_gradient(RoIAlign(*pooling[:3], "avg", pooling.aligned), plain, rois)
    ours = pooled_and_gradient(lambda x, boxes: roi_align(x, boxes, pooling), features, rois)
    for mine, other in zip(ours, theirs):
        assert mine.dtype == dtype
        torch.testing.assert_close(mine, other, atol=tol, rtol=tol, check_stride=False)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2, 3])
@pytest.mark.parametrize("output_size", [(7, 7), (3, 5), (1, 1)])
def test_values_and_gradients_are_mmcvs(aligned: bool, sampling_ratio: int, output_size: tuple[int, int]) -> None:
    agree(Pooling(output_size, SCALE, sampling_ratio, aligned), ROIS)


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("scale", [1.0, 0.25, 1 / 32])
def test_float32_agrees_to_round_off_in_any_layout(scale: float, channels_last: bool) -> None:
    agree(Pooling((7, 7), scale, 0, True), ROIS, torch.float32, channels_last, tol=3e-5)


def test_many_seeds_agree_so_that_no_sample_count_is_rounded_otherwise() -> None:
    for seed in range(20):
        agree(Pooling((7, 7), SCALE, 0, True), random_rois(40, seed), torch.float32, tol=3e-5)


@pytest.mark.parametrize("entries", [1, 500, 1 << 30])
def test_pooling_piece_by_piece_changes_nothing(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clmot_qd.ops.region_pooling.ENTRIES_AT_ONCE", entries)
    agree(Pooling((7, 7), SCALE, 0, True), ROIS)


def test_wide_and_high_regions_do_not_take_the_room_of_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A random RPN proposes regions a hundred times as wide as high and the reverse, far beyond the map."""
    asked: list[int] = []

    def counted(rows: Tensor, cells: Tensor, weights: Tensor) -> Tensor:
        asked.append(cells.numel())
        return sum_rows(rows, cells, weights)

    at_once = 1 << 15
    monkeypatch.setattr("clmot_qd.ops.region_pooling.ENTRIES_AT_ONCE", at_once)
    monkeypatch.setattr("clmot_qd.ops.region_pooling.sum_rows", counted)
    slender = torch.tensor([[0, 4, 4, 600, 8], [1, 4, 4, 8, 500]], dtype=torch.float64).repeat(200, 1)
    mixed = torch.cat([slender, random_rois(100, seed=4)])
    mixed[:, 1:] += torch.arange(len(mixed))[:, None] / 100
    agree(Pooling((7, 7), SCALE, 0, True), mixed)
    assert max(asked) <= 2 * at_once


@pytest.mark.parametrize("channels_last", [True, False])
def test_result_and_gradient_are_stored_as_the_features_are(channels_last: bool) -> None:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    features = maps(channels_last=channels_last)
    both = pooled_and_gradient(lambda x, rois: roi_align(x, rois, Pooling((7, 7), SCALE, 0, True)), features, ROIS)
    assert all(result.is_contiguous(memory_format=layout) for result in both)


@pytest.mark.parametrize("channels_last", [True, False])
def test_without_regions_the_result_is_empty_and_the_gradient_zero(channels_last: bool) -> None:
    features = maps(channels_last=channels_last)
    pooled, gradient = pooled_and_gradient(
        lambda x, rois: roi_align(x, rois, Pooling((7, 3), SCALE, 0, True)), features, torch.zeros(0, 5)
    )
    assert pooled.shape == (0, 5, 7, 3)
    assert gradient.shape == features.shape
    assert not gradient.any()


def test_order_of_regions_is_kept() -> None:
    pooling, features = Pooling((7, 7), SCALE, 0, True), maps()
    order = torch.randperm(len(ROIS), generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(roi_align(features, ROIS[order], pooling), roi_align(features, ROIS, pooling)[order])


def test_bfloat16_positions_are_exact_although_its_values_are_not() -> None:
    features, pooling = maps(torch.float32, channels_last=True), Pooling((7, 7), SCALE, 0, True)
    exact, exact_gradient = pooled_and_gradient(lambda x, rois: roi_align(x, rois, pooling), features, ROIS)
    coarse, gradient = pooled_and_gradient(
        lambda x, rois: roi_align(x, ROIS.float(), pooling), features.detach().bfloat16().requires_grad_(), ROIS
    )
    assert coarse.dtype == gradient.dtype == torch.bfloat16
    torch.testing.assert_close(coarse.float(), exact, atol=0.02, rtol=0.02)
    torch.testing.assert_close(gradient.float(), exact_gradient, atol=0.15, rtol=0.02)


def test_gradient_is_the_numerical_one() -> None:
    features = maps()[:, :2, :6, :7].detach().clone().requires_grad_()
    rois = torch.tensor([[0, 1.0, 2.0, 20.0, 21.0], [2, 3.0, 3.0, 9.0, 25.0]], dtype=torch.float64)
    pooling = Pooling((2, 3), SCALE, 0, True)
    assert torch.autograd.gradcheck(lambda x: roi_align(x, rois, pooling), features)
