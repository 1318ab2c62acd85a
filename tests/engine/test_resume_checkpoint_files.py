"""Checkpoint files: whole whenever the process ends, and the right one found among broken ones."""

from __future__ import annotations

import builtins
import io
import itertools
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_training import Stop, ToyMetric, checkpoints, state, toy_config, train

from clmot_qd.engine.latest_checkpoint import Latest, is_whole, latest_checkpoint, names_like
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


def saved(folder: Path, *names: str) -> None:
    """Whole files, each a minute newer than the one before."""
    for number, name in enumerate(names):
        torch.save(dict(state_dict={}), folder / name)
        os.utime(folder / name, (1e9, 1e9 + 60 * number))


@pytest.mark.parametrize(
    ("names", "template", "expected"),
    [
        (["pretrained_mot17.pth", "clmot_dla34_mot20.pth"], None, None),
        (["epoch_3.pth", "epoch_3-1a2b3c45.pth", "epoch_2.pth", "best_x_epoch_9.pth"], None, "epoch_3.pth"),
        (["iter_500.pth", "epoch_12.pth"], None, "epoch_12.pth"),
        (["epoch_12.pth", "iter_500.pth", "iter_90.pth"], None, "iter_500.pth"),
        (["run[1]_007.pth", "run[1]_010.pth", "run1_011.pth"], "run[1]_{:03d}.pth", "run[1]_010.pth"),
        (["run_7.pth"], None, None),
    ],
)
def test_only_names_that_training_gives_count(
    names: list[str], template: str | None, expected: str | None, tmp_path: Path
) -> None:
    saved(tmp_path, *names)
    assert latest_checkpoint(tmp_path, template).path == (expected and str(tmp_path / expected))


def test_weights_in_the_folder_do_not_make_a_resume(tmp_path: Path) -> None:
    saved(tmp_path, "pretrained_mot17.pth")
    runner = train(toy_config(**{"train_cfg.max_epochs": 1}), tmp_path, resume=True)
    assert runner is not None
    assert runner.iter == 5


def test_an_address_is_taken_as_it_is(tmp_path: Path) -> None:
    saved(tmp_path, "epoch_1.pth")
    (tmp_path / "last_checkpoint").write_text("s3://bucket/run/epoch_3.pth")
    assert latest_checkpoint(tmp_path) == Latest("s3://bucket/run/epoch_3.pth")


def test_checkpoints_in_a_folder_of_their_own(tmp_path: Path) -> None:
    config = toy_config(**{"default_hooks.checkpoint.out_dir": str(tmp_path / "other"), "train_cfg.max_epochs": 2})
    expected = state(train(config, tmp_path / "run"))
    cut(tmp_path / "other" / "run" / "epoch_2.pth")
    latest = latest_checkpoint(tmp_path / "run")
    assert latest.path == str(tmp_path / "other" / "run" / "epoch_1.pth")
    assert "epoch_2.pth, which last_checkpoint names, is broken" in latest.note
    assert state(train(config, tmp_path / "run", resume=True)) == expected


def test_a_name_with_a_format(tmp_path: Path) -> None:
    config = toy_config(**{"default_hooks.checkpoint.filename_tmpl": "run[1]_{:03d}.pth", "train_cfg.max_epochs": 3})
    expected = state(train(config, tmp_path))
    begun, others = tmp_path / ".run[1]_002.0123abcd.pth", tmp_path / ".run1_002.0123abcd.pth"
    begun.touch(), others.touch()
    cut(tmp_path / "run[1]_003.pth")
    assert state(train(config, tmp_path, resume=True)) == expected
    assert sorted(path.name for path in tmp_path.glob("run*.pth")) == ["run[1]_002.pth", "run[1]_003.pth"]
    assert (begun.exists(), others.exists()) == (False, True)
    assert not names_like("run[1]_{:03d}.pth").fullmatch("run1_003.pth")


def test_folders_that_are_superfluous_are_removed(tmp_path: Path) -> None:
    """DeepSpeed's checkpoints are folders."""
    config = toy_config(**{"default_hooks.checkpoint.max_keep_ckpts": 1, "train_cfg.max_epochs": 2})
    assert train(config, tmp_path, Stop(14)) is None
    (tmp_path / "epoch_1.pth").rename(tmp_path / "kept.pth")
    (tmp_path / "epoch_1.pth").mkdir()
    (tmp_path / "epoch_1.pth" / "part").touch()
    config.load_from = str(tmp_path / "kept.pth")
    train(config, tmp_path, resume=True)
    assert sorted(path.name for path in tmp_path.glob("epoch*")) == ["epoch_2.pth"]


class Rising(ToyMetric):
    """Better scores after each epoch."""

    scores = itertools.count()

    def compute_metrics(self, results: list) -> dict:
        return dict.fromkeys(["mean", "again"], float(next(self.scores)))


@pytest.mark.parametrize("keys", ["mean", ["mean", "again"]])
def test_a_moved_run_replaces_its_best_checkpoint(keys: Any, tmp_path: Path) -> None:
    config = toy_config(
        **BEST | {"default_hooks.checkpoint.rule": "greater", "default_hooks.checkpoint.save_best": keys}
    )
    config.val_evaluator = dict(type=Rising)
    train(config, tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    config.train_cfg.max_epochs = 4
    runner = train(config, tmp_path / "b", resume=True)
    assert runner is not None
    best = {f"best_{key}_epoch_4.pth" for key in ([keys] if isinstance(keys, str) else keys)}
    assert {path.name for path in (tmp_path / "b").glob("*.pth")} == {"epoch_4.pth", *best}
    assert not (tmp_path / "a").exists()
