"""How much detection and how much appearance counts in the total loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from clmot_qd.errors import InputError

LossValue = Tensor | list[Tensor]

# Of |s|; the weights of the tasks go from 1e-9 to 2e8.
LARGEST_LOG_VARIANCE = 20.0


@MODELS.register_module()
class FixedTaskWeighting(nn.Module):
    """total = detection * L_det + embedding * L_id.

    Args:
        detection: factor on every detection loss.
        embedding: factor on every embedding loss.
    """

    def __init__(self, detection: float = 1.0, embedding: float = 1.0) -> None:
        super().__init__()
        self.detection = detection
        self.embedding = embedding

    def forward(self, detection: Mapping[str, LossValue], embedding: Mapping[str, LossValue]) -> dict[str, LossValue]:
        """Weighted losses of both tasks in one dictionary; mmengine sums the entries whose key contains 'loss'.

        Args:
            detection: losses of the detector, () each or a list of such; other entries pass unchanged.
            embedding: losses of the embedding, the same.

        Raises:
            ValueError: both tasks use a key.
        """
        return _merge(_scaled(detection, self.detection), _scaled(embedding, self.embedding))


@MODELS.register_module()
class UncertaintyTaskWeighting(nn.Module):
    """total = (exp(-s_d) * L_det + exp(-s_e) * L_id + s_d + s_e) / 2, weighting by task uncertainty.

    Kendall et al., CVPR 2018, as FairMOT uses it. Released CL-MOT holds both s at their initial values
    (learnable=False), so that total = 3.180 L_det + 1.429 L_id - 1.45; the total may become negative. Both values are
    in the state dict, learnable or not. Leave them out of weight decay, which would pull them to 0.

    Both stay within -20 and 20. The total has no minimum in the s of a task whose loss is 0 for long (embeddings where
    no picture shows two objects): s would fall until exp(-s) overflows, and infinity times 0 is not a number.

    Args:
        init_detection: initial s_d, from -20 to 20; smaller counts detection more.
        init_embedding: initial s_e, likewise; smaller counts appearance more.
        learnable: train s_d and s_e along with the model.

    Raises:
        InputError: an initial value out of its range.
    """

    def __init__(self, init_detection: float = -1.85, init_embedding: float = -1.05, learnable: bool = True) -> None:
        super().__init__()
        for name, value in (("init_detection", init_detection), ("init_embedding", init_embedding)):
            if not abs(value) <= LARGEST_LOG_VARIANCE:
                limit = f"{LARGEST_LOG_VARIANCE:g}"
                raise InputError(f"UncertaintyTaskWeighting: {name} must be from -{limit} to {limit}, not {value}")
        self.log_var_detection = nn.Parameter(torch.tensor(float(init_detection)), requires_grad=learnable)
        self.log_var_embedding = nn.Parameter(torch.tensor(float(init_embedding)), requires_grad=learnable)

    def forward(self, detection: Mapping[str, LossValue], embedding: Mapping[str, LossValue]) -> dict[str, LossValue]:
        """As :meth:`FixedTaskWeighting.forward`, with more entries.

        `loss_task_uncertainty` is the term (s_d + s_e) / 2, so that the losses sum to the total; `weight_detection` and
        `weight_embedding` are for the log.
        """
        self._return_to_range()
        weight_detection = 0.5 * torch.exp(-self.log_var_detection)
        weight_embedding = 0.5 * torch.exp(-self.log_var_embedding)
        own = {
            "loss_task_uncertainty": 0.5 * (self.log_var_detection + self.log_var_embedding),
            "weight_detection": weight_detection.detach(),
            "weight_embedding": weight_embedding.detach(),
        }
        return _merge(_scaled(detection, weight_detection), _scaled(embedding, weight_embedding), own)

    @torch.no_grad()
    def _return_to_range(self) -> None:
        """Bring back what a step of the optimizer took out; clamped in the graph it would get no gradient any more."""
        for log_variance in (self.log_var_detection, self.log_var_embedding):
            log_variance.clamp_(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)


def _scaled(losses: Mapping[str, LossValue], weight: float | Tensor) -> dict[str, LossValue]:
    """Times the weight where the key contains 'loss'; anything else is there for the log."""
    return {key: _times(value, weight) if "loss" in key else value for key, value in losses.items()}


def _times(value: LossValue, weight: float | Tensor) -> LossValue:
    return [weight * part for part in value] if isinstance(value, list) else weight * value


def _merge(*parts: Mapping[str, LossValue]) -> dict[str, LossValue]:
    merged: dict[str, LossValue] = {}
    for part in parts:
        if common := merged.keys() & part.keys():
            raise ValueError(f"two tasks report the same entry: {sorted(common)}")
        merged.update(part)
    return merged
