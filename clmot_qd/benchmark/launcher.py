"""Run a command and write down its wall time and peak memory: ``python -I -S launcher.py FILE COMMAND ...``.

A new process counts the memory of the one that started it until its own program is loaded, and the benchmark itself is
large. This program stands between the two because it is small; it is a file that is run, and imports nothing of ours.
"""

import json
import os
import subprocess
import sys
import time


def main() -> int:
    """Run the command; the exit code is the command's."""
    target, *command = sys.argv[1:]
    started = time.perf_counter()
    with subprocess.Popen(command) as process:
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    with open(target, "w", encoding="utf-8") as file:
        json.dump({"seconds": seconds, "peak_mb": peak / 2**20}, file)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    sys.exit(main())
