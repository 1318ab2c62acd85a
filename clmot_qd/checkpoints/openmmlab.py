"""QDTrack of SysCV, MMTracking and mmdet, and mmdet's detectors -> ``QuasiDenseMOT`` (detectors: ``CLMOT`` as well).

Generations of QDTrack's keys (all carry the same tensors)::

                            detector                              embedding head
    SysCV, until 2021       backbone.* neck.* rpn_head.*          roi_head.track_head.*
                            roi_head.bbox_head.*
    SysCV, 2022             detector.*                            track_head.track_head.*
    MMTracking 1.x, mmdet   detector.*                            track_head.embed_head.*   (ours)

A detector trained by itself has the first column of the first row, with ``bbox_head.*`` instead of the last two where
it has one stage.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    StateDict = dict[str, Tensor]

SYSCV_EMBED_HEADS = ("roi_head.track_head.", "track_head.track_head.")
# FCOS of early 2020, which mmdet itself renames in a detector that stands at the top of a model, but not below one.
EARLY_FCOS = re.compile(r"bbox_head\.fcos_(cls|reg|centerness)\.")


def strip_wrapping(keys: Iterable[str]) -> dict[str, str]:
    """Key in the file -> key in the model that was saved, without what training has put around it.

    ``module.`` is the prefix of parallel training. MMCV 1.x kept a second set of weights as buffers ``ema_*`` beside
    the averaged ones, which are the model's proper keys in a saved file; they are left out.
    """
    names = {key: key.removeprefix("module.") for key in keys}
    return {key: name for key, name in names.items() if not name.startswith("ema_")}


def is_flat(names: Iterable[str]) -> bool:
    """Whether the parts of the detector stand at the top, as in a detector's own checkpoint."""
    return any(name.startswith("backbone.") for name in names)


def convert_openmmlab(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Rename the tensors of any generation above; what is ours already keeps its name."""
    names = strip_wrapping(state_dict)
    flat = is_flat(names.values())
    return {_rename(name, flat): state_dict[key] for key, name in names.items()}


def _rename(name: str, flat: bool) -> str:
    """One key, without wrapping -> ours."""
    for prefix in SYSCV_EMBED_HEADS:
        if name.startswith(prefix):
            return "track_head.embed_head." + name.removeprefix(prefix)
    return EARLY_FCOS.sub(r"bbox_head.conv_\1.", f"detector.{name}" if flat else name)
