"""What every tracker here does before and after matching: order of the frames, width of the embeddings, new ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .arguments import whole_number
from .detections import Detections, parse_detections

# Nanoseconds since 1970 are below it, and the difference of two such numbers still has 64 bits.
_LARGEST_FRAME = 2**62


class OnlineTracker:
    """Base of the trackers: input is checked, unusable rows are counted, ids are counted on the instance.

    Attributes:
        first_id: the first id after construction or ``reset``.
        num_rejected: detections since the last reset that could not be used (not finite, no area).
    """

    first_id = 0
    num_rejected = 0
    _rejected_earlier = 0

    @property
    def total_rejected(self) -> int:
        """The same of all videos, since construction."""
        return self._rejected_earlier + self.num_rejected

    def reset(self) -> None:
        """Forget everything: call it before each video. Ids start again at ``first_id``."""
        self._rejected_earlier, self.num_rejected = self.total_rejected, 0
        self._next_id = self.first_id
        self._last_frame: int | None = None
        self._embed_width: int | None = None

    def _admit(
        self, bboxes: Any, scores: Any, labels: Any, embeds: Any | None, frame_id: int, score_thr: float
    ) -> tuple[int, Detections]:
        """Check the input of one frame. -> frame number, usable detections with a score above ``score_thr``.

        Raises:
            InputError: malformed input; nothing of the tracker has changed.
        """
        frame_id = self._checked_frame(frame_id)
        found = parse_detections(bboxes, scores, labels, embeds, score_thr)
        self._check_width(found)
        return frame_id, found

    def _checked_frame(self, frame_id: int) -> int:
        frame_id = whole_number("frame_id", frame_id)
        if abs(frame_id) > _LARGEST_FRAME:
            raise InputError(f"frame_id: {frame_id} is beyond 2**62; count frames from 0, or in larger units of time")
        if self._last_frame is not None and frame_id <= self._last_frame:
            raise InputError(f"frame_id: {frame_id} follows {self._last_frame}; call reset() before a new video")
        return frame_id

    def _check_width(self, found: Detections) -> None:
        """Hold the embeddings of one video to one width; the first frame that has any decides it."""
        width = _width_of(found)
        if width is not None and self._embed_width not in (None, width):
            raise InputError(f"embeds: width changed from {self._embed_width} to {width}; call reset() for a new model")

    def _count(self, found: Detections) -> None:
        """Take note of a frame that was accepted: nothing of it can be refused any more."""
        self.num_rejected += found.num_rejected
        self._embed_width = _width_of(found) or self._embed_width

    def _new_ids(self, count: int) -> np.ndarray:
        """Return the next ``count`` ids, ascending; none comes twice between two resets. -> (count,) int64."""
        ids = np.arange(self._next_id, self._next_id + count)
        self._next_id += count
        return ids


def _width_of(found: Detections) -> int | None:
    """C of the embeddings, None without any."""
    return found.embeds.shape[1] if found.embeds is not None and found.embeds.size else None


def rejected_note(count: int) -> str:
    """What a user is told, once, of detections that could not be used."""
    return (
        f"{count} detections could not be used (a value that is not finite, a box without area or beyond 1e9 pixels) "
        "and were left out; the others were tracked as if these had not been there"
    )
