"""A whole scene: street, obstacles, figures, cars and camera, rendered frame by frame with exact masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from clmot_qd.datasets.demo.car import draw_car
from clmot_qd.datasets.demo.car_looks import CarLook
from clmot_qd.datasets.demo.figure import PHASES, draw_figure
from clmot_qd.datasets.demo.looks import FigureLook
from clmot_qd.datasets.demo.motion import Walk, camera_path, walk
from clmot_qd.datasets.demo.sprites import FloatImage, Layer, Mask, Sprite
from clmot_qd.datasets.demo.street import Ground, draw_obstacle, draw_street
from clmot_qd.datasets.demo.traffic import drive

NOBODY = -1
"""Owner of a pixel that shows the street or an obstacle."""
FIGURE_SHADOW, CAR_SHADOW = (0.5, 0.11), (2.0, 0.2)
"""Width and height of the shadow, in body heights."""


@dataclass(frozen=True)
class DemoFrame:
    """One picture and the truth about it; the rows of every array are the figures of the scene, then its cars.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        owner: (H, W) int16, row of the figure or car that is seen at a pixel, ``NOBODY`` elsewhere.
        bodies: (n, 4) float64 xyxy, boxes of the whole thing, not clipped: they may leave the picture.
        visibility: (n,) float64, share of its pixels that is seen; what lies outside the picture is not seen.
    """

    image: npt.NDArray[np.uint8]
    owner: npt.NDArray[np.int16]
    bodies: npt.NDArray[np.float64]
    visibility: npt.NDArray[np.float64]

    @property
    def masks(self) -> Mask:
        """(n, H, W) the pixels on which each figure or car is seen."""
        return np.asarray(self.owner[None] == np.arange(len(self.bodies), dtype=np.int16)[:, None, None])

    @property
    def boxes(self) -> npt.NDArray[np.float64]:
        """(n, 4) xyxy, ``bodies`` clipped to the picture; of zero size for who is outside."""
        height, width = self.owner.shape
        return np.clip(self.bodies, 0.0, np.array([width, height, width, height], np.float64))


class DemoScene:
    """A street with figures that walk on it, and cars. Equal arguments give equal pixels.

    Cars come last in everything that is drawn at random: without them the rest of the scene is the same.
    """

    def __init__(
        self,
        looks: Sequence[FigureLook],
        frames: int,
        size: tuple[int, int],
        rng: np.random.Generator,
        speed: float = 1.0,
        cars: Sequence[CarLook] = (),
    ) -> None:
        """Set the scene up; nothing is rendered yet.

        Args:
            looks: one figure each, neighbours 2k and 2k+1 being look-alikes.
            frames: length of the sequence.
            size: (width, height) of the picture in pixels.
            rng: draws everything that is not the looks of figures and cars.
            speed: multiplies how far figures, cars and camera jump between two frames.
            cars: one car each.
        """
        self.looks = list(looks)
        self.cars = list(cars)
        self.size = size
        width, height = size
        self._ground = Ground(height)
        self._margin = round(0.15 * height)
        travel = 0.35 * width
        self._street = draw_street(rng, round(width + travel), height, self._margin)
        self._camera = camera_path(rng, frames, size, travel, speed)
        self._walk: Walk = walk(rng, self._camera, len(self.looks), width, self._ground, speed)
        body_px = 2 * round(float(self._ground.body(self._ground.rows[1])))
        self._figures = [draw_figure(look, body_px) for look in self.looks]
        self._obstacles = self._draw_obstacles(rng, round(width + travel), body_px)
        self._light = _lighting(rng, frames)
        self._noise_seed = int(rng.integers(2**31))
        self._drive: Walk = drive(rng, self._camera, len(self.cars), width, self._ground, speed)
        self._cars = [draw_car(look, body_px) for look in self.cars]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._camera)

    def __iter__(self) -> Iterator[DemoFrame]:
        """Render the frames in order."""
        return (self.render(index) for index in range(len(self)))

    def render(self, index: int) -> DemoFrame:
        """Render frame ``index`` (0-based) without any other."""
        left, top = self._camera[index]
        picture = self._background(left, top)
        for paths, extent in ((self._walk, FIGURE_SHADOW), (self._drive, CAR_SHADOW)):
            feet = paths.feet[index]
            _draw_shadows(picture, feet - (left, top), self._ground.body(feet[:, 1]), extent)
        layers = self._layers(index, left, top)
        owner, visibility = composite(picture, [layers[key] for key in self._order(index)], self._order(index))
        count = len(self.looks) + len(self.cars)
        owner[owner >= count] = NOBODY
        image = self._expose(picture, index)
        return DemoFrame(image, owner, np.array([layer.box for layer in layers[:count]]), visibility[:count])

    def _background(self, left: float, top: float) -> FloatImage:
        """The part of the street that the camera sees, at sub-pixel precision."""
        width, height = self.size
        shift = np.array([[1.0, 0.0, -left - self._margin], [0.0, 1.0, -top - self._margin]])
        return np.asarray(cv2.warpAffine(self._street, shift, (width, height)), dtype=np.float32)

    def _layers(self, index: int, left: float, top: float) -> list[Layer]:
        """The figures, the cars, then the obstacles."""
        layers = []
        for figure, look in enumerate(self.looks):
            x, row = self._walk.feet[index, figure]
            phase = int(self._walk.stride[index, figure] * PHASES)
            height = look.height * float(self._ground.body(row))
            mirrored = bool(self._walk.leftwards[index, figure])
            layers.append(self._figures[figure][phase].place(x - left, row - top, height, mirrored))
        for sprite, (x, row), mirrored in zip(self._cars, self._drive.feet[index], self._drive.leftwards[index]):
            layers.append(sprite.place(x - left, row - top, float(self._ground.body(row)), bool(mirrored)))
        for sprite, x, row in self._obstacles:
            layers.append(sprite.place(x - left, row - top, float(self._ground.body(row))))
        return layers

    def _order(self, index: int) -> list[int]:
        """Indices of the layers from the farthest to the nearest."""
        rows = [*self._walk.feet[index, :, 1], *self._drive.feet[index, :, 1], *(row for _, _, row in self._obstacles)]
        return [int(key) for key in np.argsort(rows, kind="stable")]

    def _draw_obstacles(self, rng: np.random.Generator, width: int, body_px: int) -> list[tuple[Sprite, float, float]]:
        """Sprites with the street points on which they stand."""
        places = (np.arange(4) + rng.uniform(0.2, 0.8, 4)) / 4 * width
        far, near = self._ground.rows
        rows = rng.uniform(far, far + 0.75 * (near - far), 4)
        return [(draw_obstacle(rng, body_px), float(x), float(row)) for x, row in zip(places, rows)]

    def _expose(self, picture: FloatImage, index: int) -> npt.NDArray[np.uint8]:
        """Light of this moment, then the sensor's noise."""
        noise = np.random.default_rng([self._noise_seed, index]).standard_normal(picture.shape, dtype=np.float32)
        slope = np.linspace(-1.0, 1.0, picture.shape[1], dtype=np.float32)[None, :, None]
        gain, tilt, blue, red = self._light[index]
        exposed = picture * (gain * (1 + tilt * slope)) * np.array([blue, 1.0, red], np.float32) + 2.5 * noise
        return np.clip(np.round(exposed), 0, 255).astype(np.uint8)


