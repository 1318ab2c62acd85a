"""``segmentation`` of COCO's annotation files, as one mask of compressed runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clmot_qd.errors import InputError

from .checks import require_polygons, require_runs, require_size
from .rle import RleMasks

_FEWEST = 6  # coordinates of a triangle; pycocotools takes 4 for a box


def read_segmentation(value: Any, size: Sequence[int], place: str) -> bytes:
    """Return the runs of one object: of polygons, whose parts are joined, of a mask as text, or as a list of runs.

    Text comes back as it is. Polygons of less than three points have no pixel; an object without any is an empty mask.

    Args:
        value: What stands under ``segmentation``.
        size: (height, width) of the picture.
        place: For the message.

    Raises:
        InputError: It is neither, leaves the picture, or is a mask of another size than the picture.
    """
    from pycocotools import mask as mask_api

    height, width = int(size[0]), int(size[1])
    require_size(height, width, place)
    if not isinstance(value, dict):
        require_polygons(value, height, width, place)
        parts = [mask_api.frPyObjects([part], height, width)[0] for part in value if len(part) >= _FEWEST]
        return _bytes(mask_api.merge(parts, intersect=False)) if parts else RleMasks.empty((height, width), 1).counts[0]
    if value.get("size") != [height, width]:
        what = f"its mask is of size {value.get('size')!r} (height, width), the picture of {[height, width]}"
        raise InputError(f"{place}: {what}; encode it in pixels of the picture")
    counts = value.get("counts")
    require_runs(counts, height, width, place, fill=True)
    if isinstance(counts, str):
        return counts.encode()
    return _bytes(mask_api.frPyObjects({"size": [height, width], "counts": counts}, height, width))


def _bytes(rle: dict[str, Any]) -> bytes:
    counts: bytes = rle["counts"]
    return counts
