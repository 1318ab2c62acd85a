"""Mixed precision in bfloat16, on CPUs as well, and detection heads whose losses and boxes stay in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from mmengine.utils import apply_to
from torch import Tensor, nn


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Training in mixed precision with bfloat16: ``optim_wrapper.type=BFloat16OptimWrapper``.

    mmengine's ``AmpOptimWrapper`` refuses to run without a GPU. bfloat16 reaches as far as float32, so gradients need
    no scaling, and processors with AVX512-BF16 or AMX compute faster in it, as GPUs do. Weights, gradients and the
    optimizer's state stay in float32. Arguments as for ``OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Mixed precision for the forward pass."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield


def keep_outputs_in_float32(detector: nn.Module) -> None:
    """Let mmdet's detection heads hand out float32 under mixed precision; nothing changes without it.

    Half precision cannot tell the pixels of a large picture apart, and mmcv's non-maximum suppression does not know
    bfloat16 on CPUs.

    Args:
        detector: Its dense heads, box heads and mask heads get a hook.
    """
    for module in detector.modules():
        if isinstance(module, (BaseDenseHead, BBoxHead, FCNMaskHead)):
            module.register_forward_hook(_outputs_in_float32)


def in_float32(value: Any) -> Any:
    """Half-precision tensors as float32, wherever they stand in tuples, lists and dicts."""
    return apply_to(value, _is_half, Tensor.float)


def _is_half(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)


def _outputs_in_float32(head: nn.Module, inputs: Any, outputs: Any) -> Any:
    return in_float32(outputs)