def composite(
    picture: FloatImage, layers: Sequence[Layer], keys: Sequence[int]
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float64]]:
    """Lay the layers over ``picture`` (in place), the first one farthest away.

    Args:
        picture: (H, W, 3) BGR 0..255.
        layers: what to draw, from far to near.
        keys: a number for each layer, 0..len-1 in any order.

    Returns:
        ``owner`` (H, W): key of the layer that is seen at each pixel, ``NOBODY`` where there is none, and
        ``visibility`` (len(layers),), indexed by key: pixels seen / all pixels of the layer, also those outside.
    """
    owner = np.full(picture.shape[:2], NOBODY, np.int16)
    areas = np.ones(len(layers))
    for key, layer in zip(keys, layers):
        areas[key] = max(1, int(layer.mask.sum()))
        here, there = _overlap(layer, picture.shape[:2])
        pixels = layer.pixels[there]
        picture[here] = picture[here] * (1 - pixels[..., 3:] / 255) + pixels[..., :3]
        owner[here][layer.mask[there]] = key
    seen = np.bincount(owner[owner != NOBODY].astype(np.int64), minlength=len(layers))
    return owner, seen / areas


def _overlap(layer: Layer, shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of the picture under the layer, and the same part in the layer's own pixels (both may be empty)."""
    height, width = layer.pixels.shape[:2]
    y0, y1 = (int(np.clip(y, 0, shape[0])) for y in (layer.top, layer.top + height))
    x0, x1 = (int(np.clip(x, 0, shape[1])) for x in (layer.left, layer.left + width))
    here = (slice(y0, y1), slice(x0, x1))
    return here, (slice(y0 - layer.top, y1 - layer.top), slice(x0 - layer.left, x1 - layer.left))


def _draw_shadows(
    picture: FloatImage,
    feet: npt.NDArray[np.float64],
    bodies: npt.NDArray[np.float64],
    extent: tuple[float, float],
) -> None:
    """Soft dark ellipses of ``extent`` (width, height, in ``bodies``) under the feet, in place."""
    if not len(feet):
        return
    shade = np.zeros(picture.shape[:2], np.float32)
    for (x, row), body in zip(feet, bodies):
        cv2.ellipse(shade, ((x + 0.06 * body, row), (extent[0] * body, extent[1] * body), 0.0), 0.42, -1)
    picture *= 1 - cv2.GaussianBlur(shade, (0, 0), 1.2)[..., None]


def _lighting(rng: np.random.Generator, frames: int) -> npt.NDArray[np.float32]:
    """(T, 4) brightness, its slope across the picture, and the gains of blue and red in every frame."""
    slow = np.sin(2 * np.pi * (np.arange(frames) / rng.uniform(15, 40) + rng.random()))
    gain = 1 + 0.07 * slow + rng.normal(0, 0.045, frames)
    tilt = 0.10 * np.sin(2 * np.pi * (np.arange(frames) / rng.uniform(10, 25) + rng.random()))
    blue, red = 1 + rng.normal(0, 0.02, (2, frames))
    return np.stack([np.clip(gain, 0.75, 1.25), tilt, blue, red], axis=1).astype(np.float32)
