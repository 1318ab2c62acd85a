"""A small annotation file with awkward numbers, and tracks for it; shared by the tests of result files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clmot_qd.datasets.mot_text import MotTable, make_table

CATEGORIES = {"pedestrian": 1, "car": 3, "other person": 9}


def annotation() -> dict:
    """Videos "b" (frames listed in disorder) and "a" (frames 4 and 9 of the file), numbered as nothing else is."""
    images = [("b", 7, 2, 301), ("b", 8, 0, 303), ("b", 9, 1, 302), ("a", 20, 4, 40), ("a", 21, 9, 41)]
    videos = {"b": (5, 500), "a": (6, 600)}
    return {
        "categories": [{"id": number, "name": name} for name, number in CATEGORIES.items()],
        "videos": [{"id": own, "source_id": source, "name": name} for name, (own, source) in videos.items()],
        "images": [
            {
                "id": image,
                "source_id": source,
                "video_id": videos[video][0],
                "frame_id": frame,
                "file_name": f"val/{video}/{video}-{frame:04d}.jpg",
                "width": 640,
                "height": 480,
            }
            for video, image, frame, source in images
        ],
        "annotations": [],
    }


def tracks() -> dict[str, MotTable]:
    """Tracks of both videos with the same identities; rows in disorder, a frame without any, sub-pixel boxes."""
    boxes = [[10.12345, 20.5, 30.00001, 40.25], [0, 0, 5, 6.125], [-3.5, 700.75, 0.5, 2], [1e-05, 2, 3, 4]]
    scores = [0.5, 0.123456, 1.0, np.float32(0.3)]
    return {
        "a": make_table([4, 9], [2, 2], boxes[:2], scores[:2], [3, 3]),
        "b": make_table([3, 1, 3, 1], [2, 0, 0, 2], boxes, scores, [1, 3, 3, 1]),
    }


def assert_same(found: Mapping[str, MotTable], expected: Mapping[str, MotTable], score_digits: int = 17) -> None:
    """Equal but for the order of rows, and boxes to the fifth decimal."""
    assert sorted(found) == sorted(expected)
    for name, table in expected.items():
        one, two = (part.select(np.lexsort((part.ids, part.frames))) for part in (found[name], table))
        for column in ("frames", "ids", "class_ids"):
            np.testing.assert_array_equal(getattr(one, column), getattr(two, column), err_msg=f"{name}: {column}")
        np.testing.assert_allclose(one.bboxes, two.bboxes, atol=1.01e-5, rtol=0)
        np.testing.assert_allclose(one.scores, two.scores, atol=10.0**-score_digits, rtol=0)
