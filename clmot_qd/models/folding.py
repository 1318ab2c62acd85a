"""Convolutions that take a frozen BatchNorm into their weights while a model trains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

_PAIR = "folded_pair"
"""Of a folded module: the module that runs it and its partner, and the partner's name there."""


class _FoldedConvolution(Function):
    """conv(x, weight * scale) + bias, which keeps x and the plain weight: the product is made again when it is needed.

    Kept for every view, the products would take as much memory as all weights of the backbone each time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor, conv: nn.Conv2d) -> Tensor:
        ctx.save_for_backward(x, weight, scale)
        ctx.sampling = (conv.stride, conv.padding, conv.dilation)
        ctx.groups = conv.groups
        return conv._conv_forward(x, _scaled(weight, scale, x), bias.to(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None, None]:
        """Those of the convolution; weight and scale share the gradient of their product."""
        x, weight, scale = ctx.saved_tensors
        needs = ctx.needs_input_grad
        wanted = (needs[0], needs[1] or needs[2], needs[3])
        transposed = (False, [0, 0])
        grad_x, grad_product, grad_bias = torch.ops.aten.convolution_backward(
            grad, x, _scaled(weight, scale, x), [len(weight)], *ctx.sampling, *transposed, ctx.groups, wanted
        )
        grad_weight = grad_scale = None
        if needs[2]:
            grad_scale = (grad_product.to(scale.dtype) * weight).sum(dim=(1, 2, 3))
        if needs[1]:
            grad_weight = _scaled(grad_product, scale, weight)
        return grad_x, grad_weight, grad_scale, None if grad_bias is None else grad_bias.to(scale.dtype), None


def _scaled(weight: Tensor, scale: Tensor, like: Tensor) -> Tensor:
    """(out, in, k, k) times its channel's scale (out,), in the number type of ``like``."""
    return (weight * scale[:, None, None, None]).to(like.dtype)


class FoldedConv2d(nn.Conv2d):
    """A convolution that computes its BatchNorm as well, as long as that one keeps its statistics.

    A frozen BatchNorm is y * scale + shift per channel, so ``norm(conv(x, w)) = conv(x, w * scale) + shift``: the same
    numbers and gradients to round-off, those of the norm's own weight and bias included. What the norm reads, and keeps
    for the backward pass, is never made: half of what a ResNet stage keeps.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H', W'), normalised if the norm is frozen."""
        norm = _partner(self, FoldedBatchNorm2d)
        if not isinstance(norm, FoldedBatchNorm2d) or norm.training:
            return super().forward(x)
        scale, shift = norm.scale_and_shift()
        bias = shift if self.bias is None else torch.addcmul(shift, self.bias, scale)
        device = x.device.type
        if torch.is_autocast_enabled(device):
            x = x.to(torch.get_autocast_dtype(device))
        return _FoldedConvolution.apply(x, self.weight, scale, bias, self)


class FoldedBatchNorm2d(nn.BatchNorm2d):
    """The BatchNorm of a :class:`FoldedConv2d`: nothing is left to do where it is frozen."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        folded = not self.training and _partner(self, FoldedConv2d) is not None
        return x if folded else super().forward(x)

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """The affine map per channel that this layer is with its statistics fixed, (C,) each."""
        mean, variance = self.running_mean, self.running_var
        assert mean is not None  # others are not folded
        assert variance is not None
        scale = torch.rsqrt(variance + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        shift = -mean * scale
        return scale, shift if self.bias is None else shift + self.bias


def _partner(module: nn.Module, kind: type[nn.Module]) -> nn.Module | None:
    """The other one of the pair; None if something else has taken its place in the module that runs both."""
    owner, name = module.__dict__[_PAIR]
    partner = owner._modules.get(name)
    return partner if isinstance(partner, kind) else None


def fold_frozen_norms(model: nn.Module) -> int:
    """Let every convolution with a BatchNorm right behind it compute both where the norm is frozen (``norm_eval``).

    Found are the pairs in mmdet's ResNet blocks and stems and in ``nn.Sequential``, which run one right after the other
    and never one alone; mmcv's ``ConvModule`` can (TOOD's head), and so can modules that stand in several places.
    Whether a norm is frozen, and whether both are still there, is asked in each forward pass: where one was replaced
    since (``SyncBatchNorm``, mmcv's ``fuse_conv_bn``) the norm is neither forgotten nor applied twice. Modules change
    their class and nothing else: names, parameters and state dict stay, and :func:`unfold_norms` takes it back.

    Who calls a convolution of such a pair by itself gets its output normalised, until :func:`unfold_norms`: ``eval``
    of a whole tracking model does that, ``eval`` of a part does not.

    mmengine's ``efficient_conv_bn_eval`` does the same by tracing; it puts a method of the traced model into the
    instance, which copies then share, and cannot trace checkpointed stages.

    Returns:
        The number of pairs.
    """
    unfold_norms(model)
    places = Counter(id(child) for module in model.modules() for child in module._modules.values())
    pairs = [pair for pair in _pairs(model) if all(places[id(pair.owner._modules[name])] == 1 for name in pair[1:])]
    for owner, conv_name, norm_name in pairs:
        conv, norm = owner._modules[conv_name], owner._modules[norm_name]
        conv.__class__, norm.__class__ = FoldedConv2d, FoldedBatchNorm2d
        # Not submodules: the state dict stays as it is.
        conv.__dict__[_PAIR], norm.__dict__[_PAIR] = (owner, norm_name), (owner, conv_name)
    return len(pairs)


def unfold_norms(model: nn.Module) -> None:
    """The plain modules again.

    A convolution that was parametrised meanwhile has a class of its own: it keeps that, and computes no norm any more.
    """
    plain = {FoldedConv2d: nn.Conv2d, FoldedBatchNorm2d: nn.BatchNorm2d}
    for module in model.modules():
        if type(module) in plain:
            module.__class__ = plain[type(module)]
            del module.__dict__[_PAIR]


class _Pair(NamedTuple):
    owner: nn.Module
    conv: str
    norm: str


def _pairs(model: nn.Module) -> Iterator[_Pair]:
    """Convolutions and the norms that read their outputs."""
    for module in model.modules():
        for conv, norm in _neighbours(module):
            if _foldable(module._modules.get(conv), module._modules.get(norm)):
                yield _Pair(module, conv, norm)


def _foldable(conv: nn.Module | None, norm: nn.Module | None) -> bool:
    """Whether both are the very classes, since a subclass computes something else, and nobody listens in between."""
    if type(conv) is not nn.Conv2d or type(norm) is not nn.BatchNorm2d:
        return False
    plain = conv.padding_mode == "zeros" and not isinstance(conv.padding, str) and norm.running_var is not None
    return plain and not conv._forward_hooks and not norm._forward_pre_hooks


def _neighbours(module: Any) -> Iterator[tuple[str, str]]:
    """Names of children that a module runs one right after the other; one with a forward of its own may not."""
    forward = type(module).forward
    if forward is nn.Sequential.forward:
        yield from pairwise(module._modules)
    elif forward in (BasicBlock.forward, Bottleneck.forward, ResNet.forward):
        for index in (1, 2, 3):
            yield f"conv{index}", str(getattr(module, f"norm{index}_name", ""))
