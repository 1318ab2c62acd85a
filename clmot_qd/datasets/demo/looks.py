"""What a figure looks like, and how two figures come to look alike.

A pair shares build, hair, skin, garments and (almost) their hues; what tells the two apart is the pattern on the top,
or the second colour of that pattern, or both. A mean colour therefore confuses them and a close look does not.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import numpy as np

from clmot_qd.datasets.demo.patterns import PATTERNS

Colour = tuple[float, float, float]
"""Blue, green, red, each 0..255 (OpenCV's order)."""

HAIRSTYLES = ("short", "long", "bun", "cap")
GARMENTS = ("trousers", "trousers", "shorts", "skirt", "side stripe")
SKINS = ((0.07, 0.30, 0.95), (0.06, 0.42, 0.85), (0.06, 0.55, 0.62), (0.05, 0.60, 0.42))
HAIRS = ((0.08, 0.55, 0.16), (0.07, 0.65, 0.32), (0.11, 0.60, 0.72), (0.03, 0.70, 0.45), (0.10, 0.08, 0.62))
MIN_CONTRAST = 75.0
"""Least difference in luma (0..255) between a garment and the pattern on it, so that small figures still show it."""


@dataclass(frozen=True)
class FigureLook:
    """One identity's appearance; lengths are relative to an average body, colours are BGR in 0..255."""

    height: float
    build: float
    skin: Colour
    hair: Colour
    hairstyle: str
    top: Colour
    accent: Colour
    pattern: str
    bottom: Colour
    garment: str
    shoes: Colour
    bag: Colour | None


def sample_pairs(rng: np.random.Generator, count: int) -> list[FigureLook]:
    """Draw ``count`` looks; looks 2k and 2k+1 are alike. The base hues of the pairs are spread over the circle."""
    looks = [look for hue in pair_hues(rng, count) for look in _look_alikes(rng, hue)]
    return looks[:count]


def pair_hues(rng: np.random.Generator, count: int) -> list[float]:
    """Hues in [0, 1), one for each pair of ``count`` things, spread over the circle and in random order."""
    pairs = (count + 1) // 2
    hues = (rng.random() + np.arange(pairs) / pairs + rng.uniform(-0.3, 0.3, pairs) / pairs) % 1.0
    return [float(hue) for hue in rng.permutation(hues)]


def _look_alikes(rng: np.random.Generator, hue: float) -> tuple[FigureLook, FigureLook]:
    first = _sample_look(rng, hue)
    accents = contrasting_colours(rng, first.top, hue)
    first = replace(first, accent=accents[0])
    differs_in = rng.choice(["pattern", "accent", "both"], p=[0.4, 0.2, 0.4])
    pattern = first.pattern
    if differs_in != "accent":
        pattern = str(rng.choice([name for name in PATTERNS if name != first.pattern]))
    second = replace(
        first,
        top=vary(rng, first.top),
        bottom=vary(rng, first.bottom),
        shoes=random_colour(rng, (0.3, 0.7), (0.15, 0.95)),
        accent=vary(rng, first.accent) if differs_in == "pattern" else accents[1],
        pattern=pattern,
    )
    return first, second


def _sample_look(rng: np.random.Generator, hue: float) -> FigureLook:
    bag = random_colour(rng, (0.2, 0.8), (0.2, 0.8)) if rng.random() < 0.35 else None
    return FigureLook(
        height=rng.uniform(0.93, 1.06),
        build=rng.uniform(0.88, 1.18),
        skin=_hsv(*SKINS[rng.integers(len(SKINS))]),
        hair=_hsv(*HAIRS[rng.integers(len(HAIRS))]),
        hairstyle=str(rng.choice(HAIRSTYLES)),
        top=random_colour(rng, (0.35, 0.85), (0.4, 0.95), hues=(hue, hue)),
        accent=(0.0, 0.0, 0.0),
        pattern=str(rng.choice(list(PATTERNS))),
        bottom=_hsv(rng.choice([rng.random(), 0.62]), rng.uniform(0.1, 0.6), rng.uniform(0.18, 0.7)),
        garment=str(rng.choice(GARMENTS)),
        shoes=random_colour(rng, (0.3, 0.7), (0.15, 0.95)),
        bag=bag,
    )


def contrasting_colours(rng: np.random.Generator, base: Colour, hue: float) -> list[Colour]:
    """Two well separated colours that stand out on ``base``: near-white, near-black, or another hue."""
    candidates = [_hsv(rng.random(), 0.08, 0.97), _hsv(rng.random(), 0.3, 0.12)]
    candidates += [_hsv((hue + shift) % 1.0, 0.85, value) for shift in (0.25, 0.5, 0.75) for value in (0.95, 0.35)]
    visible = [colour for colour in candidates if abs(luma(colour) - luma(base)) >= MIN_CONTRAST]
    if len(visible) < 2:
        visible = sorted(candidates, key=lambda colour: abs(luma(colour) - luma(base)))[-3:]
    chosen = rng.permutation(len(visible))[:2]
    return [visible[index] for index in chosen]


def luma(colour: Colour) -> float:
    """Brightness of a BGR colour as the eye weighs it (ITU-R BT.601), 0..255."""
    return 0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2]


def random_colour(
    rng: np.random.Generator,
    saturation: tuple[float, float],
    value: tuple[float, float],
    hues: tuple[float, float] = (0.0, 1.0),
) -> Colour:
    """A BGR colour whose hue, saturation and value (each 0..1) are drawn from the given ranges."""
    return _hsv(rng.uniform(*hues), rng.uniform(*saturation), rng.uniform(*value))


def vary(rng: np.random.Generator, colour: Colour) -> Colour:
    """The same cloth or paint from another lot."""
    blue, green, red = (float(np.clip(channel + rng.uniform(-9, 9), 0, 255)) for channel in colour)
    return blue, green, red


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(float(hue), float(saturation), float(value))
    return 255 * blue, 255 * green, 255 * red
