"""Convert result files from one format into another: MOT and MOTS text, BDD100K JSON and bitmasks, TAO JSON, CocoVID.

python tools/export_tracks.py --gt annotations/box_track_20_val.json --pred results/ --to bdd100k --out bdd100k.json
python tools/export_tracks.py --gt annotations/tao_val.json --pred tao.json --to mot --out results/
python tools/export_tracks.py --gt annotations/seg_track_20_val.json --pred rle.json --to bdd100k-bitmasks --out masks/
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gt", required=True, help="CocoVID annotation file that lists the images; boxes are not read")
    parser.add_argument("--pred", required=True, help="the result file or folder to convert")
    parser.add_argument("--from", dest="source", metavar="NAME", help="its format (default: look at the file)")
    parser.add_argument(
        "--to", required=True, metavar="NAME", help="mot, bdd100k, tao or cocovid; of masks: mots, bdd100k-bitmasks"
    )
    parser.add_argument(
        "--out", required=True, help="file to write; for mot, mots and bdd100k-bitmasks a folder; for bdd100k either"
    )
    parser.add_argument("--sequences", nargs="+", metavar="NAME", help="convert only these")
    parser.add_argument("--class", dest="only_class", metavar="NAME", help="class of predictions that name none")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Read, write, say what was written."""
    args = parse_args(argv)
    from clmot_qd.evaluation.formats.registry import FORMATS, read_predictions, require_formats, with_class
    from clmot_qd.evaluation.result_files import read_truth

    (target,) = require_formats(args.to, "--to")
    truth = read_truth(args.gt, args.sequences)
    masks = {"masks": FORMATS[target].keeps_masks, "need_masks": FORMATS[target].of_masks}
    tracks = read_predictions(args.pred, truth, args.source, **masks)
    if args.only_class is not None:
        tracks = with_class(tracks, truth.class_numbers([args.only_class])[0])
    FORMATS[target].write(args.out, truth, tracks)
    boxes, identities = sum(map(len, tracks.values())), sum(len(set(table.ids.tolist())) for table in tracks.values())
    print(f"{len(tracks)} sequences, {identities} tracks, {boxes} boxes written to {args.out}")
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package is loaded
    sys.modules.setdefault("mmdet", None)  # type: ignore[arg-type]  # files need no network: saves seconds of imports
    from clmot_qd.errors import run_command

    run_command(main)
