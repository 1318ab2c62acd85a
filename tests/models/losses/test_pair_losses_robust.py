"""What every pair loss owes its caller on odd input: finite numbers, a graph, bounded memory, its own precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from clmot_qd.errors import InputError
from clmot_qd.models.losses import (
    CosineMarginPairLoss,
    MultiPositivePairLoss,
    NTXentPairLoss,
    PairLoss,
    TripletPairLoss,
)

LOSSES = {
    "hard": TripletPairLoss(),
    "all": TripletPairLoss(mining="all"),
    "nt-xent": NTXentPairLoss(),
    "multi": MultiPositivePairLoss(),
    "one": MultiPositivePairLoss(positives="one"),
    "margin": CosineMarginPairLoss(),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
# Those that leave an anchor out unless it has both a positive and a negative.
comparing = pytest.mark.parametrize("loss", list(LOSSES.values())[:5], ids=list(LOSSES)[:5])


def embeddings(rows: int, seed: int = 0, channels: int = 8) -> Tensor:
    return torch.randn(rows, channels, generator=torch.Generator().manual_seed(seed))


def random_masks(anchors: int, targets: int, share: float = 0.2) -> tuple[Tensor, Tensor]:
    positive = torch.rand(anchors, targets, generator=torch.Generator().manual_seed(1)) < share
    return positive, ~positive


def backward(loss: PairLoss, anchors: Tensor, targets: Tensor, *masks: Tensor, **kwargs: Tensor) -> list[Tensor]:
    anchors, targets = anchors.clone().requires_grad_(), targets.clone().requires_grad_()
    value = loss(anchors, targets, *masks, **kwargs)
    value.backward()
    return [value.detach(), anchors.grad, targets.grad]


@every_loss
@pytest.mark.parametrize(("anchors", "targets"), [(0, 5), (5, 0), (0, 0)])
@pytest.mark.parametrize("grouped", [False, True])
def test_no_pairs_at_all(loss: PairLoss, anchors: int, targets: int, grouped: bool) -> None:
    group = {"group": torch.zeros(anchors, dtype=torch.long)} if grouped else {}
    value, *grads = backward(loss, embeddings(anchors), embeddings(targets), *random_masks(anchors, targets), **group)
    assert value.shape == ()
    assert value == 0
    assert all((grad == 0).all() for grad in grads)


@every_loss
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("rows", [1, 4], ids=["one row", "all rows"])
def test_a_model_that_diverged_has_no_finite_loss(loss: PairLoss, value: float, rows: int) -> None:
    """mmengine logs the loss and nothing else; 0 would look like a success."""
    anchors, targets, positive = embeddings(4), embeddings(6, seed=1), torch.eye(4, 6, dtype=torch.bool)
    anchors[:rows] = value
    assert not loss(anchors, targets, positive, ~positive).isfinite()


@every_loss
def test_all_pairs_ignored(loss: PairLoss) -> None:
    nothing = torch.zeros(4, 6, dtype=torch.bool)
    value, *grads = backward(loss, embeddings(4), embeddings(6), nothing, nothing)
    assert value == 0
    assert all((grad == 0).all() for grad in grads)


@comparing
@pytest.mark.parametrize("positive", [True, False], ids=["all positive", "all negative"])
def test_one_kind_of_pair_only(loss: PairLoss, positive: bool) -> None:
    mask = torch.full((4, 6), positive)
    value, *grads = backward(loss, embeddings(4), embeddings(6), mask, ~mask)
    assert value == 0
    assert all((grad == 0).all() for grad in grads)


def test_margin_loss_uses_positives_alone_but_never_negatives_alone() -> None:
    loss, mask = LOSSES["margin"], torch.ones(4, 6, dtype=torch.bool)
    assert loss(embeddings(4), embeddings(6), mask, ~mask) > 0
    assert loss(embeddings(4), embeddings(6), ~mask, mask) == 0


@comparing
def test_an_anchor_without_a_negative_is_as_if_absent(loss: PairLoss) -> None:
    anchors, targets = embeddings(5), embeddings(7, seed=1)
    positive, negative = random_masks(5, 7)
    negative[2] = False
    others = torch.tensor([0, 1, 3, 4])
    expected = loss(anchors[others], targets, positive[others], negative[others])
    torch.testing.assert_close(loss(anchors, targets, positive, negative), expected)


@every_loss
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(torch.ones(6, 8), id="equal"),
        pytest.param(torch.zeros(6, 8), id="zero"),
        pytest.param(torch.cat([torch.zeros(2, 8), embeddings(4)]), id="some zero"),
        pytest.param(1e-30 * embeddings(6), id="tiny"),
        pytest.param(1e4 * embeddings(6), id="huge"),
        pytest.param(1 + 1e-6 * embeddings(6), id="nearly equal"),
    ],
)
def test_finite_gradients(loss: PairLoss, rows: Tensor, grouped: bool) -> None:
    group = {"group": torch.tensor([0, 0, 0, 1, 1, 1])} if grouped else {}
    positive, negative = random_masks(6, 6)
    positive[0] = False
    negative[1] = False
    with torch.autograd.set_detect_anomaly(True):  # No NaN on the way either, which a mask would hide at the end.
        result = backward(loss, rows, rows, positive, negative, **group)
    assert all(part.isfinite().all() for part in result)
    # No explosion either: no loss needs a step longer than its embeddings.
    assert max(grad.abs().max() for grad in result[1:]) <= 100 * max(rows.abs().max(), 1.0)


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(loss: PairLoss, dtype: torch.dtype) -> None:
    anchors, targets, masks = embeddings(5).to(dtype), embeddings(7, seed=1).to(dtype), random_masks(5, 7)
    expected = backward(loss, anchors.float(), targets.float(), *masks)
    anchors.requires_grad_(), targets.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(anchors, targets, *masks)
    value.backward()
    assert value.dtype == torch.float32
    assert torch.equal(value, expected[0])
    assert torch.equal(anchors.grad, expected[1].to(dtype))
    assert torch.equal(targets.grad, expected[2].to(dtype))


@every_loss
def test_inputs_stay_as_they_are(loss: PairLoss) -> None:
    given = (embeddings(5), embeddings(7, seed=1), *random_masks(5, 7))
    before = [part.clone() for part in given]
    backward(loss, *given)
    assert all(torch.equal(a, b) for a, b in zip(given, before))


@every_loss
def test_order_of_anchors_and_of_targets_does_not_matter(loss: PairLoss) -> None:
    anchors, targets, (positive, negative) = embeddings(9), embeddings(7, seed=1), random_masks(9, 7)
    group = torch.tensor([0, 0, 1, 1, 2, 2, 2, 0, 1])
    i, j = torch.randperm(9), torch.randperm(7)
    moved = (anchors[i], targets[j], positive[i][:, j], negative[i][:, j])
    torch.testing.assert_close(loss(*moved), loss(anchors, targets, positive, negative))
    # Targets belong to no group here: only losses that mine across anchors would notice, and they mine within a group.
    torch.testing.assert_close(loss(*moved, group=group[i]), loss(anchors, targets, positive, negative, group=group))


class LargestTensor(TorchDispatchMode):
    """Records the number of elements of the largest tensor that any operation returns, backward included."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for part in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(part, Tensor):
                self.numel = max(self.numel, part.numel())
        return result


