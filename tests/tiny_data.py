"""A few small pictures with boxes and masks in the CocoVID schema: enough to run every configuration for a step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config

from clmot_qd.masks import RleMasks

CLASSES = (
    *("pedestrian", "person_on_vehicle", "static_person", "distractor", "reflection", "non_mot_vehicle", "person"),
    *("rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
    *("vehicle", "cyclist"),
    *(f"thing-{n}" for n in range(466)),  # 482 in all, as many as TAO has
)
# The same people are objects of these classes, by whoever looks: for several classes some of them are vehicles.
PEOPLE, VEHICLES = ("pedestrian", "person"), ("car", "vehicle")
SIZE = (128, 96)  # of the pictures: width, height
NETWORK_SIZE = (96, 64)  # deformable convolutions are slow on CPUs, backwards above all


def write_tiny_data(folder: Path, videos: int = 2, frames: int = 2, identities: bool = True) -> Path:
    """Write ``img/VIDEO/000001.png`` ..., ``tiny.json``, a list of its classes and public detections.

    The last frame of a video has no public detections. Returns the path of the JSON.
    """
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
        _write_public_detections(folder / "public" / name, people, frames)
    (folder / "classes.txt").write_text("\n".join(CLASSES))
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
        for kind in PEOPLE + (VEHICLES if person > 1 else ()):
            category = CLASSES.index(kind) + 1
            annotation = dict(
                id=len(content["annotations"]) + 1, image_id=image_id, video_id=video, category_id=category, bbox=box
            )
            annotation |= dict(area=720.0, iscrowd=0, ignore=False, visibility=1.0, difficulty=1 + person % 2)
            annotation["segmentation"] = _rectangle(int(x), int(y))
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


def _rectangle(left: int, top: int) -> dict[str, Any]:
    """The pixels of a person, as a mask."""
    masks = RleMasks.of_crops([np.ones((37, 21), dtype=bool)], [(left, top)], (SIZE[1], SIZE[0]))
    return dict(size=[SIZE[1], SIZE[0]], counts=masks.texts()[0])


def _write_public_detections(sequence: Path, people: np.ndarray, frames: int) -> None:
    rows = [f"{n + 1},-1,{x + 3 * n:.2f},{y + 3 * n:.2f},20,36,0.9" for n in range(frames - 1) for x, y in people]
    (sequence / "det").mkdir(parents=True)
    (sequence / "det" / "det.txt").write_text("\n".join(rows) + "\n")


def shrink(config: Any, ann_file: Path) -> Any:
    """Point a configuration at the tiny data and tiny network input, and take its downloads out, in place."""
    if isinstance(config, Config):
        shrink(config._cfg_dict, ann_file)
        return config
    if isinstance(config, dict):
        kind = str(config.get("type"))
        if kind.startswith("Coco") and kind.endswith("Dataset"):
            prefix = "img_path" if "Video" in kind else "img"
            config.update(data_root="", ann_file=str(ann_file), data_prefix={prefix: str(ann_file.parent / "img")})
            if isinstance(config.get("metainfo", {}).get("classes"), str):
                config["metainfo"]["classes"] = str(ann_file.parent / "classes.txt")
        if kind.endswith("Sampler") and "num" in config:  # of regions
            config["num"] = min(64, config["num"])
        config.update(_tiny_step(kind, ann_file))
        if isinstance(config.get("init_cfg"), dict) and config["init_cfg"]["type"] == "Pretrained":
            config["init_cfg"] = None
        if kind in ("TrackEvalMetric", "TrackMapMetric"):
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


def _tiny_step(kind: str, ann_file: Path) -> dict[str, Any]:
    """What changes in a pipeline step of this type."""
    square = (NETWORK_SIZE[0],) * 2
    return {
        "Letterbox": dict(scale=NETWORK_SIZE),
        "Resize": dict(scale=square),
        "RandomResize": dict(scale=square),
        "RandomChoiceResize": dict(scales=[square, SIZE]),
        "RandomCrop": dict(crop_size=square),
        "LoadPublicDetections": dict(root=str(ann_file.parent / "public")),
    }.get(kind, {})
