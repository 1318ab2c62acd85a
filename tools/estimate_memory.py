"""Estimate the GPU memory that training and inference need, without a GPU: one training step on the CPU is measured.

python tools/estimate_memory.py CONFIG --batch-size 4 --amp
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="path, or name of a packaged configuration")
    parser.add_argument("--batch-size", type=int, metavar="N", help="pairs in a step on a GPU (default: the config's)")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("W", "H"), help="network input, pixels (default: the config's input_size)"
    )
    parser.add_argument("--amp", action="store_true", help="with automatic mixed precision")
    parser.add_argument("--objects", type=int, default=30, help="objects in each picture (default: 30)")
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file as well")
    parser.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE", help="change keys of the configuration")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # torch's profiler tells of every start, read when torch is loaded
    from rich.console import Console

    from clmot_qd.apis.memory_estimate import estimate_memory
    from clmot_qd.apis.memory_report import figures, report
    from clmot_qd.apis.running import load_config, parse_options
    from clmot_qd.errors import InputError
    from clmot_qd.files import check_writable, write_json

    config = load_config(args.config, parse_options(args.cfg_options))
    configured = (config.get("train_dataloader") or {}).get("batch_size", 0)
    batch_size = configured if args.batch_size is None else args.batch_size
    if batch_size < 1:
        raise InputError(f"batch size {batch_size}: give 1 or more with --batch-size")
    if args.json:
        check_writable(args.json)
    with Console(stderr=True).status("one training step on the CPU; a minute or more at full size"):
        estimate = estimate_memory(config, tuple(args.size) if args.size else None, args.amp or None, args.objects)
    print(report(estimate, batch_size, args.config))
    if args.json:
        write_json(args.json, figures(estimate, batch_size))
        print(f"wrote {args.json}")
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
