"""Checkpoint files are pickles, and a pickle is a program: reading them without running it.

All ways to a checkpoint lead through :func:`load_file`: those of this package, and mmengine's (``load_from``,
``resume``, ``init_cfg`` with ``Pretrained``, addresses), whose loaders :func:`load_safely_in` replaces.
"""

from __future__ import annotations

import logging
import os
import pickle
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from clmot_qd.apis.addresses import public_name
from clmot_qd.checkpoints.downloads import fetch_checkpoint, sha256_of
from clmot_qd.errors import InputError

TRUST = "CLMOT_QD_TRUST_CHECKPOINT"
"""Environment variable with the SHA-256 of files that may run code, separated by blanks; workers inherit it."""


def trust_checkpoints(paths: Iterable[str]) -> None:
    """Let this process and its children load files although that may run any code; their content counts, no name.

    Args:
        paths: Files or addresses; those of ``--trust-checkpoint``.

    Raises:
        InputError: A file is not there.
    """
    for path in paths:
        os.environ[TRUST] = " ".join([*_trusted(), sha256_of(_local(path))])


def load_file(path: str | os.PathLike[str], map_location: Any = "cpu") -> Any:
    """Unpickle a file: tensors, plain containers and mmengine's log curves, nothing else.

    Args:
        path: A file or an address.
        map_location: As torch's.

    Raises:
        InputError: The file is missing, unreadable, or needs code to load and is not trusted.
    """
    path = os.fspath(path)
    return _load(_local(path), public_name(path), map_location)


def _load(file: str, shown: str, map_location: Any) -> Any:
    """See :func:`load_file`; ``shown`` names the file, or the address that it is the copy of, in messages."""
    import torch

    try:
        with _own_statistics():
            return torch.load(file, map_location=map_location, weights_only=True)
    except Exception as error:  # a file of anything makes the unpickler fail in any way
        if not _wants_trust(error, file):
            kept = f"; it is kept as {file}: remove it, to have it downloaded again" if "://" in shown else ""
            raise InputError(f"{shown}: {_unreadable(error, file)}{kept}") from None
        digest = sha256_of(file)
        if digest not in _trusted():
            raise InputError(
                f"{shown}: not a checkpoint of plain tensors ({_reason(error)}); loading it could run code, so it is "
                f"refused; if you trust who made it: --trust-checkpoint FILE, or {TRUST}={digest}"
            ) from None
    return _load_trusted(file, shown, map_location)


def _load_trusted(file: str, shown: str, map_location: Any) -> Any:
    import torch

    logging.getLogger(__name__).warning("%s: loaded with the code in it, since it is trusted", shown)
    try:
        return torch.load(file, map_location=map_location, weights_only=False)  # the user has asked for it
    except Exception as error:
        raise InputError(f"{shown}: cannot be read as a checkpoint ({_reason(error)})") from None


def _trusted() -> list[str]:
    return os.environ.get(TRUST, "").lower().split()


def _local(path: str) -> str:
    """The file itself; what stands at an address is downloaded."""
    file = str(fetch_checkpoint(path)) if "://" in path else os.path.expanduser(path)
    if not os.path.isfile(file):
        raise InputError(f"{path}: no such checkpoint file")
    return file


def _wants_trust(error: Exception, file: str) -> bool:
    """Whether code, which torch does not run unasked, would read the file."""
    if isinstance(error, pickle.UnpicklingError):
        return "GLOBAL " in str(error) or _is_saved_by_torch(file)
    return _LEGACY_TAR in str(error) and _begins(file, _TAR)


def _unreadable(error: Exception, file: str) -> str:
    """What to say of a file that trust would not help."""
    if "TorchScript" in str(error):
        return "a TorchScript archive, which is a program; save its state_dict() with torch.save, and give that"
    if isinstance(error, OSError) or file.endswith(".safetensors") or _is_saved_by_torch(file):
        return f"cannot be read as a checkpoint ({_reason(error)})"
    return "no checkpoint (empty? a web page? a git-lfs pointer?)"


