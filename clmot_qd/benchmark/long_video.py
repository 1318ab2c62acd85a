"""Track a long made-up video in a process of its own: ``-m clmot_qd.benchmark.long_video TRACKER FRAMES``.

Objects come and go, so that ids and memories turn over; where memory grows with time, the peak tells.
"""

from __future__ import annotations

import sys
import time
from itertools import islice

import clmot_qd.trackers
from clmot_qd.benchmark.cases import report_figures
from clmot_qd.benchmark.moving_objects import moving_objects

OBJECTS = 10
CHANNELS = 64
_LEAVE_RATE = 0.02


def main() -> None:
    """Report the seconds of one frame and the peak memory."""
    tracker = getattr(clmot_qd.trackers, sys.argv[1])()
    frames = int(sys.argv[2])
    taken = 0.0
    for frame in islice(moving_objects(OBJECTS, CHANNELS, leave_rate=_LEAVE_RATE), frames):
        started = time.perf_counter()
        tracker.update(*frame)
        taken += time.perf_counter() - started
    report_figures(taken / frames)


if __name__ == "__main__":
    main()
