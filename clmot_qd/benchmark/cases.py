"""What a section of the benchmark is made of.

A section is a module of this package with ``groups(options) -> Iterator[Group]``, listed in
:mod:`clmot_qd.benchmark.sections`. It builds its groups one by one, so that the memory of one is free before the next.
What stands in one group does the same work on the same input, and takes turns: a b c a b c ...
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_MIB = 2**20


@dataclass(frozen=True)
class Case:
    """Something timed in this process.

    Attributes:
        name: Unique in its group.
        run: The timed call; what it returns is dropped. Its first call is not counted.
        peer: Somebody else's software; ours is compared with each of them.
        units: Frames, iterations ... of one call; the table shows the time of one.
        before: Called before every run, untimed: reset a tracker, make inputs that a run uses up.
        memory: Tells how much memory it holds, MiB; called once, after all turns.
    """

    name: str
    run: Callable[[], object]
    peer: bool = False
    units: int = 1
    before: Callable[[], object] | None = None
    memory: Callable[[], float] | None = None


@dataclass(frozen=True)
class ProcessCase:
    """Something that runs in a process of its own, whose peak memory is measured beside the time.

    The time is the whole process's and the memory its resident set at the highest, children that it waited for
    included. A process that starts up or warms up first prints its own figures with :func:`report_figures`.

    Attributes:
        name: Unique in its group.
        argv: The command; ``sys.executable`` first for Python.
        peer: Somebody else's software.
        units: Frames, iterations ... of one run; the table shows the time of one.
    """

    name: str
    argv: Sequence[str]
    peer: bool = False
    units: int = 1


@dataclass(frozen=True)
class Missing:
    """Something that cannot run here; the table says why instead of figures.

    Attributes:
        name: Unique in its group.
        reason: What to do about it, as "pip install clmot_qd[benchmark]".
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Group:
    """Cases that take turns; a table of its own.

    Attributes:
        section: Name of the section's module.
        title: The setting they share, as "100 objects".
        unit: What the times are for one of: "frame", "iteration", "start".
        cases: In the order of the table.
        rounds: Turns at most, where a turn is long and one is as good as several; None: as the options say.
        grows: The cases are one thing at growing sizes, not rivals: the table compares each with the first.
    """

    section: str
    title: str
    unit: str
    cases: Sequence[Case | ProcessCase | Missing]
    rounds: int | None = None
    grows: bool = False


@dataclass(frozen=True)
class Options:
    """How the user wants it measured.

    Attributes:
        device: "cpu" or "cuda".
        rounds: Turns of each group; None: as many as fit in a few seconds, at least three.
        quick: Small inputs and few turns, to see that everything runs.
        threads: Of torch and the numerical libraries; None: their own choice.
    """

    device: str = "cpu"
    rounds: int | None = None
    quick: bool = False
    threads: int | None = None


def report_figures(seconds: float, peak_mb: float | None = None) -> None:
    """Print what a process measured itself, for the :class:`ProcessCase` that started it.

    Args:
        seconds: Of one unit.
        peak_mb: Highest memory, MiB; None: the operating system's figure for the process counts.
    """
    print(json.dumps({"seconds": seconds} | ({} if peak_mb is None else {"peak_mb": peak_mb})), flush=True)


def peak_memory() -> float:
    """Highest resident memory of this process so far, MiB."""
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest * (1 if sys.platform == "darwin" else 1024) / _MIB
