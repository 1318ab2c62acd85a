"""Losses where several processes share a batch: what they are divided by, and what is logged.

Distributed training averages the gradients of W processes. A process that divides its sum by the number of its own
objects would make each of them weigh more the fewer it has; dividing by the mean number of all processes gives

    1/W * sum_r s_r / (n / W) = (sum_r s_r) / n

the loss of one process with the whole batch: s_r the sums of the processes, n the number of terms in all.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmdet.utils import reduce_mean
from mmengine.dist import get_world_size
from torch import Tensor


def shared_count(count: Tensor) -> Tensor:
    """The number of terms (any shape) that a process divides by, floating point: the mean over all processes.

    No terms at all count as one. Every process has to call it, as often as the others and with the same shape: those
    without any object as well. Without a process group it costs nothing.
    """
    return reduce_mean(count).clamp(min=1 / get_world_size())


def shared_log(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Numbers for the log as the means of all processes: losses divided by shared counts become those of the batch.

    Every process has to call it, with the same names. Without a process group they are what they are.
    """
    if get_world_size() == 1:
        return dict(values)
    means = reduce_mean(torch.stack([value.detach().float().reshape(()) for value in values.values()]))
    return dict(zip(values, means))
