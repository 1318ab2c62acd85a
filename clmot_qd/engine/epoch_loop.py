"""Training by epochs that can go on in the middle of one."""

from __future__ import annotations

from itertools import islice

from mmdet.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop

from clmot_qd.engine.stateless_randomness import loader_of


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """mmengine's ``EpochBasedTrainLoop``, which also resumes a checkpoint of the middle of an epoch.

    The parent begins such an epoch again. Here batches that were trained on are neither trained on nor loaded again.

    Attributes:
        first_batch: Number of the batch with which the next epoch begins; ``ExactResumeHook`` sets it.
    """

    first_batch = 0

    def run_epoch(self) -> None:
        """One epoch, or the rest of it."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        first, self.first_batch = self.first_batch, 0
        loader = self.dataloader
        if first:
            loader = loader_of(loader, list(islice(loader.batch_sampler, first, None)))
        for number, batch in enumerate(loader, start=first):
            self.run_iter(number, batch)
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1
