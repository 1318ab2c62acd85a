"""Whose checkpoint is it, by its keys, and its conversion to our keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from clmot_qd.checkpoints.dla34 import convert_dla34
from clmot_qd.checkpoints.openmmlab import SYSCV_EMBED_HEADS, convert_openmmlab, is_flat, strip_wrapping
from clmot_qd.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    StateDict = dict[str, Tensor]

OURS = "clmot_qd"
DLA34_SOURCES = ("clmot", "fairmot", "centernet")
SOURCES = (*DLA34_SOURCES, "qdtrack", "mmtrack", "mmdet")


def convert_state_dict(state_dict: Mapping[str, Tensor], source: str) -> StateDict:
    """Rename the tensors of a public checkpoint to the names of our models.

    Args:
        state_dict: The tensors by their public names; a leading ``module.`` is understood.
        source: For ``CLMOT``: ``'clmot'``, ``'fairmot'`` or ``'centernet'`` (also its ImageNet DLA-34 file). For
            ``QuasiDenseMOT``: ``'qdtrack'`` (SysCV, both generations), ``'mmtrack'`` or ``'mmdet'``. The last is also
            for a plain detector of mmdet, which becomes ``detector.*``.

    Returns:
        The tensors by our names. Those that the public network never uses are left out.

    Raises:
        InputError: Unknown source, or the tensors are not those of that source.
    """
    if source not in SOURCES:
        raise InputError(f"source '{source}' is not known: choose one of {', '.join(SOURCES)}")
    if source in DLA34_SOURCES:
        return convert_dla34(state_dict, source)
    found = recognise_source(state_dict)
    if found not in (("qdtrack",) if source == "qdtrack" else ("mmdet", OURS)):
        example = next(iter(state_dict), "no tensor at all")
        whose = {None: "no project known here", OURS: "mmdet, which are ours"}.get(found, found)
        raise InputError(
            f"this is not a {source} checkpoint: its keys, such as '{example}', are those of {whose}; "
            "name the right --source"
        )
    return convert_openmmlab(state_dict)


def recognise_source(keys: Iterable[str]) -> str | None:
    """Whose checkpoint has these keys.

    Returns:
        A source of :func:`convert_state_dict`; :data:`OURS` where the names are ours already, which holds for QDTrack
        of mmdet and MMTracking too; None where they are of nobody known. FairMOT and CL-MOT cannot be told apart, and
        need not be: ``'fairmot'``.
    """
    given = list(keys)
    names = list(strip_wrapping(given).values())
    if _any_starts(names, *SYSCV_EMBED_HEADS):
        return "qdtrack"
    if _any_starts(names, "detector."):
        return OURS if names == given else "mmdet"
    if is_flat(names):
        return "mmdet"
    if _any_starts(names, "base.base_layer.", "base_layer."):
        return "fairmot" if _any_starts(names, "id.") else "centernet"
    return None


def is_detector_alone(keys: Iterable[str]) -> bool:
    """Whether these are the keys of another project's detector, which was trained by itself and on its own classes."""
    return recognise_source(strip_wrapping(keys).values()) in ("centernet", "mmdet")


def _any_starts(names: Iterable[str], *prefixes: str) -> bool:
    return any(name.startswith(prefixes) for name in names)
