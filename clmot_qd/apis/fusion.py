"""Folding BatchNorm into the convolution before it, for inference: the same numbers in one step instead of two."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from mmcv.cnn import ConvModule
from mmcv.ops import ModulatedDeformConv2d, ModulatedDeformConv2dPack
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from clmot_qd.models.folding import unfold_norms

# Subclasses may do something to their weights before they use them (weight standardisation).
FOLDABLE = ("Conv2d", *(kind.__name__ for kind in (ModulatedDeformConv2d, ModulatedDeformConv2dPack)))
OURS_OR_THEIRS = ("torch.", "mmcv.", "clmot_qd.ops")


def fold_batch_norms(model: nn.Module) -> int:
    """Fold every BatchNorm that directly follows a convolution into it.

    Known are mmcv's ``ConvModule``, the blocks of mmdet's ResNets (``conv1`` and what ``norm1_name`` names), and a
    convolution and a norm one after the other in a ``Sequential``; what is built otherwise stays as it is. mmcv's own
    ``fuse_conv_bn`` goes by the order in which parts were registered, writes into convolutions that several norms
    share (RTMDet's heads), and leaves deformable convolutions out.

    Args:
        model: In evaluation mode; changed in place. Its keys change as well: no checkpoint fits it any more.

    Returns:
        How many were folded.
    """
    unfold_norms(model)  # what training does in each step is done once and for all
    found = [(module, *names) for module in model.modules() for names in _pairs_of(module)]
    for module, conv, norm in found:
        children: Any = module._modules
        # A copy: the convolution may be at work in another place, with another norm or without one.
        setattr(module, conv, fuse_conv_bn_eval(children[conv], children[norm]))
    for module, _, norm in found:
        setattr(module, norm, nn.Identity())
    return len(found)


def _pairs_of(module: Any) -> Iterator[tuple[str, str]]:
    """Names of the children of a module that are a convolution and the norm after it."""
    for conv, norm in _neighbours_in(module):
        children = module._modules
        if _is_plain_conv(children.get(conv)) and _is_fixed_norm(children.get(norm)):
            yield conv, norm


def _neighbours_in(module: Any) -> Iterator[tuple[str, str]]:
    """Names of children that a module runs one directly after the other."""
    if isinstance(module, nn.Sequential):
        yield from pairwise(module._modules)
    elif isinstance(module, ConvModule):
        if tuple(module.order[:2]) == ("conv", "norm") and module.with_norm:
            yield "conv", module.norm_name
    else:
        yield from ((f"conv{n}", str(getattr(module, f"norm{n}_name", ""))) for n in range(1, 4))


def _is_plain_conv(conv: Any) -> bool:
    """Whether it is linear in its ``weight`` as it stands, with an output that nobody listens to."""
    kind = type(conv)
    known = kind.__name__.removeprefix("Fast") in FOLDABLE and kind.__module__.startswith(OURS_OR_THEIRS)
    return known and not conv._forward_hooks and not conv._forward_pre_hooks


def _is_fixed_norm(norm: Any) -> bool:
    return isinstance(norm, _BatchNorm) and not norm.training and norm.running_mean is not None
