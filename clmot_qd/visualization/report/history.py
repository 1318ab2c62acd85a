"""The curves of a training, from the lines that mmengine's LocalVisBackend writes; resumed runs are joined."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clmot_qd.errors import InputError
from clmot_qd.files import read_text

_NO_SCORES = ("data_time", "time", "step", "memory", "epoch", "iter")


@dataclass
class Curve:
    """Values over iterations."""

    steps: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def cut(self, step: float) -> None:
        """Forget everything from this iteration on."""
        keep = sum(known < step for known in self.steps)
        del self.steps[keep:], self.values[keep:]

    def add(self, step: float, value: float) -> None:
        """Append a point."""
        self.steps.append(step)
        self.values.append(value)


@dataclass(frozen=True)
class History:
    """What was logged.

    Args:
        train: Name (loss, loss_embed, lr ...) -> curve.
        scores: Name (track/HOTA ...) -> curve; the iteration is the last one that was logged before.
        starts: The first logged iteration of each log but the first: where training was resumed.
        last_epoch: The last logged epoch; None where epochs are not logged.
    """

    train: Mapping[str, Curve]
    scores: Mapping[str, Curve]
    starts: Sequence[int] = ()
    last_epoch: int | None = None

    @property
    def last_iteration(self) -> int:
        """The last logged iteration."""
        return int(max((curve.steps[-1] for curve in self.train.values() if curve.steps), default=0))

    def losses(self) -> dict[str, Curve]:
        """Return the curves of the losses, their sum first."""
        return {name: curve for name, curve in self.train.items() if "loss" in name and curve.steps}


def read_history(logs: Sequence[Path]) -> History:
    """Read the logs of a run, oldest first. A later log replaces what earlier ones say from its first iteration on.

    Raises:
        InputError: A line is no JSON object, or its ``iter`` is not finite. A last line that is cut off (training goes
            on) is left out.
    """
    train: dict[str, Curve] = {}
    scores: dict[str, Curve] = {}
    starts: list[int] = []
    epoch: int | None = None
    for log in logs:
        position: float | None = None  # the last iteration of this log
        for record in _records(log):
            step = _number(record.get("iter"))
            if step is not None and position is None:
                if train:
                    starts.append(int(step))
                for curve in (*train.values(), *scores.values()):
                    curve.cut(step)
            if step is not None:
                position, epoch = step, record.get("epoch", epoch)
                _add(train, step, record)
            else:
                _add(scores, _end(train) if position is None else position, record)
    return History(train, scores, starts, epoch)


def _add(curves: dict[str, Curve], step: float, record: Mapping[str, Any]) -> None:
    for name, entry in record.items():
        value = _number(entry)
        if value is not None and name not in _NO_SCORES:
            curves.setdefault(name, Curve()).add(step, value)


def _end(curves: Mapping[str, Curve]) -> float:
    return max((curve.steps[-1] for curve in curves.values() if curve.steps), default=0)


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf


def _records(log: Path) -> Iterator[dict[str, Any]]:
    lines = read_text(log).splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                return  # is being written
            told = getattr(error, "msg", None) or str(error)  # a number of 5000 digits, brackets 100000 deep
            raise InputError(f"{log}, line {number}: no valid JSON ({told}); remove the line") from error
        if not isinstance(record, dict):
            raise InputError(f"{log}, line {number}: a {type(record).__name__}, not an object; remove the line")
        if not math.isfinite(_number(record.get("iter")) or 0):
            raise InputError(f"{log}, line {number}: iter is not finite; remove the line")
        yield record
