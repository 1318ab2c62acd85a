"""Pictures of identity switches: the object where it was last matched, and where it has another track."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from clmot_qd.datasets.mot_text import FloatArray
from clmot_qd.visualization.draw import Image, id_color
from clmot_qd.visualization.report.timeline import Sighting, Switch
from clmot_qd.visualization.report.tracked import Pictures

SIDE = 168
"""Pixels of a thumbnail's side."""
_AROUND = 1.7  # sides of the region, in longer sides of the boxes
_LEAST = 24.0  # pixels of the original image
_QUALITY = 82


@dataclass(frozen=True)
class Thumbnail:
    """A crop as a data URI, empty where the picture is not to be had."""

    uri: str
    frame: int
    track: int


@dataclass(frozen=True)
class SwitchPicture:
    """A switch with its two crops."""

    switch: Switch
    before: Thumbnail
    after: Thumbnail


def choose_switches(switches: Sequence[Switch], most: int) -> list[Switch]:
    """Return up to ``most`` switches, at equal distances in their order."""
    if len(switches) <= most:
        return list(switches)
    places = np.linspace(0, len(switches) - 1, most).round().astype(int) if most > 1 else range(most)
    return [switches[place] for place in places]


def picture_switches(switches: Sequence[Switch], pictures: Pictures) -> tuple[list[SwitchPicture], list[str]]:
    """Crop both frames of every switch.

    Returns:
        The crops, and the pictures that could not be read.
    """
    reader = _Reader(pictures)
    made = []
    for switch in switches:
        sides = [*switch.before.true_box[2:], *switch.before.found_box[2:]]
        sides += [*switch.after.true_box[2:], *switch.after.found_box[2:]]
        side = max(_LEAST, _AROUND * float(max(sides)))  # one scale for both
        crops = [_thumbnail(reader, switch.sequence, part, side) for part in (switch.before, switch.after)]
        made.append(SwitchPicture(switch, *crops))
    return made, reader.missing


class _Reader:
    """Reads frames; the last one is kept, since neighbours in the list often show the same."""

    def __init__(self, pictures: Pictures) -> None:
        self.missing: list[str] = []
        self._pictures = pictures
        self._last: tuple[str, Image | None] = ("", None)

    def read(self, sequence: str, frame: int) -> Image | None:
        path = self._pictures.get((sequence, frame))
        if path is None:
            return None
        name = os.fspath(path)
        if self._last[0] != name:
            image = cv2.imread(name, cv2.IMREAD_COLOR) if path.is_file() else None
            self._last = name, None if image is None else np.asarray(image, dtype=np.uint8)
            if image is None and name not in self.missing:
                self.missing.append(name)
        return self._last[1]


def _thumbnail(reader: _Reader, sequence: str, sighting: Sighting, side: float) -> Thumbnail:
    image = reader.read(sequence, sighting.frame)
    if image is None:
        return Thumbnail("", sighting.frame, sighting.track)
    x, y, width, height = (sighting.true_box + sighting.found_box) / 2
    corner = np.array([x + width / 2 - side / 2, y + height / 2 - side / 2])
    crop = _region(image, corner, side)
    _draw_box(crop, sighting.true_box, corner, SIDE / side, (255, 255, 255), 1)
    _draw_box(crop, sighting.found_box, corner, SIDE / side, id_color(sighting.track), 2)
    _, coded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    uri = "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode()
    return Thumbnail(uri, sighting.frame, sighting.track)


def _region(image: Image, corner: FloatArray, side: float) -> Image:
    """The square at this corner as SIDE x SIDE pixels; grey where it leaves the picture."""
    scale = SIDE / side
    # A point p of the picture (pixel edges at whole numbers) lands on (p - corner) * scale; OpenCV counts from centres.
    shift = -corner * scale + (scale - 1) / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    way = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    if scale < 1:  # warping has no averaging of its own
        size = [max(1, round(pixels * scale)) for pixels in (image.shape[1], image.shape[0])]
        image = cv2.resize(image, size, interpolation=way)  # type: ignore[assignment]
        matrix = np.array([[1, 0, -corner[0] * scale], [0, 1, -corner[1] * scale]])
    crop = cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderValue=(224, 224, 224))
    return np.ascontiguousarray(crop, dtype=np.uint8)


def _draw_box(
    crop: Image, box: FloatArray, corner: FloatArray, scale: float, colour: tuple[int, int, int], line: int
) -> None:
    """The box with a dark line around it."""
    start = np.round((box[:2] - corner) * scale).astype(int)
    end = np.round((box[:2] + box[2:] - corner) * scale).astype(int) - 1
    cv2.rectangle(crop, start.tolist(), end.tolist(), (24, 24, 24), line + 2)
    cv2.rectangle(crop, start.tolist(), end.tolist(), colour, line)
