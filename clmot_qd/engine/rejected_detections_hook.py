"""Says after a test how many detections the tracker could not use."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from clmot_qd.trackers.online_tracker import rejected_note


@HOOKS.register_module()
class RejectedDetectionsHook(Hook):
    """One warning after each validation or test in which detections were left out, those of all processes together.

    Our trackers leave out rows that are not finite or have no area, and count them; what a network that overflows in
    half precision lost would else go unseen. Trackers of mmdet do not count.
    """

    priority = "LOW"

    def __init__(self) -> None:
        self._before = 0

    def before_val_epoch(self, runner: Runner) -> None:
        """Remember the count."""
        self._before = _rejected(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Tell what was added to it."""
        added = torch.tensor(_rejected(runner) - self._before)
        all_reduce(added)
        if added:
            runner.logger.warning(rejected_note(int(added)))

    before_test_epoch: Any = before_val_epoch
    after_test_epoch: Any = after_val_epoch


def _rejected(runner: Runner) -> int:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return getattr(getattr(model, "tracker", None), "total_rejected", 0)
