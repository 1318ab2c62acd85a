"""SteadyIoUBalancedNegSampler beside mmdet's own, whose second call differs from its first."""

from __future__ import annotations

import pytest
import torch
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.models.task_modules.samplers import IoUBalancedNegSampler

from clmot_qd.models import SteadyIoUBalancedNegSampler

FAR, NEAR = 900, 90  # background without and with some overlap


def background() -> AssignResult:
    """Regions that are all background: most of them touch nothing, the rest has IoUs up to 0.3."""
    overlaps = torch.cat([torch.zeros(FAR), torch.linspace(0.01, 0.3, NEAR)])
    return AssignResult(0, torch.zeros(FAR + NEAR, dtype=torch.long), overlaps, labels=None)


@pytest.mark.parametrize(("kind", "steady"), [(SteadyIoUBalancedNegSampler, True), (IoUBalancedNegSampler, False)])
def test_every_call_draws_like_the_first(kind: type[IoUBalancedNegSampler], steady: bool) -> None:
    sampler = kind(60, 1.0, floor_thr=-1, floor_fraction=0, num_bins=3)
    far = []
    for _ in range(4):
        torch.manual_seed(0)
        drawn = sampler._sample_neg(background(), 60)
        assert len(drawn) == 60
        far.append(int((drawn < FAR).sum()))
    assert far[0] > 10
    assert (far == [far[0]] * 4) is steady


def test_another_threshold_is_the_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for kind in (SteadyIoUBalancedNegSampler, IoUBalancedNegSampler):
        torch.manual_seed(3)
        sampler = kind(60, 1.0, floor_thr=0.1, floor_fraction=0.5, num_bins=3)
        drawn.append([sampler._sample_neg(background(), 60).tolist() for _ in range(2)])
    assert drawn[0] == drawn[1]
