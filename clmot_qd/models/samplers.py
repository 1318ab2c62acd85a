"""Samplers of region proposals."""

from __future__ import annotations

from typing import Any

from mmdet.models.task_modules.samplers import IoUBalancedNegSampler
from mmdet.registry import TASK_UTILS
from torch import Tensor


@TASK_UTILS.register_module()
class SteadyIoUBalancedNegSampler(IoUBalancedNegSampler):
    """mmdet's ``IoUBalancedNegSampler`` that stays what it was built as.

    With ``floor_thr=-1`` background of any overlap, 0 included, is to be drawn evenly over bins of IoU. The parent does
    so in its first call and then sets its own ``floor_thr`` to 0: from the second call on regions that touch no object
    are drawn only to fill up. The public QDTrack trained with that.
    """

    floor_thr: float

    def _sample_neg(self, *args: Any, **kwargs: Any) -> Tensor:
        """Sample as the parent does in its first call."""
        floor_thr = self.floor_thr
        try:
            return super()._sample_neg(*args, **kwargs)
        finally:
            self.floor_thr = floor_thr
