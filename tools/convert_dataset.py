r"""Convert the annotations of a data set into one CocoVID file, which all data sets and metrics here read.

    python tools/convert_dataset.py mot17 --root data/MOT17/train --out data/MOT17/annotations/train.json
    python tools/convert_dataset.py crowdhuman --root data/crowdhuman --split train --dry-run

A subcommand's --help shows the files it expects: python tools/convert_dataset.py mot17 --help, or
mim run clmot_qd convert_dataset mot17 -- --help. --dry-run counts and checks without writing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    from clmot_qd.datasets.converters import data_sets

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="name", required=True, metavar="DATA_SET")
    for entry in data_sets().values():
        command = commands.add_parser(
            entry.name,
            help=entry.summary,
            description=f"{entry.summary}\n\n{entry.layout}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_common(command)
        for option in entry.options:
            command.add_argument(option.flag, **option.arguments)
    args = parser.parse_args(argv)
    if args.out is None and not args.dry_run:
        parser.error("--out FILE is needed, or --dry-run")
    return args


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--root", required=True, type=Path, help="folder of the data set")
    command.add_argument("--out", help="JSON file to write")
    command.add_argument("--dry-run", action="store_true", help="count and check, write nothing")
    command.add_argument("--strict", action="store_true", help="refuse what would be left out and counted")
    command.add_argument("--classes", nargs="+", metavar="NAME", help="take only these classes (default: all)")
    command.add_argument("--no-identities", action="store_true", help="write no instance_id")
    command.add_argument(
        "--images",
        default="check",
        choices=("check", "skip-bad", "trust"),
        help="check: every picture must be there and of its recorded size; skip-bad: leave out and count those that "
        "are not; trust: do not look at pictures (default: %(default)s)",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Convert and print what was converted."""
    args = parse_args(argv)
    from clmot_qd.datasets.converters import Report, convert, data_sets, format_conversion
    from clmot_qd.datasets.converters.progress import progress_bar
    from clmot_qd.errors import expecting_form

    entry = data_sets()[args.name]
    options = {
        option.name: None if args.dry_run and option.writes else getattr(args, option.name) for option in entry.options
    }
    with expecting_form(lambda: f"{entry.name} in {args.root}"):
        source = entry.open_source(root=args.root, report=Report(args.strict), **options)
    result = convert(
        source,
        None if args.dry_run else args.out,
        classes=args.classes,
        identities=not args.no_identities,
        images=args.images,
        progress=progress_bar,
    )
    print(format_conversion(result))
    if source.images is not None:
        print(f"\nfile names are relative to {source.images}: the data_prefix of a configuration")
    print("nothing written (--dry-run)" if args.dry_run else f"written to {args.out}")
    return 0


if __name__ == "__main__":
    sys.modules.setdefault("mmdet", None)  # type: ignore[arg-type]  # files need no network: saves seconds of imports
    from clmot_qd.errors import run_command

    run_command(main)
