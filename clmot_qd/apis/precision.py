"""Running the network in half precision where that is safe: convolutions and matrices, nothing that decides."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from clmot_qd.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

PRECISIONS = ("float32", "float16", "bfloat16")


def set_precision(model: nn.Module, precision: str, device: str) -> None:
    """Let the network parts of a tracking model compute in ``precision``, for inference alone.

    Backbone, neck and the heads' layers run under autocast; what they give is float32 again, so that decoding,
    non-maximum suppression, region features, embeddings' comparison and tracking are what they are without. Weights
    stay float32. mmcv's operators get what they are compiled for (:mod:`clmot_qd.ops`).

    Args:
        model: ``CLMOT`` or ``QuasiDenseMOT``; changed in place.
        precision: One of ``PRECISIONS``.
        device: Where the model is.

    Raises:
        InputError: An unknown precision, or float16 without a GPU.
    """
    import torch

    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r}: choose from {', '.join(PRECISIONS)}")
    if precision == "float32":
        return
    kind = torch.device(device).type
    if precision == "float16" and kind == "cpu":
        raise InputError("precision 'float16': needs a GPU; on the CPU take bfloat16 or float32")
    dtype = getattr(torch, precision)
    inner = _between_layers(model)
    for owner, method in layers_of(model):
        _replace(owner, method, partial(_in_half, dtype=dtype, kind=kind, raised=owner is not inner))


def layers_of(model: nn.Module, fixed_size: bool = False) -> list[tuple[Any, str]]:
    """(module, method) of everything that is layers alone: tensors in, tensors out.

    Args:
        model: ``CLMOT`` or ``QuasiDenseMOT``.
        fixed_size: Leave out what sees another number of regions in every frame.
    """
    from torch import nn

    detector: Any = model.detector
    parts = [getattr(detector, name, None) for name in ("backbone", "neck", "rpn_head", "bbox_head")]
    if not fixed_size:
        roi_head = getattr(detector, "roi_head", None)
        for heads in (getattr(roi_head, name, None) for name in ("bbox_head", "mask_head")):
            parts += list(heads) if isinstance(heads, nn.ModuleList) else [heads]
    # The centre head predicts by a method of its own, which leaves the embedding map out.
    methods = ("forward", "forward_detection")
    return [(part, method) for part in parts if part is not None for method in methods if hasattr(part, method)]


def _between_layers(model: nn.Module) -> Any:
    """The backbone, if a neck takes what it gives, in half precision as it is; None otherwise."""
    detector: Any = model.detector
    return getattr(detector, "backbone", None) if getattr(detector, "neck", None) is not None else None


def _replace(owner: Any, method: str, wrap: Callable) -> None:
    setattr(owner, method, partial(wrap, getattr(owner, method)))


def _in_half(forward: Callable, *args: Any, dtype: torch.dtype, kind: str, raised: bool = True, **kwargs: Any) -> Any:
    """Run layers in half precision; ``raised``: what they give becomes float32 again."""
    import torch

    from clmot_qd.models.mixed_precision import in_float32

    with torch.autocast(kind, dtype=dtype):
        given = forward(*args, **kwargs)
    return in_float32(given) if raised else given
