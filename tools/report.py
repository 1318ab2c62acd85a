"""Make one HTML page about a run, or about several side by side: scores, curves, tracks, switches, embeddings.

python tools/report.py work_dirs/run
python tools/report.py work_dirs/run-a work_dirs/run-b --out comparison.html
python tools/report.py --gt data/MOT17/train --detector SDP --pred results/

The model of a run tracks its test set once; what it finds is kept in RUN_DIR/report_cache. With --pred result files
take its place, and neither model nor run is needed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="RUN_DIR", help="work_dir of a training")
    parser.add_argument("--out", help="the page (default: RUN_DIR/report.html, without a run report.html)")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="what the runs are called (default: their folders)")
    parser.add_argument("--title", default="", help="of the page")
    model = parser.add_argument_group("tracks by the model of each run")
    model.add_argument(
        "--config", nargs="+", metavar="NAME", help="one per run, - for the one in RUN_DIR (default: the newest there)"
    )
    model.add_argument(
        "--checkpoint", nargs="+", metavar="FILE", help="one per run, - for the one in RUN_DIR (default: the last)"
    )
    model.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE", help="change keys of every configuration")
    model.add_argument("--cache", nargs="+", metavar="FOLDER", help="one per run: detections of cache_detections")
    model.add_argument("--no-embeddings", action="store_true", help="leave t-SNE and histograms out")
    model.add_argument("--no-tracks", action="store_true", help="show the logs alone, without running the model")
    model.add_argument(
        "--trust-checkpoint",
        action="append",
        default=[],
        metavar="FILE",
        help="load this checkpoint even if it runs code: only from somebody you trust; repeatable",
    )
    files = parser.add_argument_group("tracks from result files")
    files.add_argument("--pred", nargs="+", metavar="PATH", help="result files, one per run; see eval_tracks")
    files.add_argument("--gt", help="CocoVID file or folder of MOTChallenge sequences (default: the run's test set)")
    files.add_argument("--images", metavar="FOLDER", help="where the pictures of the ground truth are")
    files.add_argument("--detector", help="of MOT17's three copies show DPM, FRCNN or SDP")
    files.add_argument("--protocol", help="scoring protocol (default: the run's, without a run mot)")
    files.add_argument("--classes", nargs="+", metavar="NAME", help="classes to score (default: the run's)")
    limits = parser.add_argument_group("how much is shown")
    limits.add_argument("--max-frames", type=int, metavar="N", help="only the first N frames of every video")
    limits.add_argument("--max-switches", type=int, default=60, metavar="N", help="pictures of switches (default: 60)")
    limits.add_argument("--max-timelines", type=int, default=12, metavar="N", help="timelines (default: 12)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Read, track, write."""
    args = parse_args(argv)
    from clmot_qd.checkpoints import trust_checkpoints
    from clmot_qd.visualization.report.collecting import Request, make_report

    trust_checkpoints(args.trust_checkpoint)
    options = {name: value for name, value in vars(args).items() if name not in ("cfg_options", "trust_checkpoint")}
    path = make_report(Request(cfg_options=tuple(args.cfg_options or ()), **options))
    name = str(path).encode("utf-8", "replace").decode()  # names of folders need not be UTF-8
    print(f"wrote {name} ({path.stat().st_size / 2**20:.1f} MiB)")
    return 0


if __name__ == "__main__":
    # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    if not parse_args().runs:  # result files need no network: saves seconds of imports
        sys.modules.setdefault("mmdet", None)  # type: ignore[arg-type]
    from clmot_qd.errors import run_command

    run_command(main)
