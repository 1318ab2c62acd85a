"""Checkpoint files: whole whenever the process ends, and the right one found among broken ones."""

from __future__ import annotations

import builtins
import io
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_training import checkpoints, state, toy_config, train

from clmot_qd.engine.latest_checkpoint import Latest, is_whole, latest_checkpoint
from clmot_qd.errors import InputError

KILLED = 137
BEST = {
    "default_hooks.checkpoint": dict(type="WholeCheckpointHook", interval=1, max_keep_ckpts=1, save_best="mean"),
    "train_cfg.val_interval": 1,
    "train_cfg.max_epochs": 3,
    "default_hooks.checkpoint.rule": "less",
}


class HalfWritten(io.FileIO):
    """A file of which half of a write arrives, then nothing more."""

    def write(self, data: Any) -> int:
        super().write(bytes(data)[: len(data) // 2])
        os._exit(KILLED)


def end_at(operation: int) -> Callable[[], int]:
    """Make this process end at its n-th operation on checkpoints, as SIGKILL would: no `finally`, no flush."""
    done = 0
    opened, operations = builtins.open, {name: getattr(os, name) for name in ("replace", "remove", "unlink")}

    def count() -> bool:
        nonlocal done
        done += 1
        return done == operation

    def open_(path: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if "w" not in mode or not str(path).endswith((".pth", "last_checkpoint")):
            return opened(path, mode, *args, **kwargs)
        if count():
            os._exit(KILLED)
        if not count():
            return opened(path, mode, *args, **kwargs)
        half = HalfWritten(path, "w")
        return half if "b" in mode else io.TextIOWrapper(half, write_through=True)

    def checked(name: str) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **kwargs: Any) -> Any:
            if "checkpoint" in str(path) or str(path).endswith(".pth"):
                count() and os._exit(KILLED)
            return operations[name](path, *args, **kwargs)

        return call

    builtins.open = io.open = open_
    for name in operations:
        setattr(os, name, checked(name))
    return lambda: done


def trained(folder: Path, operation: int, changes: dict[str, Any]) -> int:
    """Train in a process that ends at that operation; how it ended."""

    def work() -> None:
        end_at(operation)
        train(toy_config(**changes), folder)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(100)
    assert process.exitcode is not None
    return process.exitcode


def check_files(folder: Path, seen: bool) -> bool:
    """Nothing broken under a final name; once there was a checkpoint, or a best one, there is one."""
    files = [path for path in folder.glob("*.pth") if not path.name.startswith(".")]
    assert all(is_whole(path) for path in files), files
    named = folder / "last_checkpoint"
    if named.exists():
        assert Path(named.read_text()) in files
        assert latest_checkpoint(folder) == Latest(named.read_text())
    assert named.exists() >= seen
    return named.exists()


def test_a_process_may_end_at_each_operation_on_its_files(tmp_path: Path) -> None:
    expected = train(toy_config(**BEST), tmp_path / "reference")
    operation, seen, best = 0, False, False
    while True:
        operation += 1
        folder = tmp_path / f"killed-{operation}"
        code = trained(folder, operation, BEST)
        assert code in (0, KILLED)
        if code == 0:
            break
        seen = check_files(folder, seen)
        assert bool(list(folder.glob("best_*.pth"))) >= best
        best |= bool(list(folder.glob("best_*.pth")))
        if operation % 4 == 1:
            assert state(train(toy_config(**BEST), folder, resume=True)) == state(expected)
            assert checkpoints(folder) == checkpoints(tmp_path / "reference")
            assert not list(folder.glob(".*.pth")), "what was begun is removed"
    assert operation > 20


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A work folder with checkpoints of the epochs 8, 9, 10 and a best one."""
    for name in ("epoch_8", "epoch_9", "epoch_10", "best_mean_epoch_11"):
        torch.save(dict(state_dict=dict(weight=torch.rand(100))), tmp_path / f"{name}.pth")
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_10.pth"))
    return tmp_path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def test_the_named_checkpoint_if_it_is_whole(run: Path) -> None:
    assert latest_checkpoint(run) == Latest(str(run / "epoch_10.pth"))
    (run / "last_checkpoint").write_text(str(run / "epoch_9.pth"))
    assert latest_checkpoint(run) == Latest(str(run / "epoch_9.pth"))


def changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, changed, Path.unlink, lambda path: path.write_bytes(b"")])
def test_the_newest_whole_one_otherwise(run: Path, damage: Callable) -> None:
    damage(run / "epoch_10.pth")
    cut(run / "epoch_9.pth")
    latest = latest_checkpoint(run)
    assert latest.path == str(run / "epoch_8.pth")
    what = "broken" if (run / "epoch_10.pth").exists() else "not there"
    assert latest.note == (
        f"{run}: epoch_10.pth, which last_checkpoint names, is {what}; going on from epoch_8.pth, the newest whole "
        "checkpoint"
    )


@pytest.mark.parametrize("content", [None, "", "\n", "\0\0\0\0", "/no\0where"])
def test_a_broken_last_checkpoint(run: Path, content: str | None) -> None:
    (run / "last_checkpoint").unlink()
    if content is not None:
        (run / "last_checkpoint").write_text(content)
    latest = latest_checkpoint(run)
    assert latest.path == str(run / "epoch_10.pth")
    assert "last_checkpoint is missing or empty; going on from epoch_10.pth" in latest.note


def test_a_folder_that_was_moved(run: Path) -> None:
    (run / "last_checkpoint").write_text("/former/place/epoch_9.pth")
    assert latest_checkpoint(run) == Latest(str(run / "epoch_9.pth"))


def test_nothing_whole_is_no_first_start(run: Path) -> None:
    for path in run.glob("epoch_*.pth"):
        cut(path)
    with pytest.raises(
        InputError, match=r"epoch_10\.pth, which last_checkpoint names, is broken, and there is no other"
    ):
        latest_checkpoint(run)
    for path in run.glob("*"):
        path.unlink()
    assert latest_checkpoint(run) == Latest(None)
    assert latest_checkpoint(run / "not there") == Latest(None)
