"""The figures of a whole run, to and from JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from clmot_qd.benchmark.measuring import GroupResult, Measurement
from clmot_qd.errors import InputError, expecting_form
from clmot_qd.files import read_json, write_json


@dataclass
class BenchmarkResult:
    """A run of the benchmark.

    Attributes:
        machine: See :func:`clmot_qd.benchmark.machine.machine_facts`.
        groups: In the order in which they were measured.
        profiles: Hottest places, as lines of text, by section, group and case; empty without ``--profile``.
    """

    machine: dict[str, Any]
    groups: list[GroupResult] = field(default_factory=list)
    profiles: dict[str, list[str]] = field(default_factory=dict)

    def find(self, section: str, title: str, name: str) -> Measurement | None:
        """A case's figures; None if it was not measured."""
        for group in self.groups:
            if (group.section, group.title) == (section, title):
                found = [entry for entry in group.measurements if entry.name == name and entry.seconds]
                return found[0] if found else None
        return None

    @property
    def problems(self) -> list[str]:
        """A line per case that failed; what is merely not installed is none."""
        return [
            f"{group.section}, {group.title}, {entry.name}: {entry.problem}"
            for group in self.groups
            for entry in group.measurements
            if entry.problem and entry.problem.startswith("failed")
        ]


def write_result(path: str | os.PathLike[str], result: BenchmarkResult) -> None:
    """Write a run as JSON, all or nothing."""
    write_json(path, asdict(result))


def read_result(path: str | os.PathLike[str]) -> BenchmarkResult:
    """Read what :func:`write_result` wrote.

    Raises:
        InputError: The file is missing or not of this kind.
    """
    read = read_json(path, "give the benchmark.json of an earlier run", "Run the benchmark again")
    with expecting_form(lambda: f"{path}, as the benchmark.json of an earlier run"):
        groups = [GroupResult(**{**group, "measurements": _measurements(group)}) for group in read["groups"]]
        return BenchmarkResult(dict(read["machine"]), groups, dict(read.get("profiles", {})))


def _measurements(group: dict[str, Any]) -> list[Measurement]:
    return [Measurement(**entry) for entry in group["measurements"]]


def differences(before: BenchmarkResult, after: BenchmarkResult, keys: Iterable[str]) -> list[str]:
    """Machine facts in which two runs differ, as "threads: 1, now 2"."""
    return [
        f"{key}: {before.machine.get(key)}, now {after.machine.get(key)}"
        for key in keys
        if before.machine.get(key) != after.machine.get(key)
    ]


def check_distinct(groups: Iterable[GroupResult]) -> None:
    """Check that no two cases share their place in the result, where ``--before`` would mix them up.

    Raises:
        InputError: Two do.
    """
    places: set[tuple[str, str, str]] = set()
    for group in groups:
        for entry in group.measurements:
            place = (group.section, group.title, entry.name)
            if place in places:
                raise InputError(f"{', '.join(place)}: measured twice; give the cases different names")
            places.add(place)
