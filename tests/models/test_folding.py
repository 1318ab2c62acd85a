"""Frozen BatchNorm inside of convolutions: the same features and gradients, less memory, nothing left behind."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from mmcv.cnn import ConvModule, fuse_conv_bn
from mmdet.models.backbones import ResNet
from mmdet.models.backbones.resnet import ResNetV1d
from mmdet.models.dense_heads.tood_head import TaskDecomposition
from mmengine.model import convert_sync_batchnorm, revert_sync_batchnorm
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from clmot_qd.models.folding import FoldedBatchNorm2d, FoldedConv2d, fold_frozen_norms, unfold_norms


def lived_in(module: nn.Module) -> Any:
    """Statistics, weights and biases of norms as after training; float64, so that differences are mistakes."""
    random = torch.Generator().manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for name, low in (("running_mean", -0.5), ("running_var", 0.5), ("weight", 0.5), ("bias", -0.5)):
                if getattr(norm, name) is not None:
                    getattr(norm, name).data.uniform_(low, low + 1, generator=random)
    return module.double()


def resnet(depth: int = 18, frozen: int = 1, affine: bool = False, kind: type = ResNet, **options: Any) -> Any:
    torch.manual_seed(0)
    norm_cfg = dict(type="BN", requires_grad=affine)
    network = kind(
        depth=depth,
        base_channels=8,
        stem_channels=8,
        frozen_stages=frozen,
        norm_eval=True,
        norm_cfg=norm_cfg,
        **options,
    )
    lived_in(network).train()  # mmdet's returns nothing
    return network


def images() -> Tensor:
    return torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def outputs_and_gradients(module: nn.Module, x: Tensor) -> tuple[list[Tensor], dict[str, Tensor | None]]:
    module.zero_grad()
    outputs = module(x)
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    sum((output * output.detach().sin()).sum() for output in outputs).backward()
    return [output.detach() for output in outputs], {name: p.grad for name, p in module.named_parameters()}


def assert_same_step(module: nn.Module, x: Tensor, pairs: int) -> None:
    expected, expected_gradients = outputs_and_gradients(module, x)
    expected_gradients = copy.deepcopy(expected_gradients)
    assert fold_frozen_norms(module) == pairs
    found, gradients = outputs_and_gradients(module, x)
    torch.testing.assert_close(found, expected)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in expected_gradients.items():
        assert (gradient is None) == (gradients[name] is None), name
        torch.testing.assert_close(gradients[name], gradient, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(
    ("options", "pairs"),
    [
        (dict(), 20),
        (dict(depth=50), 53),
        (dict(frozen=-1), 20),
        (dict(depth=50, with_cp=True), 53),
        (dict(depth=50, kind=ResNetV1d, style="caffe"), 55),
    ],
)
def test_a_resnet_trains_as_with_its_norms(options: dict[str, Any], pairs: int, affine: bool) -> None:
    assert_same_step(resnet(affine=affine, **options), images(), pairs)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, groups=3), nn.BatchNorm2d(6), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Conv2d(3, 6, 3, dilation=2, padding=(1, 0)), nn.BatchNorm2d(6, affine=False)),
        nn.Sequential(nn.Conv2d(3, 6, 3, bias=True), nn.BatchNorm2d(6)),
    ],
)
def test_any_convolution_with_a_norm_right_behind_it(module: nn.Module) -> None:
    module = lived_in(copy.deepcopy(module)).train()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eval()
    assert_same_step(module, images().requires_grad_(), 1)


def test_gradients_of_the_input() -> None:
    module = lived_in(nn.Sequential(nn.Conv2d(2, 3, 3, bias=True), nn.BatchNorm2d(3))).eval()
    fold_frozen_norms(module)
    x = torch.rand(1, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, x)


def test_a_norm_that_trains_does_so() -> None:
    plain = resnet(frozen=-1)
    plain.norm_eval = False
    plain.train()
    twin = copy.deepcopy(plain)
    fold_frozen_norms(twin)
    for expected, found in zip(plain(images()), twin(images()), strict=True):
        assert torch.equal(found, expected)
    for (name, expected), found in zip(plain.named_buffers(), twin.buffers(), strict=True):
        assert torch.equal(found, expected), name
    assert twin.bn1.num_batches_tracked == 1


def test_half_of_what_a_stage_keeps() -> None:
    """Maps before the norms are gone, and no product of a weight and a scale is kept for the backward pass."""
    network = resnet(50, frozen=-1).float()
    kept = []
    for fold in (unfold_norms, fold_frozen_norms):
        fold(network)
        blocks: dict[int, Tensor] = {}

        def pack(tensor: Tensor, blocks: dict[int, Tensor] = blocks) -> Tensor:
            blocks[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            network(torch.rand(2, 3, 64, 96))
        own = {p.untyped_storage().data_ptr() for p in [*network.parameters(), *network.buffers()]}
        kept.append(sum(t.untyped_storage().nbytes() for pointer, t in blocks.items() if pointer not in own))
    assert kept[1] < 0.6 * kept[0], kept


def test_mixed_precision_computes_in_half_and_keeps_full_gradients() -> None:
    plain = resnet(affine=True).float()
    expected, expected_gradients = outputs_and_gradients(plain, images().float())
    expected_gradients = copy.deepcopy(expected_gradients)
    fold_frozen_norms(plain)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, gradients = outputs_and_gradients(plain, images().float())
    assert {output.dtype for output in found} == {torch.bfloat16}
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.float() - theirs).norm() < 0.05 * theirs.norm()
    for name, gradient in gradients.items():
        if gradient is not None:
            assert gradient.dtype == torch.float32
            assert (gradient - expected_gradients[name]).norm() < 0.2 * expected_gradients[name].norm(), name


def test_modules_change_their_class_and_nothing_else() -> None:
    network = resnet()
    keys = list(network.state_dict())
    fold_frozen_norms(network)
    assert list(network.state_dict()) == keys
    assert sum(type(m) is FoldedConv2d for m in network.modules()) == 20
    assert fold_frozen_norms(network) == 20
    unfold_norms(network)
    assert {type(m) for m in network.modules()} & {FoldedConv2d, FoldedBatchNorm2d} == set()
    assert not any("folded_pair" in vars(m) for m in network.modules())


def test_copies_and_files_have_norms_of_their_own() -> None:
    network = resnet()
    fold_frozen_norms(network)
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    for twin in (copy.deepcopy(network), torch.load(file, weights_only=False)):
        assert twin.conv1.folded_pair[0] is twin
        before = network(images())[0]
        twin.bn1.bias.data.add_(1)
        assert torch.equal(network(images())[0], before)
        assert not torch.allclose(twin(images())[0], before)


def fused(network: Any) -> nn.Module:
    return fuse_conv_bn(network)


def parametrised(network: Any) -> nn.Module:
    parametrizations.weight_norm(network.conv1)
    return network


def with_another_convolution(network: Any) -> nn.Module:
    network.conv1, old = nn.Conv2d(3, 8, 7, 2, 3, bias=False).double(), network.conv1
    network.conv1.weight.data.copy_(old.weight)
    return network


CHANGES = [
    fused,
    parametrised,
    with_another_convolution,
    nn.SyncBatchNorm.convert_sync_batchnorm,
    lambda network: revert_sync_batchnorm(convert_sync_batchnorm(network)),
]


@pytest.mark.parametrize("after", [lambda network: None, unfold_norms, fold_frozen_norms], ids=["", "unfold", "fold"])
@pytest.mark.parametrize("change", CHANGES, ids=["fused", "parametrised", "conv", "sync", "reverted"])
def test_what_is_replaced_in_a_folded_model_is_applied_once(change: Any, after: Any) -> None:
    """The evaluation of a part does not unfold it; what comes then must not meet the norms twice, or not at all."""
    network = resnet(frozen=-1)
    network.eval()
    expected = network(images())
    fold_frozen_norms(network)
    network = change(network)
    network.eval()
    after(network)
    torch.testing.assert_close(network(images()), expected)


def test_convolutions_beside_synchronised_norms_are_plain() -> None:
    network = resnet(frozen=-1)
    fold_frozen_norms(network)
    network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert fold_frozen_norms(network) == 0
    assert type(network.conv1) is nn.Conv2d


def test_a_head_that_calls_parts_of_its_convolutions() -> None:
    """TOOD normalises what another convolution made; ``norm=False`` is an argument of mmcv's as well."""
    torch.manual_seed(0)
    head = lived_in(TaskDecomposition(4, 2, 4, conv_cfg=None, norm_cfg=dict(type="BN"))).eval()
    head.init_weights()
    block = head.reduction_conv
    x, features = torch.rand(1, 8, 5, 5).double(), torch.rand(1, 8, 5, 5).double()
    expected = [head(features), block(x, norm=False, activate=False)]
    fold_frozen_norms(head)
    torch.testing.assert_close([head(features), block(x, norm=False, activate=False)], expected)


