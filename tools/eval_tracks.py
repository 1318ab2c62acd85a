"""Score result files against ground truth: HOTA, MOTA, IDF1 and their parts, per sequence and over all; track mAP.

python tools/eval_tracks.py --gt data/MOT17/train --detector SDP --pred results/
python tools/eval_tracks.py --gt annotations/half-val.json --pred results/ --classes car pedestrian --out all.json
python tools/eval_tracks.py --gt annotations/box_track_20_val.json --pred results/ --protocol bdd100k --jobs 8
python tools/eval_tracks.py --gt data/MOTS20/train --pred results/ --protocol mots20 --iou-type segm
python tools/eval_tracks.py --gt annotations/tao_val.json --pred tao_val_results.json --protocol tao
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--gt", required=True, help="CocoVID annotation file, or folder of MOTChallenge or MOTS sequences"
    )
    parser.add_argument(
        "--pred",
        required=True,
        help="folder of SEQUENCE.txt; BDD100K's JSON (a file, or a folder of VIDEO.json) or bitmasks; TAO's or "
        "CocoVID's JSON",
    )
    parser.add_argument(
        "--pred-format",
        metavar="NAME",
        help="mot, mots, bdd100k, bdd100k-bitmasks, tao or cocovid (default: look at the file)",
    )
    parser.add_argument("--sequences", nargs="+", metavar="NAME", help="score only these")
    parser.add_argument("--detector", help="of MOT17's three copies score DPM, FRCNN or SDP")
    parser.add_argument(
        "--protocol",
        default="mot",
        help="mot, mot20, bdd100k, mots20, kitti-mots, waymo, plain: docs/evaluation.md; tao: "
        "docs/evaluation_formats.md (default: mot)",
    )
    parser.add_argument(
        "--iou-type", choices=("bbox", "segm"), default="bbox", help="what overlaps: boxes or masks (default: bbox)"
    )
    parser.add_argument(
        "--metric",
        choices=("hota", "track-map"),
        help="HOTA, CLEAR and Identity, or track mAP at 3D IoU (default: hota; with --protocol tao: track-map)",
    )
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="classes to score (default: the protocol's)")
    parser.add_argument(
        "--distractors",
        nargs="*",
        metavar="CLASS",
        help="classes that do not count (default: those of the protocol; empty: none)",
    )
    parser.add_argument(
        "--backends",
        nargs="+",
        default=["trackeval", "motmetrics"],
        metavar="NAME",
        help="trackeval, motmetrics, motmetrics-plain, waymo (default: the first two)",
    )
    parser.add_argument("--iou-thr", type=float, help="least IoU of a match (default: the protocol's)")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the sequences (default: %(default)s)")
    parser.add_argument("--out", help="JSON file for all numbers")
    parser.add_argument("--trackeval-out", metavar="FOLDER", help="write the files that TrackEval's scripts write")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Read, score, print."""
    args = parse_args(argv)
    from clmot_qd.evaluation.evaluate import evaluate_tracks
    from clmot_qd.evaluation.formats import read_predictions
    from clmot_qd.evaluation.protocols import get_protocol, require_iou_type
    from clmot_qd.evaluation.result_files import read_truth
    from clmot_qd.evaluation.trackeval_files import write_trackeval_files
    from clmot_qd.files import check_writable

    if args.out:
        check_writable(args.out)  # before the work starts
    is_track_map = args.metric == "track-map" or (args.protocol == "tao" and args.metric is None)
    if is_track_map:
        _refuse_for_track_map(args)
    elif args.protocol != "tao":
        require_iou_type(args.iou_type, get_protocol(args.protocol))  # the files are read accordingly
    truth = read_truth(args.gt, args.sequences, args.detector, masks=args.iou_type == "segm")
    tracks = read_predictions(args.pred, truth, args.pred_format, need_masks=args.iou_type == "segm")
    if is_track_map:
        return _score_track_map(args, truth, tracks)
    if args.protocol == "tao":
        from clmot_qd.evaluation.track_map_filter import judged

        truth, tracks = judged(truth, tracks)
        args.protocol = "plain"
    scores = evaluate_tracks(
        truth,
        tracks,
        classes=args.classes,
        distractors=args.distractors,
        backends=args.backends,
        iou_thr=args.iou_thr,
        progress=lambda line: print(line, file=sys.stderr),
        protocol=args.protocol,
        jobs=args.jobs,
        iou_type=args.iou_type,
    )
    print(scores.tables())
    if args.out:
        scores.write_json(args.out)
        print(f"written to {args.out}")
    if args.trackeval_out:
        write_trackeval_files(scores, args.trackeval_out)
        print(f"TrackEval's files written to {args.trackeval_out}")
    return 0


def _refuse_for_track_map(args: argparse.Namespace) -> None:
    """Track mAP knows no distractors, no matching threshold and no masks."""
    from clmot_qd.errors import InputError

    for option in ("distractors", "iou_thr", "trackeval_out"):
        if getattr(args, option) is not None:
            raise InputError(f"--{option.replace('_', '-')} has no meaning for track mAP; leave it out")
    if args.iou_type != "bbox":
        raise InputError("--iou-type segm: track mAP is that of boxes; leave it out")


def _score_track_map(args: argparse.Namespace, truth: Any, tracks: Any) -> int:
    """Score track mAP."""
    from clmot_qd.evaluation.track_map import evaluate_track_map

    scores = evaluate_track_map(truth, tracks, args.classes, progress=lambda line: print(line, file=sys.stderr))
    print(scores.tables())
    if args.out:
        scores.write_json(args.out)
        print(f"written to {args.out}")
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package is loaded
    sys.modules.setdefault("mmdet", None)  # type: ignore[arg-type]  # scoring needs no network: saves seconds of imports
    from clmot_qd.errors import run_command

    run_command(main)
