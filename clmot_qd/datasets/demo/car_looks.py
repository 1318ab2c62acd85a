"""What a car looks like, and how two cars come to look alike.

A pair shares its body and (almost) its paint; what tells the two apart is where a second colour goes, and often that
colour as well. As with the figures (:mod:`~clmot_qd.datasets.demo.looks`) a close look is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from clmot_qd.datasets.demo.looks import Colour, contrasting_colours, pair_hues, random_colour, vary

Field = npt.NDArray[np.floating]
Livery = Callable[[Field, Field], npt.NDArray[np.bool_]]

BODIES = ("hatchback", "saloon", "van", "pickup", "bubble")
OTHER_ACCENT_RATE = 0.6
"""Share of the pairs whose second colours differ too."""
MIDDLE = -0.35
"""Height of the middle of the doors; body heights, the ground is 0 and up is negative."""

LIVERIES: dict[str, Livery] = {
    "belt": lambda u, v: np.abs(v - MIDDLE) < 0.065,
    "sill": lambda u, v: v > MIDDLE + 0.02,
    "bands": lambda u, v: np.abs(np.abs(u) - 0.27) < 0.085,
    "taxi": lambda u, v: (np.abs(v - MIDDLE) < 0.11) & ((np.mod(u, 0.22) < 0.11) ^ (v < MIDDLE)),
    "disc": lambda u, v: np.hypot(u + 0.05, v - MIDDLE) < 0.15,
    "tail": lambda u, v: u < -0.22,
    "bonnet": lambda u, v: u > 0.33,
    "diagonals": lambda u, v: np.mod(u + v, 0.42) < 0.2,
    "doors": lambda u, v: np.abs(u + 0.02) < 0.3,
}
"""Where the accent colour goes, given the coordinates ``u`` (forwards from the middle) and ``v`` (down from the ground
line, so negative), both in body heights of a figure."""


@dataclass(frozen=True)
class CarLook:
    """One car's appearance; colours are BGR in 0..255."""

    body: str
    length: float
    paint: Colour
    livery: str
    accent: Colour
    rims: Colour


def sample_car_pairs(rng: np.random.Generator, count: int) -> list[CarLook]:
    """Draw ``count`` looks; looks 2k and 2k+1 are alike. Bodies and base hues are spread over the pairs."""
    hues = pair_hues(rng, count)
    bodies = [str(name) for _ in range(0, len(hues), len(BODIES)) for name in rng.permutation(BODIES)]
    looks = [look for hue, body in zip(hues, bodies) for look in _look_alikes(rng, hue, body)]
    return looks[:count]


def _look_alikes(rng: np.random.Generator, hue: float, body: str) -> tuple[CarLook, CarLook]:
    paint = random_colour(rng, (0.35, 0.85), (0.5, 0.95), hues=(hue, hue))
    accents = contrasting_colours(rng, paint, hue)
    liveries = [str(name) for name in rng.permutation(list(LIVERIES))[:2]]
    first = CarLook(
        body=body,
        length=rng.uniform(0.94, 1.08),
        paint=paint,
        livery=liveries[0],
        accent=accents[0],
        rims=random_colour(rng, (0.0, 0.15), (0.6, 0.9)),
    )
    accent = accents[1] if rng.random() < OTHER_ACCENT_RATE else vary(rng, accents[0])
    return first, replace(first, paint=vary(rng, paint), livery=liveries[1], accent=accent)
