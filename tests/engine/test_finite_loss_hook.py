"""Training stops at a loss that is not finite, before it reaches the weights, and names the pictures."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bad_batches import OneWeight, runner_of, sample
from locations import REPOSITORY
from mmengine.config import Config
from mmengine.optim import OptimWrapper, OptimWrapperDict
from processes import run_ranks
from torch.optim import SGD

from clmot_qd.engine.finite_loss_hook import FiniteLossHook, picture_names
from clmot_qd.errors import InputError

WRAPPERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulated": {"accumulative_counts": 4},
    "clipped": {"clip_grad": {"max_norm": 1.0}},
    "bfloat16": {"type": "mmdet.BFloat16OptimWrapper"},
    "scaled": {"type": "ScaledOptimWrapper"},
}


def stopped(runner: Any) -> str:
    with pytest.raises(InputError) as caught:
        runner.train()
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e39])
@pytest.mark.parametrize("wrapper", [name for name in WRAPPERS if name != "scaled"])
def test_the_weights_are_as_before_the_batch(tmp_path: Path, wrapper: str, value: float) -> None:
    runner = runner_of(tmp_path, [1, 2, 3, 4, 5, value, 6, 7], WRAPPERS[wrapper])
    text = stopped(runner)
    before = runner.model.seen[2]
    assert len(runner.model.seen) == 3
    assert torch.equal(runner.model.weight, before)
    assert before.isfinite().all()
    assert "epoch 1, iteration 3: the loss is not finite: loss_embed 0." in text
    assert "loss_wh inf" in text or "loss_wh nan" in text
    assert "hint" not in text, "only what is minimised counts"
    assert "pictures of the batch: clip/4a.jpg, clip/4b.jpg, clip/5a.jpg, clip/5b.jpg; the weights are as" in text


def test_finite_losses_are_left_alone_and_the_hook_leaves_the_model(tmp_path: Path) -> None:
    watched, plain = runner_of(tmp_path / "a", [1, 2, 3, 4]), runner_of(tmp_path / "b", [1, 2, 3, 4])
    plain._hooks = [hook for hook in plain._hooks if type(hook).__name__ != "FiniteLossHook"]
    watched.train(), plain.train()
    assert torch.equal(watched.model.weight, plain.model.weight)
    assert not watched.model._forward_hooks


def test_only_losses_of_training_count(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, [1, 2])
    hook = next(hook for hook in runner._hooks if type(hook).__name__ == "FiniteLossHook")
    hook.before_train(runner)
    inputs = [torch.tensor(torch.nan)]
    runner.model.eval()(inputs, [sample(0)], mode="loss")
    with pytest.raises(InputError, match=r"clip/0a.jpg"):
        runner.model.train()(inputs, [sample(0)], mode="loss")


# ---- gradients -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapper", ["plain", "accumulated", "clipped"])
def test_gradients_are_looked_at_on_request(tmp_path: Path, wrapper: str) -> None:
    runner = runner_of(tmp_path, [1, 2, -3, 4, 5, 6, 7, 8], WRAPPERS[wrapper], check_gradients=True)
    text = stopped(runner)
    assert torch.equal(runner.model.weight, runner.model.seen[-1])
    assert runner.model.weight.isfinite().all()
    spread = ", idle" if wrapper == "clipped" else ""  # to clip the norm of all is to spread it
    first = 0 if wrapper == "accumulated" else 2
    assert (
        f": the loss is finite, but not the gradients of weight{spread}; pictures of the batch: clip/{first}a" in text
    )
    assert "clip/3b.jpg" in text


def test_the_step_of_one_optimizer_does_not_take_the_pictures_of_another() -> None:
    model, hook = OneWeight().train(), FiniteLossHook(check_gradients=True)
    wrappers = {name: OptimWrapper(SGD([getattr(model, name)], lr=0.1)) for name in ("weight", "idle")}
    runner = SimpleNamespace(model=model, optim_wrapper=OptimWrapperDict(**wrappers), epoch=0, iter=4)
    hook.before_train(runner)
    for number in (1, 2):
        hook.before_train_iter(runner, 0)
        model([torch.tensor(1.0)], [sample(number)], mode="loss")
        model.weight.grad, model.idle.grad = torch.ones(3), torch.full((2,), 1.0 if number == 1 else torch.nan)
        wrappers["weight"].step()
        if number == 1:
            wrappers["idle"].step()
    before = model.idle.detach().clone()
    with pytest.raises(InputError) as caught:
        wrappers["idle"].step()
    assert torch.equal(model.idle, before)
    assert str(caught.value) == (
        "epoch 1, iteration 5: the loss is finite, but not the gradients of idle; pictures of the batch: clip/2a.jpg, "
        "clip/2b.jpg; the weights of this optimizer are as before this step"
    )


def test_without_that_the_next_loss_tells_of_the_step_before(tmp_path: Path) -> None:
    text = stopped(runner_of(tmp_path, [1, 2, -3, 4, 5, 6, 7, 8]))
    assert text.startswith("epoch 1, iteration 3: the loss is not finite")
    assert "the weights were not finite before this batch (weight): a step before it overflowed" in text


def test_a_step_that_the_loss_scaler_skips_is_normal(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, [1, 2, -3, 4, 5, 6], WRAPPERS["scaled"], check_gradients=True)
    runner.train()
    seen = runner.model.seen
    assert torch.equal(seen[1], seen[2])
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[2], runner.model.weight)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_loss_scaler_skips_a_few_batches_whose_loss_is_not_finite(tmp_path: Path, value: float) -> None:
    runner = runner_of(tmp_path, [1, 2, *[value] * 38, 3, 4, *[value] * 38, 5, 6], WRAPPERS["scaled"])
    runner.train()
    seen = runner.model.seen
    assert all(torch.equal(seen[1], weight) for weight in seen[2:21])
    assert not torch.equal(seen[1], seen[21])
    assert runner.model.weight.isfinite().all()


def test_a_loss_that_is_not_finite_for_long_is_no_matter_of_the_scaler(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, [1, 2, *[torch.nan] * 60], WRAPPERS["scaled"])
    text = stopped(runner)
    assert text.startswith("epoch 1, iteration 21: the loss is not finite: loss_embed ")
    assert torch.equal(runner.model.weight, runner.model.seen[1])


def test_a_constant_loss_scale_is_no_way_out(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, [1, 2, torch.nan, 4], WRAPPERS["scaled"])
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper._scale_update_param = 1024.0
    assert stopped(runner).startswith("epoch 1, iteration 2: the loss is not finite")


def test_a_loss_scaler_that_always_skips_is_noticed(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, [-1.0] * 100, WRAPPERS["scaled"])
    text = stopped(runner)
    assert torch.equal(runner.model.weight, runner.model.seen[0])
    # It is looked at every 50 iterations.
    assert text.startswith("epoch 1, iteration 50: training stands still: the loss scaler has skipped so many steps")
    assert "clip/98a.jpg" in text


# ---- several processes -----------------------------------------------------------------------------------------------

RANKS = """
import sys
from pathlib import Path
from bad_batches import runner_of
from clmot_qd.errors import InputError
from mmengine.dist import get_rank
values = [float(value) for value in sys.argv[2].split(",")]
runner = runner_of(Path(sys.argv[1]), values, launcher="none")
model = runner.model
from mmengine.model import MMDistributedDataParallel
runner.model = MMDistributedDataParallel(model, find_unused_parameters=False)
try:
    runner.train()
    print("trained")
