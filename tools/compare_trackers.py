"""Compare ways of association: detect the objects of a test set once, track them with each of several trackers.

Without --row: the inference half of QDTrack's Table 4 (cosine, bi-softmax, duplicates removed, backdrops).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="path, or name of a packaged configuration; its test set is tracked")
    parser.add_argument("checkpoint", help="trained weights")
    parser.add_argument(
        "--row",
        nargs="+",
        action="append",
        metavar=("NAME", "KEY=VALUE"),
        help="a line of the table: changes to the tracker, or with type=... another tracker; repeatable",
    )
    parser.add_argument("--out", help="also write the numbers to this JSON file")
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
    from clmot_qd.apis.comparison import TABLE_4, compare_trackers, comparison_table, write_comparison
    from clmot_qd.apis.detections import parse_tracker_options
    from clmot_qd.apis.running import parse_options
    from clmot_qd.checkpoints import trust_checkpoints

    trust_checkpoints(args.trust_checkpoint)
    rows = {name: parse_tracker_options(pairs) for name, *pairs in args.row} if args.row else TABLE_4
    scores = compare_trackers(args.config, args.checkpoint, rows, parse_options(args.cfg_options), cache=args.cache)
    print("\n" + comparison_table(scores))
    if args.out:
        write_comparison(scores, args.out)
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
