"""Measure embeddings at the true boxes of a test set: TPR at FAR as in CL-MOT's test_emb, nearest neighbours over time.

python tools/test_embeddings.py clmot_dla34_40e_mot17-half work_dirs/run/epoch_40.pth --out embeddings/ --random
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="path, or name of a packaged configuration; its test set is used")
    parser.add_argument("checkpoint", help="trained weights")
    parser.add_argument("--out", help="folder for embedding_quality.json and embedding_quality.png")
    parser.add_argument("--gaps", nargs="+", type=int, default=[1, 5, 10, 30], metavar="K", help="frames later")
    parser.add_argument("--random", action="store_true", help="also measure the same network with random weights")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights (default: %(default)s)")
    parser.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE", help="change keys of the configuration")
    parser.add_argument(
        "--trust-checkpoint",
        action="append",
        default=[],
        metavar="FILE",
        help="load this checkpoint even if it runs code: only from somebody you trust; repeatable",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    args = parse_args(argv)
    from clmot_qd.apis.embedding_quality_plot import plot_report
    from clmot_qd.apis.embedding_quality_report import measure_embeddings, report_table, write_report
    from clmot_qd.apis.progress import frame_bar
    from clmot_qd.apis.running import parse_options
    from clmot_qd.checkpoints import trust_checkpoints

    trust_checkpoints(args.trust_checkpoint)
    with frame_bar() as tell:
        report = measure_embeddings(
            args.config,
            args.checkpoint,
            parse_options(args.cfg_options),
            args.seed if args.random else None,
            args.gaps,
            progress=tell,
        )
    print(report_table(report))
    if args.out:
        write_report(report, Path(args.out) / "embedding_quality.json")
        plot_report(report, Path(args.out) / "embedding_quality.png")
        print(f"\nwritten to {args.out}: embedding_quality.json, embedding_quality.png")
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
