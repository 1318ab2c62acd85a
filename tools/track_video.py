"""Track a video: MOT-format text, MP4 with boxes, ids and trails, contact sheet, CocoVID JSON, pictures.

python tools/track_video.py VIDEO_OR_FOLDER --config CONFIG --checkpoint CHECKPOINT
python tools/track_video.py rtsp://camera/stream --config CONFIG --checkpoint CHECKPOINT --outputs mot video
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

SHOWN = ("id", "class", "score")
OUTPUTS = ("mot", "cocovid", "video", "frames", "sheet")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="video file, folder of pictures, glob in quotes, stream address, camera number")
    parser.add_argument("--config", required=True, help="path, or name of a packaged configuration")
    parser.add_argument("--checkpoint", required=True, help="trained weights")
    parser.add_argument("--out-dir", help="where the results go (default: tracked/NAME)")
    parser.add_argument(
        "--outputs",
        nargs="+",
        choices=OUTPUTS,
        default=["mot", "video", "sheet"],
        metavar="NAME",
        help=f"of {', '.join(OUTPUTS)} (default: %(default)s)",
    )
    parser.add_argument("--no-video", action="store_true", help="write the text file alone, as --outputs mot")
    parser.add_argument(
        "--show",
        nargs="*",
        choices=SHOWN,
        metavar="WHAT",
        help=f"beside each box, of {', '.join(SHOWN)} (default: all; the class where there are several)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 ... (default: a GPU if there is one)")
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="frames detected at once (default: 4 of a file on a GPU, else 1)"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "float16", "bfloat16"),
        default="float32",
        help="of the network's layers; float16 needs a GPU (default: %(default)s)",
    )
    parser.add_argument(
        "--compile", action="store_true", help="compile the network's layers: a slow start, then faster (long videos)"
    )
    parser.add_argument(
        "--conf-thr", type=float, help="least score of a detection to be tracked: sets the limits of the config"
    )
    parser.add_argument(
        "--score-thr",
        nargs="+",
        metavar="SCORE",
        help="leave out detections below this score, or of single classes: car=0.5 person=0.3",
    )
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="give out the tracks of these classes alone")
    parser.add_argument("--max-frames", type=int, help="stop after this many frames")
    parser.add_argument("--fps", type=float, help="frame rate of the video file (default: the source's)")
    parser.add_argument(
        "--reconnect",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="end a stream or camera that gave no frame for so long (default: %(default)g)",
    )
    parser.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE", help="change keys of the configuration")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    from clmot_qd.allocation import keep_freed_memory
    from clmot_qd.apis.addresses import is_address
    from clmot_qd.apis.class_filters import parse_score_thresholds
    from clmot_qd.apis.frame_sources import open_source
    from clmot_qd.apis.inferencer import TrackingInferencer
    from clmot_qd.apis.result_folder import check_folder
    from clmot_qd.apis.running import load_config, parse_options
    from clmot_qd.apis.score_threshold import score_options
    from clmot_qd.apis.track_files import check_arguments, name_of

    outputs = ["mot"] if args.no_video else list(dict.fromkeys(args.outputs))
    check_arguments(outputs, args.max_frames, args.fps, args.show)
    given = int(args.source) if args.source.isdecimal() else args.source
    out_dir = args.out_dir or os.path.join("tracked", name_of(given))
    check_folder(out_dir)
    options = parse_options(args.cfg_options)
    if args.conf_thr is not None:
        options |= score_options(load_config(args.config, options), args.conf_thr)
    # What is sent as it happens is opened last: loading the model takes longer than a camera waits for its reader.
    waits = not isinstance(given, int) and not is_address(given)
    source = open_source(given, args.fps, args.reconnect) if waits else None
    session = TrackingInferencer(
        args.config,
        args.checkpoint,
        args.device,
        options,
        batch_size=args.batch_size,
        precision=args.precision,
        score_thr=parse_score_thresholds(args.score_thr),
        keep_classes=args.classes,
        compile=args.compile,
    )
    print(session.checkpoint_note, file=sys.stderr)
    if session.device == "cpu":
        keep_freed_memory()
    source = source or open_source(given, args.fps, args.reconnect)
    options_of_files = dict(outputs=outputs, max_frames=args.max_frames, show=args.show)
    for path in session.track(source, out_dir, **options_of_files):
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
