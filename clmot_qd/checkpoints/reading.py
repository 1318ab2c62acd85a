"""Reading checkpoint files without running their code."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

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

    content = _load(os.fspath(path))
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    tensors = {k: v for k, v in state.items() if torch.is_tensor(v)} if isinstance(state, dict) else {}
    if not tensors:
        raise InputError(f"{path}: holds no tensors; is it a checkpoint?")
    return Checkpoint(tensors, _class_names(content), "message_hub" in content)


def _load(path: str) -> Any:
    """Unpickle a file, safely."""
    import torch

    allow_log_history()
    file = _download(path) if "://" in path else path
    if not os.path.isfile(file):
        raise InputError(f"{path}: no such checkpoint file")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: not a checkpoint of plain tensors ({_reason(error)}); loading it could run code, so it is refused"
        ) from None
    except Exception as error:  # a file of anything makes the unpickler fail in any way
        raise InputError(f"{path}: cannot be read as a checkpoint ({_reason(error)})") from None


def _download(address: str) -> str:
    """The local copy of the file at ``address``, where mmengine's loader looks for it too."""
    import torch

    folder = os.path.join(torch.hub.get_dir(), "checkpoints")
    file = os.path.join(folder, os.path.basename(urlparse(address).path))
    if not os.path.isfile(file):
        try:
            os.makedirs(folder, exist_ok=True)
            torch.hub.download_url_to_file(address, file, progress=False)
        except OSError as error:  # of the network or of the disk
            raise InputError(f"{address}: cannot be downloaded ({_reason(error)})") from None
    return file


def _class_names(content: dict[str, Any]) -> tuple[str, ...]:
    """Class names in ``meta``: of mmengine under ``dataset_meta.classes``, of MMCV 1.x under ``CLASSES``."""
    meta = content.get("meta")
    for place in (meta.get("dataset_meta"), meta) if isinstance(meta, dict) else ():
        named = {str(k).lower(): v for k, v in place.items()}.get("classes") if isinstance(place, dict) else None
        if isinstance(named, (list, tuple)) and all(isinstance(name, str) for name in named):
            return tuple(named)
    return ()


def _reason(error: Exception) -> str:
    """The telling sentence of torch's message, which may be many lines of advice, or the kind of error."""
    text = str(error)
    told = text.rpartition("WeightsUnpickler error:")[2] or text
    return (told.strip().splitlines() or [type(error).__name__])[0].split(" was not an allowed")[0]


def allow_log_history() -> None:
    """Let torch's safe loader read the training log in an mmengine checkpoint, all of which is harmless.

    mmengine stores its log curves (``HistoryBuffer``, numpy arrays) beside the weights, and their statistics by
    ``getattr(HistoryBuffer, name)``. A general ``getattr`` could reach code, so a stand-in takes its place. Since torch
    2.6 loads safely by default, mmengine 0.10 cannot read its own checkpoints without this: ``--resume`` fails.
    """
    import numpy as np
    import torch
    from mmengine.logging.history_buffer import HistoryBuffer

    def statistic(owner: object, name: str) -> object:
        if owner is not HistoryBuffer or name.startswith("_"):
            raise pickle.UnpicklingError(f"attribute '{name}' of {owner!r} is asked for")
        return getattr(owner, name)

    rebuild: dict[str, Any] = {"_reconstruct": np.empty(0).__reduce__()[0], "scalar": np.float64(0).__reduce__()[0]}
    modules = ("numpy._core.multiarray", "numpy.core.multiarray")  # of numpy 2 and 1: a file may come from either
    aliases = [(function, f"{module}.{name}") for module in modules for name, function in rebuild.items()]
    dtypes = [type(np.dtype(name)) for name in ("float32", "float64", "int32", "int64", "bool")]
    torch.serialization.add_safe_globals(
        [HistoryBuffer, np.ndarray, np.dtype, *dtypes, *aliases, (statistic, "builtins.getattr")]
    )
