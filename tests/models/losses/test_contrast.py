"""Contrast within images: averages, and what may not change them."""

from __future__ import annotations

import naive_pair_losses as naive
import pytest
import torch
from torch import Tensor

from clmot_qd.errors import InputError
from clmot_qd.models.losses import (
    CosineMarginPairLoss,
    MultiPositivePairLoss,
    NTXentPairLoss,
    PairLoss,
    TripletPairLoss,
    cross_view_contrast,
    within_image_contrast,
)

LOSSES = {
    "hard": TripletPairLoss(),
    "all": TripletPairLoss(mining="all"),
    "nt-xent": NTXentPairLoss(),
    "multi": MultiPositivePairLoss(),
    "margin": CosineMarginPairLoss(),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
every_average = pytest.mark.parametrize("average", ["image", "batch"])


def two_views(objects: list[int], seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings, ids and images of both views of images with so many objects; the second view is the first, shaken."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(sum(objects), 6, generator=generator, dtype=torch.float64)
    second = first + 0.7 * torch.randn(first.shape, generator=generator, dtype=torch.float64)
    ids = torch.cat([torch.arange(n) for n in objects])
    image = torch.repeat_interleave(torch.arange(len(objects)), torch.tensor(objects))
    return torch.nn.functional.normalize(torch.cat([first, second])), ids.repeat(2), image.repeat(2)


def test_eq_5_of_clmot_by_hand() -> None:
    """Per image 1/|B| sum over b_i of max(|b_i - b_p| - min_k |b_i - b_k| + m, 0), then the mean over images."""
    embeds, ids, image = two_views([4, 2, 5])
    per_image = []
    for g in range(3):
        b, own = embeds[image == g], ids[image == g]
        terms = []
        for i in range(len(b)):
            (p,) = [j for j in range(len(b)) if own[j] == own[i] and j != i]
            nearest = min(naive.distance(b[i], b[k]) for k in range(len(b)) if own[k] != own[i])
            terms.append(max(float(naive.distance(b[i], b[p]) - nearest + 0.3), 0.0))
        per_image.append(sum(terms) / len(b))
    loss = TripletPairLoss(margin=0.3)
    assert within_image_contrast(loss, embeds, ids, image).item() == pytest.approx(sum(per_image) / 3)
    weighted = sum(mean * n for mean, n in zip(per_image, [4, 2, 5])) / 11
    assert within_image_contrast(loss, embeds, ids, image, average="batch").item() == pytest.approx(weighted)


@every_loss
def test_mean_over_images_is_the_mean_of_single_calls(loss: PairLoss) -> None:
    embeds, ids, image = two_views([4, 2, 5])
    single = [within_image_contrast(loss, *(x[image == g] for x in (embeds, ids, image))) for g in range(3)]
    torch.testing.assert_close(within_image_contrast(loss, embeds, ids, image), torch.stack(single).mean())


@every_loss
def test_another_image_changes_no_term_of_the_first(loss: PairLoss) -> None:
    """Neither value nor gradient: its share in the mean is all that the second image takes."""
    embeds, ids, image = two_views([4, 6])
    first = image == 0
    alone = embeds[first].clone().requires_grad_()
    (expected,) = torch.autograd.grad(within_image_contrast(loss, alone, ids[first], image[first]), alone)
    for other in (embeds, torch.where(first[:, None], embeds, embeds.flip(0)), embeds * (1 + 9 * ~first[:, None])):
        both = other.clone().requires_grad_()
        (grad,) = torch.autograd.grad(within_image_contrast(loss, both, ids, image), both)
        torch.testing.assert_close(2 * grad[first], expected)


@every_loss
@every_average
def test_order_names_and_views_do_not_matter(loss: PairLoss, average: str) -> None:
    embeds, ids, image = two_views([4, 1, 5, 2])
    expected = within_image_contrast(loss, embeds, ids, image, average=average)
    order = torch.randperm(len(ids))
    shuffled = within_image_contrast(loss, embeds[order], ids[order], image[order], average=average)
    swapped_views = within_image_contrast(loss, embeds.roll(12, 0), ids.roll(12), image.roll(12), average=average)
    renamed = within_image_contrast(loss, embeds, 100 - 7 * ids, 50 - 13 * image, average=average)
    for other in (shuffled, swapped_views, renamed):
        torch.testing.assert_close(other, expected)


@every_average
@pytest.mark.parametrize("loss", list(LOSSES.values())[:4], ids=list(LOSSES)[:4])
def test_images_with_nothing_to_compare_are_left_out(loss: PairLoss, average: str) -> None:
    embeds, ids, image = two_views([4, 1])
    crowd = image == 0
    expected = within_image_contrast(loss, embeds[crowd], ids[crowd], image[crowd])
    torch.testing.assert_close(within_image_contrast(loss, embeds, ids, image, average=average), expected)


def test_an_image_without_an_active_triplet_counts_as_zero() -> None:
    """Nothing left to learn is not nothing to compare: the other image's steps must not grow with it."""
    embeds, ids, image = two_views([4, 2])
    embeds[image == 1] = 10 * torch.nn.functional.one_hot(ids[image == 1], 6).double()
    first = image == 0
    for loss in (TripletPairLoss(), TripletPairLoss(mining="all")):
        alone = within_image_contrast(loss, embeds[first], ids[first], image[first])
        torch.testing.assert_close(within_image_contrast(loss, embeds, ids, image), alone / 2)


def test_an_object_seen_in_one_view_is_a_negative_only() -> None:
    embeds, ids, image = two_views([3])
    ids[5] = 7  # Objects 2 and 7 are now seen once each.
    anchors = embeds[[0, 1, 3, 4]]
    positive = ids[[0, 1, 3, 4]][:, None] == ids
    negative = ~positive
    positive[range(4), [0, 1, 3, 4]] = False
    expected = TripletPairLoss()(anchors, embeds, positive, negative)
    torch.testing.assert_close(within_image_contrast(TripletPairLoss(), embeds, ids, image), expected)


@every_loss
@every_average
def test_cross_view_takes_targets_from_the_other_view_of_the_pair(loss: PairLoss, average: str) -> None:
    embeds, ids, image = two_views([4, 5])
    views = [[x[part] for x in (embeds, ids, image)] for part in (slice(9), slice(9, None))]
    (key, key_ids, key_image), (ref, ref_ids, ref_image) = views
    together = key_image[:, None] == ref_image
    positive = (key_ids[:, None] == ref_ids) & together
    negative = (key_ids[:, None] != ref_ids) & together
    group = key_image if average == "image" else None
    expected = loss(key, ref, positive, negative, group=group)
    actual = cross_view_contrast(loss, key, ref, key_ids, ref_ids, key_image, ref_image, average=average)
    torch.testing.assert_close(actual, expected)


def test_unknown_average_is_named() -> None:
    with pytest.raises(InputError, match="average must be 'image' or 'batch', not 'mean'"):
        within_image_contrast(TripletPairLoss(), *two_views([2]), average="mean")
