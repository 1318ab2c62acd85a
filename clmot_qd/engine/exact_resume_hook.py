"""Training that is killed and resumed comes to the weights and the log of one that never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.dist import broadcast_object_list, get_rank, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import BaseLoop, IterBasedTrainLoop, Runner

from clmot_qd.engine.latest_checkpoint import latest_checkpoint
from clmot_qd.engine.stateless_randomness import (
    ITERATIONS,
    VALIDATIONS,
    NumberedSampler,
    loader_of,
    number_samples,
    seed_globally,
)
from clmot_qd.errors import InputError
from clmot_qd.files import write_text

KEY = "exact_resume"
"""Under which a checkpoint has what this hook adds to it: numbers, and gradients that wait for their step."""
COMPLETED_VALIDATIONS = "completed_validations"
"""The file in the work folder that says after how many iterations validations were completed, one in a line."""


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Makes ``resume`` exact: same weights, bit for bit on a CPU, and same logged numbers as without the stop.

    mmengine keeps weights, optimizer, schedules and counters. Lost with the process are the state of all random
    generators, gradients that are accumulated, the place within the epoch, a validation that did not come to its end,
    and, without ``randomness.seed``, the order of the data, which is drawn before the checkpoint is read. So here

    * random numbers follow from the seed and from where training stands (:mod:`clmot_qd.engine.stateless_randomness`);
    * the sampler's seed, the place within the epoch (for ``ResumableEpochLoop``) and waiting gradients are in the
      checkpoint. Gradients of several processes are not: save where a step is complete;
    * a validation that was due at the checkpoint and did not end is done first;
    * without a named checkpoint the newest whole one is taken, if the latest is broken.

    What keeps a state of its own stays as inexact as it was: transforms with a cache of earlier pictures, and
    ``EarlyStoppingHook``. Loops by iterations load what they skip.
    """

    priority = "LOWEST"

    def __init__(self) -> None:
        self._resumed: dict[str, Any] = {}
        self._sampler: NumberedSampler | None = None
        self._epoch_start = 0

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint, where that is left to mmengine; of several processes the first does."""
        if runner._resume and runner._load_from is None:
            runner._load_from, runner._resume = _latest(runner) if is_main_process() else (None, False)
        chosen = [runner._load_from, runner._resume]
        broadcast_object_list(chosen)  # others may not see the first one's folder
        runner._load_from, runner._resume = chosen

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep what is for :meth:`before_train`."""
        if runner._resume:
            self._resumed = checkpoint.get(KEY, {})

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the place in the epoch, the sampler's seed and waiting gradients."""
        loop, meta = runner.train_loop, checkpoint["meta"]
        ended = meta["epoch"] > runner.epoch or isinstance(loop, IterBasedTrainLoop)
        checkpoint[KEY] = dict(
            batches=0 if ended else meta["iter"] - self._epoch_start,
            batches_per_epoch=len(loop.dataloader),
            sampler_seed=getattr(self._sampler and self._sampler.sampler, "seed", None),
            gradients=_waiting_gradients(runner) if "optimizer" in checkpoint else {},
        )

    def before_train(self, runner: Runner) -> None:
        """Take up where the checkpoint stands."""
        resumed, self._resumed = self._resumed, {}
        self._number_samples(runner, resumed.get("sampler_seed"))
        batches = _skip_batches(runner, resumed) if resumed.get("batches") else 0
        self._epoch_start = runner.iter - batches
        _restore_gradients(runner, resumed.get("gradients") or {})
        completed = self._take_up_record(runner)
        if runner._resume and not batches and _validation_is_due(runner) and not completed:
            runner.logger.info("There is no record of the validation that is due at this checkpoint: it comes first")
            runner.val_loop.run()

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the samples their epoch."""
        if self._sampler:
            self._sampler.epoch = runner.epoch

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed what the model draws in this iteration."""
        seed_globally((ITERATIONS, runner.seed, runner.iter, get_rank()))

    def after_train_epoch(self, runner: Runner) -> None:
        """Count from here; the epoch's checkpoint has been written."""
        self._epoch_start = runner.iter

    def before_val_epoch(self, runner: Runner) -> None:
        """Seed what a validation draws, which rarely is anything: it may be the first that a resumed run does."""
        if isinstance(runner._train_loop, BaseLoop):
            seed_globally((VALIDATIONS, runner.seed, runner.iter, get_rank()))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note that a validation in the course of training was completed, a better checkpoint included."""
        if isinstance(runner._train_loop, BaseLoop) and is_main_process():
            record = Path(runner.work_dir, COMPLETED_VALIDATIONS)
            _write_record(record, _validated(record) | {runner.iter})

    def _take_up_record(self, runner: Runner) -> bool:
        """Forget validations that are yet to come; whether the one due here was completed: the first process says."""
        said = [False]
        if is_main_process():
            record = Path(runner.work_dir, COMPLETED_VALIDATIONS)
            known = _validated(record) if runner._resume else set()
            said = [runner.iter in known]
            if record.exists():
                _write_record(record, {iteration for iteration in known if iteration <= runner.iter})
        broadcast_object_list(said)
        return said[0]

    def _number_samples(self, runner: Runner, sampler_seed: int | None) -> None:
        loop = runner.train_loop
        if not hasattr(loop.dataloader.batch_sampler, "sampler"):
            kind = type(loop.dataloader.batch_sampler).__name__
            runner.logger.warning(f"ExactResumeHook: {kind} has no sampler: a resumed run will draw other numbers")
            return
        self._sampler = number_samples(loop.dataloader, runner.seed)
        inner: Any = self._sampler.sampler
        if sampler_seed is not None and hasattr(inner, "seed"):
            inner.seed = sampler_seed
        if isinstance(loop, IterBasedTrainLoop):  # it has begun to read, without the above
            if hasattr(inner, "_indices_of_rank"):
                inner.indices = inner._indices_of_rank()
            loop.dataloader = loader_of(loop.dataloader, loop.dataloader.batch_sampler)
            loop.dataloader_iterator = type(loop.dataloader_iterator)(loop.dataloader)


def _latest(runner: Runner) -> tuple[str | None, bool]:
    """The latest checkpoint of the run, and whether there is one."""
    templates = [hook.filename_tmpl for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    latest = latest_checkpoint(runner.work_dir, *templates[:1])
    if latest.note:
        runner.logger.warning(latest.note)
    return latest.path, latest.path is not None


def _skip_batches(runner: Runner, resumed: dict[str, int]) -> int:
    """Let the loop begin in the middle of its epoch; how many batches it leaves out."""
    loop, batches = runner.train_loop, resumed["batches"]
    if len(loop.dataloader) != resumed["batches_per_epoch"]:
        runner.logger.warning(
            f"The checkpoint was written after {batches} of {resumed['batches_per_epoch']} batches of an epoch, which "
            f"now has {len(loop.dataloader)}: the epoch begins again"
        )
        return 0
    if not hasattr(loop, "first_batch"):
        raise InputError(
            f"resume: the checkpoint was written after {batches} of the {resumed['batches_per_epoch']} batches of an "
            f"epoch, which {type(loop).__name__} would begin again; set train_cfg.type=ResumableEpochLoop"
        )
    loop.first_batch = batches
    return batches


def _waiting_gradients(runner: Runner) -> dict[str, torch.Tensor]:
    """Gradients that are accumulated for a step yet to come; after a step there are none."""
    if runner.world_size > 1:  # each process has its own, and one writes the checkpoint
        return {}
    return {name: one.grad.cpu() for name, one in runner.model.named_parameters() if one.grad is not None}


def _restore_gradients(runner: Runner, gradients: dict[str, torch.Tensor]) -> None:
    for name, one in runner.model.named_parameters():
        if name in gradients:
            one.grad = gradients[name].to(one)
    if gradients:
        runner.logger.info(f"Gradients of {len(gradients)} parameters, accumulated before the stop, are restored")


def _validation_is_due(runner: Runner) -> bool:
    """Whether the loop would validate where it stands, had it not been stopped."""
    loop = runner.train_loop
    if runner.val_loop is None:
        return False
    by_iteration = isinstance(loop, IterBasedTrainLoop)
    count, last = (loop.iter, loop.max_iters) if by_iteration else (loop.epoch, loop.max_epochs)
    loop._decide_current_val_interval()
    return count >= max(1, loop.val_begin) and (count % loop.val_interval == 0 or count == last)


def _validated(record: Path) -> set[int]:
    """After how many iterations validations were completed."""
    try:
        return {int(line) for line in record.read_text(encoding="utf-8").split()}
    except (OSError, ValueError):
        return set()


def _write_record(record: Path, iterations: set[int]) -> None:
    write_text(record, "".join(f"{iteration}\n" for iteration in sorted(iterations)))
