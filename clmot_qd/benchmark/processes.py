"""Running a case in a process of its own: time, peak memory, and what it says itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from clmot_qd.benchmark.cases import Options, ProcessCase

_LAUNCHER = Path(__file__).with_name("launcher.py")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ProcessFailed(RuntimeError):
    """A case's process ended with an error: the exit code and its last words."""


def run_process(case: ProcessCase, options: Options) -> tuple[float, float]:
    """Run a case once.

    Returns:
        Seconds of one unit, and the highest memory in MiB.

    Raises:
        ProcessFailed: The process ended with an error.
    """
    with tempfile.TemporaryDirectory(prefix="clmot_qd-") as folder:
        figures = Path(folder, "figures.json")
        command = [sys.executable, "-I", "-S", str(_LAUNCHER), str(figures), *case.argv]
        printed = _printed(command, thread_variables(options.threads), Path(folder))
        outside = json.loads(figures.read_text(encoding="utf-8"))
    own = _own_figures(printed)
    seconds = own["seconds"] if "seconds" in own else outside["seconds"] / case.units
    return seconds, own.get("peak_mb", outside["peak_mb"])


def thread_variables(threads: int | None) -> dict[str, str]:
    """Environment variables that set the threads of numerical libraries, read when these are loaded."""
    return {} if threads is None else dict.fromkeys(_THREADS, str(threads))


def _printed(command: Sequence[str], variables: Mapping[str, str], folder: Path) -> str:
    """Standard output of a command; files, not pipes, so that nobody has to read along."""
    out, err = folder / "out", folder / "err"
    with out.open("w") as out_file, err.open("w") as err_file:
        process = subprocess.Popen(
            command, env={**os.environ, **variables}, stdout=out_file, stderr=err_file, start_new_session=True
        )
        try:
            code = process.wait()
        finally:  # Ctrl-C: end the command with the launcher; nothing is left of them otherwise
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        words = err.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ProcessFailed(f"exit code {code}: {words[-1] if words else 'no message'}")
    return out.read_text(encoding="utf-8", errors="replace")


def _own_figures(printed: str) -> dict[str, float]:
    """The last line that :func:`~clmot_qd.benchmark.cases.report_figures` wrote; empty if there is none."""
    for line in reversed(printed.splitlines()):
        with suppress(json.JSONDecodeError):
            figures = json.loads(line)
            if isinstance(figures, dict) and "seconds" in figures:
                return figures
    return {}
