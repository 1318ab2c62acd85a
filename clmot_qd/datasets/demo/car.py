"""One car as a sprite, seen from its side.

Lengths are body heights of an average figure: the ground is v = 0, up is negative, and it drives to the right (+u).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clmot_qd.datasets.demo.car_looks import LIVERIES, CarLook
from clmot_qd.datasets.demo.looks import Colour
from clmot_qd.datasets.demo.sprites import Brush, FloatImage, Sprite

WHEEL_RADIUS = 0.145
FLOOR = -0.13
"""Lower edge of the body."""
GLASS: Colour = (112, 98, 82)
TYRE: Colour = (38, 36, 36)
HEADLIGHT: Colour = (200, 240, 250)
TAIL_LIGHT: Colour = (50, 40, 215)
DARK: Colour = (52, 50, 50)

Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class _Body:
    """Outlines (u, v) of one kind of body: sheet metal below the windows, what is above, the panes; and the axles."""

    hull: Outline
    cabin: Outline
    panes: tuple[Outline, ...]
    axles: tuple[float, float]


_BODIES = {
    "hatchback": _Body(
        hull=(
            (-0.8, FLOOR),
            (-0.82, -0.42),
            (-0.74, -0.53),
            (0.38, -0.53),
            (0.76, -0.44),
            (0.84, -0.34),
            (0.84, FLOOR),
        ),
        cabin=((-0.78, -0.50), (-0.60, -0.84), (0.08, -0.84), (0.42, -0.50)),
        panes=(
            ((-0.68, -0.54), (-0.55, -0.79), (-0.27, -0.79), (-0.27, -0.54)),
            ((-0.21, -0.54), (-0.21, -0.79), (0.05, -0.79), (0.29, -0.54)),
        ),
        axles=(-0.52, 0.53),
    ),
    "saloon": _Body(
        hull=((-0.98, FLOOR), (-1.0, -0.4), (-0.94, -0.49), (0.42, -0.5), (0.88, -0.42), (0.98, -0.32), (0.98, FLOOR)),
        cabin=((-0.66, -0.47), (-0.42, -0.79), (0.12, -0.79), (0.46, -0.47)),
        panes=(
            ((-0.55, -0.51), (-0.38, -0.74), (-0.15, -0.74), (-0.15, -0.51)),
            ((-0.09, -0.51), (-0.09, -0.74), (0.09, -0.74), (0.33, -0.51)),
        ),
        axles=(-0.60, 0.62),
    ),
    "van": _Body(
        hull=((-0.92, FLOOR), (-0.94, -0.56), (0.62, -0.56), (0.88, -0.44), (0.92, -0.32), (0.92, FLOOR)),
        cabin=((-0.94, -0.52), (-0.92, -1.06), (0.34, -1.06), (0.46, -1.0), (0.70, -0.52)),
        panes=(((0.14, -0.60), (0.14, -0.96), (0.40, -0.96), (0.57, -0.60)),),
        axles=(-0.58, 0.58),
    ),
    "pickup": _Body(
        hull=((-0.98, FLOOR), (-1.0, -0.52), (0.40, -0.52), (0.88, -0.46), (0.96, -0.38), (0.96, FLOOR)),
        cabin=((-0.22, -0.50), (-0.17, -0.90), (0.18, -0.90), (0.46, -0.50)),
        panes=(((-0.14, -0.56), (-0.11, -0.84), (0.14, -0.84), (0.33, -0.56)),),
        axles=(-0.60, 0.60),
    ),
    "bubble": _Body(
        hull=((-0.62, FLOOR), (-0.66, -0.36), (-0.58, -0.52), (0.40, -0.52), (0.62, -0.38), (0.66, FLOOR)),
        cabin=((-0.56, -0.48), (-0.46, -0.74), (-0.24, -0.90), (0.08, -0.90), (0.30, -0.76), (0.48, -0.48)),
        panes=(
            ((-0.45, -0.54), (-0.38, -0.72), (-0.22, -0.83), (-0.10, -0.83), (-0.10, -0.54)),
            ((-0.04, -0.54), (-0.04, -0.83), (0.06, -0.83), (0.22, -0.72), (0.34, -0.54)),
        ),
        axles=(-0.38, 0.40),
    ),
}


def draw_car(look: CarLook, body_px: int) -> Sprite:
    """Draw a car; ``body_px`` is the height of an average figure in the sprite's pixels."""
    body = _BODIES[look.body]
    brush = Brush(width=2.5, height=1.3, unit_px=body_px, origin=(1.25, 1.2))
    paint = _painted(look, brush)
    _fill(brush, look, body.cabin, paint, rounding=0.06)
    _fill(brush, look, body.hull, paint, rounding=0.06)
    for pane in body.panes:
        _fill(brush, look, pane, _glass(brush), rounding=0.03)
    _draw_trim(brush, look, body)
    for axle in body.axles:
        _draw_wheel(brush, look, axle * look.length)
    return brush.sprite(anchor=(0.0, 0.0))


def _painted(look: CarLook, brush: Brush) -> FloatImage:
    """(h, w, 3) the car's paint over the whole canvas: base colour, livery, light from above."""
    accent = LIVERIES[look.livery](brush.u / np.float32(look.length), brush.v)
    colour = np.where(accent[..., None], np.array(look.accent), np.array(look.paint))
    shading = 0.82 - 0.26 * brush.v + 0.08 * np.exp(-(((brush.v + 0.46) / 0.03) ** 2))
    return np.asarray(np.clip(colour * shading[..., None], 0, 255))


def _glass(brush: Brush) -> FloatImage:
    """(h, w, 3) panes with a slanting reflection."""
    band = 1.0 + 0.35 * (np.mod(brush.u - 0.6 * brush.v, 0.34) < 0.1)
    return np.asarray(np.array(GLASS) * band[..., None])


def _fill(brush: Brush, look: CarLook, outline: Outline, texture: FloatImage, rounding: float) -> None:
    brush.polygon(np.array(outline) * (look.length, 1.0), texture, rounding)


def _draw_trim(brush: Brush, look: CarLook, body: _Body) -> None:
    """Bumper line, lights and the joint behind the front door."""
    front, back = (look.length * reach([u for u, _ in body.hull]) for reach in (max, min))
    brush.limb([(back + 0.03, -0.17), (front - 0.03, -0.17)], 0.07, DARK)
    brush.ellipse(front - 0.05, -0.33, 0.045, 0.05, HEADLIGHT)
    brush.ellipse(back + 0.03, -0.38, 0.03, 0.06, TAIL_LIGHT)
    brush.limb([(-0.18 * look.length, -0.48), (-0.18 * look.length, -0.22)], 0.014, DARK)


def _draw_wheel(brush: Brush, look: CarLook, x: float) -> None:
    brush.ellipse(x, -WHEEL_RADIUS, WHEEL_RADIUS + 0.035, WHEEL_RADIUS + 0.035, DARK, shade=0.6)
    brush.ellipse(x, -WHEEL_RADIUS, WHEEL_RADIUS, WHEEL_RADIUS, TYRE)
    brush.ellipse(x, -WHEEL_RADIUS, 0.085, 0.085, look.rims)
    brush.ellipse(x, -WHEEL_RADIUS, 0.025, 0.025, DARK)
