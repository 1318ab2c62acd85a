r"""Search the settings of a tracker on stored detections, without the network.

    python tools/tune_tracker.py --det cache/ --gt annotations/val.json --config clmot_dla34_40e_mot17-half \
        --grid match_thr=0.5,0.6,0.7 conf_thr=0.3,0.4,0.5 --holdout halves --out tuned/
    python tools/tune_tracker.py --root data/MOT17/train --detector FRCNN --det det/det.txt --tracker JDETracker \
        --space iou_thr=0.3:0.9 lost_frames=10:60 init_thr=None,0.7 --trials 100 --jobs 4 --holdout 0.3 --out tuned/

Detections: cache files of tools/cache_detections.py, or what tools/track_detections.py takes; docs/detections.md.
Writes trials.csv, trials.json (a stopped search goes on from it), tuning.png and best_tracker.py.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = parser.add_argument_group("detections and ground truth")
    data.add_argument("--det", required=True, help="cache folder or file; with --root the place in a sequence")
    data.add_argument("--gt", help="CocoVID file or folder of sequences (default: --root)")
    data.add_argument("--root", help="folder of MOTChallenge sequences")
    data.add_argument("--sequences", nargs="+", metavar="NAME", help="use only these videos")
    data.add_argument("--detector", help="of MOT17's three copies take DPM, FRCNN or SDP")
    data.add_argument("--embeds", help=".npy or .npz with one embedding per detection")
    data.add_argument("--embed-scale", type=float, default=1.0, metavar="FACTOR", help="multiply embeddings")
    data.add_argument("--frame-offset", type=int, default=0, metavar="N", help="1 for CSV and JSON that count from 0")
    data.add_argument("--keep-classes", nargs="+", default=[], metavar="NAME", help="only these; OLD=NEW renames one")
    data.add_argument(
        "--holdout", nargs="+", default=[], metavar="WHAT", help="report on: halves, 0.3, or these videos"
    )
    tracker = parser.add_argument_group("tracker")
    tracker.add_argument("--config", help="configuration whose model.tracker is the default setting")
    tracker.add_argument("--tracker", help="class of clmot_qd.trackers (default: JDETracker, or that of --config)")
    tracker.add_argument("--option", nargs="+", default=[], metavar="KEY=VALUE", help="arguments that stay fixed")
    search = parser.add_argument_group("search")
    search.add_argument("--grid", nargs="+", default=[], metavar="KEY=A,B,C", help="try every combination")
    search.add_argument("--space", nargs="+", default=[], metavar="KEY=LOW:HIGH", help="search ranges (or lists A,B)")
    search.add_argument("--trials", type=int, metavar="N", help="how many settings of --space to try, with optuna")
    search.add_argument("--seed", type=int, default=0, help="of optuna (default: %(default)s)")
    search.add_argument(
        "--metric", nargs="+", default=["HOTA"], metavar="NAME", help="maximise HOTA, MOTA, IDF1, ...; several: mean"
    )
    search.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    scoring = parser.add_argument_group("scoring")
    scoring.add_argument("--classes", nargs="+", metavar="NAME", help="classes to score (default: those detected)")
    scoring.add_argument("--distractors", nargs="*", metavar="CLASS", help="classes that do not count")
    scoring.add_argument("--protocol", default="mot", help="mot, mot20, bdd100k, waymo or plain (default: %(default)s)")
    parser.add_argument("--out", required=True, help="folder for the results")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Search, report, write."""
    args = parse_args(argv)
    from clmot_qd.apis import tuning
    from clmot_qd.apis.detection_files import find_truth, open_detections, scored_classes
    from clmot_qd.apis.detections import require_options
    from clmot_qd.errors import InputError
    from clmot_qd.files import write_text

    if bool(args.grid) == bool(args.space):
        raise InputError("give either --grid KEY=A,B,C or --space KEY=LOW:HIGH with --trials N")
    grid, space = tuning.parse_grid(args.grid), tuning.parse_space(args.space)
    tracker, fixed = base_tracker(args)
    require_options(tracker, [*fixed, *grid, *space])  # before anything is read
    points = tuning.grid_points(grid) if grid else None
    proposer = tuning.GridProposer(points) if points else tuning.OptunaProposer(space, args.trials or 100, args.seed)

    detections = open_detections(
        args.det,
        args.root,
        args.embeds,
        args.sequences,
        args.detector,
        args.gt if args.det.endswith(".json") and str(args.gt).endswith(".json") else None,
        args.frame_offset,
        args.keep_classes,
    )
    truth = find_truth(args.gt, args.root, args.sequences, args.detector)
    if truth is None:
        raise InputError("no ground truth to score against; give --gt (CocoVID file or folder of sequences)")
    classes = scored_classes(detections, truth, args.classes, args.protocol, print)
    missing = [name for name in truth.sequences if name not in detections.videos]
    if missing:
        print(f"no detections for {len(missing)} of {len(truth.sequences)} videos, e.g. {missing[0]}", file=sys.stderr)
    chosen_on, held_out = tuning.split(detections, truth, args.holdout)
    rest = dict(distractors=args.distractors, protocol=args.protocol, embed_scale=args.embed_scale)
    objective = tuning.Objective(chosen_on, tracker, fixed, classes, **rest)
    check = held_out and tuning.Objective(held_out, tracker, fixed, classes, **rest)

    total = (len(points) if points else args.trials or 100) + 1
    with progress_bar(total) as tell:
        search = tuning.tune(objective, proposer, args.metric, args.out, args.jobs, tell)
    beside = check and (held_out.name, check({}), check(search.best.settings))
    print(tuning.trial_table(search))
    print("\n" + tuning.comparison_lines(search, chosen_on.name, beside or None))
    text = tuning.snippet(tracker, fixed, search.best)
    write_text(Path(args.out) / "best_tracker.py", text)
    tuning.plot_search(search, Path(args.out) / "tuning.png")
    print(f"\n{text}\nwritten to {args.out}: trials.csv, trials.json, tuning.png, best_tracker.py")
    return 0


def base_tracker(args: argparse.Namespace) -> tuple[str, dict]:
    """The tracker to start from: class and arguments."""
    from clmot_qd.apis.detections import parse_tracker_options
    from clmot_qd.errors import InputError

    options = parse_tracker_options(args.option)
    if args.config is None:
        return args.tracker or "JDETracker", options
    from clmot_qd.apis.running import load_config

    base = dict(load_config(args.config).model.get("tracker") or {})
    name = base.pop("type", None)
    if name is None:
        raise InputError(f"{args.config}: model.tracker is not set; give --tracker")
    return (name, {**base, **options}) if args.tracker in (None, name) else (args.tracker, options)


def progress_bar(total: int):
    """A bar on stderr with the best value so far and the trials per minute."""
    import time
    from contextlib import contextmanager

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    @contextmanager
    def shown():
        started = time.perf_counter()
        columns = (TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        more = TextColumn("best {task.fields[best]:.2f}, {task.fields[rate]:.0f} a minute")
        with Progress(*columns, more, console=Console(file=sys.stderr)) as bar:
            task = bar.add_task("trials", total=total, best=0.0, rate=0.0)

            def tell(search) -> None:
                done = len(search.trials)
                rate = 60 * done / (time.perf_counter() - started)
                bar.update(task, completed=done, best=search.value(search.best), rate=rate)

            yield tell

    return shown()


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
