"""Several processes of one command, started by torchrun, srun or mpirun, with and without GPUs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from logging import WARNING
from typing import TYPE_CHECKING, Any

from clmot_qd.apis.running import end_process_group
from clmot_qd.errors import InputError
from clmot_qd.evaluation.gathering import LONGEST_WAIT, longest_wait

if TYPE_CHECKING:
    from mmengine.config import Config

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")

# What each launcher calls the number of a process, how many there are, and its number on its machine.
_NAMES = dict(
    pytorch=("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    slurm=("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    mpi=("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
)
_STARTED_BY = dict(pytorch="torchrun", slurm="srun", mpi="mpirun of Open MPI")
_LATE = re.compile(r"(Timed out|timeout) (waiting|after) \d+ ?ms")
_LOST = re.compile(r"Connection (closed|reset) by peer|Broken pipe|remote process exited|Socket closed|got 0 bytes")


@contextmanager
def joined_processes(launcher: str, config: Config | None = None, timeout: float | None = None) -> Iterator[None]:
    """Take part in a process group for as long as the block lasts; with the launcher ``'none'`` nothing happens.

    Left well, every process waits for every other one. Left by an exception it ends at once, and the others as soon as
    they next wait for it.

    Args:
        launcher: Of :data:`LAUNCHERS`.
        config: Of a run; mmengine starts the group on GPUs and wraps the model. Without a GPU, where mmengine would ask
            CUDA for one, the group is started here, and the configuration prepared for it, in place. None starts a
            group that carries no tensors of GPUs.
        timeout: How many seconds a process waits for the others; None takes ``env_cfg.dist_cfg.timeout`` of the
            configuration, without one :data:`~clmot_qd.evaluation.gathering.LONGEST_WAIT`. On GPUs, whose processes go
            in step, without one NCCL's own.

    Raises:
        InputError: Not started by this launcher; the others cannot be met; another process has ended, or is waited for
            longer than ``timeout``; something in the configuration needs GPUs.
    """
    if launcher == "none":
        yield
        return
    _read_place(launcher)
    if config is not None:
        _prepare(config)
        timeout = config.env_cfg.dist_cfg.get("timeout", timeout)
    wait = LONGEST_WAIT if timeout is None else timedelta(seconds=timeout)
    if config is None or not _on_gpus():
        _start_gloo(launcher, wait)
    try:
        with longest_wait(wait):
            yield
            end_process_group()
    except RuntimeError as error:
        _leave()
        if _LATE.search(str(error)):
            raise InputError(
                f"another process did not come within {wait}; env_cfg.dist_cfg.timeout sets how many seconds to wait"
            ) from error
        if _LOST.search(str(error)):
            raise InputError("another process has ended before its work was done; its own message says why") from error
        raise
    except BaseException:
        _leave()
        raise


def local_device(device: str) -> str:
    """The device of one of several processes: of ``'auto'`` and ``'cuda'`` the next GPU of its machine in turn."""
    import torch

    if device not in ("auto", "cuda") or not torch.cuda.is_available() or "LOCAL_RANK" not in os.environ:
        return device
    return f"cuda:{int(os.environ['LOCAL_RANK']) % torch.cuda.device_count()}"


def _read_place(launcher: str) -> None:
    """Put the process's place where torch and mmengine look for it; mmengine leaves ``LOCAL_RANK`` out with MPI."""
    for ours, theirs in zip(_NAMES["pytorch"], _NAMES[launcher]):
        if theirs not in os.environ:
            raise InputError(
                f"--launcher {launcher}: {theirs} is not set; start the command by {_STARTED_BY[launcher]}, or leave "
                "--launcher out"
            )
        os.environ[ours] = os.environ[theirs]
    if launcher == "mpi" and "MASTER_ADDR" not in os.environ:
        raise InputError("--launcher mpi: set MASTER_ADDR to the machine of the first process")


def _on_gpus() -> bool:
    from mmengine.device import get_device

    return get_device() != "cpu"


def _prepare(config: Config) -> None:
    """Give the configuration a backend and, without a GPU, a model and a wrapper that ask for none."""
    from mmengine.logging import print_log

    environment = config.get("env_cfg", {})
    group = {"backend": "nccl", **environment.get("dist_cfg", {})}
    config.env_cfg = {**environment, "dist_cfg": group}
    if _on_gpus():
        return
    if config.get("sync_bn"):
        raise InputError("sync_bn: torch joins BatchNorm on GPUs only; set sync_bn=None here")
    if _without_sync_bn(config.get("model")):
        print_log("SyncBN of the model: BatchNorm of each process, since torch joins it on GPUs only", level=WARNING)
    if not config.get("model_wrapper_cfg"):
        config.model_wrapper_cfg = dict(
            type="MMDistributedDataParallel",
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=config.get("find_unused_parameters", False),
        )


def _without_sync_bn(node: Any) -> bool:
    """Make every SyncBN of a configuration BatchNorm, in place, as mmengine does with one process. -> whether any."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    found = [_without_sync_bn(child) for child in children]
    if isinstance(node, dict) and node.get("type") == "SyncBN":
        node["type"] = "BN"
        return True
    return any(found)


def _start_gloo(launcher: str, wait: timedelta) -> None:
    from torch import distributed

    os.environ.setdefault("MASTER_PORT", "29500")
    if launcher == "slurm" and "MASTER_ADDR" not in os.environ:
        os.environ["MASTER_ADDR"] = _first_slurm_host()
    try:
        distributed.init_process_group("gloo", timeout=wait)
    except (RuntimeError, ValueError) as error:
        place = f"{os.environ.get('MASTER_ADDR')}:{os.environ['MASTER_PORT']}"
        said = str(error).strip().splitlines()[0]
        raise InputError(f"--launcher {launcher}: the other processes cannot be met at {place} ({said})") from error


def _first_slurm_host() -> str:
    """Name of the first machine of a SLURM job."""
    command = ["scontrol", "show", "hostnames", os.environ.get("SLURM_JOB_NODELIST", "")]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise InputError(
            f"--launcher slurm: scontrol does not tell the machines of this job ({error}); set MASTER_ADDR"
        ) from error


def _leave() -> None:
    """Close gloo's connections, so that the others notice, and its threads, which would abort the process."""
    from torch import distributed

    if distributed.is_initialized() and distributed.get_backend() == "gloo":
        distributed.destroy_process_group()
