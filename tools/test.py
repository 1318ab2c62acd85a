"""Test a model: python tools/test.py CONFIG CHECKPOINT, or mim test clmot_qd CONFIG --checkpoint CHECKPOINT."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="path, or name of a packaged configuration")
    parser.add_argument("checkpoint", nargs="?", help="checkpoint file")
    parser.add_argument("--checkpoint", dest="checkpoint_option", help="the same, as mim passes it")
    parser.add_argument("--work-dir", help="folder for logs and metrics (default: work_dirs/CONFIG)")
    parser.add_argument("--out-dir", help="write a MOT-format text file per sequence and metrics.json here")
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
    from clmot_qd.apis.class_lists import built_classes, check_class_count
    from clmot_qd.apis.loading import load_weights
    from clmot_qd.apis.processes import joined_processes
    from clmot_qd.apis.running import (
        build_runner,
        explain_build,
        load_config,
        make_folder,
        parse_options,
        require_keys,
        track_evaluator,
    )
    from clmot_qd.checkpoints import trust_checkpoints
    from clmot_qd.errors import InputError

    trust_checkpoints(args.trust_checkpoint)
    checkpoint = args.checkpoint or args.checkpoint_option
    if not checkpoint:
        raise InputError("no checkpoint given: name the file of the trained weights, e.g. work_dirs/RUN/epoch_40.pth")
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))  # torch.distributed.launch of old passes it as an option
    config = load_config(args.config, parse_options(args.cfg_options))
    config.launcher = args.launcher
    config.work_dir = args.work_dir or config.get("work_dir") or f"work_dirs/{Path(args.config).stem}"
    config.resume = False  # a configuration saved by a resumed run would load its latest checkpoint over ours
    config.load_from = None  # load_weights refuses a checkpoint of another model, where the runner would only warn
    require_keys(config, "test_dataloader", "test_evaluator")
    make_folder(config.work_dir)
    if args.out_dir:
        make_folder(args.out_dir)
        track_evaluator(config)["out_dir"] = args.out_dir
    with joined_processes(args.launcher, config):
        runner = build_runner(config)
        classes = built_classes(explain_build(lambda: runner.test_loop.dataloader.dataset))
        model = getattr(runner.model, "module", runner.model)
        check_class_count(model, classes, "test_dataloader")
        runner.logger.info(load_weights(model, checkpoint, classes))
        runner.test()
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
