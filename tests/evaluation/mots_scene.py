"""Random scenes of masks that share no pixel, with regions in which nothing is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clmot_qd.datasets.mot_text import MotTable, make_table
from clmot_qd.datasets.mots_text import IGNORE_CLASS, IGNORE_ID
from clmot_qd.masks import RleMasks

SIZE = (48, 64)
#: x, y, half width, half height, identity, class of one ellipse.
Ellipse = tuple[float, float, float, float, int, int]


def random_scene(seed: int, frames: int, first: int = 1, objects: int = 9) -> tuple[MotTable, MotTable]:
    """Truth and predictions: noisy, some missing, some switched, some of the other class, some false.

    Identities of cars start at 1000, of pedestrians at 2000; those of the regions are all one, as in MOTS20. Some
    frames are empty on either side.
    """
    rng = np.random.default_rng(seed)
    start, speed = rng.uniform((0, 0), SIZE[::-1], (objects, 2)), rng.uniform(-1, 1, (objects, 2))
    half, kinds = rng.uniform(4, 9, (objects, 2)), rng.integers(1, 3, objects)
    left = rng.uniform((0, 0), SIZE[::-1], (2, 2))
    regions = np.vstack([left, left + np.array([10, 0])])  # neighbours: some masks lie in both
    jump = rng.integers(2, 2 * frames, objects)
    true, found = [], []
    for frame in range(frames):
        here = [(*(start[i] + frame * speed[i]), *half[i], 1000 * kinds[i] + i, kinds[i]) for i in range(objects)]
        seen = [one for one in here if rng.random() < 0.9 and frame % 7 != 5]
        bad = [(*(corner + frame / 4), 9, 9, IGNORE_ID, IGNORE_CLASS) for corner in regions if frame % 5 != 2]
        true.append([*bad, *seen])
        mine = [_noisy(one, rng, 50 * (frame > jump[one[4] % 1000])) for one in seen if rng.random() < 0.85]
        places = [rng.uniform((0, 0), SIZE[::-1]), left[0] + frame / 4 + rng.uniform(2, 7, 2), regions[1]]
        false = [(*place, 4, 4, 3000 + i, rng.integers(1, 3)) for i, place in enumerate(places)]
        found.append([*false, *mine] if frame % 6 != 4 else [])
    return table(true, first), table(found, first)


def _noisy(one: Ellipse, rng: np.random.Generator, jump: int) -> Ellipse:
    x, y, width, height, identity, kind = one
    dx, dy, dw, dh = rng.normal(0, 1.2, 4)
    return (
        x + dx,
        y + dy,
        max(width + dw, 1),
        max(height + dh, 1),
        identity + jump,
        kind if rng.random() < 0.9 else 3 - kind,
    )


def table(frames: Sequence[Sequence[Ellipse]], first: int, disjoint: bool = True) -> MotTable:
    """Paint the ellipses of each frame, later ones over earlier ones; those without a pixel are left out."""
    y, x = np.indices(SIZE)
    columns, bitmaps = [], []
    for number, ellipses in enumerate(frames, start=first):
        painted = [((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1 for cx, cy, rx, ry, _, _ in ellipses]
        for index, (*_, identity, kind) in enumerate(ellipses):
            over = np.any(painted[index + 1 :], axis=0) & disjoint
            bitmap = painted[index] & ~over
            if bitmap.any():
                columns.append((number, identity, kind))
                bitmaps.append(bitmap)
    numbers, ids, kinds = np.array(columns, dtype=np.int64).reshape(-1, 3).T
    masks = RleMasks.of_bitmaps(np.array(bitmaps).reshape(-1, *SIZE))
    boxes = masks.boxes()
    boxes[:, 2:] -= boxes[:, :2]
    return make_table(numbers, ids, boxes, kinds != IGNORE_CLASS, kinds, masks=masks)
