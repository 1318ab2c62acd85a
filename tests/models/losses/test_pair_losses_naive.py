"""The vectorised pair losses against nested loops over the printed equations: values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import naive_pair_losses as naive
import pytest
import torch
from torch import Tensor

from clmot_qd.models.losses import (
    CosineMarginPairLoss,
    MultiPositivePairLoss,
    NTXentPairLoss,
    PairLoss,
    TripletPairLoss,
)

CASES: dict[str, tuple[PairLoss, Callable[..., list[Tensor]]]] = {
    "hard": (TripletPairLoss(0.3), partial(naive.triplet_hard, margin=0.3)),
    "hard, margin 1.5": (TripletPairLoss(1.5), partial(naive.triplet_hard, margin=1.5)),
    "all": (TripletPairLoss(0.3, mining="all"), partial(naive.triplet_all, margin=0.3)),
    "all, margin -0.2": (TripletPairLoss(-0.2, mining="all"), partial(naive.triplet_all, margin=-0.2)),
    "all, every triplet": (TripletPairLoss(50.0, mining="all"), partial(naive.triplet_all, margin=50.0)),
    "nt-xent": (NTXentPairLoss(), partial(naive.nt_xent, temperature=0.5)),
    "nt-xent, tau 0.1": (NTXentPairLoss(0.1), partial(naive.nt_xent, temperature=0.1)),
    "multi": (MultiPositivePairLoss(), naive.multi_positive),
    "one": (MultiPositivePairLoss("one"), naive.one_positive),
    "margin": (CosineMarginPairLoss(), partial(naive.cosine_margin, ratio=3, pos_margin=0.0, neg_margin=0.1)),
    "margin, few": (
        CosineMarginPairLoss(1, pos_margin=0.2, neg_margin=0.0),
        partial(naive.cosine_margin, ratio=1, pos_margin=0.2, neg_margin=0.0),
    ),
    "margin, every negative": (
        CosineMarginPairLoss(-1),
        partial(naive.cosine_margin, ratio=None, pos_margin=0.0, neg_margin=0.1),
    ),
}


def random_pairs(seed: int, anchors: int = 9, targets: int = 13) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Masks with ignored pairs, anchors without positives, without negatives and without any pair."""
    rng = torch.Generator().manual_seed(seed)
    kind = torch.rand(anchors, targets, generator=rng)
    positive, negative = kind < 0.25, kind > 0.5
    positive[0] = False
    negative[1] = False
    positive[2] = negative[2] = False
    embeds = torch.randn(anchors + targets, 5, generator=rng, dtype=torch.float64)
    return embeds[:anchors], embeds[anchors:], positive, negative


def value_and_gradients(loss: Callable[..., Tensor], anchors: Tensor, targets: Tensor, *masks: Tensor) -> list[Tensor]:
    anchors, targets = anchors.clone().requires_grad_(), targets.clone().requires_grad_()
    value = loss(anchors, targets, *masks)
    return [value.detach(), *torch.autograd.grad(value, (anchors, targets))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_equal_the_loops(name: str, seed: int, dtype: torch.dtype) -> None:
    loss, terms = CASES[name]
    anchors, targets, *masks = random_pairs(seed)
    expected = value_and_gradients(lambda *pairs: torch.stack(terms(*pairs)).mean(), anchors, targets, *masks)
    actual = value_and_gradients(loss, anchors.to(dtype), targets.to(dtype), *masks)
    tolerance = 1e-10 if dtype == torch.float64 else 2e-6
    assert actual[0].dtype == dtype
    for a, e in zip(actual, expected):
        torch.testing.assert_close(a.double(), e, rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize("seed", range(3, 8))
@pytest.mark.parametrize("name", CASES)
def test_groups_are_averaged_each_by_itself(name: str, seed: int) -> None:
    loss, terms = CASES[name]
    anchors, targets, positive, negative = random_pairs(seed)
    group = torch.tensor([7, 7, 2, 40, 2, 2, 40, 7, 2])
    target_group = torch.tensor([2, 2, 2, 2, 2, 7, 7, 7, 7, 40, 40, 40, 40])
    inside = group[:, None] == target_group
    positive, negative = positive & inside, negative & inside
    means = []
    for g in (2, 7, 40):
        masks = positive[group == g], negative[group == g]
        own = terms(anchors[group == g], targets, *masks)
        if own or naive.comparable_anchors(*masks):
            means.append(torch.stack(own).mean() if own else torch.zeros((), dtype=anchors.dtype))
    actual = loss(anchors, targets, positive, negative, group=group)
    torch.testing.assert_close(actual, torch.stack(means).mean())


def test_random_negatives_keep_the_number_and_differ_between_draws() -> None:
    anchors, targets, positive, negative = random_pairs(0)
    loss = CosineMarginPairLoss(neg_pos_ub=0.5, neg_margin=0.0, hard_mining=False)
    hardest = CosineMarginPairLoss(neg_pos_ub=0.5, neg_margin=0.0)(anchors, targets, positive, negative)
    values = torch.stack([loss(anchors, targets, positive, negative) for _ in range(20)])
    assert (values <= hardest).all()
    assert len(values.unique()) > 1


def test_unclamped_positives_are_eq_6_as_printed() -> None:
    anchors, targets, positive, _ = random_pairs(0)
    cosines = torch.nn.functional.normalize(anchors) @ torch.nn.functional.normalize(targets).T
    assert (cosines[positive] < 0).any()
    actual = CosineMarginPairLoss(clamp_positives=False)(anchors, targets, positive, torch.zeros_like(positive))
    torch.testing.assert_close(actual, ((cosines[positive] - 1) ** 2).mean())


@pytest.mark.parametrize("name", CASES)
def test_loss_weight_is_a_factor(name: str) -> None:
    loss, _ = CASES[name]
    pairs = random_pairs(0)
    plain = loss(*pairs)
    try:
        loss.loss_weight = 0.25
        torch.testing.assert_close(loss(*pairs), 0.25 * plain)
    finally:
        loss.loss_weight = 1.0
