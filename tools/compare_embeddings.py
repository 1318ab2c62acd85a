"""Show what the trained embeddings are worth: the same detections tracked with them, with random ones and without."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="path, or name of a packaged configuration; its test set is tracked")
    parser.add_argument("checkpoint", help="trained weights")
    parser.add_argument("--out", help="also write the numbers to this JSON file")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights (default: 0)")
    parser.add_argument("--cache", metavar="FOLDER", help="keep the detections there, and use those that are there")
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
    args = parse_args(argv)
    from clmot_qd.apis.comparison import compare_embeddings, comparison_table, write_comparison
    from clmot_qd.apis.running import parse_options
    from clmot_qd.checkpoints import trust_checkpoints

    trust_checkpoints(args.trust_checkpoint)
    scores = compare_embeddings(
        args.config, args.checkpoint, parse_options(args.cfg_options), args.seed, cache=args.cache
    )
    print("\n" + comparison_table(scores))
    if args.out:
        write_comparison(scores, args.out)
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
