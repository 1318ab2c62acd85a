"""Full disks, removed folders, killed runs, Ctrl-C: one line, and nothing lost that was finished."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from stub_session import SquareSession, scene

from clmot_qd.apis.ending_thread import EndingThread
from clmot_qd.apis.write_behind import WriteBehind
from clmot_qd.datasets.mot_text import read_tracks
from clmot_qd.errors import InputError
from clmot_qd.files import atomic_path, remove_leftovers, write_text

ALL = ("mot", "cocovid", "video", "frames", "sheet")
FRAMES = [scene(number) for number in range(30)]


def silent(done: int, total: int | None) -> None:
    pass


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------------------------------------------------- full disks
FULL = """
import resource, signal, sys
from test_faults import ALL, FRAMES, SquareSession, silent
from clmot_qd.errors import InputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for case in sys.argv[2:]:
    output, limit = case.split("-")
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    try:
        SquareSession().track(FRAMES, f"{sys.argv[1]}/{case}", outputs=[output], progress=silent)
    except InputError as error:
        text = str(error)
        assert "File too large" in text and "make room" in text and len(text.splitlines()) == 1, text
"""


def test_no_torn_file_stands_under_its_name(tmp_path: Path) -> None:
    """Files may have so many bytes and no more: the last few are missing, or half of them."""
    cases = []
    for output, whole in zip(ALL, SquareSession().track(FRAMES, tmp_path / "whole", outputs=ALL, progress=silent)):
        size = max(path.stat().st_size for path in (whole.iterdir() if whole.is_dir() else [whole]))
        cases += [f"{output}-{limit}" for limit in (size - 1, size - 8, size - 500, size // 2, 1)]
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1] / "apis")])
    command = [sys.executable, "-c", FULL, str(tmp_path), *cases]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=True, timeout=200)
    for case in cases:
        left = names_in(tmp_path / case)
        assert left in ([], ["tracks.partial.txt"]), case
        if left:
            frames = read_tracks(tmp_path / case / left[0]).frames
            assert np.bincount(frames)[1:].min() == 2, "whole frames"


def test_a_full_disk_under_any_file_is_one_line(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_path(tmp_path / "a.json") as path:
            path.write_text("{")
            raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"a\.json: cannot be written \(No space left on device\); make room"):
        write()
    assert names_in(tmp_path) == []


def test_nobody_asks_for_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking sets it: of threads that write at once, some left it at 0, and files that anybody may change."""
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", lambda mask: pytest.fail("sets it for all threads"))
            write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    write_text(tmp_path / ("n" * 251 + ".txt"), "x")
    assert len(names_in(tmp_path)) == 1


# ----------------------------------------------------------------------------------------------- removed while it runs
@pytest.mark.parametrize("outputs", [["mot"], list(ALL)])
def test_a_folder_that_is_removed_gets_its_finished_part_back(tmp_path: Path, outputs: list[str]) -> None:
    out = tmp_path / "deep" / "out"

    def remove(done: int, total: int | None) -> None:
        if done == 9:
            shutil.rmtree(out.parent)

    with pytest.raises(InputError) as caught:
        SquareSession().track(FRAMES, out, outputs=outputs, progress=remove)
    frames = set(read_tracks(out / "tracks.partial.txt").frames.tolist())
    assert frames >= set(range(1, 10)), "what was tracked when the folder went"
    assert len(frames) < len(FRAMES), "the rest was not waited for"
    assert f"the {len(frames)} frames tracked so far are in {out}/tracks.partial.txt" in str(caught.value)
    assert names_in(out) == ["tracks.partial.txt"]


@pytest.mark.parametrize("moment", [9, len(FRAMES)])
def test_the_file_of_a_run_that_began_in_the_removed_folder_is_its_own(tmp_path: Path, moment: int) -> None:
    """It was given the first run's final name, and the first run's tracks were gone."""
    out, other = tmp_path / "out", "1,7,1.00000,2.00000,3.00000,4.00000,0.900000,1,-1,-1\n"

    def replace(done: int, total: int | None) -> None:
        if done == moment:
            shutil.rmtree(out)
            out.mkdir()
            (out / "tracks.partial.txt").write_text(other)

    with pytest.raises(InputError) as caught:
        SquareSession().track(FRAMES, out, outputs=["mot"], progress=replace)
    assert (out / "tracks.partial.txt").read_text() == other
    (own,) = (name for name in names_in(out) if name != "tracks.partial.txt")
    count = min(moment + 1, len(FRAMES))
    assert set(read_tracks(out / own).frames.tolist()) == set(range(1, count + 1))
    told = f"{out}: was removed, or emptied, while results were written to it; the {count} frames tracked so far are in"
    assert str(caught.value) == f"{told} {out / own}"


