"""A few small pictures with boxes in the CocoVID schema: enough to run every configuration for a step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config

CLASSES = ("pedestrian", "person_on_vehicle", "static_person", "distractor", "reflection", "non_mot_vehicle", "person")
SIZE = (128, 96)  # of the pictures: width, height
NETWORK_SIZE = (96, 64)  # deformable convolutions are slow on CPUs, backwards above all


def write_tiny_data(folder: Path, videos: int = 2, frames: int = 2, identities: bool = True) -> Path:
    """Write ``img/VIDEO/000001.png`` ... and ``tiny.json``; returns the path of the JSON."""
    rng = np.random.default_rng(0)
    content: dict[str, list[dict[str, Any]]] = {
        "videos": [],
        "images": [],
        "annotations": [],
        "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES, start=1)],
    }
    for video in range(1, videos + 1):
        name = f"clip-{video}"
        content["videos"].append(dict(id=video, name=name, width=SIZE[0], height=SIZE[1], fps=10, length=frames))
        people = rng.uniform([4, 4], [90, 50], (4, 2))
        for frame in range(frames):
            _write_frame(folder, content, rng, name, video, frame, people + 3 * frame, identities)
    path = folder / "tiny.json"
    path.write_text(json.dumps(content))
    return path


def _write_frame(
    folder: Path,
    content: dict[str, list[dict[str, Any]]],
    rng: np.random.Generator,
    name: str,
    video: int,
    frame: int,
    people: np.ndarray,
    identities: bool,
) -> None:
    image_id = len(content["images"]) + 1
    file_name = f"{name}/{frame + 1:06d}.png"
    picture = rng.integers(0, 60, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    for person, (x, y) in enumerate(people):
        box = [float(x), float(y), 20.0, 36.0]
        colour = [int(c) for c in np.random.default_rng(person).integers(80, 255, 3)]
        cv2.rectangle(picture, (int(x), int(y)), (int(x) + 20, int(y) + 36), colour, -1)
        for category in (1, 7):  # the same people are "pedestrian" and "person"
            annotation = dict(
                id=len(content["annotations"]) + 1, image_id=image_id, video_id=video, category_id=category, bbox=box
            )
            annotation |= dict(area=720.0, iscrowd=0, ignore=False, visibility=1.0)
            if identities:
                annotation["instance_id"] = 4 * video + person + 1 + 100 * category
            content["annotations"].append(annotation)
    path = folder / "img" / file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)
    content["images"].append(
        dict(id=image_id, video_id=video, frame_id=frame, mot_frame_id=frame + 1, file_name=file_name)
        | dict(width=SIZE[0], height=SIZE[1])
    )


def shrink(config: Any, ann_file: Path) -> Any:
    """Point every data set of a configuration at the tiny data and its letterbox at tiny pictures, in place."""
    if isinstance(config, Config):
        shrink(config._cfg_dict, ann_file)
        return config
    if isinstance(config, dict):
        kind = str(config.get("type"))
        if kind.startswith("Coco") and kind.endswith("Dataset"):
            prefix = "img_path" if "Video" in kind else "img"
            config.update(data_root="", ann_file=str(ann_file), data_prefix={prefix: str(ann_file.parent / "img")})
        if kind == "Letterbox":
            config["scale"] = NETWORK_SIZE
        if kind == "TrackEvalMetric":
            config["ann_file"] = str(ann_file)
        if "num_workers" in config:
            config.update(num_workers=0, persistent_workers=False)
            config["batch_size"] = min(2, config["batch_size"])
        children = list(config.values())
    else:
        children = list(config) if isinstance(config, (list, tuple)) else []
    for child in children:
        shrink(child, ann_file)
    return config
