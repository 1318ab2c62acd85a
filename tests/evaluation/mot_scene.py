"""Random MOTChallenge scenes, and TrackEval reading the same files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clmot_qd.datasets.mot_text import MOT_CLASSES, MotTable, make_table

CATEGORIES = {name: number for number, name in enumerate(MOT_CLASSES, start=1)}


def random_scene(seed: int, frames: int, objects: int) -> tuple[MotTable, MotTable]:
    """Ground truth of all classes with marks, and predictions: noisy, some missing, some switched, some false."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 300, (objects, 2))
    speed = rng.uniform(-3, 3, (objects, 2))
    size = rng.uniform(15, 60, (objects, 2))
    classes = rng.choice([1, 1, 1, 2, 3, 6, 7, 8, 9, 12, 13], objects)
    frame, index = (axis.ravel() for axis in np.meshgrid(np.arange(1, frames + 1), np.arange(objects), indexing="ij"))
    present = (rng.random(frame.size) < 0.9) & (frame % 13 != 5)
    frame, index = frame[present], index[present]
    boxes = np.hstack([start[index] + frame[:, None] * speed[index], size[index]]).round(3)
    marks = (rng.random(frame.size) < 0.85).astype(float)
    truth = make_table(frame, index + 1, boxes, marks, classes[index], rng.random(frame.size).round(3))

    kept = (rng.random(frame.size) < 0.85) & (frame % 17 != 3)
    noise = rng.normal(0, 3, (kept.sum(), 4))
    found = np.hstack([boxes[kept][:, :2], boxes[kept][:, 2:]]) + noise
    found[:, 2:] = found[:, 2:].clip(2)
    ids = index[kept] + 100 * (frame[kept] > rng.integers(2, frames, objects)[index[kept]])
    tracks = make_table(frame[kept], ids, found.round(5), rng.random(kept.sum()).round(6))
    return truth, tracks


def write_scene(root: Path, name: str, truth: MotTable, frames: int, swap_classes: int | None = None) -> None:
    """Write ``root/gt/NAME`` with gt.txt and seqinfo.ini; optionally with one class and pedestrians exchanged."""
    folder = root / "gt" / name
    (folder / "gt").mkdir(parents=True)
    classes = truth.class_ids.copy()
    if swap_classes is not None:
        classes[truth.class_ids == swap_classes], classes[truth.class_ids == 1] = 1, swap_classes
    columns = [truth.frames, truth.ids, truth.bboxes, truth.scores, classes, truth.visibility]
    np.savetxt(folder / "gt" / "gt.txt", np.column_stack(columns), fmt="%d,%d,%.3f,%.3f,%.3f,%.3f,%d,%d,%.3f")
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={name}\nseqLength={frames}\n")
