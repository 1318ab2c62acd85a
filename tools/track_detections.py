r"""Track the detections of a MOT det file, without any model, and score the tracks if ground truth is given.

    python tools/track_detections.py --det det/det.txt --embeds det/embeds.npy --option conf_thr=0.4 lost_frames=30 \
        --out tracks.txt --gt gt/gt.txt
    python tools/track_detections.py --det det/det.txt --embeds det/embeds.npy --embed-scale 8 \
        --tracker BiSoftmaxTracker --option init_score_thr=0.7 --out tracks.txt
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--det", required=True, help="detections: frame,-1,x,y,w,h,score per row, in any order")
    parser.add_argument("--embeds", help=".npy with one embedding per row of the det file; without it motion decides")
    parser.add_argument(
        "--embed-scale",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="multiply embeddings; unit vectors need about 8 for BiSoftmaxTracker (default: %(default)g)",
    )
    parser.add_argument("--tracker", default="JDETracker", help="class of clmot_qd.trackers (default: %(default)s)")
    parser.add_argument("--option", nargs="+", default=[], metavar="KEY=VALUE", help="arguments of the tracker")
    parser.add_argument("--out", required=True, help="MOT result file to write")
    parser.add_argument("--last-frame", type=int, help="track and score up to this frame (default: the last detection)")
    parser.add_argument("--gt", help="gt.txt to score against")
    parser.add_argument(
        "--distractors", nargs="*", metavar="CLASS", help="classes that do not count (default: MOT17's; empty: none)"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Track, write, score."""
    args = parse_args(argv)
    from clmot_qd.apis.detections import build_tracker, parse_tracker_options, score_file, track_detection_file
    from clmot_qd.datasets.mot_text import write_tracks

    tracker = build_tracker(args.tracker, parse_tracker_options(args.option))
    tracks = track_detection_file(args.det, tracker, args.embeds, args.last_frame, args.embed_scale)
    write_tracks(args.out, tracks)
    print(f"{len(tracks)} boxes of {len(set(tracks.ids.tolist()))} tracks written to {args.out}")
    if args.gt:
        print(score_file(tracks, args.gt, args.last_frame, args.distractors, note=print).tables())
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
