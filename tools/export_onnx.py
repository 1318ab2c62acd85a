"""Write a trained tracker as one ONNX file, which OnnxTrackingInferencer runs without torch.

python tools/export_onnx.py CONFIG CHECKPOINT --out FILE.onnx
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="path, or name of a packaged configuration")
    parser.add_argument("checkpoint", nargs="?", help="trained weights; left out: random weights, to try things")
    parser.add_argument("--out", required=True, metavar="FILE.onnx", help="the file to write")
    parser.add_argument(
        "--size", nargs=2, type=int, metavar=("W", "H"), help="scale of the test pipeline (default: the config's)"
    )
    parser.add_argument("--opset", type=int, default=19, help="19 (default) or 20")
    parser.add_argument("--picture", help="a picture on which torch and ONNX Runtime must agree (default: noise)")
    parser.add_argument("--no-verify", action="store_true", help="do not compare torch and ONNX Runtime")
    parser.add_argument("--compare-speed", type=int, metavar="ROUNDS", help="time both on the CPU, in turns")
    parser.add_argument("--threads", type=int, default=1, help="of both runtimes in --compare-speed (default: 1)")
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
    args = parse_args(argv)
    import torch

    from clmot_qd.apis.running import parse_options
    from clmot_qd.checkpoints import trust_checkpoints
    from clmot_qd.export.exporting import export_onnx, load_tracking, sample_frame
    from clmot_qd.export.runtime import OnnxDetector
    from clmot_qd.export.speed import compare_speed

    trust_checkpoints(args.trust_checkpoint)
    tracking = load_tracking(args.config, args.checkpoint, parse_options(args.cfg_options), args.size)
    frame = sample_frame(args.picture)
    parity = export_onnx(tracking, args.out, args.opset, [] if args.no_verify else [frame])
    print(f"wrote {args.out}")
    if parity is not None:
        print(f"torch and ONNX Runtime{'' if parity.close else ', a little apart'}: {parity}")
        if not parity.detections:
            print("nothing was found in it, so boxes were not compared: give --picture with objects")
    if args.compare_speed:
        torch.set_num_threads(args.threads)
        detector = OnnxDetector(args.out, ["CPUExecutionProvider"], args.threads)
        print(f"{frame.shape[1]}x{frame.shape[0]} frames, {args.threads} threads, {args.compare_speed} rounds")
        for timing in compare_speed(tracking, detector, frame, args.compare_speed):
            print(timing)
    return 0


if __name__ == "__main__":
    parse_args()  # --help and mistyped options are answered before the package, and with it mmdet, is loaded
    from clmot_qd.errors import run_command

    run_command(main)
