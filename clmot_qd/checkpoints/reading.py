"""Reading checkpoint files without running their code."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clmot_qd.apis.addresses import public_name
from clmot_qd.checkpoints.unpickling import load_file
from clmot_qd.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    StateDict = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds, as far as this package reads it.

    Attributes:
        state_dict: The tensors of the model.
        classes: Names of the classes it was trained on; empty where the file does not say.
        resumable: Whether mmengine can go on training from it.
    """

    state_dict: StateDict
    classes: tuple[str, ...] = ()
    resumable: bool = False


def read_state_dict(path: str | os.PathLike[str]) -> StateDict:
    """The tensors of a checkpoint, see :func:`read_checkpoint`."""
    return read_checkpoint(path).state_dict


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint: a bare state dict, or one under the key ``state_dict``.

    Only tensors and plain containers are unpickled (``weights_only``), so a file from elsewhere cannot run code.

    Args:
        path: A file, or an address (``https://``), which is downloaded once, to torch's folder of checkpoints.

    Raises:
        InputError: The file is missing, unreadable, needs code to load, or holds no tensors.
    """
    import torch

    content = load_file(path)
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    tensors = {k: v for k, v in state.items() if torch.is_tensor(v)} if isinstance(state, dict) else {}
    if not tensors:
        raise InputError(f"{public_name(str(path))}: holds no tensors; is it a checkpoint?")
    return Checkpoint(tensors, _class_names(content), "message_hub" in content)


def _class_names(content: dict[str, Any]) -> tuple[str, ...]:
    """Class names in ``meta``: of mmengine under ``dataset_meta.classes``, of MMCV 1.x under ``CLASSES``."""
    meta = content.get("meta")
    for place in (meta.get("dataset_meta"), meta) if isinstance(meta, dict) else ():
        named = {str(k).lower(): v for k, v in place.items()}.get("classes") if isinstance(place, dict) else None
        if isinstance(named, (list, tuple)) and all(isinstance(name, str) for name in named):
            return tuple(named)
    return ()
