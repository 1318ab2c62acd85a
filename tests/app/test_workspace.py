"""The folder that everything is written to."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from clmot_qd.app.workspace import PREFIX, Workspace


def test_it_is_private_and_gone_at_the_end_even_after_an_error() -> None:
    workspace = Workspace()
    assert workspace.root.name.startswith(PREFIX)
    assert stat.S_IMODE(workspace.root.stat().st_mode) == 0o700
    (workspace.begin_job() / "a.txt").write_text("x")
    with pytest.raises(KeyboardInterrupt), workspace:
        raise KeyboardInterrupt
    assert not workspace.root.exists()


def test_a_failed_job_leaves_nothing_and_a_good_one_stays_for_a_while() -> None:
    with Workspace(keep_seconds=100) as workspace:
        failed, good = workspace.begin_job(), workspace.begin_job()
        (good / "tracks.txt").write_text("x")
        workspace.end_job(failed, keep=False)
        workspace.end_job(good, keep=True)
        workspace.sweep(now=time.time() + 99)
        assert not failed.exists()
        assert (good / "tracks.txt").exists()
        workspace.sweep(now=time.time() + 101)
        assert not good.exists()


def test_a_running_job_is_not_swept_and_its_age_counts_from_its_end() -> None:
    with Workspace(keep_seconds=100) as workspace:
        folder = workspace.begin_job()
        (folder / "clip.mp4").write_text("x")
        for path in (folder / "clip.mp4", folder):
            os.utime(path, (1, 1))
        workspace.sweep()
        assert (folder / "clip.mp4").exists()
        workspace.end_job(folder, keep=True)
        workspace.sweep()
        assert (folder / "clip.mp4").exists()


def test_old_uploads_are_swept_with_their_folders_and_new_ones_stay() -> None:
    with Workspace(keep_seconds=100) as workspace:
        old, new = workspace.files / "aa" / "old.mp4", workspace.files / "bb" / "new.mp4"
        for path in (old, new):
            path.parent.mkdir()
            path.write_text("x")
        for path in (old, old.parent):
            os.utime(path, (1, 1))
        workspace.sweep()
        workspace.sweep(now=time.time() + 50)
        assert not old.exists()
        assert new.exists()
        workspace.sweep(now=time.time() + 101)
        workspace.sweep(now=time.time() + 300)
        assert [path.name for path in workspace.files.iterdir()] == ["jobs"]
        assert workspace.begin_job().is_dir()


def test_it_holds_its_files_and_no_others(tmp_path: Path) -> None:
    outside = tmp_path / "secret.txt"
    outside.write_text("x")
    with Workspace() as workspace:
        inside = workspace.files / "a.mp4"
        inside.write_text("x")
        (workspace.files / "link.mp4").symlink_to(outside)
        assert workspace.holds(inside)
        beside = Path(f"{workspace.root}-beside")  # begins with the same letters
        beside.write_text("x")
        for path in (
            outside,
            workspace.files,
            workspace.files / "link.mp4",
            workspace.files / "missing.mp4",
            workspace.files / ".." / ".." / ".." / "etc" / "passwd",
            beside,
            Path("https://example.org/a.mp4"),
            Path("a\0b"),
            Path("/" + 5000 * "x"),
        ):
            assert not workspace.holds(path), path
        beside.unlink()


def test_used_bytes_count_a_file_with_two_names_once() -> None:
    with Workspace() as workspace:
        before = workspace.used_bytes()
        (workspace.files / "a").write_bytes(bytes(1000))
        os.link(workspace.files / "a", workspace.begin_job() / "b")
        assert 1000 <= workspace.used_bytes() - before < 10_000
        again = workspace.used_bytes()
        os.link(workspace.files / "a", workspace.files / "c")
        assert workspace.used_bytes() == again
