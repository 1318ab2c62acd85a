"""Faster ways through a training step: the same losses and gradients as the plain one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.registry import OPTIM_WRAPPERS, init_default_scope
from quasi_dense_builder import BOXES, build, frame, images, sample_of, total
from torch import nn

from clmot_qd.models.folding import FoldedConv2d, unfold_norms

FROZEN = dict(detector__backbone__norm_eval=True)


def model_with(detector: str, **changes: Any) -> Any:
    """A tiny model whose statistics are not those of a fresh BatchNorm."""
    changes = (FROZEN if detector == "faster-rcnn" else {}) | changes
    model = build(detector, "triplet-hard" if detector == "centernet-embed" else "multi-positive", **changes)
    random = torch.Generator().manual_seed(0)
    for norm in model.detector.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.uniform_(-0.2, 0.2, generator=random)
            norm.running_var.uniform_(0.5, 1.5, generator=random)
    return model.train()


def batch() -> tuple[torch.Tensor, list[Any]]:
    samples = [
        sample_of(frame(ids=[0, 1, 2]), frame(ids=[2, 1, 8])),
        sample_of(frame(BOXES[:2], ids=[4, 5]), frame(ids=[4, 5, 6])),
    ]
    return images(2), samples


def step(model: Any) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Losses and gradients; the same regions are drawn each time."""
    torch.manual_seed(7)
    model.zero_grad()
    losses = model.loss(*batch())
    total(losses).backward()
    summed = {k: sum(v).detach() if isinstance(v, list) else v.detach() for k, v in losses.items()}
    return summed, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(found: Any, expected: Any) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            bound = 1e-4 * float(value.abs().max()) + 1e-7
            torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=bound, msg=lambda t, n=name: f"{n}: {t}")


def test_folded_norms_change_no_loss_and_no_gradient() -> None:
    model = model_with("faster-rcnn")
    assert sum(type(module) is FoldedConv2d for module in model.modules()) == 20
    found = step(model)
    unfold_norms(model)
    expected = step(model)
    assert len(expected[1]) > 60
    assert_same(found, expected)


def test_one_batch_of_both_views_changes_nothing_where_statistics_are_fixed() -> None:
    models = [model_with("faster-rcnn", view_batching=way) for way in ("joint", "separate")]
    calls = []
    models[0].detector.backbone.register_forward_hook(lambda module, given, out: calls.append(len(given[0])))
    assert_same(*map(step, models))
    assert calls == [4]


def test_a_detector_that_does_not_train_has_no_graph_either_way() -> None:
    models = [model_with("faster-rcnn", freeze_detector=True, view_batching=way) for way in ("joint", "separate")]
    found, expected = map(step, models)
    assert_same(found, expected)
    assert all(name.startswith("track_head") for name in expected[1])


@pytest.mark.parametrize("detector", ["faster-rcnn", "centernet-embed"])
def test_the_reference_view_comes_after_the_keys_losses(detector: str) -> None:
    """So its maps are freed before the key's heads need memory in the backward pass."""
    model = model_with(detector)
    order = []
    head = getattr(model.detector, "rpn_head", None) or model.detector.bbox_head
    model.detector.backbone.register_forward_hook(lambda *_: order.append("backbone"))
    name = "loss_and_predict" if detector == "faster-rcnn" else "loss"
    original = getattr(head, name)
    setattr(head, name, lambda *args, **kwargs: order.append("losses") or original(*args, **kwargs))
    model.loss(*batch())
    assert order == ["backbone", "losses", "backbone"]


def test_evaluation_has_plain_modules() -> None:
    model = model_with("faster-rcnn")
    for mode, count in ((False, 0), (True, 20)):
        model.train(mode)
        assert sum(type(module) is FoldedConv2d for module in model.modules()) == count


@pytest.mark.parametrize("detector", ["faster-rcnn", "centernet-embed", "retinanet"])
def test_bfloat16_trains_in_mixed_precision_on_a_cpu(detector: str) -> None:
    init_default_scope("mmdet")
    model = model_with(detector)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    wrapper = OPTIM_WRAPPERS.build(dict(type="BFloat16OptimWrapper", optimizer=optimizer))
    seen = []
    model.detector.backbone.register_forward_hook(lambda module, given, out: seen.append(out[-1].dtype))
    torch.manual_seed(7)
    expected = total(step(model)[0])
    weights = [p.detach().clone() for p in model.parameters()]
    torch.manual_seed(7)
    with wrapper.optim_context(model):
        losses = model.loss(*batch())
    loss = total(losses)
    wrapper.update_params(loss)
    assert seen == [torch.float32] * 2 + [torch.bfloat16] * 2
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=0.1)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert any(not torch.equal(p, q) for p, q in zip(model.parameters(), weights, strict=True))
    assert all(torch.isfinite(p).all() for p in model.parameters())
