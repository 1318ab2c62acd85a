"""Measuring a group: its cases take turns, so that whatever else the machine does falls on all of them alike."""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from clmot_qd.benchmark.cases import Case, Group, Missing, Options, ProcessCase
from clmot_qd.benchmark.processes import ProcessFailed, run_process
from clmot_qd.errors import InputError, one_line

# Turns: at least, at most, and seconds after which the least is enough.
_TURNS = (3, 30, 20.0)
_QUICK_TURNS = (1, 3, 5.0)


@dataclass
class Measurement:
    """The figures of a case.

    Attributes:
        name: Of the case.
        peer: Whether it is somebody else's software.
        seconds: (turns,) of one unit.
        peak_mb: (turns,) highest memory in MiB; empty where it is not measured (several cases share this process).
        problem: Why there are no figures; None if there are.
    """

    name: str
    peer: bool = False
    seconds: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    problem: str | None = None

    @property
    def median(self) -> float:
        """Seconds of one unit."""
        return float(np.median(self.seconds))

    @property
    def quartiles(self) -> tuple[float, float]:
        """Seconds of one unit, between which half of the turns lie."""
        low, high = np.percentile(self.seconds, [25, 75])
        return float(low), float(high)

    @property
    def memory(self) -> float | None:
        """Highest memory in MiB, median over the turns; None where it is not measured."""
        return float(np.median(self.peak_mb)) if self.peak_mb else None


@dataclass
class GroupResult:
    """A group's figures; see :class:`~clmot_qd.benchmark.cases.Group`."""

    section: str
    title: str
    unit: str
    measurements: list[Measurement]
    grows: bool = False


def times_faster(ours: Measurement, peer: Measurement) -> float:
    """How many times the peer's time is ours: the median over turns of the ratio within a turn."""
    return float(np.median([theirs / own for own, theirs in zip(ours.seconds, peer.seconds)]))


def measure_group(group: Group, options: Options, tell: Callable[[str, int], None] | None = None) -> GroupResult:
    """Measure a group.

    A case that fails is left out from then on, with its error in the result; in a process of ours, the traceback is
    printed on standard error as well.

    Args:
        group: Its first turn is not counted, except for processes, which start anew each time.
        options: Rounds and device.
        tell: Called with a case's name and the number of its turn (0: not counted) before every run.
    """
    measured = [(case, Measurement(case.name, getattr(case, "peer", False))) for case in group.cases]
    for case, measurement in measured:
        if isinstance(case, Missing):
            measurement.problem = case.reason
    say = tell or (lambda name, turn: None)
    with _settled_memory():
        for case, measurement in measured:
            if isinstance(case, Case):
                say(case.name, 0)
                _attempt(case, Measurement(case.name), measurement, options)
        for turn in _turns(group, options):
            for case, measurement in measured:
                if not measurement.problem:
                    say(case.name, turn)
                    _attempt(case, measurement, measurement, options)
        for case, measurement in measured:
            if isinstance(case, Case) and case.memory is not None and measurement.seconds:
                measurement.peak_mb = [case.memory()]
    return GroupResult(group.section, group.title, group.unit, [entry for _, entry in measured], group.grows)


def _turns(group: Group, options: Options) -> Iterator[int]:
    """Numbers of the turns from 1, until there are enough."""
    least, most, seconds = _QUICK_TURNS if options.quick else _TURNS
    if options.rounds is not None:
        least = most = options.rounds
    if group.rounds is not None:
        least, most = min(least, group.rounds), min(most, group.rounds)
    started = time.perf_counter()
    for turn in range(1, most + 1):
        if turn > least and time.perf_counter() - started > seconds:
            return
        yield turn


def _attempt(
    case: Case | ProcessCase | Missing, figures: Measurement, measurement: Measurement, options: Options
) -> None:
    """Run a case once and add what it took to ``figures``; an error becomes the problem of ``measurement``."""
    try:
        if isinstance(case, ProcessCase):
            seconds, peak = run_process(case, options)
            figures.seconds.append(seconds)
            figures.peak_mb.append(peak)
        elif isinstance(case, Case):
            _run_here(case, figures, options.device)
    except InputError as error:
        measurement.problem = f"failed: {one_line(error)}"
    except ProcessFailed as error:
        measurement.problem = f"failed: {error}"
    except Exception as error:  # one broken case must not cost the others' figures
        traceback.print_exc(file=sys.stderr)
        measurement.problem = f"failed: {type(error).__name__}: {error}".splitlines()[0]


def _run_here(case: Case, figures: Measurement, device: str) -> None:
    if case.before is not None:
        case.before()
    gc.collect()
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    case.run()
    if device == "cuda":
        torch.cuda.synchronize()
    figures.seconds.append((time.perf_counter() - started) / case.units)
    if device == "cuda":
        figures.peak_mb.append(torch.cuda.max_memory_allocated() / 2**20)


@contextmanager
def _settled_memory() -> Iterator[None]:
    """Keep what stands so far from the garbage collector, whose passes over it would fall on whoever is timed."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
