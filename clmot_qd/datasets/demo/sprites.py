"""Sprites: pictures with transparency that are placed at any size and sub-pixel position.

Colours are premultiplied with alpha, which makes scaling and blending exact at the edges. A sprite keeps a pyramid of
halved copies; placing it starts from the level that is shrunk by less than two, so thin stripes do not alias.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

OPAQUE = 0.5
"""Alpha above which a pixel belongs to the sprite's mask."""


@dataclass(frozen=True)
class Layer:
    """A sprite put into the picture, not clipped yet.

    ``pixels`` (h, w, 4): premultiplied BGRA in 0..255; ``left``, ``top``: picture coordinates of its first pixel;
    ``box``: tight xyxy box of the sprite in continuous picture coordinates.
    """

    pixels: FloatImage
    left: int
    top: int
    box: tuple[float, float, float, float]

    @property
    def mask(self) -> Mask:
        """(h, w) the pixels that belong to the sprite."""
        return np.asarray(self.pixels[..., 3] > 255 * OPAQUE)


class Sprite:
    """A picture with transparency, its anchor (the point that stands on the ground) and its unit length."""

    def __init__(self, pixels: FloatImage, anchor: tuple[float, float], unit: float) -> None:
        """``pixels`` (h, w, 4) premultiplied BGRA 0..255; ``anchor`` (x, y) and ``unit`` in its pixels."""
        self.anchor = anchor
        self.unit = unit
        self.bounds = _tight_bounds(pixels[..., 3] > 255 * OPAQUE)
        self.levels = [pixels]
        while min(self.levels[-1].shape[:2]) >= 16:
            height, width = self.levels[-1].shape[:2]
            half = cv2.resize(self.levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            self.levels.append(np.asarray(half, dtype=np.float32))

    def place(self, x: float, y: float, unit: float, mirrored: bool = False) -> Layer:
        """Put the anchor at picture point (x, y) with ``unit`` pixels for the sprite's unit length."""
        scale = unit / self.unit
        height, width = self.levels[0].shape[:2]
        anchor_x = width - self.anchor[0] if mirrored else self.anchor[0]
        x0, y0 = x - scale * anchor_x, y - scale * self.anchor[1]
        left, top = int(np.floor(x0)), int(np.floor(y0))
        size = (int(np.ceil(x0 + scale * width)) - left, int(np.ceil(y0 + scale * height)) - top)
        pixels = self._resampled(scale, x0 - left, y0 - top, size, mirrored)
        bx0, by0, bx1, by1 = self.bounds
        if mirrored:
            bx0, bx1 = width - bx1, width - bx0
        return Layer(pixels, left, top, (x0 + scale * bx0, y0 + scale * by0, x0 + scale * bx1, y0 + scale * by1))

    def _resampled(self, scale: float, dx: float, dy: float, size: tuple[int, int], mirrored: bool) -> FloatImage:
        """The sprite shrunk by ``scale`` with its corner at (dx, dy) of a picture of ``size`` (w, h)."""
        index = int(np.clip(np.floor(-np.log2(scale)), 0, len(self.levels) - 1))
        level = self.levels[index]
        if mirrored:
            level = np.ascontiguousarray(level[:, ::-1])
        sx = scale * self.levels[0].shape[1] / level.shape[1]
        sy = scale * self.levels[0].shape[0] / level.shape[0]
        # warpAffine puts whole numbers on pixel centres, we put them on pixel corners: half a pixel on both sides.
        matrix = np.array([[sx, 0, dx + 0.5 * sx - 0.5], [0, sy, dy + 0.5 * sy - 0.5]])
        return np.asarray(cv2.warpAffine(level, matrix, size, flags=cv2.INTER_LINEAR), dtype=np.float32)


def _tight_bounds(mask: Mask) -> tuple[int, int, int, int]:
    """Corner coordinates x0, y0, x1, y1 of the smallest box around the mask."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


class Brush:
    """Paints opaque shapes, given in unit coordinates, onto a transparent canvas; makes the sprite at the end."""

    def __init__(self, width: float, height: float, unit_px: int, origin: tuple[float, float]) -> None:
        """A canvas of ``width`` x ``height`` units; ``origin`` is the canvas position (units) of the point (0, 0)."""
        shape = (round(height * unit_px), round(width * unit_px))
        self.unit_px = unit_px
        self.origin = origin
        self.colour = np.zeros((*shape, 3), np.float32)
        self.alpha = np.zeros(shape, np.uint8)
        rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        self.u = ((columns + 0.5) / unit_px - origin[0]).astype(np.float32)
        """(h, w) across coordinate of every canvas pixel, in units."""
        self.v = ((rows + 0.5) / unit_px - origin[1]).astype(np.float32)
        """(h, w) down coordinate of every canvas pixel, in units."""

    def polygon(self, points: npt.ArrayLike, texture: npt.ArrayLike, rounding: float = 0.0, shade: float = 1.0) -> None:
        """Fill the polygon (n, 2); ``rounding`` is the width of a round pen run along its border."""
        corners = self._pixels(points)
        shape = np.zeros_like(self.alpha)
        cv2.fillPoly(shape, [corners], 255)
        if rounding > 0:
            cv2.polylines(shape, [corners], True, 255, max(1, round(rounding * self.unit_px)))
        self._paint(shape, texture, shade)

    def limb(self, points: npt.ArrayLike, width: float, texture: npt.ArrayLike, shade: float = 1.0) -> None:
        """A thick open line with round ends through the points (n, 2)."""
        shape = np.zeros_like(self.alpha)
        cv2.polylines(shape, [self._pixels(points)], False, 255, max(1, round(width * self.unit_px)))
        self._paint(shape, texture, shade)

    def ellipse(self, x: float, y: float, rx: float, ry: float, texture: npt.ArrayLike, shade: float = 1.0) -> None:
        """Fill an upright ellipse."""
        inside = ((self.u - x) / rx) ** 2 + ((self.v - y) / ry) ** 2 <= 1.0
        self._paint(inside.astype(np.uint8) * 255, texture, shade)

    def sprite(self, anchor: tuple[float, float]) -> Sprite:
        """The finished sprite, standing on ``anchor`` (units)."""
        alpha = self.alpha.astype(np.float32)
        pixels = np.dstack([self.colour * (alpha[..., None] / 255), alpha]).astype(np.float32)
        anchor_px = ((anchor[0] + self.origin[0]) * self.unit_px, (anchor[1] + self.origin[1]) * self.unit_px)
        return Sprite(pixels, anchor_px, self.unit_px)

    def _pixels(self, points: npt.ArrayLike) -> npt.NDArray[np.int32]:
        scaled = (np.asarray(points, dtype=np.float64) + self.origin) * self.unit_px
        return np.round(scaled).astype(np.int32)

    def _paint(self, shape: npt.NDArray[np.uint8], texture: npt.ArrayLike, shade: float) -> None:
        """Lay a colour (3,) or a texture (h, w, 3) over the shape, darker towards its rim as cloth around a body is."""
        x, y, width, height = cv2.boundingRect(shape)
        window = np.s_[y : y + height, x : x + width]
        # One empty pixel around it, or the rim would not be seen where the shape touches its own bounding box.
        framed = cv2.copyMakeBorder(shape[window], 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        depth = cv2.distanceTransform(framed, cv2.DIST_L2, 3)[1:-1, 1:-1] / self.unit_px
        rim = 0.62 + 0.38 * np.clip(depth / 0.022, 0.0, 1.0)
        paint = np.broadcast_to(np.asarray(texture, np.float32), self.colour.shape)[window]
        inside = shape[window] > 0
        self.colour[window][inside] = (paint * (shade * rim)[..., None])[inside]
        self.alpha[window][inside] = 255
