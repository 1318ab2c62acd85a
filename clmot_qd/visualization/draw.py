"""Boxes, masks, identities and trails on frames; sheets of pictures.

Boxes, labels and trails are drawn by supervision, masks here; line widths and letters scale with the picture. Text is
drawn with OpenCV's built-in letters, which know ASCII only: other characters become question marks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np

from clmot_qd.errors import InputError
from clmot_qd.files import atomic_path
from clmot_qd.trackers import Tracks
from clmot_qd.trackers.tracks import class_name, import_supervision
from clmot_qd.visualization.mask_painter import Colour, Image, check_masks, paint_masks

FONT = cv2.FONT_HERSHEY_SIMPLEX
PALETTE_SIZE = 24
SPREAD_LABELS = 30
"""More labels than these are not moved apart: that takes longer than all the drawing, and finds no room."""
SMALLEST_FONT, CROWD_FONT = 0.33, 0.7
"""Size of letters at least; of many labels, times that of few."""
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
    """Draws the tracks of a video, frame after frame, with the annotators of supervision.

    Keeps the last bottom centres of every identity for the trails: use one drawer for one video, or ``reset()``.
    """

    def __init__(
        self,
        trail_frames: int = 30,
        class_names: Sequence[str] | None = None,
        show_scores: bool = False,
        scale: float = 1.0,
        show_ids: bool = True,
        show_boxes: bool = True,
        show_masks: bool = True,
    ) -> None:
        """Choose what is drawn.

        Args:
            trail_frames: how many frames a trail reaches back; 0 draws none.
            class_names: names by label index; given, they are written behind the id.
            show_scores: write the detection score, too.
            scale: enlarge the picture by this factor before drawing, so that labels fit small pictures.
            show_ids: write the identity.
            show_boxes: draw the boxes.
            show_masks: draw the masks, where the tracks have some.

        Raises:
            InputError: a number is out of its range, or supervision is not installed.
        """
        if trail_frames < 0:
            raise InputError(f"trail_frames = {trail_frames}: must not be negative")
        if scale <= 0:
            raise InputError(f"scale = {scale}: must be positive")
        import_supervision()
        self.trail_frames = trail_frames
        self.class_names = class_names
        self.show_scores = show_scores
        self.scale = scale
        self.show_ids = show_ids
        self.show_boxes = show_boxes
        self.show_masks = show_masks
        self.reset()

    def reset(self) -> None:
        """Forget the trails, before another video."""
        self._annotators: _Annotators | None = None

    def draw(self, frame: Image, tracks: Tracks) -> Image:
        """Return a copy of ``frame`` (H, W, 3) with the tracks drawn on it; boxes are in the frame's pixels.

        Raises:
            InputError: the masks are those of another size of picture.
        """
        canvas = self._enlarged(frame)
        if self._annotators is None:
            self._annotators = _Annotators(canvas.shape[:2], self.trail_frames, self.show_boxes)
        # Near figures (lower edge further down) last: their boxes and labels lie over those behind them.
        tracks = tracks.select(np.argsort(tracks.bboxes[:, 3], kind="stable"))
        labels = [self._label(tracks, row) for row in range(len(tracks))]
        if self.show_masks and tracks.masks is not None:
            check_masks(tracks.masks, frame)
            colours = [id_color(track_id) for track_id in tracks.instances_id.tolist()]
            paint_masks(canvas, tracks.masks, colours, _Style.of(canvas.shape[:2]).line, self.scale)
        return self._annotators.draw(canvas, replace(tracks, masks=None), self.scale, labels)

    def _enlarged(self, frame: Image) -> Image:
        if self.scale == 1.0:
            return frame.copy()
        enlarged = cv2.resize(frame, None, fx=self.scale, fy=self.scale, interpolation=cv2.INTER_CUBIC)
        return np.asarray(enlarged, dtype=np.uint8)

    def _label(self, tracks: Tracks, row: int) -> str:
        words = [str(int(tracks.instances_id[row]))] if self.show_ids else []
        if self.class_names is not None:
            words.append(class_name(self.class_names, int(tracks.labels[row])))
        if self.show_scores:
            words.append(f"{float(tracks.scores[row]):.2f}")
        return " ".join(words)


class _Annotators:
    """supervision's annotators with the sizes of one picture and the colours of identities.

    Args:
        shape: (height, width) of the pictures.
        trail_frames: See :class:`TrackDrawer`.
        show_boxes: Likewise.
    """

    def __init__(self, shape: tuple[int, int], trail_frames: int, show_boxes: bool) -> None:
        sv = import_supervision()
        style = _Style.of(shape)
        palette = _palette()
        colours = dict(color=sv.ColorPalette([_sv_colour(colour) for colour in palette]))
        inks = sv.ColorPalette([_sv_colour(_ink(colour)) for colour in palette])
        bottom = sv.Position.BOTTOM_CENTER
        trace = sv.TraceAnnotator(
            position=bottom, trace_length=trail_frames + 1, thickness=style.line, color_lookup=_by_track(), **colours
        )
        self._trace = trace if trail_frames else None
        dark = sv.BoxAnnotator(color=_sv_colour(DARK), thickness=style.line + 2)
        boxes = sv.BoxAnnotator(thickness=style.line, color_lookup=_by_track(), **colours)
        self._boxes = ([dark, boxes] if style.halo else [boxes]) if show_boxes else []
        self._font = style.font
        self._labels = sv.LabelAnnotator(
            text_color=inks,
            text_padding=max(3, round(6 * style.font)),  # room for letters that reach below the line
            color_lookup=_by_track(),
            **colours,
        )

    def draw(self, canvas: Image, tracks: Tracks, scale: float, labels: list[str]) -> Image:
        """Draw on ``canvas``, and return it."""
        found = tracks.to_supervision()
        found.xyxy = np.clip(found.xyxy * np.float32(scale), -FAR, FAR)
        if self._trace is not None:
            _forget_old_points(self._trace.trace)
            canvas = self._trace.annotate(canvas, found)
        # On whole pixels, the outermost ones inside the box.
        found.xyxy = np.round(found.xyxy - np.array([0, 0, 1, 1], np.float32))
        for annotator in self._boxes:
            canvas = annotator.annotate(canvas, found)
        if any(labels):
            canvas = self._write(canvas, found, labels)
        return np.asarray(canvas, dtype=np.uint8)

    def _write(self, canvas: Image, found: Any, labels: list[str]) -> Image:
        """Labels above the boxes; few of them are moved apart, many are written small."""
        few = len(labels) <= SPREAD_LABELS
        annotator = self._labels
        annotator.smart_position = few
        annotator.text_scale = self._font if few else max(SMALLEST_FONT, CROWD_FONT * self._font)
        annotator.text_thickness = max(1, round(annotator.text_scale * 1.6))
        if not few:
            # Plates begin at a corner of the box: those that would leave the picture begin earlier.
            sizes = [cv2.getTextSize(text, FONT, annotator.text_scale, annotator.text_thickness)[0] for text in labels]
            plates = np.array(sizes, np.float32) + 2 * annotator.text_padding
            room = np.array([canvas.shape[1], canvas.shape[0]], np.float32) - [1, 1]
            corners = np.minimum(found.xyxy[:, :2], room - plates * [1, 0])
            found.xyxy[:, :2] = np.maximum(corners, plates * [0, 1])
        return np.asarray(annotator.annotate(canvas, found, labels=labels), dtype=np.uint8)


def _forget_old_points(trace: Any) -> None:
    """Drop what is older than the trail: supervision looks only once as many frames with tracks have come.

    Without, a track that comes back after a gap is joined to where it was long ago.
    """
    kept = trace.frame_id > trace.current_frame_id - trace.max_size
    trace.frame_id, trace.xy, trace.tracker_id = trace.frame_id[kept], trace.xy[kept], trace.tracker_id[kept]


class _Style(NamedTuple):
    """Sizes that fit a picture."""

    line: int
    halo: bool
    font: float
    margin: int

    @classmethod
    def of(cls, shape: tuple[int, int]) -> _Style:
        side = min(shape)
        font = float(np.clip(side / 1300, SMALLEST_FONT, 3.0))
        return cls(line=max(1, round(side / 360)), halo=side >= 360, font=font, margin=max(2, side // 300))


FAR = 2**15
"""Coordinates are limited to this, far outside of any picture: OpenCV counts in 32 bits."""


def _by_track() -> Any:
    return import_supervision().ColorLookup.TRACK


def _sv_colour(bgr: Colour) -> Any:
    return import_supervision().Color(*bgr[::-1])


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
    style = _Style.of(cell)
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
    done, data = cv2.imencode(".png", image)
    if not done:
        raise ValueError(f"{path}: OpenCV could not write a picture of shape {image.shape}")
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())  # OpenCV itself does not notice where the last bytes find no room
