"""Stops training at a loss that is not finite, before it reaches the weights, and says which pictures it came from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.dist import all_gather_object, all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn

from clmot_qd.errors import InputError

# Of names in a message, the others are counted.
_NAMES_SHOWN = 16
# A loss scaler starts at 2^16 and halves its factor at each step it skips: so small, it has skipped all for long.
_SMALLEST_LOSS_SCALE = 2.0**-24
# Iterations between two looks at it, each of which waits for the GPU.
_SCALE_INTERVAL = 50
# So many batches in a row whose loss is not finite are left to a dynamic loss scaler.
_SKIPPED = 20


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Ends training with one line when the loss of a batch is NaN or infinite.

    The line names epoch and iteration, the terms of the loss, and the pictures of the batch, those of the other
    processes as well: all processes end together. Nothing of the batch has reached the weights, whatever the optimizer,
    its gradient accumulation or its precision; the last checkpoint is as good as it was. (mmdet's
    ``CheckInvalidLossHook`` looks every 50 iterations, after the step.)

    Half precision overflows now and then in the forward pass: a dynamic loss scaler skips the step and lowers its
    factor. With one, training ends at the twentieth such batch in a row.

    Gradients may overflow where the loss does not. A step that mixed precision's loss scaler skips for that is normal,
    and scalers that do nothing but skip are noticed. Elsewhere such a step spoils the weights, and the next loss is not
    finite: the line says whether the weights were finite before the batch.

    Args:
        check_gradients: Look at the gradients as well, before each step of the optimizer; costs a pass over them. Not
            needed with a loss scaler.
    """

    priority = "VERY_HIGH"

    def __init__(self, check_gradients: bool = False) -> None:
        self.check_gradients = check_gradients
        self._handles: list[Any] = []
        self._names: list[str] = []
        self._checks: list[_GradientCheck] = []
        self._place = ""
        self._scaled = False
        self._spoiled = 0

    def before_train(self, runner: Runner) -> None:
        """Watch what the model's forward returns in training, and the optimizer's steps."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._scaled, self._spoiled = all(map(_scales_dynamically, _wrappers(runner))), 0
        self._handles = [model.register_forward_hook(self._check_losses, with_kwargs=True)]
        if self.check_gradients:
            parameters = {id(p): name for name, p in model.named_parameters()}
            self._checks = [_GradientCheck(self, parameters) for _ in _wrappers(runner)]
            for wrapper, check in zip(_wrappers(runner), self._checks):
                self._handles.append(wrapper.optimizer.register_step_pre_hook(check))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Remember where training is."""
        self._place = f"epoch {runner.epoch + 1}, iteration {runner.iter + 1}"

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Notice a loss scaler that skips every step.

        Raises:
            InputError: It does.
        """
        if not self.every_n_train_iters(runner, _SCALE_INTERVAL):
            return
        for wrapper in _wrappers(runner):
            scaler = getattr(wrapper, "loss_scaler", None)
            if scaler is not None and (scale := scaler.get_scale()) < _SMALLEST_LOSS_SCALE:
                raise InputError(
                    f"{self._place}: training stands still: the loss scaler has skipped so many steps that its factor "
                    f"is {scale:.1g}: the gradients are never finite; {self._batch(self._names)}"
                )

    def after_train(self, runner: Runner) -> None:
        """Watch no longer."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._checks = [], []

    # ---------------------------------------------------------------------------------------------------------- losses
    def _check_losses(self, model: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        """Called by torch after the model's forward, before anything is derived from its losses."""
        if not (model.training and isinstance(output, Mapping)):
            return
        terms = _terms(output)
        if not terms:
            return
        self._names = picture_names(kwargs.get("data_samples") or [part for part in args if isinstance(part, list)])
        for check in self._checks:
            check.since_step += self._names
        found = torch.stack(list(terms.values()))
        spoiled = (~found.sum().isfinite()).float()
        if get_world_size() > 1:  # one that stopped alone would leave the others waiting
            all_reduce(spoiled)
        self._spoiled = self._spoiled + 1 if spoiled.item() else 0
        if not self._spoiled or (self._scaled and self._spoiled < _SKIPPED):
            return
        report = [f"{name} {value:.4g}" for name, value in zip(terms, found.tolist())]
        everybody = all_gather_object((not found.sum().isfinite().item(), ", ".join(report), self._names))
        raise InputError(self._loss_message(model, everybody))

    def _loss_message(self, model: nn.Module, everybody: Sequence[tuple[bool, str, list[str]]]) -> str:
        """What happened, where, and on which pictures; the same text in every process."""
        several = len(everybody) > 1
        parts = [
            (f"in process {rank}: " if several else "") + f"{report}; {self._batch(names)}"
            for rank, (spoiled, report, names) in enumerate(everybody)
            if spoiled
        ]
        others = [name for spoiled, _, names in everybody if not spoiled for name in names]
        if others:
            parts.append(f"the other processes had {_listed(others)}")
        weights = _not_finite((name, p.detach()) for name, p in model.named_parameters())
        cause = (
            f"the weights were not finite before this batch ({_listed(weights)}): a step before it overflowed, which "
            "default_hooks.finite_loss.check_gradients=True would find"
            if weights
            else "the weights are as before this batch: look at its boxes, or lower the learning rate"
        )
        return f"{self._place}: the loss is not finite: {'; '.join(parts)}; {cause}"

    @staticmethod
    def _batch(names: Sequence[str]) -> str:
        return f"pictures of the batch: {_listed(names)}" if names else "the batch does not say its pictures"


class _GradientCheck:
    """Called by an optimizer before each step.

    Args:
        hook: Knows the batch.
        parameters: Names by the identity of the parameter.

    Attributes:
        since_step: Pictures of the batches since this optimizer's last step.
    """

    def __init__(self, hook: FiniteLossHook, parameters: Mapping[int, str]) -> None:
        self.hook = hook
        self.parameters = parameters
        self.since_step: deque[str] = deque(maxlen=1024)

    def __call__(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        """Look at the gradients.

        Raises:
            InputError: One is not finite.
        """
        if getattr(optimizer, "found_inf", None) is not None:
            return  # a fused optimizer, which a loss scaler lets decide itself
        hook = self.hook
        moving = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not moving or _largest([p.grad for p in moving]).isfinite():
            self.since_step.clear()
            return
        named = ((self.parameters.get(id(p), "unnamed"), p.grad) for p in moving)
        names = all_gather_object(list(self.since_step))  # the gradients are the same in all processes
        # Another optimizer of the model may have made its step already.
        whose = "the weights of this optimizer" if len(hook._checks) > 1 else "the weights"
        raise InputError(
            f"{hook._place}: the loss is finite, but not the gradients of {_listed(_not_finite(named))}; "
            f"{hook._batch([name for part in names for name in part])}; {whose} are as before this step"
        )


def picture_names(samples: Any) -> list[str]:
    """The pictures that data samples came from, each once, in their order; nested lists and videos are gone through.

    Args:
        samples: ``DetDataSample``, ``TrackDataSample``, or lists of them.
    """
    names: dict[str, None] = {}
    for sample in samples if isinstance(samples, (list, tuple)) else [samples]:
        inner = sample if isinstance(sample, (list, tuple)) else getattr(sample, "video_data_samples", None)
        if inner is not None:
            names |= dict.fromkeys(picture_names(list(inner)))
        elif hasattr(sample, "metainfo"):
            info = sample.metainfo
            names[str(info.get("img_path") or f"image {info.get('img_id', 'without name')}")] = None
    return list(names)


def _wrappers(runner: Runner) -> list[Any]:
    """The optimizer wrappers of a run; more than one with ``OptimWrapperDict``."""
    wrapper = runner.optim_wrapper
    return list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]


def _scales_dynamically(wrapper: Any) -> bool:
    """Whether a loss scaler skips steps and lowers its factor for them; mmengine's constant factor comes back."""
    scaler = getattr(wrapper, "loss_scaler", None)
    return scaler is not None and scaler.is_enabled() and getattr(wrapper, "_scale_update_param", None) is None


def _terms(losses: Mapping[str, Any]) -> dict[str, Tensor]:
    """What mmengine adds up, () float32 each: entries whose key contains 'loss', lists as their sum."""
    parts = {name: value if isinstance(value, (list, tuple)) else [value] for name, value in losses.items()}
    return {
        name: torch.stack([part.detach().float().mean() for part in value]).sum()
        for name, value in parts.items()
        if "loss" in name and len(value)
    }


def _largest(tensors: Sequence[Tensor]) -> Tensor:
    """The largest absolute value of all, NaN if there is one. -> ()."""
    return torch.stack([torch.linalg.vector_norm(t.detach().float(), torch.inf) for t in tensors]).amax()


def _not_finite(named: Iterator[tuple[str, Tensor]]) -> list[str]:
    """Names of the tensors that are not finite throughout."""
    return [name for name, values in named if not values.isfinite().all()]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