# ------------------------------------------------------------------------------------------------------- killed, Ctrl-C
KILLED = """
import os, signal, sys
from test_faults import ALL, FRAMES, SquareSession
def kill(done, total):
    if done == 20:
        os.kill(os.getpid(), signal.SIGKILL)
SquareSession().track(FRAMES, sys.argv[1], outputs=ALL, progress=kill)
"""


def test_a_killed_run_leaves_whole_frames_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1] / "apis")])
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == -signal.SIGKILL
    finished = {"tracks.txt", "tracks.json", "tracks.mp4", "frames", "contact_sheet.png"}
    assert not finished & set(names_in(tmp_path))
    assert read_tracks(tmp_path / "tracks.partial.txt").frames.tolist() == np.repeat(np.arange(1, 21), 2).tolist()
    (tmp_path / ".tracks.mine.json").write_text("a user's own")
    assert len([name for name in names_in(tmp_path) if name.startswith(".")]) == 3
    SquareSession().track(FRAMES, tmp_path, outputs=ALL, progress=silent)
    assert set(names_in(tmp_path)) == finished | {".tracks.mine.json"}


@pytest.mark.parametrize("locks", [True, False])
def test_what_was_left_of_other_outputs_goes_where_no_other_run_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    if not locks:
        monkeypatch.setitem(sys.modules, "fcntl", None)
    left = {f".{name}" for name in ("tracks.01234567.mp4", "tracks.01234567.json", "contact_sheet.01234567.png")}
    for name in left | {"tracks.partial.txt"}:
        (tmp_path / name).touch()
    (tmp_path / "frames.partial").mkdir()
    (tmp_path / "frames.partial" / "000001.jpg").touch()
    SquareSession().track(FRAMES[:3], tmp_path, outputs=["cocovid"], progress=silent)
    kept = set() if locks else left | {"frames.partial"}
    assert set(names_in(tmp_path)) == {"tracks.json", "tracks.partial.txt"} | kept


def test_only_what_was_left_of_this_file_is_removed(tmp_path: Path) -> None:
    for name in (".a.01234567.txt", ".a.0123456z.txt", ".a.01234567.json", ".ab.01234567.txt", "a.txt"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path / "a.txt")
    assert names_in(tmp_path) == [".a.01234567.json", ".a.0123456z.txt", ".ab.01234567.txt", "a.txt"]


def test_frames_appear_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moved one by one, they would be a part of a video to whoever looks meanwhile, or after a kill."""
    monkeypatch.setattr(os, "replace", lambda *paths: pytest.fail(f"moved by itself: {paths}"))
    for _ in range(2):
        SquareSession().track(FRAMES[:3], tmp_path, outputs=["frames"], progress=silent)
        assert names_in(tmp_path / "frames") == ["000001.jpg", "000002.jpg", "000003.jpg"]


def test_ctrl_c_waits_for_the_call_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in ``Thread.join`` has a living thread called dead: its file was closed under it, and the program died."""
    waited, noticed, waited_again, finished = (threading.Event() for _ in range(4))
    original = EndingThread.has_ended

    def noting(thread: EndingThread, seconds: float | None = 0.0) -> bool:
        if seconds != 0.0:
            (waited_again if waited.is_set() else waited).set()
        return original(thread, seconds)

    def interrupt(number: int, frame: FrameType | None) -> None:
        noticed.set()
        raise KeyboardInterrupt

    def work() -> None:
        assert waited.wait(60)
        while not noticed.is_set():  # a signal that comes just before the main thread goes to sleep does not wake it
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            noticed.wait(1)
        if waited_again.wait(60):
            finished.set()

    monkeypatch.setattr(EndingThread, "has_ended", noting)
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), WriteBehind(work, depth=1) as behind:
            behind.put()
    finally:
        signal.signal(signal.SIGINT, before)
    assert finished.is_set()


def test_the_third_ctrl_c_gives_a_call_up_that_never_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    never, waits = threading.Event(), []

    def interrupted(thread: EndingThread, seconds: float | None = 0.0) -> bool:
        if seconds == 0.0 or len(waits) == 9:
            return len(waits) == 9
        waits.append(seconds)
        raise KeyboardInterrupt

    monkeypatch.setattr(EndingThread, "has_ended", interrupted)
    with pytest.raises(KeyboardInterrupt), WriteBehind(never.wait, depth=2) as behind:
        behind.put()
    never.set()
    assert len(waits) == 3
    assert caplog.text.count("waiting for the file that is being written; Ctrl-C once more gives it up") == 1
