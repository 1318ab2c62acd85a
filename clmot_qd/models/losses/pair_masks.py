"""Which pairs are positive and which negative: the only vocabulary between a model and its similarity loss.

Ids number objects within an image; an id below 0 is background. Images are integer labels. A pair is positive when both
have one id, negative when their ids differ, and neither when they lie in different images or are both background
(nobody knows whether they show the same thing). So background is never positive and a negative for every object.
"""

from __future__ import annotations

import torch
from torch import Tensor


def cross_view_masks(
    anchor_ids: Tensor, target_ids: Tensor, anchor_image: Tensor | None = None, target_image: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Masks for the anchors of one view against the targets of another (QDTrack: key against reference).

    Args:
        anchor_ids: (N,) object ids, below 0 for background.
        target_ids: (M,) the same for the targets.
        anchor_image: (N,) image (pair of frames) the anchor belongs to. Leave both out if there is only one.
        target_image: (M,) the same for the targets.

    Returns:
        positive (N, M) and negative (N, M), bool.

    Raises:
        ValueError: only one of the two image labels is given.
    """
    if (anchor_image is None) != (target_image is None):
        raise ValueError("give both anchor_image and target_image, or neither")
    same_id = anchor_ids[:, None] == target_ids
    some_object = (anchor_ids >= 0)[:, None] | (target_ids >= 0)
    if anchor_image is not None and target_image is not None:
        some_object = some_object & (anchor_image[:, None] == target_image)
    return same_id & some_object, ~same_id & some_object


def within_image_masks(ids: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Masks for a set against itself (CL-MOT: B = E_a and E_b together, both views of every image of the batch).

    Args:
        ids: (B,) object ids, below 0 for background.
        image: (B,) image of each embedding; both views of an image carry the same label.

    Returns:
        positive (B, B): same id, same image, not the embedding itself; negative (B, B): same image, other id. Bool.
    """
    positive, negative = cross_view_masks(ids, ids, image, image)
    return positive & ~torch.eye(len(ids), dtype=torch.bool, device=ids.device), negative
