"""Tracking into files: what is left after an error, Ctrl-C and a full disk."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from stub_session import SquareSession, scene

from clmot_qd.apis import track_outputs
from clmot_qd.apis.track_outputs import OUTPUTS
from clmot_qd.datasets.mot_text import read_tracks
from clmot_qd.errors import InputError

ALL = ("mot", "cocovid", "video", "frames", "sheet")
FRAMES = [scene(number) for number in range(14)]


def silent(done: int, total: int | None) -> None:
    pass


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------------------------- what is left when it goes wrong
def frames_then(error: BaseException, count: int = 4) -> Iterator[np.ndarray]:
    yield from FRAMES[:count]
    raise error


@pytest.mark.parametrize("size", [1, 3])
def test_what_was_tracked_before_an_error_can_be_read(tmp_path: Path, size: int) -> None:
    clip = tmp_path / "clip"
    clip.mkdir()
    for number, frame in enumerate(FRAMES[:4]):
        cv2.imwrite(str(clip / f"{number}.png"), frame)
    (clip / "4.png").write_bytes(b"broken")
    out = tmp_path / "out"
    with pytest.raises(InputError) as caught:
        SquareSession(batch_size=size).track(clip, out, outputs=ALL, progress=silent)
    assert "\n" not in str(caught.value)
    assert f"{clip}/4.png: cannot be read" in str(caught.value)
    assert f"the 4 frames tracked so far are in {out}/tracks.partial.txt" in str(caught.value)
    assert names_in(out) == ["tracks.partial.txt"]
    assert set(read_tracks(out / "tracks.partial.txt").frames.tolist()) == {1, 2, 3, 4}


def test_an_error_in_the_first_frame_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"frame 0: needs \(H, W, 3\) uint8, got \(4, 4\) uint8"):
        SquareSession().track(iter([np.zeros((4, 4), np.uint8)]), tmp_path, outputs=ALL, progress=silent)
    assert names_in(tmp_path) == []


def test_an_older_result_survives_an_error(tmp_path: Path) -> None:
    written = SquareSession().track(FRAMES[:2], tmp_path, outputs=ALL, progress=silent)
    before = [path.read_bytes() for path in written if path.is_file()]
    with pytest.raises(ZeroDivisionError):
        SquareSession().track(frames_then(ZeroDivisionError()), tmp_path, outputs=ALL, progress=silent)
    assert [path.read_bytes() for path in written if path.is_file()] == before
    assert len(names_in(tmp_path / "frames")) == 2


def test_ctrl_c_on_a_file_keeps_what_was_tracked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(KeyboardInterrupt):
        SquareSession().track(frames_then(KeyboardInterrupt()), tmp_path, outputs=ALL, progress=silent)
    assert names_in(tmp_path) == ["tracks.partial.txt"]
    assert f"stopped; the 4 frames tracked so far are in {tmp_path}/tracks.partial.txt" in caplog.text


def test_the_partial_file_is_up_to_date_after_every_frame(tmp_path: Path) -> None:
    seen = []

    def look(done: int, total: int | None) -> None:
        seen.append(int(read_tracks(tmp_path / "tracks.partial.txt").frames.max()))
        assert not (tmp_path / "tracks.txt").exists()

    SquareSession().track(FRAMES[:4], tmp_path, outputs=["mot"], progress=look)
    assert seen == [1, 2, 3, 4]


class FullDisk:
    """A file on a disk with room for so many more bytes."""

    def __init__(self, handle: Any, room: int) -> None:
        self.handle, self.room = handle, room

    def write(self, data: Any) -> int:
        data = bytes(data)[: self.room]
        if not data:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(data)
        return self.handle.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handle, name)


def test_a_disk_that_fills_up_leaves_whole_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def enter(self: Any) -> Any:
        self._handle = FullDisk(self.partial.open("wb", buffering=0), room=250)
        return self

    monkeypatch.setattr(track_outputs.MotText, "__enter__", enter)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\); make room.*tracks\.partial"):
        SquareSession().track(FRAMES, tmp_path, outputs=["mot", "video"], progress=silent)
    assert names_in(tmp_path) == ["tracks.partial.txt"]
    table = read_tracks(tmp_path / "tracks.partial.txt")
    assert table.frames.tolist() == [1, 1, 2, 2], "250 bytes hold two frames and a part of the third"


@pytest.mark.parametrize("broken", ["video", "frames", "cocovid", "sheet"])
@pytest.mark.parametrize("moment", ["add", "__exit__"])
def test_a_full_disk_under_any_output_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, moment: str
) -> None:
    def full(self: Any, *args: Any) -> None:
        if moment == "add" and args[0] < 3:
            return
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(OUTPUTS[broken], moment, full)
    with pytest.raises(InputError) as caught:
        SquareSession().track(FRAMES[:5], tmp_path, outputs=["mot", broken], progress=silent)
    assert "No space left on device" in str(caught.value)
    assert "\n" not in str(caught.value)
    if moment == "add":
        assert read_tracks(tmp_path / "tracks.partial.txt").frames.max() >= 2
        assert names_in(tmp_path) == ["tracks.partial.txt"]
    else:
        assert f"all frames tracked so far are in {tmp_path}/tracks.txt" in str(caught.value)
        assert read_tracks(tmp_path / "tracks.txt").frames.max() == 5


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/out: cannot be used as a folder"):
        SquareSession().track(FRAMES, tmp_path / "file" / "out", progress=silent)


def test_a_source_without_frames_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no frame"):
        SquareSession().track([], tmp_path, progress=silent)
    assert names_in(tmp_path) == []


def test_an_error_of_the_source_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the source cannot be read any more \(broken pipe\); the 4 frames"):
        SquareSession().track(frames_then(OSError("broken pipe")), tmp_path, outputs=["mot"], progress=silent)


# ------------------------------------------------------------------------------------------------ live sources, memory
class Endless:
    """A camera that never stops by itself."""

    name, fps, size, is_live = "camera 7", 10.0, (96, 64), True

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def __len__(self) -> int:
        raise TypeError("not known")

    def stop(self) -> None:
        self.stopped.set()

    def __iter__(self) -> Iterator[np.ndarray]:
        number = 0
        while not self.stopped.wait(0.01):
            yield scene(number)
            number += 1


def press(number: int, source: Endless) -> None:
    """Send a signal to this process and wait until it was noticed, which may be in another thread first."""
    os.kill(os.getpid(), number)
    while not source.stopped.is_set():
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_camera_with_complete_files(tmp_path: Path, number: int) -> None:
    source = Endless()

    def interrupt(done: int, total: int | None) -> None:
        assert total is None
        if done == 6:
            press(number, source)

    before = [signal.getsignal(entry) for entry in (signal.SIGINT, signal.SIGTERM)]
    written = SquareSession().track(source, tmp_path, outputs=ALL, progress=interrupt)
    assert names_in(tmp_path) == sorted(path.name for path in written)
    assert read_tracks(written[0]).frames.max() == 6
    with av.open(str(written[2])) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6
    assert [signal.getsignal(entry) for entry in (signal.SIGINT, signal.SIGTERM)] == before


TERMINATED = """
import os, signal, sys
from pathlib import Path
from stub_session import SquareSession, scene
from test_track_files_failures import ALL, Endless

