"""One walking figure as a set of sprites, one for each phase of the step.

The body is drawn in body heights: crown at v = 0, soles at v = 1, walking to the right (+u).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clmot_qd.datasets.demo.looks import Colour, FigureLook
from clmot_qd.datasets.demo.patterns import PATTERNS
from clmot_qd.datasets.demo.sprites import Brush, FloatImage, Sprite

PHASES = 8
"""Pictures per stride (two steps)."""
SHOULDER, HIP, SOLE = 0.205, 0.52, 0.985
THIGH, SHANK = 0.235, 0.225
FAR_SIDE = 0.72
"""Brightness of the limbs on the far side of the body."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Pose:
    """Joint positions (n, 2) in body heights: hip, knee, ankle, toe and shoulder, elbow, hand; near side first."""

    legs: tuple[Points, Points]
    arms: tuple[Points, Points]
    bob: float


def draw_figure(look: FigureLook, body_px: int) -> list[Sprite]:
    """The ``PHASES`` sprites of one stride, each drawn with a body of ``body_px`` pixels."""
    return [_draw_phase(look, _pose(phase / PHASES), body_px) for phase in range(PHASES)]


def _pose(phase: float) -> _Pose:
    swing = 0.42 * np.sin(2 * np.pi * phase)
    lift = np.cos(2 * np.pi * phase)
    legs = (_leg(swing, max(0.0, lift)), _leg(-swing, max(0.0, -lift)))
    bob = SOLE - max(float(leg[:, 1].max()) for leg in legs)
    for leg in legs:
        leg[:, 1] += bob
    return _Pose(legs, (_arm(-swing, bob), _arm(swing, bob)), bob)


def _leg(swing: float, lift: float) -> Points:
    knee = np.array([0.0, HIP]) + THIGH * _direction(swing + 0.35 * lift)
    ankle = knee + SHANK * _direction(swing - 0.55 * lift)
    toe = ankle + np.array([0.045, 0.0])
    return np.array([[0.0, HIP], knee, ankle, toe])


def _arm(swing: float, bob: float) -> Points:
    shoulder = np.array([0.0, SHOULDER + 0.025 + bob])
    elbow = shoulder + 0.16 * _direction(swing)
    hand = elbow + 0.145 * _direction(swing + 0.35)
    return np.array([shoulder, elbow, hand])


def _direction(angle: float) -> Points:
    """Unit vector ``angle`` radians forward of straight down."""
    return np.array([np.sin(angle), np.cos(angle)])


def _draw_phase(look: FigureLook, pose: _Pose, body_px: int) -> Sprite:
    brush = Brush(width=0.9, height=1.1, unit_px=body_px, origin=(0.45, 0.05))
    cloth = _top_texture(look, brush)
    _draw_arm(brush, look, cloth, pose.arms[1], offset=0.09 * look.build, shade=FAR_SIDE)
    _draw_leg(brush, look, pose.legs[1], shade=FAR_SIDE)
    if look.bag is not None:
        _draw_bag(brush, look, pose.bob)
    _draw_leg(brush, look, pose.legs[0], shade=1.0)
    _draw_torso(brush, look, cloth, pose)
    _draw_arm(brush, look, cloth, pose.arms[0], offset=-0.105 * look.build, shade=1.0)
    _draw_head(brush, look, pose.bob)
    return brush.sprite(anchor=(0.0, 1.0))


def _top_texture(look: FigureLook, brush: Brush) -> FloatImage:
    """(h, w, 3) the top's cloth over the whole canvas: base colour, pattern, soft shading across the body."""
    accent = PATTERNS[look.pattern](brush.u / np.float32(look.build), brush.v)
    cloth = np.where(accent[..., None], np.array(look.accent), np.array(look.top))
    shading = 1.0 - 1.1 * np.abs(brush.u + 0.02) + 0.06 * np.sin(34 * brush.v + 9 * brush.u)
    return np.asarray(np.clip(cloth * shading[..., None], 0, 255))


