"""Weighting of detection against embedding, as mmengine adds the losses up."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModel
from torch import Tensor, nn

from clmot_qd.models.losses import FixedTaskWeighting, UncertaintyTaskWeighting


class Model(BaseModel):
    def forward(self, *args: Any, **kwargs: Any) -> None: ...


def total(losses: dict) -> Tensor:
    """What an mmengine runner minimises."""
    return Model().parse_losses(losses)[0]


def detection() -> dict[str, Any]:
    return {
        "loss_heatmap": torch.tensor(2.0),
        "loss_box": [torch.tensor(0.5), torch.tensor(1.5)],
        "acc": torch.tensor(0.9),
    }


def embedding() -> dict[str, Tensor]:
    return {"loss_embed": torch.tensor(3.0)}


def test_fixed() -> None:
    weighted = FixedTaskWeighting(detection=0.5, embedding=2.0)(detection(), embedding())
    assert total(weighted).item() == pytest.approx(0.5 * 4 + 2 * 3)
    assert weighted["acc"].item() == pytest.approx(0.9)


def test_fixed_by_default_adds() -> None:
    assert total(FixedTaskWeighting()(detection(), embedding())).item() == pytest.approx(7)


def test_uncertainty_is_the_printed_sum() -> None:
    weighted = UncertaintyTaskWeighting(0.3, -0.7)(detection(), embedding())
    expected = 0.5 * (math.exp(-0.3) * 4 + math.exp(0.7) * 3 + 0.3 - 0.7)
    assert total(weighted).item() == pytest.approx(expected)
    assert weighted["acc"].item() == pytest.approx(0.9)
    assert weighted["weight_detection"].item() == pytest.approx(0.5 * math.exp(-0.3))


def test_figures_of_released_clmot() -> None:
    weighting = UncertaintyTaskWeighting(learnable=False)
    zero, one = torch.tensor(0.0), torch.tensor(1.0)
    values = [
        total(weighting({"loss_det": d}, {"loss_id": e})).item() for d, e in ((zero, zero), (one, zero), (zero, one))
    ]
    assert values[0] == pytest.approx(-1.45)
    assert values[1] - values[0] == pytest.approx(3.180, abs=5e-4)
    assert values[2] - values[0] == pytest.approx(1.429, abs=5e-4)


def test_learned_weights_find_their_optimum() -> None:
    """Minimum of (exp(-s) L + s) / 2 is s = ln L."""
    weighting = UncertaintyTaskWeighting()
    optimizer = torch.optim.SGD(weighting.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        total(weighting(detection(), embedding())).backward()
        optimizer.step()
    assert weighting.log_var_detection.item() == pytest.approx(math.log(4), abs=1e-3)
    assert weighting.log_var_embedding.item() == pytest.approx(math.log(3), abs=1e-3)


def test_learned_weights_survive_a_resume() -> None:
    trained = UncertaintyTaskWeighting()
    with torch.no_grad():
        trained.log_var_detection.fill_(0.25)
    resumed = MODELS.build({"type": "UncertaintyTaskWeighting"})
    resumed.load_state_dict(trained.state_dict())
    assert total(resumed(detection(), embedding())) == total(trained(detection(), embedding()))
    held: nn.Module = UncertaintyTaskWeighting(learnable=False)
    assert held.state_dict().keys() == trained.state_dict().keys()
    assert not any(part.requires_grad for part in held.parameters())


@pytest.mark.parametrize("weighting", [FixedTaskWeighting(0.5, 2.0), UncertaintyTaskWeighting()])
def test_one_task_may_be_absent_and_inputs_stay(weighting: nn.Module) -> None:
    given = detection()
    weighted = weighting(given, {})
    assert weighted.keys() >= given.keys()
    assert given["loss_heatmap"] == 2
    assert total(weighted).isfinite()


def test_a_key_of_both_tasks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"same entry.*loss_embed"):
        FixedTaskWeighting()(embedding(), embedding())
