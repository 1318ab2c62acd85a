"""Small CocoVID folders on disk for the data set tests."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np


def cocovid(videos: dict[int, list[int]], size: tuple[int, int] = (48, 64), objects: int = 3) -> dict:
    """A CocoVID dict: ``videos`` maps a video id to its frame ids; ``size`` is (height, width).

    Object k of a video has identity 10 * video id + k, class 1 + k % 2 ('pedestrian', 'car') and a box that moves.
    """
    height, width = size
    images, annotations = [], []
    for video_id, frame_ids in videos.items():
        for frame_id in frame_ids:
            image_id = 1000 * video_id + frame_id
            images.append(
                {
                    "id": image_id,
                    "video_id": video_id,
                    "frame_id": frame_id,
                    "file_name": f"v{video_id}/img1/{frame_id:06d}.png",
                    "width": width,
                    "height": height,
                }
            )
            for k in range(objects):
                bbox = [2.0 + 3 * k + frame_id % 7, 4.0 + 5 * k, 12.0 + k, 20.0]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "video_id": video_id,
                        "category_id": 1 + k % 2,
                        "instance_id": 10 * video_id + k,
                        "bbox": bbox,
                        "area": bbox[2] * bbox[3],
                        "iscrowd": 0,
                    }
                )
    return {
        "videos": [{"id": video_id, "name": f"clip-{video_id}"} for video_id in videos],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "pedestrian"}, {"id": 2, "name": "car"}],
    }


def write_folder(root: Path, content: dict, with_images: bool = True) -> dict:
    """Write ``ann.json`` and the images under ``root``; return the arguments of a data set that say where they are."""
    (root / "ann.json").write_text(json.dumps(content))
    rng = np.random.default_rng(0)
    for image in content["images"] if with_images else []:
        path = root / "img" / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 255, (image["height"], image["width"], 3), dtype=np.uint8))
    return {"data_root": str(root), "ann_file": "ann.json", "data_prefix": {"img": "img"}}