@every_loss
def test_memory_is_of_the_order_of_the_masks(loss: PairLoss) -> None:
    """No tensor with N * M * M elements, 0.3 GB here: the double sum over positives and negatives has one."""
    anchors, targets = 60, 1200
    with LargestTensor() as largest:
        backward(loss, embeddings(anchors), embeddings(targets, seed=1), *random_masks(anchors, targets))
    # 2: indices of pairs are (row, column).
    assert largest.numel <= 2 * anchors * (targets + 1)


@every_loss
def test_mask_of_another_shape_is_refused(loss: PairLoss) -> None:
    positive, negative = random_masks(5, 7)
    with pytest.raises(ValueError, match=r"masks must be \(5, 7\)"):
        loss(embeddings(5), embeddings(7), positive[:1], negative)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"type": "TripletPairLoss", "mining": "semi"}, "mining must be 'hard' or 'all', not 'semi'"),
        ({"type": "NTXentPairLoss", "temperature": 0}, "temperature must be positive, not 0"),
        ({"type": "MultiPositivePairLoss", "positives": "two"}, "positives must be 'multi' or 'one', not 'two'"),
        ({"type": "CosineMarginPairLoss", "neg_margin": -1}, "must be 0 or more, not 0.0 and -1"),
    ],
)
def test_wrong_setting_names_its_key(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        MODELS.build(config)
    assert "\n" not in str(error.value)


def test_built_from_a_config() -> None:
    loss = MODELS.build({"type": "TripletPairLoss", "margin": 0.5, "mining": "all", "loss_weight": 2.0})
    assert (loss.margin, loss.mining, loss.loss_weight) == (0.5, "all", 2.0)
    assert not list(loss.parameters())
