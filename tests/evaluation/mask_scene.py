"""Tracks with masks for the annotation file of ``result_scene``: awkward shapes, all borders, no two share a pixel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from result_scene import annotation, tracks

from clmot_qd.datasets.mot_text import MotTable
from clmot_qd.evaluation import GroundTruth, read_cocovid
from clmot_qd.masks import RleMasks

HEIGHT, WIDTH = 48, 64


def mask_annotation() -> dict[str, Any]:
    data = annotation()
    for image in data["images"]:
        image.update(height=HEIGHT, width=WIDTH)
    return data


def read_scene(folder: Path, data: Mapping[str, Any] | None = None) -> GroundTruth:
    (folder / "ann.json").write_text(json.dumps(data or mask_annotation()))
    return read_cocovid(folder / "ann.json")


def owners(rows: int, seed: int) -> np.ndarray:
    """(rows, H, W) bool: speckled masks that share no pixel, each with pixels at all borders of the picture."""
    owner = np.random.default_rng(seed).integers(0, rows + 1, (HEIGHT, WIDTH))
    return np.stack([owner == row for row in range(rows)])


def mask_tracks() -> dict[str, MotTable]:
    """The tracks of ``result_scene``; identities begin at 1, as bitmasks need them."""
    made = {}
    for seed, (name, table) in enumerate(tracks().items()):
        masks = RleMasks.of_bitmaps(owners(len(table), seed))
        made[name] = replace(table, masks=masks, ids=table.ids + 1)
    return made


def assert_same_masks(found: Mapping[str, MotTable], expected: Mapping[str, MotTable]) -> None:
    """Frames, identities, classes and every bit of the masks; whatever the order of the rows."""
    assert sorted(found) == sorted(expected)
    for name, table in expected.items():
        one, two = (part.select(np.lexsort((part.ids, part.frames))) for part in (found[name], table))
        for column in ("frames", "ids", "class_ids"):
            np.testing.assert_array_equal(getattr(one, column), getattr(two, column), err_msg=f"{name}: {column}")
        assert one.masks is not None
        assert two.masks is not None
        assert one.masks.size == two.masks.size
        assert one.masks.texts() == two.masks.texts()
