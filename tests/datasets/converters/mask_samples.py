"""Pictures of numbers and the MOTS and BDD100K files that say the same, for the tests of masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from clmot_qd.masks import RleMasks

HEIGHT, WIDTH = 12, 16


def label_map(seed: int, ids: tuple[int, ...], size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """Rectangles of the ids, later ones in front, on a background of 0; one pixel of each is kept in a corner row."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(size, dtype=np.uint16)
    for one in ids:
        y, x = (int(rng.integers(0, side - 4)) for side in size)
        labels[y : y + int(rng.integers(2, 8)), x : x + int(rng.integers(2, 8))] = one
    labels[0, : len(ids)] = ids
    return labels


def masks_of(labels: np.ndarray) -> dict[int, str]:
    """Id -> its runs."""
    return {int(one): RleMasks.of_bitmaps((labels == one)[None]).texts()[0] for one in np.unique(labels[labels > 0])}


def mots_rows(frame: int, labels: np.ndarray) -> str:
    """Rows of a text file."""
    height, width = labels.shape
    rows = masks_of(labels).items()
    return "".join(f"{frame} {one} {one // 1000} {height} {width} {runs}\n" for one, runs in rows)


def save_mots(path: Path, labels: np.ndarray) -> None:
    """A PNG file of MOTS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels.astype(np.uint16)).save(path)


def save_bitmask(path: Path, labels: np.ndarray, objects: dict[int, tuple[int, int]]) -> None:
    """A bitmask of BDD100K; ``objects``: id -> (class, attributes)."""
    pixels = np.zeros((*labels.shape, 4), dtype=np.uint8)
    for one, (number, attributes) in objects.items():
        pixels[labels == one] = (number, attributes, one >> 8, one & 255)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels, "RGBA").save(path)
