"""A BDD100K scene, written twice: as TrackEval's BDD100K class reads it, and as a CocoVID file with tracks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clmot_qd.datasets.mot_text import MotTable, make_table

#: Category ids of the annotation files; the last three are never scored.
CATEGORIES = {
    name: number
    for number, name in enumerate(
        [
            *("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
            *("other person", "other vehicle", "trailer"),
        ],
        start=1,
    )
}


@dataclass(frozen=True)
class Label:
    """One box of one frame, corners in pixels."""

    identity: int
    category: str
    corners: Sequence[float]
    crowd: bool = False


#: Frames of a sequence, each with its labels.
Sequences = Mapping[str, Sequence[Sequence[Label]]]


def random_scene(seed: int, frames: int, objects: int = 14) -> tuple[list[list[Label]], list[list[Label]]]:
    """Truth and predictions of one sequence; coordinates are multiples of 1/8, so x + w is exact.

    No train occurs and none is predicted; buses are only predicted. Identities are used again by other objects, some
    frames are empty on either side, and large crowds and ignored objects lie between the others.
    """
    rng = np.random.default_rng(seed)
    scored = ["pedestrian", "rider", "car", "truck", "motorcycle", "bicycle"]
    names = rng.choice([*scored, "car", "other person", "other vehicle", "trailer"], objects)
    start, speed, size = (
        rng.uniform(0, 250, (objects, 2)),
        rng.uniform(-4, 4, (objects, 2)),
        rng.uniform(20, 60, (objects, 2)),
    )
    crowd = rng.random(objects) < 0.2
    size[crowd] *= 2
    truth: list[list[Label]] = []
    found: list[list[Label]] = []
    for frame in range(frames):
        true_labels, found_labels = [], []
        for index in range(objects):
            if rng.random() < 0.1 or frame % 9 == 7:
                continue
            corner = start[index] + frame * speed[index]
            box = np.concatenate([corner, corner + size[index]])
            identity = index + 1 if frame < frames * 2 // 3 else (index + 3) % objects + 1  # used again by others
            true_labels.append(Label(identity, names[index], _grid(box), bool(crowd[index])))
            if rng.random() < 0.8 and frame % 11 != 5:
                label = rng.choice([*scored, "bus"]) if rng.random() < 0.15 else names[index]
                jump = 100 * (frame > rng.integers(2, 2 * frames))
                found_labels.append(Label(index + jump, label, _grid(box + rng.normal(0, 4, 4))))
        for extra in range(rng.integers(0, 4)):  # false ones, many of them in crowds
            near = start[rng.integers(objects)] + frame * speed[0] + rng.uniform(0, 40, 2)
            found_labels.append(Label(500 + extra, rng.choice(scored), _grid([*near, *(near + 25)])))
        truth.append(true_labels)
        found.append(found_labels)
    return truth, found


def _grid(corners: Sequence[float]) -> list[float]:
    x1, y1, x2, y2 = np.round(np.asarray(corners) * 8) / 8
    return [float(x1), float(y1), float(max(x2, x1 + 1)), float(max(y2, y1 + 1))]


def cocovid(sequences: Sequences) -> dict[str, Any]:
    """Return the sequences as the content of an annotation file."""
    data: dict[str, Any] = {"videos": [], "images": [], "annotations": []}
    data["categories"] = [{"id": number, "name": name} for name, number in CATEGORIES.items()]
    for video, (name, frames) in enumerate(sequences.items(), start=1):
        data["videos"].append({"id": video, "name": name})
        for index, labels in enumerate(frames):
            image = len(data["images"]) + 1
            data["images"].append({"id": image, "video_id": video, "frame_id": index})
            for label in labels:
                x1, y1, x2, y2 = label.corners
                entry = {"id": len(data["annotations"]) + 1, "image_id": image, "instance_id": label.identity}
                entry |= {"category_id": CATEGORIES[label.category], "bbox": [x1, y1, x2 - x1, y2 - y1]}
                data["annotations"].append(entry | {"iscrowd": int(label.crowd)})
    return data


def table(frames: Sequence[Sequence[Label]]) -> MotTable:
    """Return labels as predictions; frames count from 1."""
    rows = [(number, label) for number, labels in enumerate(frames, start=1) for label in labels]
    corners = np.array([label.corners for _, label in rows]).reshape(-1, 4)
    return make_table(
        np.array([number for number, _ in rows]),
        np.array([label.identity for _, label in rows]),
        np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]),
        class_ids=np.array([CATEGORIES[label.category] for _, label in rows]),
    )


def write_for_trackeval(folder: Path, sequences: Sequences) -> None:
    """Write one JSON for each sequence, with the keys that TrackEval looks for."""
    folder.mkdir(parents=True)
    for name, frames in sequences.items():
        entries = [
            {"index": index, "labels": [_scalabel(label) for label in labels]} for index, labels in enumerate(frames)
        ]
        (folder / f"{name}.json").write_text(json.dumps(entries[::-1]))  # it sorts them


def _scalabel(label: Label) -> dict[str, Any]:
    box = dict(zip(("x1", "y1", "x2", "y2"), label.corners))
    return {"id": str(label.identity), "category": label.category, "box2d": box, "attributes": {"Crowd": label.crowd}}
