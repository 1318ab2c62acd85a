"""Runs tools/app.py and notes every address outside of this computer that is asked for, and every file written.

python watched_app.py NOTES TOOL ARGUMENTS...

While there is a file NOTES.hold no video gets beyond its fourth frame, so that a test can look at one in the middle.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from typing import Any

NOTES, TOOL = sys.argv[1:3]
LOCAL = ("127.0.0.1", "::1", "localhost", "")


def note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] not in LOCAL:
        write(f"connect {arguments[1]}")
    elif event == "socket.getaddrinfo" and arguments[0] not in (*LOCAL, b"127.0.0.1", b"localhost", None):
        write(f"resolve {arguments[0]!r}")
    elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        path, _, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and os.fsdecode(path) not in (NOTES, os.devnull):
            write(f"write {os.path.abspath(os.fsdecode(path))}")
    elif event in ("os.mkdir", "os.rename", "os.link", "os.symlink"):
        write(f"write {os.path.abspath(os.fsdecode(arguments[0 if event == 'os.mkdir' else 1]))}")


def write(line: str) -> None:
    with open(NOTES, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def hold_videos() -> None:
    from clmot_qd.apis.tracking_session import TrackingSession

    step = TrackingSession._step

    def held_step(self: TrackingSession, detections: Any) -> Any:
        while self._frame_id == 4 and os.path.exists(f"{NOTES}.hold"):
            time.sleep(0.02)
        return step(self, detections)

    TrackingSession._step = held_step  # type: ignore[method-assign]


if __name__ == "__main__":
    hold_videos()
    sys.addaudithook(note)
    sys.argv = sys.argv[2:]
    runpy.run_path(TOOL, run_name="__main__")
