"""Key and reference view side by side, the objects that form a positive pair joined by lines.

Drawn by mmengine's ``Visualizer`` (matplotlib), which dashes lines and writes any script. Pictures are (H, W, 3) uint8
RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from mmengine.visualization import Visualizer

from clmot_qd.visualization import id_color
from clmot_qd.visualization.mask_painter import paint_masks

from .training_pairs import View

Image = npt.NDArray[np.uint8]

PAPER, INK, GREY = 248, "#181818", "#a0a0a0"
HEADER, GAP, LETTER = 30, 12, 8
"""Pixels: strip above each view for its caption, space around the views, width of a letter in the caption."""


class _Placed(NamedTuple):
    """A view on the canvas."""

    view: View
    corner: npt.NDArray[np.float64]
    """(x, y) of the picture's upper left corner."""
    size: npt.NDArray[np.float64]
    """(width, height) of the picture."""
    boxes: npt.NDArray[np.float64]
    """(n, 4) xyxy on the canvas, cut to the picture."""


def draw_pairs(visualizer: Visualizer, pairs: Sequence[Sequence[View]], view_width: int = 640) -> Image:
    """One picture of several training pairs, one below the other.

    An object that is in both views has the same colour in both and a line between them: a positive pair, all other
    objects of the picture are negatives to it. An object in one view alone is grey and dashed. Masks have the
    colours of their boxes.

    Args:
        visualizer: Draws; what it held before is lost.
        pairs: Per sample its views, the key view first; one view is drawn alone.
        view_width: Every view is scaled to this width, pixels.
    """
    strips = [_strip(views, view_width) for views in pairs]
    heights = np.cumsum([0, *(len(strip) for strip, _ in strips)])
    width = max(strip.shape[1] for strip, _ in strips)
    canvas = np.full((int(heights[-1]), width, 3), PAPER, np.uint8)
    for (strip, _), top in zip(strips, heights):
        canvas[top : top + len(strip), : strip.shape[1]] = strip
    visualizer.set_image(canvas)
    for (_, placed), top in zip(strips, heights):
        _draw_pair(visualizer, [_moved(one, float(top)) for one in placed])
    return np.asarray(visualizer.get_image(), dtype=np.uint8)


def _strip(views: Sequence[View], view_width: int) -> tuple[Image, list[_Placed]]:
    """The bare pictures of a pair beside each other under room for their captions, and where their boxes lie."""
    common = _common(views)
    pictures = [_painted(view, view_width, common) for view in views]
    height = HEADER + max(len(picture) for picture in pictures) + GAP
    strip = np.full((height, len(views) * (view_width + GAP) + GAP, 3), PAPER, np.uint8)
    placed = []
    for number, (view, picture) in enumerate(zip(views, pictures)):
        left = GAP + number * (view_width + GAP)
        strip[HEADER : HEADER + len(picture), left : left + view_width] = picture
        corner, size = np.array([left, HEADER], dtype=float), np.array(picture.shape[1::-1], dtype=float)
        scale = size / view.image.shape[1::-1]
        boxes = np.clip(view.bboxes * np.tile(scale, 2), 0, np.tile(size, 2)) + np.tile(corner, 2)
        placed.append(_Placed(view, corner, size, boxes))
    return strip, placed


def _common(views: Sequence[View]) -> set[int]:
    """Identities that are in all views."""
    return set.intersection(*(set(view.ids.tolist()) for view in views))


def _painted(view: View, width: int, common: set[int]) -> Image:
    """The picture in the width asked for, with its masks."""
    picture = _scaled(view.image, width)
    if view.masks is not None:
        colours = [_rgb(_colour(one) if one in common else GREY) for one in view.ids.tolist()]
        paint_masks(picture, view.masks, colours, line=1, scale=width / view.image.shape[1])
    return picture


def _scaled(image: Image, width: int) -> Image:
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    how = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), dtype=np.uint8)


def _moved(placed: _Placed, down: float) -> _Placed:
    return placed._replace(corner=np.add(placed.corner, [0, down]), boxes=np.add(placed.boxes, [0, down, 0, down]))


def _draw_pair(visualizer: Visualizer, placed: Sequence[_Placed]) -> None:
    common = _common([one.view for one in placed])
    if len(placed) == 2:
        _join(visualizer, placed[0], placed[1], common)
    for one, name in zip(placed, ("key", "reference")):
        _draw_view(visualizer, one, common)
        alone = sum(identity not in common for identity in one.view.ids.tolist())
        count = f"{len(common)} pairs, {alone} alone" if len(placed) == 2 else f"{len(common)} objects"
        room = int(one.size[0] / LETTER) - len(count) - 1
        _write(visualizer, _shortened(f"{name}: {one.view.caption}", room), np.subtract(one.corner, [0, HEADER / 2]))
        _write(visualizer, count, np.add(one.corner, [one.size[0], -HEADER / 2]), "right")


def _join(visualizer: Visualizer, key: _Placed, ref: _Placed, common: set[int]) -> None:
    """Lines between the middles of the same object in both views."""
    where = [{identity: row for row, identity in enumerate(one.view.ids.tolist())} for one in (key, ref)]
    ends = np.array([[_middle(key, where[0][i]), _middle(ref, where[1][i])] for i in sorted(common)])
    if len(ends):
        colours = [_colour(identity) + "c8" for identity in sorted(common)]
        visualizer.draw_lines(ends[..., 0], ends[..., 1], colors=colours, line_widths=1.4)


def _middle(placed: _Placed, row: int) -> npt.NDArray[np.float64]:
    return (placed.boxes[row, :2] + placed.boxes[row, 2:]) / 2


def _draw_view(visualizer: Visualizer, placed: _Placed, common: set[int]) -> None:
    """Boxes and numbers; those of pairs last, so that nothing covers them."""
    ids = placed.view.ids.tolist()
    rows = sorted(range(len(ids)), key=lambda row: ids[row] in common)
    if not rows:
        return
    paired = [ids[row] in common for row in rows]
    colours = [_colour(ids[row]) if pair else GREY for row, pair in zip(rows, paired)]
    styles = ["-" if pair else "--" for pair in paired]
    visualizer.draw_bboxes(
        placed.boxes[rows], edge_colors=colours, line_styles=styles, line_widths=[1.8] * len(rows), alpha=1.0
    )
    visualizer.draw_texts(
        [str(ids[row]) for row in rows],
        placed.boxes[rows, :2] + 2,
        font_sizes=8,
        colors=[_ink(colour) for colour in colours],
        bboxes=[dict(facecolor=colour, edgecolor="none", pad=1.2, alpha=0.9) for colour in colours],
    )


def _colour(identity: int) -> str:
    """The identity's colour for matplotlib."""
    blue, green, red = id_color(identity)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def _ink(plate: str) -> str:
    """Letters that can be read on a plate of this colour."""
    red, green, blue = _rgb(plate)
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 125 else "white"


def _shortened(text: str, letters: int) -> str:
    """The text, its end dropped where it has more letters than there is room for."""
    return text if len(text) <= letters else text[: max(0, letters - 1)] + "…"


def _write(visualizer: Visualizer, text: str, position: npt.NDArray[np.float64], align: str = "left") -> None:
    visualizer.draw_texts(
        text.replace("$", r"\$"),  # matplotlib takes what stands between two of them for a formula
        position,
        font_sizes=9,
        colors=INK,
        vertical_alignments="center",
        horizontal_alignments=align,
    )
