"""Boxes of any size, no objects or very many, and half precision, through the losses of whole models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from quasi_dense_builder import BOXES, build, frame, images, sample_of, total

from clmot_qd.models.heads.center_targets import draw_gaussians, gaussian_radius, locate_centers

HUGE = [[-1e38, -1e38, 1e38, 1e38], [-1e6, -1e6, 1e6, 1e6], [-3e38, -3e38, 3e38, 3e38], [0, 0, 1e9, 5]]
SCENES: dict[str, list[list[float]]] = {
    "nothing": [],
    "one": BOXES[:1],
    "the same box often": BOXES[:1] * 50,
    "a thousand": [[x, y, x + 9.0, y + 12.0] for x in range(0, 80, 2) for y in range(0, 50, 2)],
}
ODD: dict[str, list[list[float]]] = {
    "no size": [[20, 20, 20, 20], [30, 10, 30, 50], [10, 30, 50, 30]],
    "corners in the wrong order": [[50, 40, 10, 5], [90, 5, 60, 50]],
    "outside": [[500, 500, 600, 700], [-90, -80, -10, -20]],
    "huge": HUGE,
    "not finite": [[float("nan")] * 4, [0, 0, float("inf"), 9], [-float("inf"), 0, 9, 9]],
}


both_precisions = pytest.mark.parametrize(
    "autocast", [pytest.param(False, id="float32"), pytest.param(True, id="bfloat16", marks=pytest.mark.slow)]
)


def trained(detector: str, boxes: list[list[float]], autocast: bool = False) -> Any:
    """Loss and gradients of a step on two pictures, the second as it should be."""
    model = build(detector, "triplet-hard" if detector == "centernet-embed" else "multi-positive").train()
    first = sample_of(frame(boxes), frame(boxes))
    second = sample_of(frame(BOXES), frame(BOXES))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        loss = total(model.loss(images(2), [first, second]))
    loss.backward()
    return loss, [p.grad for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("detector", ["centernet-embed", "faster-rcnn"])
@pytest.mark.parametrize("scene", ["nothing", *(pytest.param(s, marks=pytest.mark.slow) for s in list(SCENES)[1:])])
@both_precisions
def test_no_objects_and_very_many(detector: str, scene: str, autocast: bool) -> None:
    loss, grads = trained(detector, SCENES[scene], autocast)
    assert loss.isfinite()
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("scene", ODD)
@both_precisions
def test_boxes_that_no_object_has(scene: str, autocast: bool) -> None:
    loss, grads = trained("centernet-embed", ODD[scene] + BOXES, autocast)
    assert loss.isfinite()
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("formula", ["cornernet", "exact"])
@pytest.mark.parametrize("side", [1e3, 1e6, 1e20, 1e38])
def test_a_gaussian_ends_with_the_map(formula: str, side: float) -> None:
    """Cells outside are not even counted: an object of a million pixels would take terabytes."""
    boxes = torch.tensor([[-side, -side, side, side], [40.0, 40, 60, 60]])
    centers = locate_centers([boxes], [torch.zeros(2, dtype=torch.long)], (40, 60), (160, 240))
    drawn = draw_gaussians((1, 1, 40, 60), centers, gaussian_radius(centers.size, 0.7, formula))
    assert drawn.isfinite().all()
    assert drawn.eq(1).sum() == 2
    assert drawn.flatten()[centers.cell].eq(1).all()


def test_gaussians_are_those_of_a_loop_over_cells() -> None:
    """The largest of all objects' Gaussians at each cell, whatever of them lies outside of the map."""
    generator = torch.Generator().manual_seed(0)
    corner, size = torch.rand(12, 2, generator=generator) * 150, torch.rand(12, 2, generator=generator) * 200
    boxes = torch.cat([corner - size / 2, corner + size / 2], dim=1)
    centers = locate_centers([boxes], [torch.arange(12) % 2], (20, 30), (80, 120))
    radius = gaussian_radius(centers.size)
    drawn = draw_gaussians((1, 2, 20, 30), centers, radius)
    expected = torch.zeros(1, 2, 20, 30)
    for cell, label, reach in zip(centers.cell.tolist(), centers.label.tolist(), radius.long().tolist()):
        for y in range(20):
            for x in range(30):
                dy, dx = y - cell // 30, x - cell % 30
                if max(abs(dy), abs(dx)) <= reach:
                    value = torch.exp(torch.tensor(-(dx**2 + dy**2) / (2 * ((2 * reach + 1) / 6) ** 2)))
                    expected[0, label, y, x] = torch.maximum(expected[0, label, y, x], value)
    torch.testing.assert_close(drawn, expected)
    assert len(centers.cell) == 5


@pytest.mark.parametrize("detector", ["centernet-embed", "faster-rcnn"])
def test_given_boxes_of_any_kind_are_embedded(detector: str) -> None:
    """Public detections come from files; what is wrong with one box must not reach the others."""
    model = build(detector, "triplet-hard" if detector == "centernet-embed" else "multi-positive").eval()
    picture = images(1)[:, 0]
    expected = model.embed_boxes(picture, [torch.tensor(BOXES)])[0].float()
    for box in (HUGE[0], HUGE[3], ODD["corners in the wrong order"][0], ODD["no size"][0], *ODD["not finite"][:2]):
        found = model.embed_boxes(picture, [torch.tensor([*BOXES, box])])[0]
        assert found.isfinite().all(), box
        torch.testing.assert_close(found[:3], expected, msg=lambda text, box=box: f"{box}: {text}")
