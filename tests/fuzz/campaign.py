"""Thousands of damaged files for every reader: ``python tests/fuzz/campaign.py --cases 2000 --seed 7 [--reader NAME]``.

Each reader has a process of its own, so that one that crashes or is killed costs one case; it goes on with the next.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from guarded import SECONDS, Reader, Sample, run_case  # noqa: E402 (found by the line above)


def all_readers() -> dict[str, Reader]:
    """Name -> reader."""
    import checkpoint_samples
    import coco_samples
    import source_samples
    import text_samples

    modules = (text_samples, coco_samples, source_samples, checkpoint_samples)
    return {reader.name: reader for module in modules for reader in module.READERS}


def run_reader(reader: Reader, seed: int, numbers: range, log: Path) -> None:
    """Run some cases; each begins and ends with a line in ``log``."""
    with tempfile.TemporaryDirectory() as folder, open(log, "a", encoding="utf-8", buffering=1) as lines:
        sample = Sample.build(reader, Path(folder) / "sample")
        reader.read(sample.folder)  # what is not damaged can be read
        for number in numbers:
            lines.write(json.dumps([number]) + "\n")
            lines.write(json.dumps([number, *run_case(sample, seed, number)]) + "\n")


def supervise(reader: Reader, seed: int, cases: int, log: Path) -> dict[int, tuple[str, str]]:
    """Run all cases of a reader in child processes; a case in which a process ends is a fault."""
    outcomes: dict[int, tuple[str, str]] = {}
    first = 0
    while first < cases:
        child = multiprocessing.get_context("fork").Process(
            target=run_reader, args=(reader, seed, range(first, cases), log)
        )
        child.start()
        _wait(child, log)
        begun = -1
        for number, *outcome in map(json.loads, log.read_text(encoding="utf-8").splitlines() if log.exists() else []):
            begun = max(begun, number)
            if outcome:
                outcomes[number] = (outcome[0], outcome[1])
        if begun < first:  # the sample itself cannot be read
            return {-1: ("fault", f"does not start: {child.exitcode}")}
        if begun not in outcomes:
            outcomes[begun] = ("fault", f"process ended with {child.exitcode}")
        first = begun + 1
    return outcomes


def _wait(child: BaseProcess, log: Path) -> None:
    """Wait for a process; one that hangs in C, where no signal reaches it, is killed."""
    size, still = -1, 0
    while child.is_alive():
        child.join(5)
        now = log.stat().st_size if log.exists() else 0
        still = still + 5 if now == size else 0
        size = now
        if still > 2 * SECONDS:
            child.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="of each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", nargs="+", help="names; default: all")
    parser.add_argument("--show", type=int, default=4, help="how many faults of each reader are shown")
    arguments = parser.parse_args()
    readers = all_readers()
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.reader or readers:
            outcomes = supervise(readers[name], arguments.seed, arguments.cases, Path(folder) / f"{name}.jsonl")
            counts = Counter(kind for kind, _ in outcomes.values())
            total += counts
            figures = " ".join(f"{counts[kind]:6} {kind}" for kind in ("read", "refused"))
            print(f"{name:26} {len(outcomes):6} {figures} {counts['fault']:5} FAULTS", flush=True)
            kinds: dict[str, list[int]] = {}
            for number, (kind, text) in sorted(outcomes.items()):
                if kind == "fault":
                    kinds.setdefault(text, []).append(number)
            for text, numbers in sorted(kinds.items(), key=lambda item: -len(item[1]))[: arguments.show]:
                print(f"    {len(numbers)} x (first: case {numbers[0]}) {text}", flush=True)
    print(f"seed {arguments.seed}: {sum(total.values())} cases, {dict(total)}")
    return 1 if total["fault"] else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
