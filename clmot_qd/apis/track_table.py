"""From the tracks of single frames to the table of a video that files and scores are made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clmot_qd.datasets.mot_text import MotTable, empty_table, make_table
from clmot_qd.geometry import xyxy_to_xywh
from clmot_qd.masks import RleMasks
from clmot_qd.trackers import Tracks


def stack_tracks(tracks: Sequence[Tracks], frames: Sequence[int], class_ids: Sequence[int] | None = None) -> MotTable:
    """Stack the tracks of a video's frames.

    Args:
        tracks: One per frame, boxes xyxy.
        frames: The number of each frame, as result files count.
        class_ids: Number of each label; None leaves the class open (-1), as the MOTChallenge server wants it.

    Returns:
        Rows in the order of the frames, boxes x, y, w, h; with masks where all tracks have one.

    Raises:
        InputError: The masks are those of pictures of different sizes.
    """
    if not tracks:
        return empty_table()
    corners = np.concatenate([found.bboxes for found in tracks]).astype(np.float64)
    labels = np.concatenate([found.labels for found in tracks])
    return make_table(
        frames=np.repeat(np.asarray(frames, dtype=np.int64), [len(found) for found in tracks]),
        ids=np.concatenate([found.instances_id for found in tracks]),
        bboxes=xyxy_to_xywh(corners),
        scores=np.concatenate([found.scores for found in tracks]),
        class_ids=None if class_ids is None else np.asarray(class_ids)[labels],
        masks=_stack_masks(tracks),
    )


def _stack_masks(tracks: Sequence[Tracks]) -> RleMasks | None:
    """The masks of all tracks; None where some have none. Frames without tracks need not say."""
    filled = [found.masks for found in tracks if len(found) or found.masks is not None]
    parts = [masks for masks in filled if masks is not None]
    return RleMasks.cat(parts) if parts and len(parts) == len(filled) else None
