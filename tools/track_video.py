"""Track a video: MOT-format text, MP4 with boxes, masks, ids and trails, contact sheet, CocoVID JSON, pictures.

python tools/track_video.py VIDEO_OR_FOLDER --config CONFIG --checkpoint CHECKPOINT
python tools/track_video.py rtsp://camera/stream --config CONFIG --checkpoint CHECKPOINT --outputs mot video

Many videos, shared out to as many processes as are started:
torchrun --nproc_per_node=4 tools/track_video.py FOLDER_OF_VIDEOS --launcher pytorch --config ... --checkpoint ...
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clmot_qd.apis.inferencer import TrackingInferencer

SHOWN = ("id", "class", "score", "box", "mask")
OUTPUTS = ("mot", "mots", "cocovid", "video", "frames", "sheet")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "source",
        nargs="+",
        help="video file, folder of pictures, glob in quotes, stream address, camera number; or many videos: several "
        "files and folders, folders that hold such, text files (*.txt) with one in a line",
    )
    parser.add_argument("--config", required=True, help="path, or name of a packaged configuration")
    parser.add_argument("--checkpoint", required=True, help="trained weights")
    parser.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE", help="change keys of the configuration")
    parser.add_argument(
        "--trust-checkpoint",
        action="append",
        default=[],
        metavar="FILE",
        help="load this checkpoint even if it runs code: only from somebody you trust; repeatable",
    )
    parser.add_argument("--max-frames", type=int, help="stop after this many frames")
    parser.add_argument(
        "--reconnect",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="end a stream or camera that gave no frame for so long (default: %(default)g)",
    )
    _add_outputs(parser)
    _add_tracks(parser)
    _add_network(parser)
    _add_many_videos(parser)
    return parser.parse_args(argv)


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is written")
    group.add_argument("--out-dir", help="where the results go (default: tracked/NAME); of many videos OUT_DIR/NAME")
    files = group.add_mutually_exclusive_group()
    files.add_argument(
        "--outputs",
        nargs="+",
        choices=OUTPUTS,
        metavar="NAME",
        help=f"of {', '.join(OUTPUTS)} (default: mot video sheet, and mots of models with masks)",
    )
    files.add_argument(
        "--no-video", action="store_true", help="write no pictures: mot alone, and mots of models with masks"
    )
    group.add_argument(
        "--show",
        nargs="*",
        choices=SHOWN,
        metavar="WHAT",
        help=f"of each track, of {', '.join(SHOWN)} (default: all; the class where there are several); without box and "
        "mask, both are drawn",
    )
    group.add_argument("--fps", type=float, help="frame rate of the video file (default: the source's)")


def _add_tracks(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is tracked")
    group.add_argument(
        "--conf-thr", type=float, help="least score of a detection to be tracked: sets the limits of the config"
    )
    group.add_argument(
        "--score-thr",
        nargs="+",
        metavar="SCORE",
        help="leave out detections below this score, or of single classes: car=0.5 person=0.3",
    )
    group.add_argument("--classes", nargs="+", metavar="NAME", help="give out the tracks of these classes alone")


def _add_network(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how the network runs")
    group.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 ... (default: a GPU if there is one)")
    group.add_argument(
        "--batch-size", type=int, metavar="N", help="frames detected at once (default: 4 of a file on a GPU, else 1)"
    )
    group.add_argument(
        "--precision",
        choices=("float32", "float16", "bfloat16"),
        default="float32",
        help="of the network's layers; float16 needs a GPU (default: %(default)s)",
    )
    group.add_argument(
        "--compile", action="store_true", help="compile the network's layers: a slow start, then faster (long videos)"
    )


def _add_many_videos(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("many videos")
    group.add_argument("--skip-finished", action="store_true", help="leave out those whose results are there")
    group.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="what started the processes that share them (torchrun, srun, mpirun)",
    )
    group.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    from clmot_qd.apis.addresses import is_address
    from clmot_qd.apis.frame_sources import open_source
    from clmot_qd.apis.many_videos import expand_sources
    from clmot_qd.apis.result_folder import check_folder
    from clmot_qd.apis.track_files import check_arguments, name_of
    from clmot_qd.checkpoints import trust_checkpoints

    trust_checkpoints(args.trust_checkpoint)
    outputs = args.outputs and list(dict.fromkeys(args.outputs))
    check_arguments(["mot"] if args.no_video else outputs, args.max_frames, args.fps, args.show)
    sources = expand_sources(args.source)
    if args.source != sources or len(sources) > 1 or args.skip_finished or args.launcher != "none":
        return track_many(args, sources, outputs)
    given = int(sources[0]) if sources[0].isdecimal() else sources[0]
    out_dir = args.out_dir or os.path.join("tracked", name_of(given))
    check_folder(out_dir)
    # What is sent as it happens is opened last: loading the model takes longer than a camera waits for its reader.
    waits = not isinstance(given, int) and not is_address(given)
    source = open_source(given, args.fps, args.reconnect) if waits else None
    session = open_session(args, args.device)
    source = source or open_source(given, args.fps, args.reconnect)
    options_of_files = dict(outputs=outputs, max_frames=args.max_frames, show=args.show, pictures=not args.no_video)
    for path in session.track(source, out_dir, **options_of_files):
        print(f"wrote {path}")
    return 0


def track_many(args: argparse.Namespace, sources: Sequence[str], outputs: Sequence[str] | None) -> int:
    from clmot_qd.apis.many_videos import track_shared
    from clmot_qd.apis.processes import joined_processes, local_device
    from clmot_qd.apis.result_folder import check_folder

    out_dir = args.out_dir or "tracked"
    check_folder(out_dir)
    with joined_processes(args.launcher, timeout=_timeout(args)):
        good = track_shared(
            lambda: open_session(args, local_device(args.device)),
            sources,
            out_dir,
            outputs=outputs,
            skip_finished=args.skip_finished,
            max_frames=args.max_frames,
            fps=args.fps,
            show=args.show,
            pictures=not args.no_video,
        )
    return 0 if good else 1


def _timeout(args: argparse.Namespace) -> float | None:
    """How many seconds the configuration lets processes wait for each other."""
    from clmot_qd.apis.running import load_config, parse_options

    if args.launcher == "none":
        return None
    environment = load_config(args.config, parse_options(args.cfg_options)).get("env_cfg", {})
    return environment.get("dist_cfg", {}).get("timeout")


def open_session(args: argparse.Namespace, device: str) -> TrackingInferencer:
    """Detector and tracker as the options want them."""
    from clmot_qd.allocation import keep_freed_memory
    from clmot_qd.apis.class_filters import parse_score_thresholds
    from clmot_qd.apis.inferencer import TrackingInferencer
    from clmot_qd.apis.running import load_config, parse_options
    from clmot_qd.apis.score_threshold import score_options

    options = parse_options(args.cfg_options)
    if args.conf_thr is not None:
        options |= score_options(load_config(args.config, options), args.conf_thr)
    session = TrackingInferencer(
        args.config,
        args.checkpoint,
        device,
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
    return session


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
