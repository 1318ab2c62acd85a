"""The ground truth of one drawn sequence as the text files of MOTChallenge and of MOTS20, and its seqinfo.ini."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clmot_qd.datasets.mot_text import MOT_CLASSES, MotTable, make_table
from clmot_qd.datasets.mots_text import IDS_PER_CLASS, IGNORE_CLASS, IGNORE_ID, MOTS_CLASSES, write_mots
from clmot_qd.geometry import xyxy_to_xywh
from clmot_qd.masks import RleMasks

Json = dict[str, Any]

_MOTS_CLASS_OF = {MOT_CLASSES.index(name) + 1: number for number, name in MOTS_CLASSES.items()}


def write_seqinfo(folder: Path, video: Json) -> None:
    """Write seqinfo.ini for a video of the CocoVID document."""
    lines = [
        "[Sequence]",
        f"name={video['name']}",
        "imDir=img1",
        f"frameRate={video['fps']}",
        f"seqLength={video['length']}",
        f"imWidth={video['width']}",
        f"imHeight={video['height']}",
        "imExt=.jpg",
    ]
    (folder / "seqinfo.ini").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_mot_truth(folder: Path, document: Json) -> None:
    """Write gt/gt.txt of the document's last video as MOT16: frame, id, x, y, w, h, mark, class, visibility."""
    rows = []
    for entry, frame in zip(*_last_video(document)):
        x, y, w, h = entry["bbox"]
        place = f"{frame},{entry['instance_id']},{x:.2f},{y:.2f},{w:.2f},{h:.2f}"
        rows.append(f"{place},{entry['mot_conf']:.0f},{entry['mot_class_id']},{entry['visibility']:.3f}")
    (folder / "gt").mkdir()
    (folder / "gt" / "gt.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_mots_truth(folder: Path, document: Json) -> None:
    """Write seqinfo.ini and gt/gt.txt of the document's last video as MOTS20, see :mod:`clmot_qd.datasets.mots_text`.

    Annotations that are ignored become regions in which nothing is wrong.
    """
    video = document["videos"][-1]
    (folder / "gt").mkdir(parents=True)
    table = _mots_table(*_last_video(document), (video["height"], video["width"]))
    write_mots(folder / "gt" / "gt.txt", table)
    write_seqinfo(folder, video)


def _mots_table(entries: Sequence[Json], frames: Sequence[int], size: tuple[int, int]) -> MotTable:
    masks = RleMasks.of([entry["segmentation"]["counts"].encode() for entry in entries], size)
    ids = np.array([entry["instance_id"] for entry in entries], dtype=np.int64)
    numbers = ids - min(ids, default=0) + 1
    kinds = np.array([_MOTS_CLASS_OF.get(entry["category_id"], IGNORE_CLASS) for entry in entries], dtype=np.int64)
    ids = np.where(kinds == IGNORE_CLASS, IGNORE_ID, IDS_PER_CLASS * kinds + numbers)
    return make_table(np.asarray(frames), ids, xyxy_to_xywh(masks.boxes()), class_ids=kinds, masks=masks)


def _last_video(document: Json) -> tuple[list[Json], list[int]]:
    """Annotations of the last video, and their frame numbers from 1."""
    video_id = document["videos"][-1]["id"]
    frames = {image["id"]: image["mot_frame_id"] for image in document["images"]}
    entries = [entry for entry in document["annotations"] if entry["video_id"] == video_id]
    return entries, [frames[entry["image_id"]] for entry in entries]
