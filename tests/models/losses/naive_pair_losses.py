"""Every pair loss as two nested loops over the printed equation, one scalar at a time, in the type of its input.

Each function returns the list of terms that are averaged.
"""

from __future__ import annotations

import torch
from torch import Tensor


def distance(v: Tensor, w: Tensor) -> Tensor:
    return ((v - w) ** 2).sum().sqrt()


def cosine(v: Tensor, w: Tensor) -> Tensor:
    return (v * w).sum() / (v.norm() * w.norm())


def indices(mask: Tensor, i: int) -> list[int]:
    return [j for j in range(mask.shape[1]) if mask[i, j]]


def comparable_anchors(positive: Tensor, negative: Tensor) -> list[int]:
    return [i for i in range(len(positive)) if indices(positive, i) and indices(negative, i)]


def triplet_hard(anchors: Tensor, targets: Tensor, positive: Tensor, negative: Tensor, margin: float) -> list[Tensor]:
    terms = []
    for i in comparable_anchors(positive, negative):
        farthest = max(distance(anchors[i], targets[p]) for p in indices(positive, i))
        nearest = min(distance(anchors[i], targets[n]) for n in indices(negative, i))
        terms.append((farthest - nearest + margin).clamp(min=0))
    return terms


def triplet_all(anchors: Tensor, targets: Tensor, positive: Tensor, negative: Tensor, margin: float) -> list[Tensor]:
    terms = []
    for i in comparable_anchors(positive, negative):
        for p in indices(positive, i):
            for n in indices(negative, i):
                hinge = distance(anchors[i], targets[p]) - distance(anchors[i], targets[n]) + margin
                if hinge > 0:
                    terms.append(hinge)
    return terms


def nt_xent(anchors: Tensor, targets: Tensor, positive: Tensor, negative: Tensor, temperature: float) -> list[Tensor]:
    terms = []
    for i in comparable_anchors(positive, negative):
        for p in indices(positive, i):
            above = (cosine(anchors[i], targets[p]) / temperature).exp()
            below = above + sum((cosine(anchors[i], targets[n]) / temperature).exp() for n in indices(negative, i))
            terms.append(-(above / below).log())
    return terms


def multi_positive(anchors: Tensor, targets: Tensor, positive: Tensor, negative: Tensor) -> list[Tensor]:
    """Eq. (5) of QDTrack."""
    terms = []
    for i in comparable_anchors(positive, negative):
        total = torch.ones((), dtype=anchors.dtype)
        for p in indices(positive, i):
            for n in indices(negative, i):
                total = total + (anchors[i] @ targets[n] - anchors[i] @ targets[p]).exp()
        terms.append(total.log())
    return terms


def one_positive(anchors: Tensor, targets: Tensor, positive: Tensor, negative: Tensor) -> list[Tensor]:
    """Eq. (3) of QDTrack."""
    terms = []
    for i in comparable_anchors(positive, negative):
        term = torch.zeros((), dtype=anchors.dtype)
        for p in indices(positive, i):
            above = (anchors[i] @ targets[p]).exp()
            term = term - (above / (above + sum((anchors[i] @ targets[n]).exp() for n in indices(negative, i)))).log()
        terms.append(term)
    return terms


def cosine_margin(
    anchors: Tensor,
    targets: Tensor,
    positive: Tensor,
    negative: Tensor,
    ratio: float | None,
    pos_margin: float,
    neg_margin: float,
) -> list[Tensor]:
    """Eq. (6) of QDTrack with released margins, clamp and mining."""
    positives, negatives = [], []
    for i in range(len(anchors)):
        for p in indices(positive, i):
            positives.append((1 - (cosine(anchors[i], targets[p]) - pos_margin).clamp(0, 1)) ** 2)
        for n in indices(negative, i):
            negatives.append((cosine(anchors[i], targets[n]) - neg_margin).clamp(0, 1) ** 2)
    mined = sorted(negatives, key=Tensor.item, reverse=True)
    return positives + (mined if ratio is None else mined[: int(ratio * len(positives))])
