"""Where every car is in every frame: along the far side of the street, stop and go, turning without notice.

Cars keep to lanes behind most of the figures. Some drive out of the picture; they turn there and come back.
"""

from __future__ import annotations

import numpy as np

from clmot_qd.datasets.demo.motion import Array, Walk
from clmot_qd.datasets.demo.street import Ground

PACE = (0.35, 1.3)
"""Slowest and fastest drive, body heights per frame; a car is about two of them long."""
NEW_PACE_RATE = 0.15
TURN_RATE = 0.08
STOP_RATE = 0.10
LANE_CHANGE_RATE = 0.12
SIDEWAYS = 0.15
"""Share of its pace at which a car that changes lanes moves towards its new lane."""
BESIDE = 0.2
"""Cars turn when they are this far out of the picture, in picture widths."""
LANES = 0.36
"""Share of the ground, from its far end, that has lanes."""


def drive(rng: np.random.Generator, camera: Array, cars: int, width: int, ground: Ground, speed: float = 1.0) -> Walk:
    """Simulate cars in front of the camera, in street coordinates; ``speed`` multiplies every step.

    Args:
        rng: draws everything.
        camera: (T, 2) upper left corner of the picture in the street.
        cars: how many.
        width: of the picture in pixels.
        ground: its perspective.
        speed: multiplies every step.
    """
    traffic = _Traffic(rng, camera[0, 0], cars, width, ground, speed)
    states = [traffic.state()] + [traffic.step(left) for left in camera[1:, 0]]
    feet, leftwards = (np.stack(values) for values in zip(*states))
    return Walk(feet, np.zeros(leftwards.shape), leftwards)


class _Traffic:
    """State of all cars; every array has one row per car."""

    def __init__(
        self, rng: np.random.Generator, left: float, count: int, width: int, ground: Ground, speed: float
    ) -> None:
        self.rng = rng
        self.paces = (speed * PACE[0], speed * PACE[1])
        self.width = width
        self.ground = ground
        far, near = ground.rows
        lanes = far + LANES * (near - far) * (np.arange(count) + rng.random(count)) / max(1, count)
        self.lane = rng.permutation(lanes)
        across = left + (rng.permutation(count) + rng.random(count)) / max(1, count) * width
        self.place = np.stack([across, self.lane], axis=1)
        self.pace = rng.uniform(*self.paces, count)
        self.leftwards = rng.random(count) < 0.5

    def state(self) -> tuple[Array, np.ndarray]:
        """Copies of the values that make one frame: places (n, 2), and who drives to the left."""
        return self.place.copy(), self.leftwards.copy()

    def step(self, left: float) -> tuple[Array, np.ndarray]:
        """Advance by one frame; ``left`` is the left edge of the picture in the street."""
        self._decide(left)
        moving = self.rng.random(len(self.place)) >= STOP_RATE
        reach = np.where(moving, self.pace * self.ground.body(self.place[:, 1]), 0.0)
        self.place[:, 0] += np.where(self.leftwards, -reach, reach)
        aside = SIDEWAYS * reach
        self.place[:, 1] += np.clip(self.lane - self.place[:, 1], -aside, aside)
        return self.state()

    def _decide(self, left: float) -> None:
        """Who is outside comes back, some turn, change their pace, or change lanes with another."""
        count = len(self.place)
        turning = self.rng.random(count) < TURN_RATE
        self.leftwards = self.leftwards ^ turning
        self.leftwards = np.where(self.place[:, 0] < left - BESIDE * self.width, False, self.leftwards)
        self.leftwards = np.where(self.place[:, 0] > left + (1 + BESIDE) * self.width, True, self.leftwards)
        anew = self.rng.random(count) < NEW_PACE_RATE
        self.pace = np.where(anew, self.rng.uniform(*self.paces, count), self.pace)
        if self.rng.random() < LANE_CHANGE_RATE * count:
            one, two = self.rng.integers(count, size=2)
            self.lane[[one, two]] = self.lane[[two, one]]
