"""A web page on this computer: drop a video, watch it being tracked, take video, table and files away.

python tools/app.py --config CONFIG --checkpoint CHECKPOINT
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = parser.add_argument_group("models, of which visitors choose; at least one")
    models.add_argument("--config", help="path, or name of a packaged configuration; with --checkpoint")
    models.add_argument("--checkpoint", help="trained weights; with --config")
    models.add_argument(
        "--model", action="append", default=[], metavar="NAME=CONFIG,CHECKPOINT", help="another model; repeatable"
    )
    models.add_argument("--runs", metavar="FOLDER", help="all training runs in this folder")
    models.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 ... (default: a GPU if there is one)")
    models.add_argument("--keep-models", type=int, default=2, metavar="N", help="models to keep loaded (default: 2)")
    models.add_argument(
        "--trust-checkpoint",
        action="append",
        default=[],
        metavar="FILE",
        help="load this checkpoint even if it runs code: only from somebody you trust; repeatable",
    )
    server = parser.add_argument_group("server")
    server.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this computer alone)")
    server.add_argument("--port", type=int, help="default: the first free one from 7860 on")
    server.add_argument("--concurrency", type=int, default=1, metavar="N", help="videos tracked at a time (default: 1)")
    server.add_argument("--max-waiting", type=int, default=8, metavar="N", help="videos that may wait (default: 8)")
    server.add_argument(
        "--keep-minutes", type=float, default=60, metavar="N", help="age at which files are removed (default: 60)"
    )
    limits = parser.add_argument_group("limits of a video")
    limits.add_argument("--max-mb", type=float, default=200, metavar="N", help="size (default: 200)")
    limits.add_argument("--max-seconds", type=float, default=120, metavar="N", help="length (default: 120)")
    limits.add_argument("--max-frames", type=int, default=3000, metavar="N", help="frames (default: 3000)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    from clmot_qd.allocation import keep_freed_memory
    from clmot_qd.apis.running import chosen_device
    from clmot_qd.app.limits import Limits
    from clmot_qd.app.models import models_of
    from clmot_qd.app.server import ServerOptions, serve
    from clmot_qd.checkpoints import trust_checkpoints

    trust_checkpoints(args.trust_checkpoint)
    limits = Limits(args.max_mb, args.max_seconds, args.max_frames)
    options = ServerOptions(
        host=args.host,
        port=args.port,
        device=args.device,
        concurrency=args.concurrency,
        max_waiting=args.max_waiting,
        keep_models=args.keep_models,
        keep_minutes=args.keep_minutes,
    )
    models = models_of(args.config, args.checkpoint, args.model, args.runs)
    if chosen_device(args.device) == "cpu":
        keep_freed_memory()
    serve(models, limits, options)
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
