"""The pair losses against recorded runs of the public code, published figures of it, and mmdet's own classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.models.losses import MarginL2Loss, MultiPosCrossEntropyLoss
from torch import Tensor

from clmot_qd.models.losses import (
    CosineMarginPairLoss,
    MultiPositivePairLoss,
    NTXentPairLoss,
    PairLoss,
    TripletPairLoss,
    cosine_margin_pair_loss,
    cross_view_contrast,
    cross_view_masks,
    within_image_contrast,
)


def load(path: Path) -> dict[str, Tensor]:
    with np.load(path) as arrays:
        return {key: torch.as_tensor(arrays[key]) for key in arrays}


@pytest.fixture(scope="module")
def clmot(test_data: Path) -> Mapping[str, Tensor]:
    return load(test_data / "clmot_losses.npz")


@pytest.fixture(scope="module")
def quasi_dense(test_data: Path) -> Mapping[str, Tensor]:
    return load(test_data / "quasi_dense_losses.npz")


@pytest.mark.parametrize("case", ["case0", "case1", "case2"])
@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("triplet_hard", TripletPairLoss(margin=0.3)),
        ("triplet_all", TripletPairLoss(margin=0.3, mining="all")),
        ("nt_xent", NTXentPairLoss(temperature=0.5)),
    ],
)
def test_released_clmot(clmot: Mapping[str, Tensor], name: str, loss: PairLoss, case: str) -> None:
    embeds = clmot[f"{case}/embeds"].requires_grad_()
    value = within_image_contrast(loss, embeds, clmot[f"{case}/ids"], clmot[f"{case}/image"], average="batch")
    (grad,) = torch.autograd.grad(value, embeds)
    torch.testing.assert_close(value.double(), clmot[f"{case}/{name}"], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(grad, clmot[f"{case}/{name}_grad"], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("case", ["case0", "case1"])
def test_released_qdtrack(quasi_dense: Mapping[str, Tensor], case: str) -> None:
    key, ref = quasi_dense[f"{case}/key"].requires_grad_(), quasi_dense[f"{case}/ref"].requires_grad_()
    masks = cross_view_masks(quasi_dense[f"{case}/key_ids"], quasi_dense[f"{case}/ref_ids"])
    track = MultiPositivePairLoss(loss_weight=0.25)(key, ref, *masks)
    aux = CosineMarginPairLoss()(key, ref, *masks)
    torch.testing.assert_close(track.double(), quasi_dense[f"{case}/loss_track"], rtol=1e-6, atol=0)
    torch.testing.assert_close(aux.double(), quasi_dense[f"{case}/loss_track_aux"], rtol=1e-6, atol=0)
    grads = torch.autograd.grad(track + aux, (key, ref))
    for grad, view in zip(grads, ("key", "ref")):
        torch.testing.assert_close(grad, quasi_dense[f"{case}/{view}_grad"], rtol=1e-5, atol=1e-7)


def test_released_qdtrack_as_one_batch_is_the_mean_over_images(quasi_dense: Mapping[str, Tensor]) -> None:
    parts = {name: [quasi_dense[f"case{i}/{name}"] for i in (0, 1)] for name in ("key", "ref", "key_ids", "ref_ids")}
    image = {
        view: torch.repeat_interleave(torch.arange(2), torch.tensor([len(p) for p in parts[view]]))
        for view in ("key", "ref")
    }
    both = {name: torch.cat(values) for name, values in parts.items()}
    for loss, name in (
        (MultiPositivePairLoss(loss_weight=0.25), "loss_track"),
        (CosineMarginPairLoss(), "loss_track_aux"),
    ):
        actual = cross_view_contrast(
            loss, both["key"], both["ref"], both["key_ids"], both["ref_ids"], image["key"], image["ref"]
        )
        expected = (quasi_dense[f"case0/{name}"] + quasi_dense[f"case1/{name}"]) / 2
        torch.testing.assert_close(actual.double(), expected, rtol=1e-6, atol=0)


def waves(rows: int, columns: int) -> Tensor:
    i, j = torch.arange(rows, dtype=torch.float64)[:, None], torch.arange(columns, dtype=torch.float64)
    return torch.sin(1.3 * i + 2.1 * j + 0.7 * i * j)


def unit_waves(rows: int) -> Tensor:
    return torch.nn.functional.normalize(waves(rows, 4))


A = ([0, 1, 2, 0, 1, 2], [0] * 6)
B = ([0, 1, 2, 0, 1, 0, 2, 0, 1], [0, 0, 0, 1, 1, 0, 0, 1, 1])


@pytest.mark.parametrize(
    ("ids_and_image", "loss", "expected"),
    [
        (A, TripletPairLoss(0.5), 0.54832493),
        (A, TripletPairLoss(0.5, mining="all"), 0.43553781),
        (A, NTXentPairLoss(0.5), 1.33428204),
        (A, TripletPairLoss(0.3), 0.37580925),
        (A, TripletPairLoss(0.3, mining="all"), 0.42255925),
        (A, NTXentPairLoss(0.1), 2.56010497),
        (B, TripletPairLoss(0.5, mining="all"), 0.24333426),
        (B, NTXentPairLoss(0.5), 0.56634527),
    ],
)
def test_figures_of_released_clmot(ids_and_image: tuple, loss: PairLoss, expected: float) -> None:
    ids, image = (torch.tensor(values) for values in ids_and_image)
    actual = within_image_contrast(loss, unit_waves(len(ids)), ids, image, average="batch")
    assert actual.item() == pytest.approx(expected, abs=1e-8)


def test_released_hard_mining_differs_only_by_anchors_without_a_positive() -> None:
    """Case B: one anchor of nine has no positive. The release lets it push its nearest negative; we leave it out."""
    ids, image = (torch.tensor(values) for values in B)
    embeds = unit_waves(9)
    alone = torch.tensor([0, 2, 5, 6])
    lonely = (0.5 - (embeds[1] - embeds[alone]).norm(dim=1).min()).clamp(min=0)
    actual = within_image_contrast(TripletPairLoss(0.5), embeds, ids, image, average="batch")
    assert actual.item() == pytest.approx((9 * 0.18072025 - lonely.item()) / 8, abs=1e-8)


LOSSES = [TripletPairLoss(0.5), TripletPairLoss(0.5, mining="all"), NTXentPairLoss(0.5), MultiPositivePairLoss()]


@pytest.mark.parametrize("average", ["image", "batch"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("ids", "image"),
    [
        pytest.param([0, 0], [0, 0], id="C: one object"),
        pytest.param([0, 0, 0, 0], [0, 1, 0, 1], id="D: one object in each of two images"),
        pytest.param([0, 1], [0, 0], id="E: no positive"),
        pytest.param([], [], id="G: empty"),
    ],
)
def test_nothing_to_compare_is_zero_with_zero_gradient(
    ids: list[int], image: list[int], loss: PairLoss, average: str
) -> None:
    """D is the release's leak: there other images' embeddings were pushed."""
    embeds = unit_waves(len(ids)).requires_grad_()
    ids_, image_ = torch.tensor(ids, dtype=torch.long), torch.tensor(image, dtype=torch.long)
    value = within_image_contrast(loss, embeds, ids_, image_, average=average)
    value.backward()
    assert value.item() == 0
    assert torch.equal(embeds.grad, torch.zeros_like(embeds))


@pytest.mark.parametrize(("loss", "expected"), zip(LOSSES, [0.5, 0.5, np.log(3), np.log(3)]))
def test_equal_embeddings(loss: PairLoss, expected: float) -> None:
    """Case F, and with it no NaN from distance 0."""
    embeds = torch.nn.functional.normalize(torch.ones(4, 4, dtype=torch.float64)).requires_grad_()
    value = within_image_contrast(loss, embeds, torch.tensor([0, 1, 0, 1]), torch.zeros(4))
    value.backward()
    assert value.item() == pytest.approx(expected, abs=1e-8)
    assert embeds.grad.isfinite().all()


# mmdet, which the figures come from, adds 1.2e-7 to the number it divides by.
MMDET_EPS = 1.3e-7
P = 3 * waves(4, 6)
POSITIVE = torch.zeros(4, 6, dtype=torch.bool)
POSITIVE[[0, 0, 1, 2, 2, 2], [0, 3, 1, 2, 4, 5]] = True


def test_figures_of_multi_positive() -> None:
    """Against the identity the dot products are P itself."""
    loss = MultiPositivePairLoss(loss_weight=0.25)
    eye = torch.eye(6, dtype=torch.float64)
    assert loss(P, eye, POSITIVE, ~POSITIVE).item() == pytest.approx(1.2125287556, rel=MMDET_EPS)
    for row, expected in enumerate([3.9628605190, 5.7981160060, 4.7893691202, 0.0]):
        value = loss(P[row : row + 1], eye, POSITIVE[row : row + 1], ~POSITIVE[row : row + 1])
        assert value.item() == pytest.approx(0.25 * expected, rel=MMDET_EPS)


@pytest.mark.parametrize(
    ("neg_pos_ub", "neg_margin", "expected"),
    [(3, 0.1, 0.3759075591), (3, 0.3, 0.2957116900), (1, 0.1, 0.7161734023), (1, 0.3, 0.5831451118)],
)
def test_figures_of_cosine_margin(
    monkeypatch: pytest.MonkeyPatch, neg_pos_ub: int, neg_margin: float, expected: float
) -> None:
    """No vectors have the cosines P / 3, so they are put in the place of the computed ones."""
    monkeypatch.setattr(cosine_margin_pair_loss, "cosine_similarities", lambda anchors, targets: P / 3)
    loss = CosineMarginPairLoss(neg_pos_ub=neg_pos_ub, neg_margin=neg_margin)
    assert loss(torch.ones(4, 1), torch.ones(6, 1), POSITIVE, ~POSITIVE).item() == pytest.approx(
        expected, rel=MMDET_EPS
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mmdet_multi_positive(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    anchors, targets = (torch.randn(n, 8, generator=generator, dtype=torch.float64) for n in (20, 30))
    positive = torch.rand(20, 30, generator=generator) < 0.05
    has_positive = positive.any(dim=1).double()
    expected = MultiPosCrossEntropyLoss(loss_weight=0.25)(
        anchors @ targets.T, positive.long(), has_positive, avg_factor=has_positive.sum()
    )
    actual = MultiPositivePairLoss(loss_weight=0.25)(anchors, targets, positive, ~positive)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "options", [{"neg_pos_ub": 3, "neg_margin": 0.1}, {"neg_pos_ub": 1, "neg_margin": 0.3, "pos_margin": 0.1}]
)
def test_mmdet_margin(seed: int, options: dict[str, float]) -> None:
    generator = torch.Generator().manual_seed(seed)
    anchors, targets = (torch.randn(n, 8, generator=generator, dtype=torch.float64) for n in (20, 30))
    positive = torch.rand(20, 30, generator=generator) < 0.1
    cosines = torch.nn.functional.normalize(anchors) @ torch.nn.functional.normalize(targets).T
    expected = MarginL2Loss(hard_mining=True, **options)(cosines, positive.long())  # type: ignore[arg-type]
    actual = CosineMarginPairLoss(**options)(anchors, targets, positive, ~positive)  # type: ignore[arg-type]
    torch.testing.assert_close(actual, expected)
