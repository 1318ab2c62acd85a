"""A scene without end for trackers, and a watch over what they make of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from clmot_qd.benchmark.moving_objects import FrameInput, moving_objects

CHANNELS = 16
CYCLE = 1000
"""Frames after which crowd, emptiness and gap come again."""
CROWD = slice(400, 410)
EMPTY = slice(600, 640)
SHORT_GAP, SHORT, LONG_GAP, LONG = 700, 7, 900, 500
"""Places in the cycle before which frame numbers jump, and by how many frames."""


def endless_scene(objects: int = 16, crowd: int = 200, leave_rate: float = 0.12, seed: int = 0) -> Iterator[FrameInput]:
    """Objects that come and go; in each cycle a crowd of others, forty frames of nobody, and two gaps.

    Memory does not grow, and every cycle holds as much work as any other.

    Args:
        objects: In a frame, as a rule.
        crowd: Objects more in the frames of ``CROWD``.
        leave_rate: Share of the objects that another one replaces in each frame.
        seed: Of the random numbers.
    """
    frame_id = 0
    for number, found in enumerate(moving_objects(objects, CHANNELS, seed, leave_rate=leave_rate)):
        cycle, place = divmod(number, CYCLE)
        if place == CROWD.start:
            crowds = moving_objects(crowd, CHANNELS, seed + 1 + cycle)
        frame_id += {SHORT_GAP: SHORT, LONG_GAP: LONG}.get(place, 1)
        if CROWD.start <= place < CROWD.stop:
            found = FrameInput(*(np.concatenate(parts) for parts in zip(found[:4], next(crowds)[:4])), frame_id)
        if EMPTY.start <= place < EMPTY.stop:
            found = FrameInput(*(part[:0] for part in found[:4]), frame_id)
        yield found._replace(frame_id=frame_id)


class Watch:
    """Looks at the tracks of every frame: are identities unique, gone for good once forgotten, and nothing missing?

    Args:
        memory_frames: A track that was not shown for longer must not come back.

    Attributes:
        frames: Frames looked at.
        identities: Different identities so far.
        share: Of the detections that were given, how many are tracks'.
    """

    def __init__(self, memory_frames: int) -> None:
        self._memory_frames = memory_frames
        self._last_shown = np.full(1024, -1)
        self._given = self._shown = 0
        self.frames = 0

    @property
    def identities(self) -> int:
        return int(np.count_nonzero(self._last_shown >= 0))

    @property
    def share(self) -> float:
        return self._shown / max(self._given, 1)

    def look(self, found: FrameInput, tracks: Any) -> None:
        """Check one frame."""
        ids = tracks.instances_id
        assert (np.diff(ids) > 0).all(), f"frame {found.frame_id}: identities are not unique"
        rows = tracks.detection_index
        assert len(np.unique(rows)) == len(rows), f"frame {found.frame_id}: a detection is two tracks'"
        assert np.isfinite(tracks.bboxes).all()
        if len(ids) and ids[-1] >= len(self._last_shown):
            more = np.full(len(self._last_shown) + int(ids[-1]), -1)
            self._last_shown = np.concatenate((self._last_shown, more))
        before = self._last_shown[ids]
        # What was never shown may have been born, unconfirmed, some frames ago, but not before what is long forgotten.
        known = before >= 0
        assert (found.frame_id - before[known] <= self._memory_frames).all(), f"frame {found.frame_id}: back from death"
        self._last_shown[ids] = found.frame_id
        self._given += len(found.scores)
        self._shown += len(ids)
        self.frames += 1


def held_bytes(tracker: Any) -> int:
    """Bytes of all arrays that hang on a tracker."""
    seen, size, open_ends = set(), 0, [vars(tracker)]
    while open_ends:
        for value in open_ends.pop().values():
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, np.ndarray):
                size += (value if value.base is None else value.base).nbytes
            elif hasattr(value, "__dict__"):
                open_ends.append(vars(value))
            elif isinstance(value, list | tuple | set | dict):
                open_ends.append(dict(enumerate(value.values() if isinstance(value, dict) else value)))
    return size
