"""Where everybody is in every frame, at a frame rate too low to predict it.

Figures walk between random points of the street, turn without notice, stop, and prefer to walk through the place where
their look-alike stands, so that pairs cross. Between two frames a figure moves by about its own width and the camera
jumps on top of that: boxes of consecutive frames hardly overlap, and velocity says little about the next place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clmot_qd.datasets.demo.street import Ground

Array = npt.NDArray[np.float64]

STEP = (0.18, 0.54)
"""Slowest and fastest walk, body heights per frame; a body is about 0.4 of its height wide."""
RETARGET_RATE = 0.12
REVERSE_RATE = 0.14
STOP_RATE = 0.06
CROSS_PARTNER_RATE = 0.35
BESIDE = 0.06
"""Figures may go this far out of the picture, in picture widths."""
FORESHORTENING = 0.45
"""A step along the line of sight moves the foot point this much less than a step across it."""


@dataclass(frozen=True)
class Walk:
    """Paths of n figures over T frames, in street coordinates (the camera's pan not taken off).

    ``feet`` (T, n, 2): foot point x, row; ``stride`` (T, n): phase of the walking cycle in [0, 1);
    ``leftwards`` (T, n) bool: facing left.
    """

    feet: Array
    stride: Array
    leftwards: npt.NDArray[np.bool_]


def camera_path(
    rng: np.random.Generator, frames: int, size: tuple[int, int], travel: float, speed: float = 1.0
) -> Array:
    """(T, 2) upper left corner of the picture in the street: a slow pan over ``travel`` pixels, plus jitter."""
    width, height = size
    time = np.arange(frames)
    sway = np.sin(2 * np.pi * (speed * time / rng.uniform(28, 45) + rng.random()))
    jitter = rng.normal(0.0, 1.0, (frames, 2)) * (0.012 * speed * width, 0.008 * speed * height)
    jitter = np.clip(jitter, -0.035 * height, 0.035 * height)
    return np.stack([0.5 * travel * (1 + sway), np.zeros(frames)], axis=1) + jitter


def walk(rng: np.random.Generator, camera: Array, figures: int, width: int, ground: Ground, speed: float = 1.0) -> Walk:
    """Simulate walkers in front of the camera; figures 2k and 2k+1 look alike; ``speed`` multiplies every step."""
    walkers = _Walkers(rng, camera[0, 0], figures, width, ground, speed)
    states = [walkers.state()] + [walkers.step(left) for left in camera[1:, 0]]
    feet, stride, leftwards = (np.stack(values) for values in zip(*states))
    return Walk(feet, stride, leftwards)


class _Walkers:
    """State of all walkers; every array has one row per figure."""

    def __init__(
        self, rng: np.random.Generator, left: float, count: int, width: int, ground: Ground, speed: float
    ) -> None:
        self.rng = rng
        self.steps = (speed * STEP[0], speed * STEP[1])
        self.width = width
        self.ground = ground
        self.partner = np.minimum(np.arange(count) ^ 1, count - 1)
        self.place = self._anywhere(left, count)
        self.target = self._anywhere(left, count)
        self.speed = rng.uniform(*self.steps, count)
        self.stride = rng.random(count)
        self.leftwards = self.target[:, 0] < self.place[:, 0]

    def state(self) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
        """Copies of the values that make one frame of a :class:`Walk`."""
        return self.place.copy(), self.stride.copy(), self.leftwards.copy()

    def step(self, left: float) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
        """Advance by one frame; ``left`` is the left edge of the picture in the street."""
        self._decide(left)
        way = self.target - self.place
        distance = np.maximum(np.hypot(way[:, 0], way[:, 1] / FORESHORTENING), 1e-6)
        stopped = self.rng.random(len(way)) < STOP_RATE
        reach = np.where(stopped, 0.0, self.speed * self.ground.body(self.place[:, 1]))
        self.place += way * np.minimum(1.0, reach / distance)[:, None]
        self.leftwards = np.where(stopped, self.leftwards, way[:, 0] < 0)
        self.stride = (self.stride + self.rng.uniform(0.2, 0.8, len(way))) % 1.0
        return self.state()

    def _decide(self, left: float) -> None:
        """Who has arrived or changes his mind gets a new target; some just turn around."""
        count = len(self.place)
        arrived = np.abs(self.target - self.place).max(axis=1) < 1.0
        outside = np.abs(self.place[:, 0] - left - 0.5 * self.width) > 0.6 * self.width
        anew = arrived | outside | (self.rng.random(count) < RETARGET_RATE)
        crossing = self.rng.random(count) < CROSS_PARTNER_RATE
        target = np.where(crossing[:, None], self._through_partner(), self._anywhere(left, count))
        self.target = np.where(anew[:, None], target, self.target)
        self.speed = np.where(anew, self.rng.uniform(*self.steps, count), self.speed)
        back = ~anew & (self.rng.random(count) < REVERSE_RATE)
        self.target = np.where(back[:, None], 2 * self.place - self.target, self.target)
        self.target[:, 0] = np.clip(self.target[:, 0], left - BESIDE * self.width, left + (1 + BESIDE) * self.width)
        self.target[:, 1] = np.clip(self.target[:, 1], *self.ground.rows)

    def _anywhere(self, left: float, count: int) -> Array:
        """Random foot points in (or a little beside) the picture; far rows are as likely as near ones."""
        across = left + self.rng.uniform(-BESIDE, 1 + BESIDE, count) * self.width
        return np.stack([across, self.rng.uniform(*self.ground.rows, count)], axis=1)

    def _through_partner(self) -> Array:
        """A point behind the look-alike, so that the straight way there crosses its place."""
        way = self.place[self.partner] - self.place
        return self.place + way * self.rng.uniform(1.2, 1.9, (len(way), 1))
