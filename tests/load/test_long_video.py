"""A long video through everything that tracking writes: memory flat, nothing missing, and of use for what follows."""

from __future__ import annotations

import gc
import json
import os
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from stub_session import SquareSession, scene

from clmot_qd.apis import track_files
from clmot_qd.datasets.mot_text import read_tracks

ALL = ("mot", "cocovid", "video", "frames", "sheet")
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20 if hasattr(os, "sysconf") else 0.0


def film(path: Path, count: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scene(number, 160, 96), format="bgr24")))
        container.mux(stream.encode(None))
    return path


def resident() -> float:
    """Memory of this process, MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MIB


def assert_complete(folder: Path, count: int) -> None:
    table = read_tracks(folder / "tracks.txt")
    # A square jumps back to the top after 48 frames; its new track is shown from its second detection on.
    hidden = list(range(48, count, 48))
    expected = np.setdiff1d(np.arange(count), hidden) + 1
    np.testing.assert_array_equal(np.unique(table.frames), expected)
    assert len(table.frames) == 2 * len(expected)
    document = json.loads((folder / "tracks.json").read_text())
    assert len(document["images"]) == document["videos"][0]["length"] == count
    assert len(document["annotations"]) == len(table.frames)
    assert len(list((folder / "frames").iterdir())) == count
    with av.open(str(folder / "tracks.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == count


class AtOnce(AbstractContextManager):
    """In place of ``WriteBehind``: no frames wait, of which there are sometimes more and sometimes fewer."""

    def __init__(self, function: Callable[..., object], depth: int) -> None:
        self.put = function

    def __exit__(self, *error: Any) -> None:
        pass


def test_two_hundred_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python holds, but for the sheet's pictures; the slow test below looks at all memory of the process."""
    monkeypatch.setattr(track_files, "WriteBehind", AtOnce)
    held: dict[int, float] = {}

    def measure(done: int, total: int | None) -> None:
        if done in (100, 190):
            gc.collect()
            held[done] = tracemalloc.get_traced_memory()[0] / 2**20

    clip = film(tmp_path / "clip.mp4", 200)
    tracemalloc.start()
    SquareSession(prefetch=1).track(clip, tmp_path / "out", outputs=ALL[:-1], progress=measure)
    tracemalloc.stop()
    assert_complete(tmp_path / "out", 200)
    assert held[190] < held[100] + 1, held  # ninety frames, 0.7 MiB each when drawn


@pytest.mark.slow
def test_twenty_thousand_frames(tmp_path: Path) -> None:
    series: list[float] = []

    def measure(done: int, total: int | None) -> None:
        if done % 500 == 0:
            series.append(resident())

    clip = film(tmp_path / "clip.mp4", 20_000)
    SquareSession().track(clip, tmp_path / "out", outputs=ALL, progress=measure)
    assert_complete(tmp_path / "out", 20_000)
    assert cv2.imread(str(tmp_path / "out" / "contact_sheet.png")).shape[0] > 1000
    assert max(series[20:]) < max(series[4:20]) + 16, series
