"""What every pair loss keeps: orders, strangers, units, and the slope that it says it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import assume, given
from torch import Tensor

from clmot_qd.models.losses import (
    CosineMarginPairLoss,
    IdentityClassifier,
    MultiPositivePairLoss,
    NTXentPairLoss,
    PairLoss,
    TripletPairLoss,
    UncertaintyTaskWeighting,
    cross_view_contrast,
    cross_view_masks,
    within_image_contrast,
)

LOSSES: dict[str, PairLoss] = {
    "hard": TripletPairLoss(),
    "all": TripletPairLoss(mining="all"),
    "nt-xent": NTXentPairLoss(),
    "multi": MultiPositivePairLoss(),
    "one": MultiPositivePairLoss(positives="one"),
    "cosine": CosineMarginPairLoss(),
    "cosine, all": CosineMarginPairLoss(neg_pos_ub=-1, clamp_positives=False),
}
every_loss = pytest.mark.parametrize("name", LOSSES)
averages = st.sampled_from(["image", "batch"])


class Batch(NamedTuple):
    """Two views of some images, in double precision."""

    anchors: Tensor  # (N, C)
    targets: Tensor  # (M, C)
    anchor_ids: Tensor
    target_ids: Tensor
    anchor_image: Tensor
    target_image: Tensor

    def loss(self, name: str, average: str) -> Tensor:
        return cross_view_contrast(LOSSES[name], *self, average=average)

    def ordered(self, anchors: Tensor, targets: Tensor) -> Batch:
        return Batch(*(part[targets if number % 2 else anchors] for number, part in enumerate(self)))

    def beside(self, other: Batch) -> Batch:
        """Both as one batch; the other's images are different ones."""
        images = 1 + int(max(self.anchor_image.amax(), self.target_image.amax()))
        other = other._replace(anchor_image=other.anchor_image + images, target_image=other.target_image + images)
        return Batch(*(torch.cat(parts) for parts in zip(self, other)))


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """1 to 9 rows on either side, of 1 to 3 images, with background; no two rows are equal."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    images, objects, channels = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(2, 5))
    parts: list[list[Tensor]] = [[], [], []]
    for rows in (draw(st.integers(1, 9)), draw(st.integers(1, 9))):
        parts[0].append(torch.randn(rows, channels, generator=generator, dtype=torch.float64))
        parts[1].append(torch.randint(-1, objects, (rows,), generator=generator))
        parts[2].append(torch.randint(0, images, (rows,), generator=generator))
    return Batch(*parts[0], *parts[1], *parts[2])


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@every_loss
@given(batch=batches(), average=averages, seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_images_and_ids_does_not_matter(name: str, batch: Batch, average: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randperm(len(part), generator=generator) for part in batch[:2]]
    shuffled = batch.ordered(*rows)
    images, ids = torch.randperm(9, generator=generator), torch.randperm(9, generator=generator)
    renamed = shuffled._replace(
        anchor_ids=torch.where(shuffled.anchor_ids < 0, -1, ids[shuffled.anchor_ids]),
        target_ids=torch.where(shuffled.target_ids < 0, -7, ids[shuffled.target_ids]),
        anchor_image=images[shuffled.anchor_image],
        target_image=images[shuffled.target_image],
    )
    close(renamed.loss(name, average), batch.loss(name, average))


@every_loss
@given(batch=batches(), average=averages, copies=st.integers(2, 4))
def test_the_same_images_again_change_nothing(name: str, batch: Batch, average: str, copies: int) -> None:
    larger = batch
    for _ in range(copies - 1):
        larger = larger.beside(batch)
    close(larger.loss(name, average), batch.loss(name, average))


@every_loss
@given(one=batches(), other=batches())
def test_the_mean_over_images_is_one(name: str, one: Batch, other: Batch) -> None:
    """Of two batches side by side: the mean of theirs, weighted by the images that have something to compare."""
    assume(one.anchors.shape[1] == other.anchors.shape[1])
    numbers = [comparable_images(name, part) for part in (one, other)]
    total = sum(number * part.loss(name, "image") for number, part in zip(numbers, (one, other)))
    close(one.beside(other).loss(name, "image"), total / max(sum(numbers), 1))


def comparable_images(name: str, batch: Batch) -> int:
    positive, negative = cross_view_masks(*batch[2:])
    kinds = positive if name == "cosine" else positive | negative if name == "cosine, all" else positive
    able = kinds.any(dim=1) if name.startswith("cosine") else positive.any(dim=1) & negative.any(dim=1)
    return len(set(batch.anchor_image[able].tolist()))


@every_loss
@given(batch=batches(), average=averages)
def test_an_image_with_nothing_to_compare_changes_nothing(name: str, batch: Batch, average: str) -> None:
    ids = torch.full_like(batch.anchor_ids, -1), torch.full_like(batch.target_ids, -1)
    background = batch._replace(anchor_ids=ids[0], target_ids=ids[1])
    close(batch.beside(background).loss(name, average), batch.loss(name, average))


@every_loss
@given(batch=batches(), seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_what_is_in_no_pair_has_no_influence(name: str, batch: Batch, seed: int, share: float) -> None:
    """Rows whose pairs are all masked out may hold anything, and get no gradient."""
    generator = torch.Generator().manual_seed(seed)
    positive, negative = cross_view_masks(*batch[2:])
    out = [torch.rand(len(part), generator=generator) < share for part in batch[:2]]
    ignored = out[0][:, None] | out[1]
    masks = positive & ~ignored, negative & ~ignored
    anchors, targets = (part.clone().requires_grad_() for part in batch[:2])
    value = LOSSES[name](anchors, targets, *masks)
    value.backward()
    assert anchors.grad is not None
    assert targets.grad is not None
    assert not anchors.grad[out[0]].any()
    assert not targets.grad[out[1]].any()
    other = [torch.where(rows[:, None], 100 * part + 3, part) for part, rows in zip(batch[:2], out)]
    close(LOSSES[name](*other, *masks), value.detach())


@every_loss
@given(batch=batches(), weight=st.sampled_from([0.0, 0.25, 1.0, 8.0]))
def test_the_weight_is_a_factor_and_no_loss_is_negative(name: str, batch: Batch, weight: float) -> None:
    masks, loss = cross_view_masks(*batch[2:]), LOSSES[name]
    value = loss(*batch[:2], *masks)
    assert value >= 0
    loss.loss_weight = weight
    try:
        close(loss(*batch[:2], *masks), weight * value)
    finally:
        loss.loss_weight = 1.0


def turned(rows: Tensor, seed: int) -> Tensor:
    size, generator = rows.shape[1], torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=rows.dtype))
    return rows @ basis


def moved(rows: Tensor, seed: int) -> Tensor:
    return rows + torch.randn(rows.shape[1], generator=torch.Generator().manual_seed(seed), dtype=rows.dtype)


def stretched(rows: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed + len(rows))
    return rows * (0.1 + 10 * torch.rand(len(rows), 1, generator=generator, dtype=rows.dtype))


BLIND_TO: dict[str, tuple[Callable[[Tensor, int], Tensor], ...]] = {
    "hard": (turned, moved),
    "all": (turned, moved),
    "nt-xent": (turned, stretched),
    "multi": (turned,),
    "one": (turned,),
    "cosine": (turned, stretched),
    "cosine, all": (turned, stretched),
}


@pytest.mark.parametrize(("name", "change"), [(name, change) for name in BLIND_TO for change in BLIND_TO[name]])
@given(batch=batches(), average=averages, seed=st.integers(0, 2**32 - 1))
def test_what_distances_angles_and_products_do_not_see(
    name: str, change: Callable[[Tensor, int], Tensor], batch: Batch, average: str, seed: int
) -> None:
    changed = batch._replace(anchors=change(batch.anchors, seed), targets=change(batch.targets, seed))
    torch.testing.assert_close(changed.loss(name, average), batch.loss(name, average), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", ["multi", "one"])
@given(batch=batches(), seed=st.integers(0, 2**32 - 1))
def test_softmax_sees_differences_of_products_only(name: str, batch: Batch, seed: int) -> None:
    close(batch._replace(targets=moved(batch.targets, seed)).loss(name, "image"), batch.loss(name, "image"))


@every_loss
@given(batch=batches(), average=averages)
def test_the_gradient_is_the_slope(name: str, batch: Batch, average: str) -> None:
    """Against differences of values. Where a hinge turns over in between, there is no slope to compare with."""
    rows = torch.cat(batch[:2]).requires_grad_()
    count, step = len(batch.anchors), 1e-6

    def value(at: Tensor) -> Tensor:
        return batch._replace(anchors=at[:count], targets=at[count:]).loss(name, average)

    value(rows).backward()
    assert rows.grad is not None
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        way = torch.randn(rows.shape, generator=generator, dtype=rows.dtype)
        at = rows.detach()
        before, here, after = (value(at + shift * way) for shift in (-step, 0, step))
        assume(abs(before + after - 2 * here) < 1e-9)  # a corner bends by about 1e-6
        slope = (after - before) / (2 * step)
        torch.testing.assert_close((rows.grad * way).sum(), slope, rtol=1e-4, atol=2e-6)


@every_loss
@given(batch=batches())
def test_both_views_as_one_set_have_no_order(name: str, batch: Batch) -> None:
    """CL-MOT: B = E_a and E_b together; which view comes first is nobody's business."""
    embeds, ids, image = (torch.cat(parts) for parts in (batch[:2], batch[2:4], batch[4:]))
    forward = within_image_contrast(LOSSES[name], embeds, ids, image)
    backward = within_image_contrast(LOSSES[name], embeds.flip(0), ids.flip(0), image.flip(0))
    close(backward, forward)


