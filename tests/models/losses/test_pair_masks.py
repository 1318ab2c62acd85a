"""Masks against loops, and what background and other images mean."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clmot_qd.models.losses import cross_view_masks, within_image_masks

labelled = st.lists(st.tuples(st.integers(-2, 3), st.integers(0, 2)), max_size=8)


def columns(rows: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    pairs = torch.tensor(rows, dtype=torch.long).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


@settings(max_examples=50, deadline=None)
@given(labelled)
def test_within_image(rows: list[tuple[int, int]]) -> None:
    positive, negative = within_image_masks(*columns(rows))
    for i, (id_i, image_i) in enumerate(rows):
        for j, (id_j, image_j) in enumerate(rows):
            together = image_i == image_j and (id_i >= 0 or id_j >= 0)
            assert positive[i, j] == (together and id_i == id_j and i != j)
            assert negative[i, j] == (together and id_i != id_j)


@settings(max_examples=50, deadline=None)
@given(labelled, labelled)
def test_cross_view(anchors: list[tuple[int, int]], targets: list[tuple[int, int]]) -> None:
    (anchor_ids, anchor_image), (target_ids, target_image) = columns(anchors), columns(targets)
    positive, negative = cross_view_masks(anchor_ids, target_ids, anchor_image, target_image)
    assert positive.shape == negative.shape == (len(anchors), len(targets))
    for i, (id_i, image_i) in enumerate(anchors):
        for j, (id_j, image_j) in enumerate(targets):
            together = image_i == image_j and (id_i >= 0 or id_j >= 0)
            assert positive[i, j] == (together and id_i == id_j)
            assert negative[i, j] == (together and id_i != id_j)


def test_background_is_a_negative_and_nothing_else() -> None:
    positive, negative = cross_view_masks(torch.tensor([0, -1]), torch.tensor([0, -1, -1, -2]))
    assert positive.tolist() == [[True, False, False, False], [False] * 4]
    assert negative.tolist() == [[False, True, True, True], [True, False, False, False]]


def test_id_0_is_an_object() -> None:
    """mmdet drops it from matching."""
    positive, _ = within_image_masks(torch.tensor([0, 0]), torch.tensor([3, 3]))
    assert positive.tolist() == [[False, True], [True, False]]


def test_one_image_label_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="both anchor_image and target_image"):
        cross_view_masks(torch.tensor([0]), torch.tensor([0]), anchor_image=torch.tensor([0]))
