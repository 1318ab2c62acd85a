"""Pictures of numbers against one bitmap for each number."""

from __future__ import annotations

import numpy as np
import pytest

from clmot_qd.masks import RleMasks
from clmot_qd.masks.label_map import masks_of_label_map


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int64])
def test_masks_are_those_of_the_bitmaps_of_each_number(dtype: type) -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        height, width = (int(side) for side in rng.integers(1, 9, 2))
        palette = rng.choice(np.iinfo(dtype).max, int(rng.integers(1, 6))).astype(dtype)
        labels = np.append(palette, dtype(0))[rng.integers(0, len(palette) + 1, (height, width))]
        numbers, masks = masks_of_label_map(labels)
        expected = [number for number in np.unique(labels) if number]
        assert numbers.tolist() == expected
        assert masks.size == (height, width)
        assert masks.texts() == RleMasks.of_bitmaps(np.stack([labels == one for one in [0, *expected]])[1:]).texts()


def test_picture_of_one_object_and_of_none() -> None:
    assert masks_of_label_map(np.full((3, 4), 7))[1].areas().tolist() == [12]
    numbers, masks = masks_of_label_map(np.zeros((3, 4), dtype=np.uint16))
    assert (len(numbers), len(masks), masks.size) == (0, 0, (3, 4))
