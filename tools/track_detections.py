r"""Track detections from files, without any model, and score the tracks if ground truth is given.

    python tools/track_detections.py --det det/det.txt --embeds det/embeds.npy --option conf_thr=0.4 lost_frames=30 \
        --out tracks.txt --gt gt/gt.txt
    python tools/track_detections.py --root data/MOT17/train --detector FRCNN --det det/det.txt --out results/
    python tools/track_detections.py --det found.csv --gt annotations/val.json --out results/ \
        --keep-classes car person=pedestrian --tracker BiSoftmaxTracker --option appearance_weight=0 iou_weight=1

Detections: MOT text (frame,-1,x,y,w,h,score), CSV with a header, JSON, COCO results, cache files; docs/detections.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--det", required=True, help="file of detections or folder of cache files; with --root the place in a sequence"
    )
    parser.add_argument("--root", help="folder of MOTChallenge sequences: track them all, score them by their gt.txt")
    parser.add_argument("--sequences", nargs="+", metavar="NAME", help="track only these videos")
    parser.add_argument("--detector", help="with --root: of MOT17's three copies take DPM, FRCNN or SDP")
    parser.add_argument("--embeds", help=".npy or .npz with one embedding per detection; without it motion decides")
    parser.add_argument(
        "--embed-scale",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="multiply embeddings; unit vectors need about 8 for BiSoftmaxTracker (default: %(default)g)",
    )
    parser.add_argument("--ann", help="CocoVID file that names the images of COCO results (default: --gt)")
    parser.add_argument(
        "--frame-offset",
        type=int,
        default=0,
        metavar="N",
        help="add to frame numbers; 1 for CSV and JSON from 0",
    )
    parser.add_argument(
        "--keep-classes", nargs="+", default=[], metavar="NAME", help="track only these classes; OLD=NEW renames one"
    )
    parser.add_argument("--tracker", default="JDETracker", help="class of clmot_qd.trackers (default: %(default)s)")
    parser.add_argument("--option", nargs="+", default=[], metavar="KEY=VALUE", help="arguments of the tracker")
    parser.add_argument("--out", required=True, help="MOT result file to write; of several videos: their folder")
    parser.add_argument(
        "--last-frame", type=int, help="of one video: track and score up to this frame (default: the last detection)"
    )
    parser.add_argument("--gt", help="gt.txt of one video; of several a CocoVID file or a folder of sequences")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="classes to score (default: those detected)")
    parser.add_argument(
        "--distractors", nargs="*", metavar="CLASS", help="classes that do not count (default: MOT17's; empty: none)"
    )
    parser.add_argument("--protocol", default="mot", help="mot, mot20, bdd100k, waymo or plain (default: %(default)s)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Track, write, score."""
    args = parse_args(argv)
    from clmot_qd.apis.detection_files import open_detections
    from clmot_qd.apis.detections import build_tracker, parse_tracker_options

    tracker = build_tracker(args.tracker, parse_tracker_options(args.option))
    annotations = args.ann or (args.gt if str(args.gt).endswith(".json") else None)
    detections = open_detections(
        args.det,
        args.root,
        args.embeds,
        args.sequences,
        args.detector,
        annotations if args.det.endswith(".json") else None,
        args.frame_offset,
        args.keep_classes,
    )
    text_truth = args.gt is None or Path(args.gt).suffix == ".txt"
    if args.root is None and len(detections.videos) == 1 and text_truth:
        return track_one(args, tracker, detections)
    return track_all(args, tracker, detections)


def track_one(args: argparse.Namespace, tracker, detections) -> int:
    """One video into one file."""
    import numpy as np

    from clmot_qd.apis.detections import check_scale, score_file, track_video
    from clmot_qd.datasets.mot_text import write_tracks

    check_scale(args.embed_scale)
    numbers = None if args.last_frame is None else np.arange(1, args.last_frame + 1)
    class_ids = detections.class_numbers()
    found = next(iter(detections.videos.values()))
    tracks = track_video(found, tracker, numbers, None if args.gt else class_ids, args.embed_scale)
    write_tracks(args.out, tracks)
    print(f"{len(tracks)} boxes of {len(set(tracks.ids.tolist()))} tracks written to {args.out}")
    if args.gt:
        print(score_file(tracks, args.gt, args.last_frame, args.distractors, note=print).tables())
    return 0


def track_all(args: argparse.Namespace, tracker, detections) -> int:
    """Several videos into a folder."""
    from clmot_qd.apis.detection_files import find_truth, score_set, scored_classes
    from clmot_qd.apis.detections import track_set
    from clmot_qd.datasets.mot_text import write_tracks
    from clmot_qd.errors import InputError
    from clmot_qd.evaluation.result_files import result_path

    def tell(line: str) -> None:
        print(line, file=sys.stderr)

    if args.last_frame is not None:
        raise InputError("--last-frame: is for one video; the frames of several are those of their ground truth")
    truth = find_truth(args.gt, args.root, args.sequences, args.detector)
    classes = None if truth is None else scored_classes(detections, truth, args.classes, args.protocol, tell)
    tracks = track_set(detections, tracker, truth, args.embed_scale, progress=tell)
    for name, table in tracks.items():
        write_tracks(result_path(args.out, name, ".txt"), table)
    identities = sum(len(set(table.ids.tolist())) for table in tracks.values())
    boxes = sum(map(len, tracks.values()))
    print(f"{boxes} boxes of {identities} tracks in {len(tracks)} videos written to {args.out}")
    if truth is not None:
        scores = score_set(tracks, truth, classes, args.distractors, note=tell, protocol=args.protocol)
        print(scores.tables())
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
