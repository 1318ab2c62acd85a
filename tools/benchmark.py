"""Measure this package beside others on the same inputs, in turns: median, spread, how many times faster.

python tools/benchmark.py                                   everything; an hour or two on two cores
python tools/benchmark.py --sections association losses     parts of it
python tools/benchmark.py --quick                           everything, small
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

# The names of clmot_qd.benchmark.sections; --help loads no package.
SECTIONS = (
    "association",
    "losses",
    "operators",
    "inference",
    "training",
    "loading",
    "setup",
    "growth",
    "evaluation",
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sections", nargs="+", choices=SECTIONS, metavar="NAME", help=f"of {', '.join(SECTIONS)} (default: all)"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
    parser.add_argument("--threads", type=_positive, metavar="N", help="of torch and numpy (default: their own choice)")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="turns of every case (default: by time, 3 to 30)")
    parser.add_argument("--quick", action="store_true", help="small inputs and few turns, to see that all of it runs")
    parser.add_argument(
        "--out",
        default="runs/benchmark",
        metavar="DIR",
        help="folder of benchmark.json and benchmark.md (default: %(default)s)",
    )
    parser.add_argument("--before", metavar="FILE", help="benchmark.json of an earlier run, to show before and after")
    parser.add_argument("--profile", action="store_true", help="name the hottest places of our cases, too")
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: give 1 or more")
    return number


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # torch's profiler tells of every start, read when torch is loaded
    from clmot_qd.benchmark.processes import thread_variables

    os.environ.update(thread_variables(args.threads))  # before numpy and torch are loaded, which read them

    from clmot_qd.benchmark.cases import Options
    from clmot_qd.benchmark.run import run_benchmark
    from clmot_qd.benchmark.sections import choose_sections

    options = Options(args.device, args.rounds, args.quick, args.threads)
    result = run_benchmark(choose_sections(args.sections), options, args.out, args.before, args.profile)
    print(f"wrote {os.path.join(args.out, 'benchmark.json')}")
    print(f"wrote {os.path.join(args.out, 'benchmark.md')}")
    for problem in result.problems:
        print(problem, file=sys.stderr)
    return 1 if result.problems else 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before anything is loaded
    from clmot_qd.errors import run_command

    run_command(main)
