"""The sections of the benchmark, each a module of this package."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from clmot_qd.benchmark.cases import Group, Options
from clmot_qd.errors import InputError


@dataclass(frozen=True)
class Section:
    """A part of the benchmark.

    Attributes:
        name: Of its module.
        about: What it measures, in a few words.
        layers: The work is torch's: profiles name operators, too.
        profiled: Whether functions say where the time goes; of starting up, ``python -X importtime`` does.
    """

    name: str
    about: str
    layers: bool = False
    profiled: bool = True


SECTIONS: dict[str, Section] = {
    section.name: section
    for section in (
        Section("association", "trackers on given detections, 10 to 1000 objects"),
        Section("losses", "similarity losses, forward and backward", layers=True),
        Section("operators", "RoIAlign and deformable convolution on the CPU", layers=True),
        Section("inference", "whole frames, file to tracks", layers=True),
        Section("training", "iterations, time and peak memory", layers=True),
        Section("loading", "training samples from pictures"),
        Section("setup", "imports and start-up of the commands", profiled=False),
        Section("growth", "cost against objects, lost tracks, image size, video length"),
        Section("evaluation", "scoring result files"),
    )
}


def choose_sections(names: Sequence[str] | None) -> list[Section]:
    """The sections of these names in the order of the table, all if None.

    Raises:
        InputError: There is no such section.
    """
    unknown = [name for name in names or () if name not in SECTIONS]
    if unknown:
        raise InputError(f"--sections {unknown[0]}: no such section; there are {', '.join(SECTIONS)}")
    return [section for name, section in SECTIONS.items() if names is None or name in names]


def load_section(section: Section) -> Callable[[Options], Iterator[Group]]:
    """The function that yields the section's groups.

    Raises:
        ModuleNotFoundError: The section, or something that it cannot do without, is not installed.
    """
    groups: Callable[[Options], Iterator[Group]] = importlib.import_module(f"{__package__}.{section.name}").groups
    return groups