@pytest.mark.parametrize("shared", ["conv", "norm"])
@pytest.mark.parametrize("others", ["BN", "GN"])
def test_what_stands_in_several_places_is_left_alone(shared: str, others: str) -> None:
    """RTMDet's head has one convolution and a norm for each level."""
    first = lived_in(nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)))
    second = ConvModule(4, 4, 3, norm_cfg=dict(type=others, **(dict(num_groups=2) if others == "GN" else {}))).double()
    if shared == "conv":
        second.conv = first[0]
    else:
        setattr(second, second.norm_name, first[1])
    model, x = nn.ModuleList([first, second]).eval(), torch.rand(1, 4, 6, 6).double()
    expected = [part(x) for part in model]
    assert fold_frozen_norms(model) == 0
    torch.testing.assert_close([part(x) for part in model], expected)


def test_what_is_not_a_plain_pair_is_left_alone() -> None:
    class Backwards(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return self[0](self[1](x))

    assert fold_frozen_norms(Backwards(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))) == 0
    heard = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    heard[0].register_forward_hook(lambda *_: None)
    assert fold_frozen_norms(heard) == 0
    assert fold_frozen_norms(nn.Sequential(nn.Conv2d(3, 4, 3, padding_mode="reflect"), nn.BatchNorm2d(4))) == 0
    assert fold_frozen_norms(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))) == 0
