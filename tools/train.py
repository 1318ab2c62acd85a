"""Train a model: python tools/train.py CONFIG, or mim train clmot_qd CONFIG."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="path, or name of a packaged configuration")
    parser.add_argument("--work-dir", help="folder for logs and checkpoints (default: work_dirs/CONFIG)")
    parser.add_argument("--amp", action="store_true", help="train with automatic mixed precision")
    parser.add_argument("--auto-scale-lr", action="store_true", help="scale the learning rate to the batch size in use")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        help="go on from this checkpoint; without a value from the latest one in the work dir",
    )
    parser.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE", help="change keys of the configuration")
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument(
        "--trust-checkpoint",
        action="append",
        default=[],
        metavar="FILE",
        help="load this checkpoint even if it runs code: only from somebody you trust; repeatable",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    from clmot_qd.apis.class_lists import built_classes, check_class_count, configured_classes
    from clmot_qd.apis.loading import check_load_from, require_training_state
    from clmot_qd.apis.processes import joined_processes
    from clmot_qd.apis.running import (
        build_runner,
        build_training,
        load_config,
        make_folder,
        parse_options,
        require_gpu,
        require_keys,
    )
    from clmot_qd.checkpoints import trust_checkpoints
    from clmot_qd.errors import InputError

    trust_checkpoints(args.trust_checkpoint)
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))  # torch.distributed.launch of old passes it as an option
    config = load_config(args.config, parse_options(args.cfg_options))
    config.launcher = args.launcher
    if args.work_dir or not config.get("work_dir"):
        config.work_dir = args.work_dir or f"work_dirs/{Path(args.config).stem}"
    make_folder(config.work_dir)
    if args.amp:
        require_gpu("--amp")
        config.optim_wrapper.update(type="AmpOptimWrapper", loss_scale="dynamic")
    if args.auto_scale_lr:
        if "base_batch_size" not in config.get("auto_scale_lr", {}):
            raise InputError(f"{args.config}: --auto-scale-lr needs the key auto_scale_lr.base_batch_size")
        config.auto_scale_lr.enable = True
    note = _resume(args.resume, config) if args.resume else ""
    if config.get("resume") and config.get("load_from"):
        require_training_state(config.load_from)
    require_keys(config, "train_dataloader")
    with joined_processes(args.launcher, config):
        runner = build_runner(config)
        if note:
            runner.logger.warning(note)
        model = getattr(runner.model, "module", runner.model)
        if config.get("load_from"):
            classes = configured_classes(config.train_dataloader.dataset)
            runner.logger.info(check_load_from(model, config.load_from, classes))
        build_training(runner)
        check_class_count(model, built_classes(runner.train_loop.dataloader.dataset), "train_dataloader")
        if runner.val_loop is not None:
            check_class_count(model, built_classes(runner.val_loop.dataloader.dataset), "val_dataloader")
        runner.train()
    return 0


def _resume(checkpoint: str, config: Any) -> str:
    """Let the configuration go on from a checkpoint, ``auto`` from the latest; what there is to say of that one.

    Of several processes, which may see different folders, ``ExactResumeHook`` lets the first one's choice count.
    """
    from clmot_qd.engine.latest_checkpoint import Latest, latest_checkpoint

    template = (config.get("default_hooks", {}).get("checkpoint") or {}).get("filename_tmpl")
    latest = latest_checkpoint(config.work_dir, template) if checkpoint == "auto" else Latest(checkpoint)
    if latest.path:  # nothing to resume from is a first start: load_from keeps its meaning then
        config.resume, config.load_from = True, latest.path
    return latest.note


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
