"""A run that is stopped and resumed comes to the numbers of one that never was: everywhere, with all settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mmengine.dataset import ConcatDataset
from mmengine.runner import loops
from processes import run_ranks
from toy_training import Stop, ToyData, checkpoints, logged, state, toy_config, train

from clmot_qd.engine.exact_resume_hook import COMPLETED_VALIDATIONS
from clmot_qd.errors import InputError

WORKERS = {"train_dataloader.num_workers": 2, "train_dataloader.persistent_workers": True}
ITERATIONS = {
    "train_cfg": dict(type="IterBasedTrainLoop", max_iters=16, val_interval=6, _delete_=True),
    "default_hooks.checkpoint.by_epoch": False,
    "default_hooks.checkpoint.interval": 4,
    "train_dataloader.sampler.type": "InfiniteSampler",
    "log_processor.by_epoch": False,
    "default_hooks.logger.log_metric_by_epoch": False,
}
MIXED = {
    "train_dataloader.dataset": ConcatDataset([ToyData(6), ToyData(6, 20)]),
    "train_dataloader.sampler": dict(type="MixSampler", weights=[0.5, 1.5], _delete_=True),
}
CASES: dict[str, dict[str, Any]] = {
    "epochs": {},
    "workers": WORKERS,
    "within an epoch": {"default_hooks.checkpoint.by_epoch": False, "default_hooks.checkpoint.interval": 3},
    "gradients waiting": {"optim_wrapper.accumulative_counts": 3},
    "moving average": {"custom_hooks": [dict(type="EMAHook", momentum=0.1)]},
    "best": {"default_hooks.checkpoint.save_best": "mean", "default_hooks.checkpoint.rule": "less"},
    "mixed": MIXED,
    "iterations": ITERATIONS,
    "iterations, workers": ITERATIONS | WORKERS,
    "rounds of iterations": ITERATIONS | {"train_dataloader.sampler.type": "DefaultSampler"},
    "stock loop": {"train_cfg.type": "EpochBasedTrainLoop"},
}
CASES["all"] = {**CASES["within an epoch"], **CASES["gradients waiting"], **CASES["best"], **MIXED, **WORKERS}


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops.time, "sleep", lambda seconds: None)  # mmengine's, between rounds


def reference(case: str, folder: Path) -> tuple[dict, dict, dict, int]:
    """State, log and checkpoints of a run without a stop, and its number of moments."""
    stop = Stop(0)
    runner = train(toy_config(**CASES[case]), folder, stop)
    return state(runner), logged(folder), checkpoints(folder), stop.count


def check(case: str, folder: Path, expected: tuple[dict, dict, dict, int], moments: list[int], **later: Any) -> None:
    """Stop at one moment after the other, counted from each start, then go on to the end."""
    for number, moment in enumerate(moments):
        assert train(toy_config(**CASES[case]), folder, Stop(moment), resume=number > 0) is None
    runner = train(toy_config(**CASES[case] | later), folder, resume=True)
    assert state(runner) == expected[0], (case, moments)
    log = logged(folder)
    assert log.keys() == expected[1].keys(), (case, moments)
    assert all(entry == expected[1][key][0] for key, entries in log.items() for entry in entries), (case, moments)
    assert checkpoints(folder) == expected[2], (case, moments)


@pytest.mark.parametrize("case", CASES)
def test_same_numbers_after_stops(case: str, tmp_path: Path) -> None:
    expected = reference(case, tmp_path / "reference")
    later = {"train_dataloader.num_workers": 0, "train_dataloader.persistent_workers": False}
    check(case, tmp_path / "stopped", expected, [expected[3] * 7 // 10, 9], **later)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_same_numbers_after_a_stop_at_each_moment(case: str, tmp_path: Path) -> None:
    expected = reference(case, tmp_path / "reference")
    for moment in range(1, expected[3] + 1):
        check(case, tmp_path / f"stopped-{moment}", expected, [moment])


@pytest.mark.parametrize("moment", [1, 35])
def test_without_a_seed_the_checkpoint_has_it(moment: int, tmp_path: Path) -> None:
    """`moment` 1: stopped before the first checkpoint, a resume is a new run."""
    unseeded = {"randomness.seed": None, **MIXED}
    assert train(toy_config(**unseeded), tmp_path / "stopped", Stop(moment)) is None
    runner = train(toy_config(**unseeded), tmp_path / "stopped", resume=True)
    assert runner is not None
    again = train(toy_config(**unseeded | {"randomness.seed": runner.seed}), tmp_path / "reference")
    assert state(runner) == state(again)


def test_a_validation_is_repeated_only_where_it_was_not_completed(tmp_path: Path) -> None:
    config = toy_config(**{"train_cfg.max_epochs": 2})
    total = Stop(0)
    train(config, tmp_path / "reference", total)
    done = total.count  # the last moment of all: after the validation, before that is noted
    assert train(config, tmp_path / "run", Stop(done)) is None
    assert not (tmp_path / "run" / COMPLETED_VALIDATIONS).exists()
    for _ in range(2):
        assert train(config, tmp_path / "run", resume=True) is not None
        assert len(logged(tmp_path / "run")[2, True]) == 2  # interrupted, completed; the second time nothing
    assert train(config, tmp_path / "run") is not None  # a new run knows of none
    assert len(logged(tmp_path / "run")[2, True]) == 3


def test_an_earlier_checkpoint_has_its_validation(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    config = toy_config(**{"train_cfg.val_interval": 1, "default_hooks.checkpoint.max_keep_ckpts": -1})
    config.log_level = "INFO"
    train(config, tmp_path)
    record = tmp_path / COMPLETED_VALIDATIONS
    assert record.read_text() == "5\n10\n15\n20\n"
    config.load_from = str(tmp_path / "epoch_3.pth")
    assert train(config, tmp_path, Stop(1), resume=True) is None
    assert record.read_text() == "5\n10\n15\n", "what was validated of the former fourth epoch says nothing now"
    assert len(logged(tmp_path)[3, True]) == 1
    assert "no record" not in capfd.readouterr().out
    record.unlink()
    assert train(config, tmp_path, resume=True) is not None
    assert len(logged(tmp_path)[3, True]) == 2
    assert "no record of the validation that is due at this checkpoint: it comes first" in capfd.readouterr().out


FOLDERS = """
import sys
from pathlib import Path
from mmengine.dist import get_rank
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import Runner
from processes import run_ranks
from toy_training import logged, toy_config, train
Runner.wrap_model = lambda self, cfg, model: MMDistributedDataParallel(model, broadcast_buffers=False)
def run(folder, epochs):
    changes = {"train_cfg.val_interval": 1, "train_dataloader.batch_size": 5, "train_cfg.max_epochs": epochs}
    config = toy_config(**changes)
    config.val_dataloader.batch_size = 2
    return train(config, Path(sys.argv[1], folder), resume=True)
