"""Keep the detections and embeddings of a model: one file per video of a test set, for tuning trackers without it.

python tools/cache_detections.py clmot_dla34_40e_mot17-half work_dirs/run/epoch_40.pth --out cache/

Videos that are in the folder already are left alone: a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="path, or name of a packaged configuration; its test set is used")
    parser.add_argument("checkpoint", help="trained weights")
    parser.add_argument("--out", required=True, help="folder for one .npz per video")
    parser.add_argument("--half", action="store_true", help="store embeddings in half precision")
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
    """Detect and write."""
    args = parse_args(argv)
    from clmot_qd.apis.detection_cache import cache_detections
    from clmot_qd.apis.progress import frame_bar
    from clmot_qd.apis.running import parse_options
    from clmot_qd.checkpoints import trust_checkpoints

    trust_checkpoints(args.trust_checkpoint)
    with frame_bar() as tell:
        files = cache_detections(
            args.config,
            args.checkpoint,
            args.out,
            parse_options(args.cfg_options),
            args.half,
            progress=tell,
        )
    size = sum(path.stat().st_size for path in files) / 2**20
    print(f"{len(files)} videos in {args.out}, {size:.1f} MiB")
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
