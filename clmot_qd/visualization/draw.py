"""Boxes, identities and trails on frames; sheets of pictures.

Line widths and letters scale with the picture. Text is drawn with OpenCV's built-in letters, which know ASCII only:
other characters become question marks.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from clmot_qd.errors import InputError
from clmot_qd.files import atomic_path
from clmot_qd.trackers import Tracks

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

FONT = cv2.FONT_HERSHEY_SIMPLEX
PALETTE_SIZE = 24
DARK: Colour = (24, 24, 24)
PALE: Colour = (248, 248, 248)


def id_color(track_id: int) -> Colour:
    """BGR colour of an identity: a function of the id alone; any ``PALETTE_SIZE`` consecutive ids differ clearly."""
    return _palette()[track_id % PALETTE_SIZE]


@cache
def _palette() -> list[Colour]:
    """Saturated, neither dark nor pale colours, each the farthest in CIE Lab from all before it."""
    levels = np.linspace(0, 1, 9, dtype=np.float32)
    bgr = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    lab = cv2.cvtColor(bgr[None], cv2.COLOR_BGR2Lab)[0]
    fit = (lab[:, 0] > 42) & (lab[:, 0] < 90) & (np.hypot(lab[:, 1], lab[:, 2]) > 42)
    bgr, lab = bgr[fit], lab[fit]
    chosen = [int(np.argmax(lab[:, 1] + lab[:, 2]))]
    gap = np.full(len(lab), np.inf)
    while len(chosen) < PALETTE_SIZE:
        gap = np.minimum(gap, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(gap)))
    return [tuple(int(value) for value in np.round(255 * bgr[index])) for index in chosen]  # type: ignore[misc]


class TrackDrawer:
    """Draws the tracks of a video, frame after frame.

    Keeps the last bottom centres of every identity for the trails: use one drawer for one video, or ``reset()``.
    """

    def __init__(
        self,
        trail_frames: int = 30,
        class_names: Sequence[str] | None = None,
        show_scores: bool = False,
        scale: float = 1.0,
    ) -> None:
        """Choose what is drawn.

        Args:
            trail_frames: how many frames a trail reaches back; 0 draws none.
            class_names: names by label index; given, they are written behind the id.
            show_scores: write the detection score, too.
            scale: enlarge the picture by this factor before drawing, so that labels fit small pictures.
        """
        if trail_frames < 0:
            raise InputError(f"trail_frames = {trail_frames}: must not be negative")
        if scale <= 0:
            raise InputError(f"scale = {scale}: must be positive")
        self.trail_frames = trail_frames
        self.class_names = class_names
        self.show_scores = show_scores
        self.scale = scale
        self.reset()

    def reset(self) -> None:
        """Forget the trails, before another video."""
        self._frame_index = -1
        self._trails: dict[int, deque[_TrailPoint]] = defaultdict(deque)

    def draw(self, frame: Image, tracks: Tracks) -> Image:
        """Return a copy of ``frame`` (H, W, 3) with the tracks drawn on it; boxes are in the frame's pixels."""
        canvas = self._enlarged(frame)
        boxes = np.asarray(tracks.bboxes, dtype=np.float64) * self.scale
        self._remember(tracks.instances_id, boxes)
        style = _Style.of(canvas)
        canvas = self._draw_trails(canvas, style)
        # Near figures (lower edge further down) last: their boxes and labels lie over those behind them.
        order = np.argsort(boxes[:, 3], kind="stable")
        for row in order:
            _draw_box(canvas, boxes[row], id_color(int(tracks.instances_id[row])), style)
        for row in order:
            _draw_label(canvas, boxes[row], self._label(tracks, row), id_color(int(tracks.instances_id[row])), style)
        return canvas

    def _enlarged(self, frame: Image) -> Image:
        if self.scale == 1.0:
            return frame.copy()
        enlarged = cv2.resize(frame, None, fx=self.scale, fy=self.scale, interpolation=cv2.INTER_CUBIC)
        return np.asarray(enlarged, dtype=np.uint8)

    def _label(self, tracks: Tracks, row: int) -> str:
        words = [str(int(tracks.instances_id[row]))]
        label = int(tracks.labels[row])
        if self.class_names is not None:
            words.append(self.class_names[label] if 0 <= label < len(self.class_names) else f"class {label}")
        if self.show_scores:
            words.append(f"{float(tracks.scores[row]):.2f}")
        return " ".join(words)

    def _remember(self, ids: npt.NDArray[np.integer], boxes: npt.NDArray[np.float64]) -> None:
        """Append this frame's bottom centres and drop what is too old."""
        self._frame_index += 1
        for track_id, (x0, _, x1, y1) in zip(ids, boxes):
            self._trails[int(track_id)].append(_TrailPoint(self._frame_index, (x0 + x1) / 2, y1))
        oldest = self._frame_index - self.trail_frames
        for track_id in list(self._trails):
            trail = self._trails[track_id]
            while trail and trail[0].frame_index < oldest:
                trail.popleft()
            if not trail:
                del self._trails[track_id]

    def _draw_trails(self, canvas: Image, style: _Style) -> Image:
        """Blend the trails in; the older a piece, the fainter."""
        pieces = [
            (end.frame_index, track_id, start, end)
            for track_id, trail in self._trails.items()
            for start, end in zip(trail, list(trail)[1:])
        ]
        if not pieces:
            return canvas
        colour, strength = np.zeros_like(canvas), np.zeros(canvas.shape[:2], np.uint8)
        for frame_index, track_id, start, end in sorted(pieces, key=lambda piece: piece[:2]):
            weight = 255 * (1 - (self._frame_index - frame_index) / (self.trail_frames + 1))
            ends = _fixed_point(start.x, start.y), _fixed_point(end.x, end.y)
            # The colour reaches further than its weight, or the smooth edges of the line would mix with black.
            cv2.line(colour, *ends, id_color(track_id), style.line + 2, cv2.LINE_8, _SHIFT)
            cv2.line(strength, *ends, round(weight), style.line, cv2.LINE_AA, _SHIFT)
        weights = strength / np.float32(255)
        return np.asarray(cv2.blendLinear(colour, canvas, weights, 1 - weights), dtype=np.uint8)