@given(batch=batches(), seed=st.integers(0, 2**16))
def test_identities_are_classified_row_by_row(batch: Batch, seed: int) -> None:
    """The mean over rows with an identity; rows of length 0 and above do not differ, unknown ones do not count."""
    torch.manual_seed(seed)
    loss = IdentityClassifier(num_ids=5, embed_channels=batch.anchors.shape[1]).double()
    ids = batch.anchor_ids + 1
    value = loss(batch.anchors, ids)
    rows = [loss(batch.anchors[i : i + 1], ids[i : i + 1]) for i in range(len(ids)) if ids[i] > 0]
    close(value, sum(rows, torch.zeros((), dtype=torch.float64)) / max(len(rows), 1))
    close(loss(stretched(batch.anchors, seed), ids), value)


@given(detection=st.floats(0, 1e3), embedding=st.floats(0, 1e3), weights=st.tuples(st.floats(-5, 5), st.floats(-5, 5)))
def test_learnable_weights_have_the_slope_of_their_formula(
    detection: float, embedding: float, weights: tuple[float, float]
) -> None:
    weighting = UncertaintyTaskWeighting(*weights).double()
    losses = weighting(
        {"loss_d": torch.tensor(detection, dtype=torch.float64)},
        {"loss_e": torch.tensor(embedding, dtype=torch.float64)},
    )
    total = sum(value for key, value in losses.items() if "loss" in key)
    total.backward()
    for parameter, loss in ((weighting.log_var_detection, detection), (weighting.log_var_embedding, embedding)):
        close(parameter.grad, 0.5 - 0.5 * torch.exp(-parameter.detach()) * loss)


@pytest.mark.parametrize("name", [name for name in LOSSES if not name.startswith("cosine")])
@given(batch=batches(), average=averages)
def test_an_anchor_with_nothing_to_compare_is_as_if_absent(name: str, batch: Batch, average: str) -> None:
    positive, negative = cross_view_masks(*batch[2:])
    able = (positive.any(dim=1) & negative.any(dim=1)).nonzero()[:, 0]
    assume(len(able) > 0)
    fewer = batch.ordered(able, torch.arange(len(batch.targets)))
    close(fewer.loss(name, average), batch.loss(name, average))
