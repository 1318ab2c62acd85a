"""A contact sheet of a video, of whatever length it turns out to be."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

import cv2
import numpy as np

from clmot_qd.apis.tracking_session import Frame
from clmot_qd.trackers import Tracks

if TYPE_CHECKING:
    from clmot_qd.apis.track_outputs import Clip

SHEET_FRAMES, SHEET_COLUMNS = 12, 3
SHEET_WIDTH = 640


class Sheet:
    """``contact_sheet.png``: a few drawn frames, evenly spread over the video."""

    file = "contact_sheet.png"
    needs_drawing = True

    def __init__(self, clip: Clip) -> None:
        self.path = self.partial = clip.folder / self.file
        self._length = clip.length
        self._chosen = _spread(clip.length)
        self._pictures: dict[int, Frame] = {}
        self._stride = 1
        self._last = 0

    def __enter__(self) -> Sheet:
        """Nothing is written before the end."""
        return self

    def add(self, number: int, tracks: Tracks, drawn: Frame | None) -> None:
        """Keep the picture if it is its turn."""
        assert drawn is not None
        self._last = number
        if not self._is_kept(number):
            return
        self._pictures[number] = _at_most(drawn, SHEET_WIDTH)
        if len(self._in_steps()) > 2 * SHEET_FRAMES:
            # Who knows the length: keep every second picture and go on twice as far apart.
            self._stride *= 2
            self._pictures = {kept: picture for kept, picture in self._pictures.items() if self._is_kept(kept)}

    def _is_kept(self, number: int) -> bool:
        return number in self._chosen or (number - 1) % self._stride == 0

    def _in_steps(self) -> list[int]:
        return [number for number in self._pictures if (number - 1) % self._stride == 0]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the sheet, unless something went wrong."""
        from clmot_qd.visualization import contact_sheet, save_png

        if kind is not None or not self._pictures:
            return
        # Files lie about their length.
        numbers = sorted(self._chosen) if self._last == self._length else self._in_steps()
        keep = np.unique(np.linspace(0, len(numbers) - 1, SHEET_FRAMES).round().astype(int))
        shown = [numbers[i] for i in keep]
        captions = [f"frame {number}" for number in shown]
        save_png(self.path, contact_sheet([self._pictures[number] for number in shown], SHEET_COLUMNS, captions))


def _at_most(picture: Frame, width: int) -> Frame:
    """The picture, made smaller if it is wider than ``width`` pixels."""
    if picture.shape[1] <= width:
        return picture
    size = (width, max(1, round(picture.shape[0] * width / picture.shape[1])))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _spread(total: int | None) -> set[int]:
    """Frames (from 1) for the contact sheet, evenly spread; none where the length is not known."""
    return set() if total is None else {round(i) for i in np.linspace(1, total, SHEET_FRAMES)}
