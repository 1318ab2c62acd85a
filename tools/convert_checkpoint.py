"""Convert a public checkpoint to this package's key names, and report what of it fits a model.

Training (load_from) and testing (--checkpoint) recognise the same files without this step.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", help="the public file, e.g. ctdet_coco_dla_2x.pth")
    parser.add_argument("out", help="the file to write")
    parser.add_argument(
        "--source", help="clmot, fairmot, centernet, qdtrack, mmtrack or mmdet; by default recognised by the keys"
    )
    parser.add_argument("--config", help="report what fits this configuration's model and drop what has another shape")
    parser.add_argument(
        "--trust-checkpoint",
        action="append",
        default=[],
        metavar="FILE",
        help="load this checkpoint even if it runs code: only from somebody you trust; repeatable",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    from clmot_qd.apis.conversion import convert_file
    from clmot_qd.checkpoints import trust_checkpoints

    trust_checkpoints(args.trust_checkpoint)
    print(convert_file(args.checkpoint, args.out, args.source, args.config))
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
