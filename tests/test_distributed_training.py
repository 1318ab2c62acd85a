"""Two and four processes that train together end where one with the same global batch does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from distributed_training import MORE, QUICK
from forked_processes import run_forked

Trained = dict[tuple[str, int], tuple[dict[str, torch.Tensor], list[dict[str, float]]]]


def read(out: Path, cases: list[str]) -> Trained:
    """Changes of the weights and logs of each case, by the number of processes."""
    return {(case, count): torch.load(out / f"{case}-{count}.pth") for case in cases for count in (1, 2, 4)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    out = tmp_path_factory.mktemp("trained")
    run_forked("distributed_training", [("train", count) for count in (1, 2, 4)], out)
    return read(out, QUICK)


@pytest.fixture(scope="module")
def more_trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    out = tmp_path_factory.mktemp("trained")
    run_forked("distributed_training", [("train_more", count) for count in (1, 2, 4)], out)
    return read(out, MORE)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("case", QUICK)
def test_weights_and_logs_are_those_of_one_process(case: str, count: int, trained: Trained) -> None:
    check(trained[case, 1], trained[case, count])


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("case", MORE)
def test_more_weights_and_logs_are_those_of_one_process(case: str, count: int, more_trained: Trained) -> None:
    check(more_trained[case, 1], more_trained[case, count])


def check(alone: tuple[dict, list], together: tuple[dict, list]) -> None:
    """A wrong divisor changes weights by tens of per cent, rounding those that hardly move by one."""
    assert together[0].keys() == alone[0].keys()
    for key, change in alone[0].items():
        assert float((together[0][key] - change).abs().max()) <= 3e-2 * float(change.abs().max()) + 2e-7, key
    difference = sum(float((together[0][key] - change).square().sum()) for key, change in alone[0].items())
    assert difference <= 1e-3**2 * sum(float(change.square().sum()) for change in alone[0].values())
    assert [losses(step) for step in together[1]] == [pytest.approx(losses(step), rel=1e-3) for step in alone[1]]


def losses(log: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in log.items() if "loss" in key}
