"""The street behind the figures: a wide picture that the camera pans over, and things that stand in the way.

The camera is three metres up and level. On the ground everything grows in proportion to the distance of its foot point
from the horizon (:class:`Ground`); panning moves the whole picture, as turning a camera far from its subject does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from clmot_qd.datasets.demo.looks import Colour, random_colour
from clmot_qd.datasets.demo.sprites import Brush, FloatImage, Sprite

METRES_PER_BODY = 1.72
CORNICE = np.array([225, 230, 232], np.float32)
FINE = 2
"""The street is drawn this many times larger and then shrunk, which smooths its edges."""


@dataclass(frozen=True)
class Ground:
    """Perspective of the ground plane; rows are pixels below the upper edge of the picture of height ``height``."""

    height: int

    @property
    def horizon(self) -> float:
        """Row of the horizon."""
        return 0.155 * self.height

    @property
    def kerb(self) -> float:
        """Row where the ground begins, at the foot of the houses."""
        return 0.40 * self.height

    @property
    def rows(self) -> tuple[float, float]:
        """Farthest and nearest row on which anybody stands."""
        return 0.485 * self.height, 0.965 * self.height

    def body(self, row: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Height in pixels of an average body that stands on ``row``."""
        return 0.575 * (np.asarray(row, dtype=np.float64) - self.horizon)