except InputError as error:
    print("last weights", model.weight.tolist() == model.seen[-1].tolist())
    print("told", error)
"""


@pytest.mark.parametrize("spoiled", [pytest.param(4, marks=pytest.mark.slow), 5])
def test_all_processes_stop_at_the_loss_of_one(tmp_path: Path, spoiled: int) -> None:
    """Samples are dealt out in turn: process 1 has the odd ones."""
    values = [str(n + 1) for n in range(8)]
    values[spoiled] = "nan"
    folders = [Path(__file__).parent, Path(__file__).parents[1]]
    printed = run_ranks(RANKS, [str(tmp_path), ",".join(values)], 2, folders)
    told = [next(line for line in lines.splitlines() if line.startswith("told")) for lines in printed]
    assert told[0] == told[1]
    bad = spoiled % 2
    mine = ", ".join(f"clip/{n}{view}.jpg" for n in (4 + bad, 6 + bad) for view in "ab")
    others = ", ".join(f"clip/{n}{view}.jpg" for n in (5 - bad, 7 - bad) for view in "ab")
    assert f"in process {bad}: " in told[0]
    assert f"pictures of the batch: {mine}; the other processes had {others}; the weights are as" in told[0]
    assert all("last weights True" in lines for lines in printed)


# ---- configuration ---------------------------------------------------------------------------------------------------


def test_every_configuration_has_it() -> None:
    config = Config.fromfile(REPOSITORY / "configs" / "_base_" / "default_runtime.py")
    assert config.default_hooks.finite_loss == {"type": "FiniteLossHook"}


def test_pictures_of_all_kinds_of_samples() -> None:
    track = sample(1)
    assert picture_names([track, [sample(2)[0]]]) == ["clip/1a.jpg", "clip/1b.jpg", "clip/2a.jpg"]
    assert picture_names([sample(1), sample(1)]) == ["clip/1a.jpg", "clip/1b.jpg"]
    unnamed = sample(3)[0]
    unnamed.set_metainfo({"img_path": None, "img_id": 7})
    assert picture_names([unnamed]) == ["image 7"]
    assert picture_names([]) == picture_names(None) == []
