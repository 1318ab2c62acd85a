"""Groups of processes that join by gloo, forked from one that has imported the packages: importing costs seconds each.

A fresh interpreter does the forking, since a test process has threads.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FORKING = """
import importlib, os, socket, sys, tempfile
sys.path[:0] = {folders!r}
import clmot_qd.registration, mmdet.models
import torch
import torch.multiprocessing as multiprocessing
module = importlib.import_module({module!r})

def rank(number, function, count, port, meeting):
    torch.set_num_threads(1)
    place = dict(RANK=number, LOCAL_RANK=number, WORLD_SIZE=count, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    os.environ.update({{key: str(value) for key, value in place.items()}})
    join = {join} and count > 1
    if join:
        # At a file: a port could be taken by somebody else meanwhile.
        torch.distributed.init_process_group("gloo", init_method=f"file://{{meeting}}", rank=number, world_size=count)
    getattr(module, function)(number, count, {out!r})
    if join:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()

with tempfile.TemporaryDirectory() as meetings:
    for call, (function, count) in enumerate({calls!r}):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        given = (function, count, port, os.path.join(meetings, str(call)))
        multiprocessing.start_processes(rank, given, nprocs=count, start_method="fork")
"""


def run_forked(module: str, calls: list[tuple[str, int]], out: Path, join: bool = True) -> None:
    """For each (function, count) call ``function(rank, count, out)`` of a test module in ``count`` processes.

    Unless it is to ``join`` by itself, the function finds a process group. The environment is torchrun's. A process
    that fails fails the test with what it printed.
    """
    here = Path(__file__).resolve().parent
    folders = [str(here), str(here.parent)]
    program = FORKING.format(folders=folders, module=module, calls=calls, out=str(out), join=join)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=300, cwd=out
    )
    assert done.returncode == 0, done.stdout + done.stderr
