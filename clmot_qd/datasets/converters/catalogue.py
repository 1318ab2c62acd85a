"""Every data set that can be converted. A new one: a module with ``DATA_SETS``, and its name here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clmot_qd.datasets.converters.source import Source

#: Modules of this package; their data sets are listed in this order.
MODULES = (
    "mot",
    "mots",
    "mot_text_folder",
    "jde_text",
    "coco",
    "crowdhuman",
    "caltech",
    "citypersons",
    "eth",
    "prw",
    "cuhk_sysu",
    "bdd100k",
    "tao",
    "lvis_merge",
    "waymo",
)


@dataclass(frozen=True)
class Option:
    """An option of one data set's command: its flag, and the arguments of ``ArgumentParser.add_argument``.

    The value reaches :attr:`DataSet.open_source` under the flag's name: ``--no-crowds`` as ``no_crowds``. With
    ``writes`` the option makes the data set write files of its own; a dry run passes None in its place.
    """

    flag: str
    arguments: dict[str, Any]
    writes: bool = False

    @property
    def name(self) -> str:
        """The keyword of ``open_source``."""
        return self.flag.lstrip("-").replace("-", "_")


@dataclass(frozen=True)
class DataSet:
    """A data set that can be converted.

    Args:
        name: Name of the subcommand.
        summary: One line.
        layout: The files that are read, below ``--root``, drawn as a listing; and what is done with oddities.
        open_source: Called with ``root`` (Path), ``report`` (Report) and the values of ``options``; gives the source.
        options: Further options of the subcommand.
    """

    name: str
    summary: str
    layout: str
    open_source: Callable[..., Source]
    options: tuple[Option, ...] = ()


def data_sets() -> dict[str, DataSet]:
    """Name -> data set, for all of :data:`MODULES`."""
    modules = [importlib.import_module(f"clmot_qd.datasets.converters.{name}") for name in MODULES]
    return {entry.name: entry for module in modules for entry in module.DATA_SETS}
