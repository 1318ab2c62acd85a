"""From embeddings with ids and images to a loss: masks, then the mean over images or over the batch."""

from __future__ import annotations

from torch import Tensor

from clmot_qd.errors import InputError
from clmot_qd.models.losses.pair_loss import PairLoss
from clmot_qd.models.losses.pair_masks import cross_view_masks, within_image_masks


def within_image_contrast(loss: PairLoss, embeds: Tensor, ids: Tensor, image: Tensor, average: str = "image") -> Tensor:
    """Contrast every embedding with all others of its own image (CL-MOT section 4.3, B = E_a and E_b together).

    Another image in the batch changes no term of the first.

    Args:
        loss: any pair loss.
        embeds: (B, C) embeddings of both views of all images of the batch.
        ids: (B,) object ids within the image, below 0 for background.
        image: (B,) image label; both views of an image carry the same one.
        average: 'image' is the mean over images of the loss of each (1/|B| of Eq. (5) is per image), images with
            nothing to compare left out; 'batch' is one mean over all terms of the batch, as released, in which crowded
            images weigh more.

    Returns:
        () loss; 0 with a graph when there is nothing to compare.

    Raises:
        InputError: unknown `average`.
    """
    positive, negative = within_image_masks(ids, image)
    return loss(embeds, embeds, positive, negative, group=_group(image, average))


def cross_view_contrast(
    loss: PairLoss,
    anchors: Tensor,
    targets: Tensor,
    anchor_ids: Tensor,
    target_ids: Tensor,
    anchor_image: Tensor,
    target_image: Tensor,
    average: str = "image",
) -> Tensor:
    """Contrast the anchors of the key view with the targets of the reference view of their pair (QDTrack section 3.2).

    Args:
        loss: any pair loss.
        anchors: (N, C) embeddings of the key views of the batch.
        targets: (M, C) embeddings of the reference views.
        anchor_ids: (N,) object ids, below 0 for background.
        target_ids: (M,) the same for the targets.
        anchor_image: (N,) which pair of views the anchor belongs to.
        target_image: (M,) the same for the targets.
        average: as for :func:`within_image_contrast`.

    Returns:
        () loss; 0 with a graph when there is nothing to compare.

    Raises:
        InputError: unknown `average`.
    """
    positive, negative = cross_view_masks(anchor_ids, target_ids, anchor_image, target_image)
    return loss(anchors, targets, positive, negative, group=_group(anchor_image, average))


def _group(image: Tensor, average: str) -> Tensor | None:
    if average not in ("image", "batch"):
        raise InputError(f"average must be 'image' or 'batch', not {average!r}")
    return image if average == "image" else None
