"""Gradient checkpointing of DLA-34: the same features, gradients and BatchNorm statistics."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from clmot_qd.models import DLA, DLANeck

CHANNELS = (4, 4, 8, 8, 16, 16)


class Network(nn.Module):
    """A narrow DLA with its neck."""

    def __init__(self, use_dcn: bool = False, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = DLA(channels=CHANNELS, **options)
        self.neck = DLANeck(in_channels=CHANNELS[2:], use_dcn=use_dcn)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.neck(self.backbone(x))[0]

    def checkpointed(self) -> Network:
        twin = copy.deepcopy(self)
        twin.backbone.with_cp = True
        for module in twin.neck.modules():
            if hasattr(module, "with_cp"):
                module.with_cp = True
        return twin


def images() -> torch.Tensor:
    return torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def step(network: nn.Module) -> torch.Tensor:
    """Two forward passes before the backward pass, as for two views."""
    features = [network(images()), network(1 - images())]
    sum(feature.square().sum() for feature in features).backward()
    return torch.cat(features).detach()


@pytest.mark.parametrize("use_dcn", [False, True])
def test_the_same_training_step(use_dcn: bool) -> None:
    plain = Network(use_dcn)
    twin = plain.checkpointed()
    torch.testing.assert_close(step(twin), step(plain), rtol=0, atol=0)
    for (name, expected), found in zip(plain.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, msg=lambda text, name=name: f"{name}: {text}")
    for (name, expected), found in zip(plain.named_buffers(), twin.buffers(), strict=True):
        assert torch.equal(found, expected), name
    assert dict(plain.named_buffers())["backbone.stem.bn.num_batches_tracked"] == 2


def test_fewer_maps_are_kept() -> None:
    """Between the parts of the network alone: at least three times fewer bytes."""
    plain = Network()
    kept = []
    for network in (plain, plain.checkpointed()):
        blocks: dict[int, int] = {}

        def pack(tensor: torch.Tensor, blocks: dict[int, int] = blocks) -> torch.Tensor:
            blocks[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            network(images())
        kept.append(sum(blocks.values()))
    assert 3 * kept[1] < kept[0], kept


def test_without_gradients_nothing_is_computed_twice() -> None:
    network = Network(with_cp=True).eval()
    calls = []
    network.backbone.level3.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        assert not network(images()).requires_grad
    assert len(calls) == 1


def test_the_option_reaches_every_node() -> None:
    neck = DLANeck(in_channels=CHANNELS[2:], use_dcn=False, with_cp=True)
    assert all(module.with_cp for module in neck.modules() if hasattr(module, "with_cp"))
    assert DLA(channels=CHANNELS, with_cp=True).with_cp
    assert not DLA(channels=CHANNELS).with_cp
