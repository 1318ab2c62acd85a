"""Gradient checkpointing for networks whose BatchNorm trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def checkpointed(owner: nn.Module, function: Callable[..., Any], *inputs: Any) -> Any:
    """``function(*inputs)``, whose inner results are not kept, but computed again in the backward pass.

    The same numbers, gradients and BatchNorm statistics: these are updated in the first pass alone. (torch's
    ``checkpoint``, and with it ``with_cp`` of mmdet's backbones, updates them twice.)

    Args:
        owner: Has all modules that ``function`` uses.
        function: A module or a method.
        inputs: Its arguments.
    """
    return checkpoint(function, *inputs, use_reentrant=False, context_fn=partial(_contexts, owner))


def _contexts(owner: nn.Module) -> tuple[AbstractContextManager, AbstractContextManager]:
    """What surrounds the first and the second computation."""
    return nullcontext(), _steady_statistics(owner)


@contextmanager
def _steady_statistics(owner: nn.Module) -> Iterator[None]:
    """What BatchNorm in training tracks goes into copies, which are dropped."""
    tracking = [m for m in owner.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    kept = [dict(module._buffers) for module in tracking]
    for module, buffers in zip(tracking, kept):
        module._buffers.update({name: value if value is None else value.clone() for name, value in buffers.items()})
    try:
        yield
    finally:
        for module, buffers in zip(tracking, kept):
            module._buffers.update(buffers)
