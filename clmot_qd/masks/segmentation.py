"""``segmentation`` of COCO's annotation files, as one mask of compressed runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clmot_qd.errors import InputError

from .checks import areas_among, require_polygons, require_runs, require_size
from .rle import RleMasks


def has_segmentation(annotation: Mapping[str, Any]) -> bool:
    """Whether an annotation says where its object is; one without the key, with null or with an empty list does not."""
    return bool(annotation.get("segmentation"))


def read_segmentation(value: Any, size: Sequence[int], place: str) -> bytes:
    """Return the runs of one object: of polygons, whose parts are joined, of a mask as text, or as a list of runs.

    Text comes back as it is, see :func:`read_runs`. Polygons of less than three points, or of an odd number of
    coordinates, have no pixel; an object without any is an empty mask.

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
        parts = [mask_api.frPyObjects([part], height, width)[0] for part in areas_among(value)]
        return _bytes(mask_api.merge(parts, intersect=False)) if parts else RleMasks.empty((height, width), 1).counts[0]
    if value.get("size") != [height, width]:
        what = f"its mask is of size {value.get('size')!r} (height, width), the picture of {[height, width]}"
        raise InputError(f"{place}: {what}; encode it in pixels of the picture")
    return read_runs(value.get("counts"), height, width, place)


def read_runs(counts: Any, height: int, width: int, place: str) -> bytes:
    """Return run lengths, a list of numbers or compressed text, as compressed text.

    Text comes back as it is, unless a run within it has no pixel: pycocotools stops comparing two masks there, so such
    runs are joined with those beside them.

    Args:
        counts: The runs.
        height: Of the picture, in pixels.
        width: Likewise.
        place: For the message.

    Raises:
        InputError: They are something else, or do not fill the picture.
    """
    from pycocotools import mask as mask_api

    runs = require_runs(counts, height, width, place, fill=True)
    if isinstance(counts, str) and 0 not in runs[1:-1]:
        return counts.encode()
    return _bytes(mask_api.frPyObjects({"size": [height, width], "counts": _joined(runs)}, height, width))


def _joined(runs: Sequence[int]) -> Sequence[int]:
    """The same pixels without runs of none, but for the first."""
    if 0 not in runs[1:]:
        return runs
    joined = [0]
    for position, length in enumerate(runs):
        if length and position % 2 != (len(joined) - 1) % 2:
            joined.append(0)
        joined[-1] += length
    return joined


def _bytes(rle: dict[str, Any]) -> bytes:
    counts: bytes = rle["counts"]
    return counts
