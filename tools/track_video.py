"""Track a video: boxes, ids and trails as MP4, contact sheet and MOT-format text.

python tools/track_video.py VIDEO_OR_FOLDER --config CONFIG --checkpoint CHECKPOINT
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="video file, folder of pictures, glob in quotes, stream address, camera number")
    parser.add_argument("--config", required=True, help="path, or name of a packaged configuration")
    parser.add_argument("--checkpoint", required=True, help="trained weights")
    parser.add_argument("--out-dir", help="where the results go (default: tracked/NAME)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 ... (default: a GPU if there is one)")
    parser.add_argument(
        "--conf-thr", type=float, help="least score of a detection to be tracked (default: the config's)"
    )
    parser.add_argument("--max-frames", type=int, help="stop after this many frames")
    parser.add_argument("--no-video", action="store_true", help="write the text file alone")
    parser.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE", help="change keys of the configuration")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    from clmot_qd.apis.inferencer import TrackingInferencer
    from clmot_qd.apis.running import load_config, parse_options
    from clmot_qd.apis.score_threshold import score_options
    from clmot_qd.apis.track_files import track_to_files

    options = parse_options(args.cfg_options)
    if args.conf_thr is not None:
        options |= score_options(load_config(args.config, options), args.conf_thr)
    tracking = TrackingInferencer(args.config, args.checkpoint, args.device, options)
    source = int(args.source) if args.source.isdecimal() else args.source
    written = track_to_files(tracking, source, args.out_dir, args.max_frames, video=not args.no_video)
    for path in written:
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
