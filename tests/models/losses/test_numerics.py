"""Sizes, lengths and precisions at their limits: losses and gradients stay finite, or the loss itself says so."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from clmot_qd.errors import InputError
from clmot_qd.models.losses import (
    CosineMarginPairLoss,
    IdentityClassifier,
    MultiPositivePairLoss,
    NTXentPairLoss,
    PairLoss,
    TripletPairLoss,
    UncertaintyTaskWeighting,
    unit_rows,
    within_image_contrast,
)
from clmot_qd.models.losses.task_weighting import LARGEST_LOG_VARIANCE

LOSSES = {
    "hard": TripletPairLoss(),
    "all": TripletPairLoss(mining="all"),
    "nt-xent": NTXentPairLoss(temperature=0.01),
    "multi": MultiPositivePairLoss(),
    "one": MultiPositivePairLoss(positives="one"),
    "margin": CosineMarginPairLoss(),
    "margin, by chance": CosineMarginPairLoss(hard_mining=False),
    "margin, unclamped": CosineMarginPairLoss(neg_pos_ub=0, clamp_positives=False),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
IDS = {
    "all different": lambda n: torch.arange(n),
    "all the same": lambda n: torch.zeros(n, dtype=torch.long),
    "background": lambda n: torch.full((n,), -1),
    "pairs": lambda n: torch.arange(n) // 2,
}
IMAGES = {"one": lambda n: torch.zeros(n, dtype=torch.long), "each": torch.arange, "two": lambda n: torch.arange(n) % 2}


def rows_of(kind: str, rows: int, channels: int = 4) -> Tensor:
    drawn = torch.randn(rows, channels, generator=torch.Generator().manual_seed(rows))
    made = {
        "random": drawn,
        "equal": torch.ones(rows, channels),
        "zero": torch.zeros(rows, channels),
        "first zero": torch.cat([torch.zeros_like(drawn[:1]), drawn[1:]]),
        "tiny": 1e-20 * drawn,
        "denormal": 1e-40 * drawn,
        "large": 1e4 * drawn.clamp(-6, 6),
        "opposite": torch.ones(rows, channels) * (-1.0) ** torch.arange(rows)[:, None],
        "of all lengths": drawn * 10 ** torch.linspace(-30, 4, max(rows, 1))[:rows, None],
        "of many lengths": drawn * 10 ** torch.linspace(-3, 4, max(rows, 1))[:rows, None],
    }
    return made[kind]


def contrasted(loss: PairLoss, embeds: Tensor, ids: str, image: str, unit: bool, average: str) -> tuple[Tensor, Tensor]:
    """Loss and gradient."""
    leaf, count = embeds.clone().requires_grad_(), len(embeds)
    compared = unit_rows(leaf.float()) if unit else leaf
    value = within_image_contrast(loss, compared, IDS[ids](count), IMAGES[image](count), average)
    value.backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


@every_loss
@pytest.mark.parametrize(
    "kind",
    ["random", "equal", "zero", "first zero", "tiny", "denormal", "large", "opposite", "of all lengths"],
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_loss_and_gradient_are_finite(loss: PairLoss, kind: str, dtype: torch.dtype) -> None:
    if dtype == torch.float16 and kind == "of all lengths":
        kind = "of many lengths"  # scaling a row of 1e-6 to 1 has a gradient of 1e6, which float16 cannot hold
    for count in (0, 1, 7):
        embeds = rows_of(kind, count).to(dtype)
        for ids in IDS:
            for image in IMAGES:
                value, grad = contrasted(loss, embeds, ids, image, unit=count == 7, average="image")
                assert value.isfinite(), (count, ids, image)
                assert grad.isfinite().all(), (count, ids, image)


@every_loss
@pytest.mark.parametrize("kind", ["equal", *(pytest.param(k, marks=pytest.mark.slow) for k in ("random", "zero"))])
def test_a_thousand_objects(loss: PairLoss, kind: str) -> None:
    value, grad = contrasted(loss, rows_of(kind, 1000), "pairs", "one", unit=True, average="image")
    assert value.isfinite()
    assert grad.isfinite().all()


@every_loss
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_shows_in_the_loss(loss: PairLoss, value: float) -> None:
    """Where nothing is compared with it as well: a loss of 0 with a gradient of NaN would be taken for a good step."""
    for count, row, unit in ((1, 0, False), (2, 0, True), (2, 1, False), (7, 6, True)):
        embeds = rows_of("random", count)
        embeds[row, 0] = value
        for ids in IDS:
            for image in IMAGES:
                found, _ = contrasted(loss, embeds, ids, image, unit, "batch")
                assert not found.isfinite(), (count, ids, image)


# ---- identities ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["random", "equal", "zero", "tiny", "denormal", "large"])
@pytest.mark.parametrize("count", [0, 1, 1000])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_identities(kind: str, count: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    head = IdentityClassifier(50, 4)
    leaf = rows_of(kind, count).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = head(leaf, torch.arange(count) % 52 - 1)
    loss.backward()
    assert loss.isfinite()
    assert all(part.grad.isfinite().all() for part in (leaf, *head.parameters()))


# ---- learnable weights -----------------------------------------------------------------------------------------------


def total(weighting: Any, detection: float, embedding: float) -> Tensor:
    losses = weighting({"loss_a": torch.tensor(detection)}, {"loss_b": torch.tensor(embedding)})
    return sum(value for name, value in losses.items() if "loss" in name)


@pytest.mark.parametrize("value", [-1e30, -1e3, -89.0, 89.0, 1e3, 1e30])
@pytest.mark.parametrize("loss", [0.0, 1.0, 1e6])
def test_learned_weights_at_extreme_values(value: float, loss: float) -> None:
    weighting = UncertaintyTaskWeighting()
    with torch.no_grad():
        weighting.log_var_detection.fill_(value)
        weighting.log_var_embedding.fill_(value)
    found = total(weighting, loss, loss)
    found.backward()
    assert found.isfinite()
    assert all(part.grad.isfinite() and part.grad != 0 for part in weighting.parameters())
    assert all(abs(part) == LARGEST_LOG_VARIANCE for part in weighting.parameters())


def test_a_task_without_loss_for_long_comes_back() -> None:
    weighting = UncertaintyTaskWeighting()
    optimizer = torch.optim.SGD(weighting.parameters(), lr=0.5)
    for step in range(300):
        optimizer.zero_grad()
        total(weighting, 4.0, 0.0 if step < 150 else 4.0).backward()
        optimizer.step()
        assert step >= 150 or abs(weighting.log_var_embedding) <= LARGEST_LOG_VARIANCE + 1
    assert weighting.log_var_embedding.item() == pytest.approx(math.log(4), abs=1e-3)


def test_a_not_a_number_is_not_hidden() -> None:
    weighting = UncertaintyTaskWeighting()
    with torch.no_grad():
        weighting.log_var_detection.fill_(torch.nan)
    assert not total(weighting, 1.0, 1.0).isfinite()


@pytest.mark.parametrize("value", [21, -1e9, float("nan")])
def test_an_initial_weight_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"init_embedding must be from -20 to 20"):
        UncertaintyTaskWeighting(init_embedding=value)
