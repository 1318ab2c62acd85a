"""What an annotation says of a mask: the box around it, its area and its runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clmot_qd.geometry import xyxy_to_xywh
from clmot_qd.masks import RleMasks


def shapes_of(masks: RleMasks) -> Iterator[tuple[list[float], dict[str, Any]]]:
    """Give of each mask its box x, y, w, h and the further keys of its annotation: the runs are kept bit for bit."""
    size = list(masks.size)
    boxes = xyxy_to_xywh(masks.boxes()).tolist()
    for bbox, area, counts in zip(boxes, masks.areas().tolist(), masks.texts()):
        yield bbox, {"area": area, "segmentation": {"size": size, "counts": counts}}
