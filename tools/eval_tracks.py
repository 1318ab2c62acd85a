"""Score MOT result files against ground truth: HOTA, MOTA, IDF1 and their parts, per sequence and over all.

python tools/eval_tracks.py --gt data/MOT17/train --detector SDP --pred results/
python tools/eval_tracks.py --gt annotations/half-val.json --pred results/ --classes car pedestrian --out all.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gt", required=True, help="CocoVID annotation file, or folder of MOTChallenge sequences")
    parser.add_argument("--pred", required=True, help="folder with one SEQUENCE.txt per sequence")
    parser.add_argument("--sequences", nargs="+", metavar="NAME", help="score only these")
    parser.add_argument("--detector", help="of MOT17's three copies score DPM, FRCNN or SDP")
    parser.add_argument("--classes", nargs="+", default=["pedestrian"], metavar="NAME", help="classes to score")
    parser.add_argument(
        "--distractors", nargs="*", metavar="CLASS", help="classes that do not count (default: MOT17's; empty: none)"
    )
    parser.add_argument("--backends", nargs="+", default=["trackeval", "motmetrics"], metavar="NAME")
    parser.add_argument("--iou-thr", type=float, default=0.5, help="least IoU of a match (default: %(default)s)")
    parser.add_argument("--out", help="JSON file for all numbers")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Read, score, print."""
    args = parse_args(argv)
    from clmot_qd.evaluation.evaluate import evaluate_tracks
    from clmot_qd.evaluation.result_files import read_results, read_truth

    truth = read_truth(args.gt, args.sequences, args.detector)
    scores = evaluate_tracks(
        truth,
        read_results(args.pred, truth),
        classes=args.classes,
        distractors=args.distractors,
        backends=args.backends,
        iou_thr=args.iou_thr,
        progress=lambda line: print(line, file=sys.stderr),
    )
    print(scores.tables())
    if args.out:
        scores.write_json(args.out)
        print(f"written to {args.out}")
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