class _TrailPoint(NamedTuple):
    """Where a track stood."""

    frame_index: int
    x: float
    y: float


class _Style(NamedTuple):
    """Sizes that fit a picture."""

    line: int
    halo: bool
    font: float
    margin: int

    @classmethod
    def of(cls, canvas: Image) -> _Style:
        side = min(canvas.shape[:2])
        font = float(np.clip(side / 1300, 0.33, 3.0))
        return cls(line=max(1, round(side / 360)), halo=side >= 360, font=font, margin=max(2, side // 300))


FAR = 2**15
"""Coordinates are limited to this, far outside of any picture: OpenCV counts in 32 bits."""
_SHIFT = 4
"""Binary digits behind the point in OpenCV's drawing coordinates."""


def _fixed_point(x: float, y: float) -> tuple[int, int]:
    """A continuous picture point for OpenCV's lines, whose whole numbers are pixel centres."""
    px, py = np.round((np.clip([x, y], -FAR, FAR) - 0.5) * 2**_SHIFT).astype(int)
    return int(px), int(py)


def _draw_box(canvas: Image, box: npt.NDArray[np.float64], colour: Colour, style: _Style) -> None:
    """The box; where there is room, with a dark line around it that keeps it visible on any ground."""
    # On whole pixels, the outermost ones inside the box: a line between two pixels would be blurred.
    x0, y0, x1, y1 = (int(value) for value in np.round(np.clip(box, -FAR, FAR) - (0, 0, 1, 1)))
    if style.halo:
        cv2.rectangle(canvas, (x0, y0), (x1, y1), DARK, style.line + 2)
    cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, style.line)


def _draw_label(canvas: Image, box: npt.NDArray[np.float64], text: str, colour: Colour, style: _Style) -> None:
    """A plate on top of the box, moved as far as needed to stay inside the picture."""
    stroke = max(1, round(style.font * 1.6))
    (width, height), baseline = cv2.getTextSize(text, FONT, style.font, stroke)
    plate = np.array([width + 2 * style.margin, height + baseline // 2 + 2 * style.margin])
    limits = np.maximum(np.array(canvas.shape[1::-1]) - plate, 0)
    x, y = (int(value) for value in np.clip(np.round([box[0], box[1] - plate[1]]), 0, limits))
    cv2.rectangle(canvas, (x, y), (x + int(plate[0]) - 1, y + int(plate[1]) - 1), colour, cv2.FILLED)
    start = (x + style.margin, y + style.margin + height)
    cv2.putText(canvas, text, start, FONT, style.font, _ink(colour), stroke, cv2.LINE_AA)


def _ink(plate: Colour) -> Colour:
    """Dark letters on bright plates, pale ones on dark plates."""
    return DARK if 0.114 * plate[0] + 0.587 * plate[1] + 0.299 * plate[2] > 125 else PALE


# ---- sheets ------------------------------------------------------------------------------------------------------


def contact_sheet(frames: Iterable[Image], columns: int, captions: Sequence[str] | None = None) -> Image:
    """Lay pictures out in rows of ``columns``, each with its caption above it.

    Pictures of different sizes share cells of the largest width and height; nothing is resized. A caption that is too
    wide for its cell is cut.

    Raises:
        InputError: no picture, columns below 1, or another number of captions than of pictures.
    """
    pictures = list(frames)
    if not pictures or columns < 1:
        raise InputError(f"contact sheet of {len(pictures)} pictures in {columns} columns: needs at least one of each")
    if captions is not None and len(captions) != len(pictures):
        raise InputError(f"contact sheet: {len(captions)} captions for {len(pictures)} pictures; give one for each")
    cell = (max(picture.shape[0] for picture in pictures), max(picture.shape[1] for picture in pictures))
    texts: Sequence[str | None] = [None] * len(pictures) if captions is None else captions
    tiles = [_tile(picture, cell, text) for picture, text in zip(pictures, texts)]
    tiles += [np.full_like(tiles[0], PALE)] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    return np.vstack(rows)


def _tile(picture: Image, cell: tuple[int, int], caption: str | None) -> Image:
    """The picture in the middle of a bright cell, with a strip for the caption above and a gap around."""
    style = _Style.of(np.empty((*cell, 3), np.uint8))
    font = 1.25 * style.font
    strip = 0 if caption is None else round(34 * font)
    gap = max(2, style.margin)
    tile = np.full((cell[0] + strip + 2 * gap, cell[1] + 2 * gap, 3), PALE, np.uint8)
    top = gap + strip + (cell[0] - picture.shape[0]) // 2
    left = gap + (cell[1] - picture.shape[1]) // 2
    tile[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    if caption is not None:
        cv2.putText(
            tile, caption, (gap + 2, round(24 * font)), FONT, font, DARK, max(1, round(1.6 * font)), cv2.LINE_AA
        )
    return tile


def save_png(path: str | os.PathLike[str], image: Image) -> None:
    """Write ``image`` (H, W, 3) BGR as PNG, all or nothing; raises InputError unless the name ends in .png."""
    if not os.fspath(path).lower().endswith(".png"):
        raise InputError(f"{path}: pictures are written as .png; change the name")
    with atomic_path(path) as temporary:
        if not cv2.imwrite(str(temporary), image):
            raise OSError(f"{path}: OpenCV could not write the picture")
