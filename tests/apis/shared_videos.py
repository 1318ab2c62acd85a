"""Squares tracked by one of several processes, for test_many_videos.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from stub_session import SquareSession

from clmot_qd.apis.many_videos import expand_sources, track_shared


def shared(rank: int, count: int, out: str) -> None:
    sources = expand_sources([f"{out}/clips"])
    good = track_shared(SquareSession, sources, f"{out}/of-{count}", outputs=["mot", "cocovid"])
    Path(f"{out}/good-{count}-{rank}").write_text(str(good))
