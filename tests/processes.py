"""Several processes of one program, joined by torch.distributed's gloo backend."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

# A process that ends while gloo's threads still run is aborted now and then ("terminate called without an active
# exception"), so everybody waits for everybody and takes the group down first.
RANK = """
import sys
import torch.distributed
from clmot_qd.apis.running import end_process_group
sys.path[:0] = sys.argv.pop(1).split(";")
meeting = sys.argv.pop(1)
if {count} > 1:
    torch.distributed.init_process_group("gloo", init_method="file://" + meeting, rank={rank}, world_size={count})
{code}
end_process_group()
"""


def run_ranks(code: str, arguments: list[str], count: int, folders: list[Path]) -> list[str]:
    """What each of `count` processes printed; ``sys.argv[1:]`` is `arguments`, `folders` are searched for modules.

    With more than one the process group is ready when `code` starts. A process that fails fails the test with what
    it printed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(count)}
    with contextlib.ExitStack() as kept:  # files, not pipes: a full pipe would stop a process that others wait for
        # They meet at a file: a port could be taken by somebody else before they come.
        meeting = f"{kept.enter_context(tempfile.TemporaryDirectory())}/meeting"
        files = [kept.enter_context(tempfile.TemporaryFile("w+")) for _ in range(count)]
        running = []
        for rank, file in enumerate(files):
            environment = {**os.environ, **address, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
            program = RANK.format(code=textwrap.dedent(code), count=count, rank=rank)
            command = [sys.executable, "-c", program, ";".join(map(str, folders)), meeting, *arguments]
            running.append(subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT))
        try:
            codes = [process.wait(timeout=240) for process in running]
        finally:
            for process in running:
                process.kill()  # does nothing to one that has ended
        for file in files:
            file.seek(0)
        printed = [file.read() for file in files]
    assert codes == [0] * count, "\n".join(printed)
    return printed
