"""Distances, unit rows and masked sums of exponentials."""

from __future__ import annotations

import pytest
import torch

from clmot_qd.models.losses.pairwise import cosine_similarities, euclidean_distances, masked_logsumexp, unit_rows


def test_distances_and_their_gradient() -> None:
    anchors, targets = torch.randn(4, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    expected = (anchors[:, None] - targets).norm(dim=2)
    torch.testing.assert_close(euclidean_distances(anchors, targets), expected)
    assert torch.autograd.gradcheck(euclidean_distances, (anchors.requires_grad_(), targets.requires_grad_()))


def test_distances_of_a_set_to_itself() -> None:
    rows = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    distances = euclidean_distances(rows, rows)
    assert (distances.diagonal() == 0).all()
    (grad,) = torch.autograd.grad(distances.sum(), rows)
    difference = rows[:, None] - rows
    expected = 2 * (difference / difference.norm(dim=2, keepdim=True).clamp(min=1e-12)).sum(dim=1)
    torch.testing.assert_close(grad, expected.detach())


@pytest.mark.parametrize("gap", [1e-2, 1e-3, 1e-5])
def test_small_distances_survive_float32(gap: float) -> None:
    """|v|^2 + |w|^2 - 2 vw would lose them; the gradient never exceeds that of a distance."""
    anchor = torch.nn.functional.normalize(torch.ones(1, 64)).requires_grad_()
    target = anchor.detach().clone()
    target[0, 0] += gap
    distance = euclidean_distances(anchor, target)
    assert distance.item() == pytest.approx(gap, rel=1e-2)
    (grad,) = torch.autograd.grad(distance.sum(), anchor)
    assert grad.norm() <= 1.01
    if gap >= 1e-3:
        assert grad[0, 0].item() == pytest.approx(-1, abs=1e-3)


def test_unit_rows() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-20, 0.0], [0.6, 0.8]], requires_grad=True)
    units = unit_rows(rows)
    torch.testing.assert_close(units[[0, 3]], torch.tensor([[0.6, 0.8], [0.6, 0.8]]))
    assert units[1].norm() == 0
    (grad,) = torch.autograd.grad(units.sum(), rows)
    assert grad.abs().max() <= 1


def test_cosine_with_a_row_of_zeros_is_zero() -> None:
    rows = torch.tensor([[2.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    expected = torch.tensor([[1.0, 0.0, 0.5**0.5], [0.0, 0.0, 0.0], [0.5**0.5, 0.0, 1.0]])
    torch.testing.assert_close(cosine_similarities(rows, rows), expected)


def test_masked_logsumexp() -> None:
    values = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], requires_grad=True)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    result = masked_logsumexp(values, mask)
    torch.testing.assert_close(result[0], torch.tensor([1.0, 3.0]).logsumexp(0))
    assert result[1] < -1e38
    (grad,) = torch.autograd.grad(result.sum(), values)
    assert grad.isfinite().all()
    assert (grad[~mask] == 0).all()


def test_masked_logsumexp_and_its_gradient() -> None:
    random = torch.Generator().manual_seed(0)
    values = (3 * torch.randn(6, 9, generator=random, dtype=torch.float64)).requires_grad_()
    mask = torch.rand(6, 9, generator=random) < 0.4
    mask[:, 0] = True
    expected = values.masked_fill(~mask, -torch.inf).logsumexp(dim=1)
    torch.testing.assert_close(masked_logsumexp(values, mask), expected)
    assert torch.autograd.gradcheck(lambda v: masked_logsumexp(v, mask), values)


@pytest.mark.parametrize("outside", [3e38, -3e38])
def test_entries_outside_of_the_mask_may_be_anything_finite(outside: float) -> None:
    values = torch.tensor([[-3e38, outside], [outside, outside], [1.0, outside]], requires_grad=True)
    mask = torch.tensor([[True, False], [False, False], [True, False]])
    result = masked_logsumexp(values, mask)
    torch.testing.assert_close(result[[0, 2]], torch.tensor([-3e38, 1.0]))
    (grad,) = torch.autograd.grad(result.sum(), values)
    assert grad.tolist() == [[1, 0], [0, 0], [1, 0]]


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("entries", [1, 3])
def test_numbers_that_are_not_finite_stay_so(value: float, entries: int) -> None:
    values = torch.tensor([[1.0, 3.0, 2.0, 0.5]] * 2)
    values[:, :entries] = value
    inside = torch.tensor([True, True, True, False])
    expected = values[:, :3].logsumexp(dim=1)
    result = masked_logsumexp(values, inside.expand(2, 4))
    torch.testing.assert_close(result, expected, equal_nan=True)
    torch.testing.assert_close(masked_logsumexp(values[:, :3], torch.ones(2, 3) > 0), expected, equal_nan=True)
    empty = masked_logsumexp(values, torch.zeros(2, 4) > 0)
    assert (empty == torch.finfo(torch.float32).min).all()


@pytest.mark.parametrize("rows", [0, 3])
def test_nothing_to_sum(rows: int) -> None:
    values = torch.zeros(rows, 0, requires_grad=True)
    result = masked_logsumexp(values, torch.zeros(rows, 0, dtype=torch.bool))
    assert result.tolist() == [torch.finfo(torch.float32).min] * rows
    assert torch.autograd.grad(result.sum(), values)[0].shape == (rows, 0)


def test_distances_in_float32_are_those_of_float64() -> None:
    """The products that CPUs take must not cost digits, for long rows either."""
    random = torch.Generator().manual_seed(0)
    for length in (1.0, 100.0):
        rows = length * torch.nn.functional.normalize(torch.randn(12, 64, generator=random))
        rows[6:] = rows[:6] + length * 1e-5 * torch.randn(6, 64, generator=random)
        expected = euclidean_distances(rows.double(), rows.double()).float()
        torch.testing.assert_close(euclidean_distances(rows, rows), expected, rtol=1e-4, atol=length * 1e-7)
