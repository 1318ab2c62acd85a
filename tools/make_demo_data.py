"""Draw the demo data set: people who come in look-alike pairs, on streets filmed at a low frame rate.

python tools/make_demo_data.py --out demo_out/data
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; settings that are not given keep the defaults of DemoSettings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="demo_out/data", metavar="FOLDER", help="output folder (default: %(default)s)")
    integers = {
        "seed": "equal seeds give equal data (default: 0)",
        "train-sequences": "number of training sequences (default: 12)",
        "train-frames": "frames in each of them (default: 30)",
        "test-sequences": "number of test sequences, with figures never seen in training (default: 4)",
        "test-frames": "frames in each of them (default: 60)",
        "figures": "people in each sequence, two by two alike (default: 12)",
        "cars": "cars in each sequence, a second class, two by two alike (default: 0)",
        "width": "picture width in pixels (default: 320)",
        "height": "picture height in pixels (default: 192)",
    }
    for name, text in integers.items():
        parser.add_argument(f"--{name}", type=int, default=argparse.SUPPRESS, metavar="N", help=text)
    speed_help = "multiplies the jumps between frames; 0.3 is easy to track by motion (default: 1)"
    parser.add_argument("--speed", type=float, default=argparse.SUPPRESS, metavar="X", help=speed_help)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Make the data set; returns the exit code."""
    settings = vars(parse_args(argv))
    folder = settings.pop("out")
    from clmot_qd.datasets.demo_scenes import DemoSettings, make_demo_data

    make_demo_data(folder, DemoSettings(**settings))
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