def end(done, total):
    if done == 4:
        os.kill(os.getpid(), signal.SIGTERM)

class Deaf(Endless):
    def stop(self):
        os.kill(os.getpid(), signal.SIGTERM)  # the second one comes at once

source = Deaf() if sys.argv[2] == "live" else [scene(number) for number in range(3000)]
SquareSession().track(source, sys.argv[1], outputs=ALL, progress=end)
"""


@pytest.mark.parametrize("kind", ["file", "live"])
def test_sigterm_from_python_leaves_no_temporary_files(tmp_path: Path, kind: str) -> None:
    """Nobody handles the signal there; of a camera, the second one is what an end at once means."""
    command = [sys.executable, "-c", TERMINATED, str(tmp_path / "out"), kind]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)}, capture_output=True)
    assert done.returncode == 143, done.stderr.decode()[-2000:]
    assert names_in(tmp_path / "out") == ["tracks.partial.txt"]


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    source = Endless()

    def interrupt(done: int, total: int | None) -> None:
        if done == 3:
            press(signal.SIGINT, source)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        SquareSession().track(source, tmp_path, outputs=["mot", "video"], progress=interrupt)
    assert names_in(tmp_path) == ["tracks.partial.txt"]


def test_a_camera_can_be_tracked_beside_the_main_thread(tmp_path: Path) -> None:
    written: list[Path] = []
    session = SquareSession()
    job = threading.Thread(
        target=lambda: written.extend(
            session.track(Endless(), tmp_path, outputs=["mot"], max_frames=5, progress=silent)
        )
    )
    job.start()
    job.join(90)
    assert not job.is_alive()
    assert read_tracks(written[0]).frames.max() == 5
