"""A model made fast for inference, with equal results: folded norms, memory layout, compiled layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clmot_qd.apis.precision import layers_of

if TYPE_CHECKING:
    from torch import nn


def accelerate(model: nn.Module) -> bool:
    """Prepare a tracking model for inference: results as before, to round-off, in less time.

    BatchNorm is folded into the convolutions (:func:`~clmot_qd.apis.fusion.fold_batch_norms`). Convolutions keep their
    weights, and get their input, with the channels of a pixel side by side (torch's ``channels_last``), in which oneDNN
    and tensor cores compute, unless an operator of the model cannot read that (:func:`use_channels_last`).

    Args:
        model: ``CLMOT`` or ``QuasiDenseMOT`` in evaluation mode and on its device; changed in place. Its state dict
            changes as well: load weights before.

    Returns:
        Whether the input is to come with channels last, too.
    """
    from clmot_qd.apis.fusion import fold_batch_norms

    fold_batch_norms(model)
    return use_channels_last(model)


def use_channels_last(model: nn.Module) -> bool:
    """Lay the weights of torch's convolutions out for ``channels_last``.

    mmcv's operators read any map as if it were contiguous, without a word. Ours bring it into order first
    (:mod:`clmot_qd.ops.dispatch`); a model that has others, or a stranger's subclasses, stays as it is.

    Returns:
        Whether it was done.
    """
    from torch import nn

    if any(_is_mmcvs_operator(module) for module in model.modules()):
        return False
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            _lay_out(module)
    return True


def _is_mmcvs_operator(module: nn.Module) -> bool:
    kinds = [kind.__module__ for kind in type(module).__mro__]
    return not kinds[0].startswith("clmot_qd.ops.") and any(name.startswith("mmcv.ops.") for name in kinds)


def _lay_out(conv: nn.Module) -> None:
    import torch

    conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def compile_layers(model: nn.Module, device: str) -> None:
    """Compile backbone, neck and dense heads with ``torch.compile``, when they run for the first time.

    One fixed input size; another one is compiled anew. On GPUs the compiled layers are replayed as CUDA graphs.

    Args:
        model: See :func:`accelerate`.
        device: Where it is.
    """
    import torch

    on_gpu = torch.device(device).type == "cuda"
    # Freezing lays weights out for oneDNN once, and merges what follows a convolution into it.
    how: dict[str, Any] = dict(mode="reduce-overhead") if on_gpu else dict(options={"freezing": True})
    for owner, method in layers_of(model, fixed_size=True):
        setattr(owner, method, torch.compile(getattr(owner, method), dynamic=False, **how))
