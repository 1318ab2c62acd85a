"""Similarity losses, forward and backward: ours and mmdet's on the same embeddings.

Everybody starts at the embeddings and ends at their gradients, as in a training step: products or distances belong to
the loss. Which pairs are positive is part of ours; mmdet gets its labels ready-made, as its heads make them elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from clmot_qd.benchmark.cases import Case, Group, Options

_ANCHORS, _TARGETS, _CHANNELS = 128, 256, 256  # QDTrack: regions of the key and of the reference view
_OBJECTS = 25  # in each picture
_PICTURES, _WIDTH = 8, 512  # CL-MOT: a batch of two views each
_CALLS = 10  # in a turn

Loss = Callable[[], Tensor]


@dataclass(frozen=True)
class _Regions:
    """Anchors (N, C) and targets (M, C) of one pair of views, with identities; half of the targets are background."""

    anchors: Tensor
    targets: Tensor
    anchor_ids: Tensor
    target_ids: Tensor


@dataclass(frozen=True)
class _Objects:
    """Embeddings (B, C) of both views of a batch of pictures, with identities and the picture of each."""

    embeds: Tensor
    ids: Tensor
    image: Tensor


def groups(options: Options) -> Iterator[Group]:
    """Yield a group for each loss that both have, and one for those that only we have."""
    regions = _made_up_regions(options.device)
    size = f"{_ANCHORS} x {_TARGETS} regions, {_CHANNELS} channels"
    yield _group(f"several positives, {size}", _several_positives(regions))
    yield _group(f"cosine margin, {size}", _cosine_margin(regions))
    objects = _made_up_objects(options.device)
    size = f"{_PICTURES} x 2 views of {_OBJECTS} objects, {_WIDTH} channels"
    yield _group(f"hardest triplets, {size}", _hardest_triplets(objects))
    yield _group(f"other losses, {size}", _others(objects))


def _group(title: str, cases: list[Case]) -> Group:
    return Group("losses", title, "call", cases)


def _case(name: str, loss: Loss, leaves: list[Tensor], peer: bool = False) -> Case:
    """Gradients of the embeddings by one loss; no gradient is added to an older one."""

    def run() -> None:
        for _ in range(_CALLS):
            torch.autograd.grad(loss(), leaves)

    return Case(name, run, peer=peer, units=_CALLS)


def _several_positives(regions: _Regions) -> list[Case]:
    from mmdet.models.losses import MultiPosCrossEntropyLoss

    from clmot_qd.models.losses import MultiPositivePairLoss

    stock, labels = MultiPosCrossEntropyLoss(), _labels(regions)
    weights = (labels.sum(dim=1) > 0).float()

    def theirs() -> Tensor:
        return stock(regions.anchors @ regions.targets.T, labels, weights, avg_factor=weights.sum())

    return _regions_cases(MultiPositivePairLoss(), "mmdet MultiPosCrossEntropyLoss", theirs, regions)


def _cosine_margin(regions: _Regions) -> list[Case]:
    from mmdet.models.losses import MarginL2Loss
    from torch.nn.functional import normalize

    from clmot_qd.models.losses import CosineMarginPairLoss

    stock = MarginL2Loss(neg_pos_ub=3, pos_margin=0, neg_margin=0.1, hard_mining=True)
    labels = _labels(regions)

    def theirs() -> Tensor:
        return stock(normalize(regions.anchors) @ normalize(regions.targets).T, labels)

    return _regions_cases(CosineMarginPairLoss(), "mmdet MarginL2Loss", theirs, regions)


def _regions_cases(loss: Any, peer: str, theirs: Loss, regions: _Regions) -> list[Case]:
    """Ours as QuasiDenseMOT calls it, masks included, and the peer's."""
    from clmot_qd.models.losses import cross_view_contrast

    anchors, targets, anchor_ids, target_ids = regions.anchors, regions.targets, regions.anchor_ids, regions.target_ids
    images = torch.zeros_like(anchor_ids), torch.zeros_like(target_ids)

    def ours() -> Tensor:
        return cross_view_contrast(loss, anchors, targets, anchor_ids, target_ids, images[0], images[1])

    leaves = [anchors, targets]
    return [_case(type(loss).__name__, ours, leaves), _case(peer, theirs, leaves, peer=True)]


def _hardest_triplets(objects: _Objects) -> list[Case]:
    from mmdet.models.losses import TripletLoss

    from clmot_qd.models.losses import TripletPairLoss

    stock = TripletLoss(margin=0.3)
    rows = [(objects.image == picture).nonzero().flatten() for picture in range(_PICTURES)]

    def theirs() -> Tensor:
        return torch.stack([stock(objects.embeds[part], objects.ids[part]) for part in rows]).mean()

    ours = _objects_case("TripletPairLoss, hard", TripletPairLoss(), objects)
    return [ours, _case("mmdet TripletLoss, picture by picture", theirs, [objects.embeds], peer=True)]


def _others(objects: _Objects) -> list[Case]:
    from clmot_qd.models.losses import MultiPositivePairLoss, NTXentPairLoss, TripletPairLoss

    losses: dict[str, Any] = {
        "TripletPairLoss, all": TripletPairLoss(mining="all"),
        "NTXentPairLoss": NTXentPairLoss(),
        "MultiPositivePairLoss": MultiPositivePairLoss(),
    }
    return [_objects_case(name, loss, objects) for name, loss in losses.items()]


def _objects_case(name: str, loss: Any, objects: _Objects) -> Case:
    """Ours as CLMOT calls it."""
    from clmot_qd.models.losses import within_image_contrast

    return _case(
        name, lambda: within_image_contrast(loss, objects.embeds, objects.ids, objects.image), [objects.embeds]
    )


def _labels(regions: _Regions) -> Tensor:
    """(N, M) 1 for the same identity, 0 for another: mmdet's form."""
    return (regions.anchor_ids[:, None] == regions.target_ids).int()


def _made_up_regions(device: str) -> _Regions:
    random = torch.Generator().manual_seed(0)
    anchors, targets = (0.3 * torch.randn(n, _CHANNELS, generator=random) for n in (_ANCHORS, _TARGETS))
    ids = torch.randint(0, _OBJECTS, (_ANCHORS + _TARGETS,), generator=random).to(device)
    ids[_ANCHORS + _TARGETS // 2 :] = -1
    anchors, targets = (part.to(device).requires_grad_() for part in (anchors, targets))
    return _Regions(anchors, targets, ids[:_ANCHORS], ids[_ANCHORS:])


def _made_up_objects(device: str) -> _Objects:
    count = _PICTURES * _OBJECTS
    embeds = torch.randn(2 * count, _WIDTH, generator=torch.Generator().manual_seed(0))
    embeds = torch.nn.functional.normalize(embeds).to(device).requires_grad_()
    ids, image = torch.arange(count) % _OBJECTS, torch.arange(count) // _OBJECTS
    return _Objects(embeds, ids.repeat(2).to(device), image.repeat(2).to(device))
