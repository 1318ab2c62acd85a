r"""Convert MOT15, MOT16, MOT17, MOT20 or DanceTrack sequences into one CocoVID annotation file.

The same as tools/convert_dataset.py mot15 (mot16 ...), which compares with the published counts as well.

    python tools/mot2cocovid.py --root data/MOT17/train --out data/MOT17/annotations/half-train.json \
        --detector SDP --split first-half
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder of the sequence folders, e.g. MOT17/train")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--sequences", nargs="+", metavar="NAME", help="convert only these")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="keep only these classes (default: all of MOT's)")
    parser.add_argument("--detector", help="keep one of MOT17's three copies: DPM, FRCNN or SDP")
    parser.add_argument("--split", default="all", choices=("all", "first-half", "second-half"), help="frames to take")
    parser.add_argument("--no-identities", action="store_true", help="write no instance_id")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Convert and print what was converted."""
    args = parse_args(argv)
    from clmot_qd.datasets.converters import format_conversion
    from clmot_qd.datasets.converters.progress import progress_bar
    from clmot_qd.datasets.mot_to_cocovid import convert_mot

    result = convert_mot(
        args.root,
        args.out,
        sequences=args.sequences,
        classes=args.classes,
        detector=args.detector,
        split=args.split,
        identities=not args.no_identities,
        progress=progress_bar,
    )
    print(format_conversion(result))
    print(f"written to {args.out}")
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package is loaded
    sys.modules.setdefault("mmdet", None)  # type: ignore[arg-type]  # files need no network: saves seconds of imports
    from clmot_qd.errors import run_command

    run_command(main)