def _draw_torso(brush: Brush, look: FigureLook, cloth: FloatImage, pose: _Pose) -> None:
    half = np.array([0.092, 0.075, 0.082]) * look.build
    rows = np.array([SHOULDER + 0.01, 0.40, 0.515]) + pose.bob
    if look.garment == "skirt":
        hem = 0.155 * look.build
        corners = [(-half[2], rows[2] - 0.03), (half[2], rows[2] - 0.03), (hem, rows[2] + 0.19), (-hem, rows[2] + 0.19)]
        brush.polygon(corners, look.bottom, rounding=0.02)
    right = list(zip(half, rows))
    left = list(zip(-half[::-1], rows[::-1]))
    brush.polygon(right + left, cloth, rounding=0.055)


def _draw_leg(brush: Brush, look: FigureLook, leg: Points, shade: float) -> None:
    width = 0.088 * look.build
    bare = look.garment in ("shorts", "skirt")
    brush.limb(leg[2:], 0.058, look.shoes, shade)
    brush.limb(leg[:3], width * (0.72 if bare else 0.92), look.skin if bare else look.bottom, shade)
    if look.garment == "shorts":
        knee = leg[0] + 0.85 * (leg[1] - leg[0])
        brush.limb([leg[0], knee], width * 1.15, look.bottom, shade)
    if look.garment == "side stripe":
        brush.limb(leg[:3], 0.022, look.accent, shade)


def _draw_arm(brush: Brush, look: FigureLook, cloth: FloatImage, arm: Points, offset: float, shade: float) -> None:
    """Sleeve of the top's cloth down to the wrist, then the hand."""
    moved = arm + np.array([offset, 0.0])
    brush.ellipse(float(moved[2, 0]), float(moved[2, 1]), 0.027, 0.03, look.skin, shade)
    wrist = moved[1] + 0.85 * (moved[2] - moved[1])
    brush.limb([moved[0], moved[1], wrist], 0.058 * look.build, cloth, shade * 0.92)


def _draw_bag(brush: Brush, look: FigureLook, bob: float) -> None:
    assert look.bag is not None
    back, top, bottom = -0.175 * look.build, SHOULDER + 0.03 + bob, 0.44 + bob
    brush.polygon([(back, top), (-0.04, top), (-0.04, bottom), (back, bottom)], look.bag, rounding=0.04)


def _draw_head(brush: Brush, look: FigureLook, bob: float) -> None:
    middle = 0.092 + bob
    brush.limb([(0.0, middle), (0.0, SHOULDER + bob)], 0.055, look.skin, shade=0.85)
    if look.hairstyle == "long":
        brush.ellipse(-0.022, middle + 0.045, 0.07, 0.115, look.hair, shade=0.9)
    brush.ellipse(0.008, middle, 0.06, 0.078, look.skin)
    brush.ellipse(0.066, middle + 0.01, 0.012, 0.014, look.skin)
    _draw_hair(brush, look, middle)


def _draw_hair(brush: Brush, look: FigureLook, middle: float) -> None:
    """Hair (or cap) over the crown and the back of the head; the face stays free on the walking side."""
    angle = np.linspace(-0.15 * np.pi, -1.3 * np.pi, 24)
    outer = np.stack([0.008 + 0.068 * np.cos(angle), middle + 0.088 * np.sin(angle)], axis=1)
    colour: Colour = look.bottom if look.hairstyle == "cap" else look.hair
    brush.polygon(np.vstack([outer, [(-0.01, middle - 0.02)]]), colour, rounding=0.008)
    if look.hairstyle == "bun":
        brush.ellipse(-0.075, middle - 0.045, 0.035, 0.035, look.hair)
    if look.hairstyle == "cap":
        brush.limb([(0.03, middle - 0.042), (0.095, middle - 0.03)], 0.024, colour, shade=0.85)