_LEGACY_TAR = "legacy .tar"
# Beginnings of files: a zip archive, pickles of protocol 2 to 5, a tar archive, which torch wrote until 2016.
_ZIP_OR_PICKLE, _TAR = re.compile(rb"PK\x03\x04|\x80[\x02-\x05]"), re.compile(rb".{257}ustar", re.DOTALL)


def _is_saved_by_torch(file: str) -> bool:
    return _begins(file, _ZIP_OR_PICKLE)


def _begins(file: str, form: re.Pattern[bytes]) -> bool:
    with open(file, "rb") as stream:
        return form.match(stream.read(512)) is not None


def _reason(error: Exception) -> str:
    """The telling sentence of torch's message, which may be many lines of advice, or the kind of error."""
    text = str(error)
    if _LEGACY_TAR in text:
        return "a .tar file of an old torch"
    asked = re.search(r"GLOBAL (\S+)", text)
    if asked is not None:
        return f"it asks for {asked[1]}"
    told = text.rpartition("WeightsUnpickler error:")[2] or text
    return (told.strip().splitlines() or [type(error).__name__])[0]


# ---- mmengine ----------------------------------------------------------------------------------------------------


def load_safely_in(mmengine_checkpoint: ModuleType) -> None:
    """Make the loaders of ``mmengine.runner.checkpoint`` read as :func:`load_file` does.

    What is at an address, and what ``torchvision://``, ``open-mmlab://`` and ``mmcls://`` stand for, mmengine loads
    with ``torch.hub.load_state_dict_from_url``, which runs the code in it. Local files it leaves to torch's default,
    which an environment variable changes, and whose message is a page long.
    """
    allow_log_history()
    mmengine_checkpoint.load_url = _load_url  # type: ignore[attr-defined]
    mmengine_checkpoint.CheckpointLoader.register_scheme(prefixes="", loader=load_from_local, force=True)


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """mmengine's loader of local files, whose name it shows without the first two words."""
    return load_file(filename, map_location)


def _load_url(url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True) -> Any:
    return _load(str(fetch_checkpoint(url, model_dir, progress)), public_name(url), map_location)


def allow_log_history() -> None:
    """Let torch's safe loader read the training log in an mmengine checkpoint, all of which is harmless.

    mmengine stores its log curves (``HistoryBuffer``, numpy arrays) beside the weights, and their statistics by
    ``getattr(HistoryBuffer, name)``. A general ``getattr`` could reach code, so a stand-in takes its place. Since torch
    2.6 loads safely by default, mmengine 0.10 cannot read its own checkpoints without this: ``--resume`` fails.
    """
    import numpy as np
    import torch
    from mmengine.logging.history_buffer import HistoryBuffer

    rebuild: dict[str, Any] = {"_reconstruct": np.empty(0).__reduce__()[0], "scalar": np.float64(0).__reduce__()[0]}
    modules = ("numpy._core.multiarray", "numpy.core.multiarray")  # of numpy 2 and 1: a file may come from either
    aliases = [(function, f"{module}.{name}") for module in modules for name, function in rebuild.items()]
    dtypes = [type(np.dtype(name)) for name in ("float32", "float64", "int32", "int64", "bool")]
    torch.serialization.add_safe_globals(
        [HistoryBuffer, np.ndarray, np.dtype, *dtypes, *aliases, (_statistic, "builtins.getattr")]
    )


def _statistic(owner: object, name: str) -> object:
    """What stands for ``getattr`` in a file."""
    from mmengine.logging.history_buffer import HistoryBuffer

    if owner is not HistoryBuffer or not isinstance(name, str) or name.startswith("_"):
        raise pickle.UnpicklingError(f"attribute '{name}' of {owner!r} is asked for")
    return getattr(owner, name)


@contextmanager
def _own_statistics() -> Iterator[None]:
    """Keep a file from replacing the statistics of all log curves, which each one brings along in its state."""
    allow_log_history()
    from mmengine.logging.history_buffer import HistoryBuffer

    HistoryBuffer()  # the first one enters mmengine's own
    known = dict(HistoryBuffer._statistics_methods)
    try:
        yield
    finally:
        HistoryBuffer._statistics_methods.clear()
        HistoryBuffer._statistics_methods.update(known)