def draw_street(rng: np.random.Generator, width: int, height: int, margin: int) -> FloatImage:
    """Draw a street (height + 2 margin, width + 2 margin, 3), BGR 0..255; picture row 0 lies at row ``margin``."""
    canvas = np.zeros(((height + 2 * margin) * FINE, (width + 2 * margin) * FINE, 3), np.float32)
    ground = Ground(height)
    kerb = round((ground.kerb + margin) * FINE)
    storey = 1.75 * float(ground.body(ground.kerb)) * FINE
    _draw_houses(rng, canvas[:kerb], storey)
    _draw_ground(rng, canvas[kerb:], ground, width)
    _draw_kerb(canvas, kerb, round(0.06 * storey))
    canvas *= 1.0 + 0.07 * _noise(rng, canvas.shape[:2], octaves=(2, 5, 40))[..., None]
    fine = np.clip(canvas, 0, 255)
    return np.asarray(cv2.resize(fine, None, fx=1 / FINE, fy=1 / FINE, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _noise(rng: np.random.Generator, shape: tuple[int, int], octaves: tuple[int, ...]) -> FloatImage:
    """Smooth noise around 0 with a standard deviation near 1; one octave for each grain size in pixels."""
    total = np.zeros(shape, np.float32)
    for grain in octaves:
        coarse = rng.standard_normal((shape[0] // grain + 3, shape[1] // grain + 3)).astype(np.float32)
        total += cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return total / np.float32(np.sqrt(len(octaves)))


# ---- houses ------------------------------------------------------------------------------------------------------


def _draw_houses(rng: np.random.Generator, wall: FloatImage, storey: float) -> None:
    """Fill the part above the ground with a row of houses; ``storey`` is the height of a floor in pixels."""
    height, width = wall.shape[:2]
    x = 0
    while x < width:
        house = wall[:, x : x + round(storey * rng.uniform(1.3, 3.2))]
        colour = _paint(rng, (0.05, 0.35), (0.45, 0.85))
        house[:] = colour * (1 + 0.05 * _brickwork(rng, house.shape[:2], storey))[..., None]
        _draw_shop(rng, house, height, storey)
        for bottom in np.arange(height - 1.12 * storey, 0, -storey):
            _draw_windows(rng, house, bottom, storey)
        house[:, -2:] *= 0.6
        x += house.shape[1]


def _brickwork(rng: np.random.Generator, shape: tuple[int, int], storey: float) -> FloatImage:
    """Courses of bricks of varying brightness around 0."""
    course, length = max(2, round(storey / 22)), max(4, round(storey / 9))
    bricks = rng.standard_normal((shape[0] // course + 1, shape[1] // length + 2)).astype(np.float32)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    shifted = columns + (rows // course % 2) * (length // 2)
    return np.asarray(bricks[rows // course, shifted // length], dtype=np.float32)


def _draw_shop(rng: np.random.Generator, house: FloatImage, ground: int, storey: float) -> None:
    """Shop window, door, awning and a cornice on the ground floor."""
    width = house.shape[1]
    trim = _paint(rng, (0.3, 0.8), (0.25, 0.8))
    glass = _paint(rng, (0.1, 0.3), (0.2, 0.4))
    door = round(width * rng.uniform(0.12, 0.75))
    top = round(ground - 0.78 * storey)
    _box(house, round(0.06 * width), top, round(0.94 * width), ground - round(0.12 * storey), trim)
    inner = (round(0.06 * width) + 3, top + 3, round(0.94 * width) - 3, ground - round(0.12 * storey) - 3)
    _box(house, *inner, glass)
    _shade_glass(rng, house, inner)
    _box(house, door, top, door + round(0.3 * storey), ground, 0.7 * trim)
    _box(house, door + 4, top + 5, door + round(0.3 * storey) - 4, ground - round(0.3 * storey), 0.6 * glass)
    _box(house, 0, round(ground - 1.08 * storey), width, round(ground - 1.02 * storey), CORNICE)
    if rng.random() < 0.6:
        _draw_awning(rng, house, top, storey, trim)


def _draw_awning(rng: np.random.Generator, house: FloatImage, top: int, storey: float, trim: FloatImage) -> None:
    stripe = max(4, round(storey / 7))
    y0, y1 = top - round(0.08 * storey), top + round(0.14 * storey)
    columns = np.arange(house.shape[1]) // stripe % 2
    pale = _paint(rng, (0.0, 0.15), (0.85, 0.97))
    house[y0:y1] = np.where(columns[:, None] > 0, trim, pale)
    house[y1 : y1 + 3] *= 0.55


def _draw_windows(rng: np.random.Generator, house: FloatImage, bottom: float, storey: float) -> None:
    """One floor of equal windows that stands on row ``bottom``."""
    width = house.shape[1]
    count = max(1, int(width / (0.75 * storey)))
    frame = _paint(rng, (0.0, 0.2), (0.75, 0.97))
    half = round(0.19 * storey)
    for middle in (np.arange(count) + 0.5) * width / count:
        x0, x1 = round(middle) - half, round(middle) + half
        y0, y1 = round(bottom - 0.80 * storey), round(bottom - 0.18 * storey)
        glass = _paint(rng, (0.1, 0.35), (0.2, 0.55))
        _box(house, x0 - 3, y0 - 3, x1 + 3, y1 + 5, frame)
        _box(house, x0, y0, x1, y1, glass)
        _shade_glass(rng, house, (x0, y0, x1, y1))
        _box(house, (x0 + x1) // 2 - 1, y0, (x0 + x1) // 2 + 2, y1, frame)


def _shade_glass(rng: np.random.Generator, house: FloatImage, box: tuple[int, int, int, int]) -> None:
    """A slanting reflection over a pane."""
    x0, y0, x1, y1 = box
    pane = house[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)]
    rows, columns = np.mgrid[: pane.shape[0], : pane.shape[1]]
    band = np.sin((columns + rows) / rng.uniform(7, 16) + rng.uniform(0, 6))
    pane *= (1.0 + 0.25 * band)[..., None]


def _paint(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> FloatImage:
    """A random colour as an array (3,)."""
    return np.array(random_colour(rng, saturation, value), np.float32)


def _box(canvas: FloatImage, x0: int, y0: int, x1: int, y1: int, colour: FloatImage) -> None:
    """Fill a rectangle, clipped to the canvas."""
    canvas[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = colour


# ---- ground ------------------------------------------------------------------------------------------------------


def _draw_ground(rng: np.random.Generator, floor: FloatImage, ground: Ground, width: int) -> None:
    """Cover the ground; texture coordinates are metres, so that slabs shrink towards the horizon."""
    rows, columns = np.mgrid[: floor.shape[0], : floor.shape[1]].astype(np.float32) / FINE
    drop = rows + np.float32(ground.kerb - ground.horizon)
    across = (columns - 0.5 * width) / drop * np.float32(METRES_PER_BODY / 0.575)
    away = np.float32(3.0 * 1.6 * ground.height) / drop
    style = GROUNDS[rng.integers(len(GROUNDS))]
    colour = _paint(rng, (0.02, 0.22), (0.5, 0.75))
    floor[:] = colour * style(rng, across, away)[..., None]
    if rng.random() < 0.7:
        _draw_puddles(rng, floor)


def _slabs(rng: np.random.Generator, across: FloatImage, away: FloatImage) -> FloatImage:
    """Square slabs of varying brightness with dark joints."""
    size = np.float32(rng.uniform(0.9, 1.6))
    column, row = np.floor(across / size), np.floor(away / size)
    joint = (np.abs(across / size - column - 0.5) > 0.46) | (np.abs(away / size - row - 0.5) > 0.46)
    return _tone(rng, column, row, 0.07) * np.where(joint, np.float32(0.72), np.float32(1.0))


def _chequered(rng: np.random.Generator, across: FloatImage, away: FloatImage) -> FloatImage:
    """Two-tone slabs, as on a market square."""
    size = np.float32(rng.uniform(1.0, 1.8))
    column, row = np.floor(across / size), np.floor(away / size)
    return _tone(rng, column, row, 0.04) * np.where((column + row) % 2 > 0, np.float32(1.12), np.float32(0.86))


def _planks(rng: np.random.Generator, across: FloatImage, away: FloatImage) -> FloatImage:
    """Long boards that run across the picture."""
    row = np.floor(away / np.float32(0.7))
    column = np.floor(across / np.float32(3.5) + row * np.float32(0.37))
    return _tone(rng, column, row, 0.12)


def _crossing(rng: np.random.Generator, across: FloatImage, away: FloatImage) -> FloatImage:
    """Asphalt with a zebra crossing."""
    start = np.float32(rng.uniform(7, 9))
    zebra = (away > start) & (away < start + 3) & (np.mod(across, 1.1) < 0.55)
    return _tone(rng, np.floor(across * 6), np.floor(away * 6), 0.05) * np.where(
        zebra, np.float32(1.35), np.float32(0.8)
    )


GROUNDS: tuple[Callable[[np.random.Generator, FloatImage, FloatImage], FloatImage], ...] = (
    _slabs,
    _chequered,
    _planks,
    _crossing,
)


def _tone(rng: np.random.Generator, column: FloatImage, row: FloatImage, spread: float) -> FloatImage:
    """A random brightness around 1 for every (column, row) cell."""
    table = rng.standard_normal((64, 64)).astype(np.float32)
    picked = table[row.astype(np.int64) % 64, column.astype(np.int64) % 64]
    return np.asarray(1.0 + np.float32(spread) * picked, dtype=np.float32)


def _draw_puddles(rng: np.random.Generator, floor: FloatImage) -> None:
    """Darker patches of wet or worn ground, stretched by the perspective."""
    height, width = floor.shape[:2]
    patch = np.zeros((height, width), np.float32)
    for _ in range(rng.integers(3, 9)):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        size = 0.05 + 0.10 * centre[1] / height
        axes = (round(size * height * rng.uniform(1.5, 4)), round(size * height * 0.5))
        cv2.ellipse(patch, (centre, (2.0 * axes[0], 2.0 * axes[1]), 0.0), float(rng.uniform(0.12, 0.3)), -1)
    floor *= 1 - cv2.GaussianBlur(patch, (0, 0), 4)[..., None]


def _draw_kerb(canvas: FloatImage, row: int, thickness: int) -> None:
    canvas[row : row + thickness] = (178, 182, 184)
    canvas[row + thickness : row + 2 * thickness] *= 0.6


# ---- things that stand in the way --------------------------------------------------------------------------------


def draw_obstacle(rng: np.random.Generator, body_px: int) -> Sprite:
    """A lamp post, tree, advertising column or planter; lengths in body heights, standing on the origin."""
    draw = OBSTACLES[rng.choice(len(OBSTACLES), p=[0.35, 0.3, 0.15, 0.2])]
    brush = Brush(width=1.7, height=2.6, unit_px=body_px, origin=(0.85, 2.5))
    draw(rng, brush)
    return brush.sprite(anchor=(0.0, 0.0))


def _lamp_post(rng: np.random.Generator, brush: Brush) -> None:
    iron: Colour = random_colour(rng, (0.1, 0.5), (0.18, 0.35))
    brush.polygon([(-0.06, -0.18), (0.06, -0.18), (0.07, 0), (-0.07, 0)], iron)
    brush.limb([(0, -0.1), (0, -2.2)], 0.055, iron)
    brush.ellipse(0, -2.3, 0.11, 0.13, (190, 235, 250))


def _tree(rng: np.random.Generator, brush: Brush) -> None:
    leaf: Colour = random_colour(rng, (0.45, 0.7), (0.3, 0.55), hues=(0.2, 0.38))
    brush.limb([(0, 0), (0.02, -0.8), (-0.01, -1.6)], 0.12, (48, 72, 96))
    for turn in np.append(rng.permutation(12), 0):
        radius = 0.3 * np.sqrt(turn / 11)  # the last blob closes the middle
        x, y = radius * np.cos(2.4 * turn), -1.85 + 0.85 * radius * np.sin(2.4 * turn)
        brush.ellipse(x, y, rng.uniform(0.18, 0.26), rng.uniform(0.16, 0.23), leaf, shade=rng.uniform(0.78, 1.18))


def _column(rng: np.random.Generator, brush: Brush) -> None:
    """Advertising column with posters."""
    body: Colour = random_colour(rng, (0.1, 0.4), (0.5, 0.8))
    brush.polygon([(-0.24, -1.5), (0.24, -1.5), (0.24, 0), (-0.24, 0)], body, rounding=0.04)
    for left, top in ((-0.2, -1.35), (0.02, -1.2), (-0.2, -0.75), (0.02, -0.62)):
        poster = random_colour(rng, (0.4, 0.9), (0.5, 0.95))
        brush.polygon([(left, top), (left + 0.19, top), (left + 0.19, top + 0.45), (left, top + 0.45)], poster)
    brush.ellipse(0, -1.56, 0.3, 0.1, body, shade=0.7)


def _planter(rng: np.random.Generator, brush: Brush) -> None:
    stone: Colour = random_colour(rng, (0.05, 0.25), (0.45, 0.7))
    leaf: Colour = random_colour(rng, (0.4, 0.7), (0.3, 0.6), hues=(0.2, 0.38))
    for x in (-0.24, -0.08, 0.08, 0.24):
        brush.ellipse(x, -0.36 + rng.uniform(-0.03, 0.03), 0.13, 0.12, leaf, shade=rng.uniform(0.8, 1.2))
    brush.polygon([(-0.36, -0.3), (0.36, -0.3), (0.32, 0), (-0.32, 0)], stone, rounding=0.02)


OBSTACLES: tuple[Callable[[np.random.Generator, Brush], None], ...] = (_lamp_post, _tree, _column, _planter)