run("shared", 2)
print("iterations", run("shared" if get_rank() == 0 else "node1", 3).iter)
"""


def test_processes_that_see_different_folders_follow_the_first(tmp_path: Path) -> None:
    """The second sees neither the record of validations nor `last_checkpoint`."""
    printed = run_ranks(FOLDERS, [str(tmp_path)], 2, [Path(__file__).parent, Path(__file__).parents[1]])
    assert all("iterations 3" in lines for lines in printed)


def test_the_stock_loop_cannot_resume_within_an_epoch(tmp_path: Path) -> None:
    config = toy_config(**CASES["within an epoch"] | CASES["stock loop"])
    assert train(config, tmp_path, Stop(20)) is None
    with pytest.raises(InputError, match=r"after 1 of the 5 batches of an epoch, .*train_cfg\.type=ResumableEpochLoop"):
        train(config, tmp_path, resume=True)


def test_an_epoch_of_another_length_begins_again(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    config = toy_config(**CASES["within an epoch"])
    assert train(config, tmp_path, Stop(20)) is None
    config.train_dataloader.batch_size = 5
    runner = train(config, tmp_path, resume=True)
    assert runner is not None
    assert "written after 1 of 5 batches of an epoch, which now has 2: the epoch begins again" in capfd.readouterr().out
    assert runner.iter == 6 + 3 * 2  # of the checkpoint, and all of the epochs from the second on


def test_skipped_batches_are_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = toy_config(**CASES["within an epoch"] | {"train_cfg.max_epochs": 2, "val_cfg": None})
    config.update(val_dataloader=None, val_evaluator=None)
    assert train(config, tmp_path, Stop(20)) is None
    loaded = []
    real = ToyData.__getitem__
    monkeypatch.setattr(ToyData, "__getitem__", lambda data, index: loaded.append(index) or real(data, index))
    assert train(config, tmp_path, resume=True) is not None
    assert len(loaded) == 4 * 2
