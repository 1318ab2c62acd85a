"""The demo data set: people on drawn streets who come in look-alike pairs, at a frame rate that defeats motion models.

With ``DemoSettings.cars`` there is a second class, in look-alike pairs as well.

Made from a seed with numpy and OpenCV alone, in seconds. Layout under the output folder::

    train/SEQ/img1/000001.jpg ...   train/SEQ/seqinfo.ini
    test/SEQ/img1/000001.jpg ...    test/SEQ/seqinfo.ini    test/SEQ/gt/gt.txt (MOT16 columns)
    mots/SEQ/gt/gt.txt              the test sequences as MOTS20 has them, without the pictures; mots/SEQ/seqinfo.ini
    annotations/train.json          CocoVID, boxes and masks: no annotation has an instance_id
    annotations/train_with_ids.json the same with identities, for supervised comparisons
    annotations/test.json           CocoVID with identities
    demo_data.json                  the settings it was made with; equal settings are not made twice

Boxes hold the whole figure or car, clipped to the picture; ``segmentation`` is the part that is seen, pixel by pixel
(COCO's run lengths), so that no two masks of a picture share a pixel. A thing of which less than ``IGNORE_BELOW`` is
seen is marked as ignored (class 8 "distractor", confidence 0: evaluation does not ask for it, and does not punish
finding it either if it takes distractors out, which the demo configurations do not), one of which less than
``DROP_BELOW`` is seen has no label in that frame. It keeps its identity when it comes back.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from clmot_qd.datasets.demo.car_looks import sample_car_pairs
from clmot_qd.datasets.demo.looks import sample_pairs
from clmot_qd.datasets.demo.scene import DemoFrame, DemoScene
from clmot_qd.datasets.demo.truth_files import write_mot_truth, write_mots_truth, write_seqinfo
from clmot_qd.datasets.mot_text import MOT_CLASSES
from clmot_qd.errors import InputError
from clmot_qd.masks import RleMasks

VERSION = 2
"""Goes up whenever the drawing or the files change, so that an older data set is made anew."""
STAMP = "demo_data.json"
IGNORE_BELOW = 0.25
DROP_BELOW = 0.05
JPEG_QUALITY = 92
PEDESTRIAN, CAR, DISTRACTOR = 1, 3, 8
"""MOT's classes 1..13 under mmdet's names."""
_SPLIT_STREAMS = {"train": 0, "test": 1}
_CAR_STREAM = 1

Json = dict[str, Any]


@dataclass(frozen=True)
class DemoSettings:
    """Everything that decides the data set.

    Attributes:
        seed: equal seeds give equal files (with the same versions of numpy and OpenCV).
        train_sequences, train_frames, test_sequences, test_frames: how much is drawn.
        figures: identities per sequence; every two of them look alike.
        width, height: picture size in pixels.
        fps: frame rate written into the files; how far things jump between frames is ``speed``'s matter.
        speed: multiplies how far all jump between two frames. 1 defeats motion models; 0.3 is easy.
        cars: cars per sequence, the second class; every two of them look alike. The rest is the same without them.
    """

    seed: int = 0
    train_sequences: int = 12
    train_frames: int = 30
    test_sequences: int = 4
    test_frames: int = 60
    figures: int = 12
    width: int = 320
    height: int = 192
    fps: int = 4
    speed: float = 1.0
    cars: int = 0

    def __post_init__(self) -> None:
        """Check the ranges; raises InputError that names the setting."""
        least: dict[str, float] = {"seed": 0, "figures": 2, "width": 64, "height": 64, "speed": 0.01, "cars": 0}
        for field in fields(self):
            bound = least.get(field.name, 1)
            if getattr(self, field.name) < bound:
                raise InputError(f"{field.name} = {getattr(self, field.name)}: must be at least {bound}")

    def stamp(self) -> Json:
        """What the files say of their making. Without cars it is what it was before there were any."""
        stamp = {"version": VERSION, **asdict(self)}
        return stamp if self.cars else {name: value for name, value in stamp.items() if name != "cars"}


def make_demo_data(
    folder: str | os.PathLike[str], settings: DemoSettings | None = None, report: Callable[[str], None] = print
) -> Path:
    """Draw the data set into ``folder`` (all or nothing), unless it holds the same one already.

    Args:
        folder: output folder; made anew if it holds demo data of other settings.
        settings: default ``DemoSettings()``.
        report: takes one line of progress at a time.

    Returns:
        ``folder`` as a path.

    Raises:
        InputError: ``folder`` holds something that is not demo data.
    """
    settings = settings or DemoSettings()
    folder = Path(folder)
    stamp = settings.stamp()
    if _read_stamp(folder) == stamp:
        report(f"{folder}: demo data with these settings is there already, nothing to do")
        return folder
    _check_replaceable(folder)
    with _atomic_folder(folder) as building:
        counts = {split: _write_split(building, split, settings, report) for split in _SPLIT_STREAMS}
        (building / STAMP).write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    report(f"{folder}: done, {counts['train']} training and {counts['test']} test pictures")
    return folder


def build_scene(settings: DemoSettings, split: str, index: int) -> DemoScene:
    """Set up sequence ``index`` (0-based) of ``split`` ('train' or 'test'); its frames carry the exact masks."""
    rng = np.random.default_rng([settings.seed, _SPLIT_STREAMS[split], index])
    frames = settings.train_frames if split == "train" else settings.test_frames
    looks = sample_pairs(rng, settings.figures)
    car_rng = np.random.default_rng([settings.seed, _SPLIT_STREAMS[split], index, _CAR_STREAM])
    cars = sample_car_pairs(car_rng, settings.cars)
    return DemoScene(looks, frames, (settings.width, settings.height), rng, settings.speed, cars)


# ---- the folder --------------------------------------------------------------------------------------------------


def _read_stamp(folder: Path) -> Json | None:
    """The settings of the demo data in ``folder``, None where there is none."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) else None


def _check_replaceable(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name a folder for the demo data")
    if folder.is_dir() and any(folder.iterdir()) and _read_stamp(folder) is None:
        raise InputError(f"{folder}: holds files that are not demo data (no {STAMP}); name another folder or empty it")


@contextmanager
def _atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``target``; it takes the place of ``target`` if the block succeeds."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as workspace:
        building, previous = Path(workspace, "new"), Path(workspace, "old")
        building.mkdir()
        yield building
        if target.exists():
            target.rename(previous)
        building.rename(target)


def _write_split(root: Path, split: str, settings: DemoSettings, report: Callable[[str], None]) -> int:
    """Write the sequences and the JSON files of one split; returns the number of pictures."""
    document: Json = {
        "info": {"description": f"clmot_qd demo data, {split}", **settings.stamp()},
        "videos": [],
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": name} for number, name in enumerate(MOT_CLASSES, start=1)],
    }
    count = settings.train_sequences if split == "train" else settings.test_sequences
    for index in range(count):
        name = f"DEMO-{split}-{index + 1:02d}"
        scene = build_scene(settings, split, index)
        _write_sequence(root / split / name, scene, document, settings.fps)
        if split == "test":
            write_mot_truth(root / split / name, document)
            write_mots_truth(root / "mots" / name, document)
        report(f"{split} {index + 1}/{count}: {name}, {len(scene)} frames")
    _write_json(root / "annotations", split, document)
    return len(document["images"])


def _write_json(folder: Path, split: str, document: Json) -> None:
    folder.mkdir(exist_ok=True)
    if split == "train":
        (folder / "train_with_ids.json").write_text(json.dumps(document), encoding="utf-8")
        for annotation in document["annotations"]:
            del annotation["instance_id"]
    (folder / f"{split}.json").write_text(json.dumps(document), encoding="utf-8")


# ---- one sequence ------------------------------------------------------------------------------------------------


def _write_sequence(folder: Path, scene: DemoScene, document: Json, fps: int) -> None:
    """Write pictures and seqinfo.ini, and append the sequence to the CocoVID document."""
    (folder / "img1").mkdir(parents=True)
    width, height = scene.size
    video_id = len(document["videos"]) + 1
    class_ids = [PEDESTRIAN] * len(scene.looks) + [CAR] * len(scene.cars)
    first_id = 1 + (video_id - 1) * len(class_ids)
    video = {"id": video_id, "name": folder.name, "width": width, "height": height, "fps": fps, "length": len(scene)}
    document["videos"].append(video)
    for frame_id, frame in enumerate(scene):
        file_name = f"img1/{frame_id + 1:06d}.jpg"
        _write_jpeg(folder / file_name, frame)
        image = {
            "id": len(document["images"]) + 1,
            "video_id": video_id,
            "frame_id": frame_id,
            "mot_frame_id": frame_id + 1,
            "file_name": f"{folder.name}/{file_name}",
            "width": width,
            "height": height,
        }
        document["images"].append(image)
        for annotation in _annotations(frame, image, class_ids, first_id):
            document["annotations"].append({"id": len(document["annotations"]) + 1, **annotation})
    write_seqinfo(folder, video)


def _write_jpeg(path: Path, frame: DemoFrame) -> None:
    done, data = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done
    path.write_bytes(data.tobytes())  # OpenCV itself does not notice a full disk


def _annotations(frame: DemoFrame, image: Json, class_ids: Sequence[int], first_id: int) -> Iterator[Json]:
    """One entry for each row of the frame of which enough is seen; row i has identity ``first_id + i``."""
    boxes = np.round(frame.boxes, 2)
    masks = RleMasks.of_bitmaps(frame.masks)
    for row in np.flatnonzero(frame.visibility >= DROP_BELOW).tolist():
        x0, y0, x1, y1 = boxes[row]
        ignored = bool(frame.visibility[row] < IGNORE_BELOW)
        class_id = DISTRACTOR if ignored else class_ids[row]
        box = [float(np.round(value, 2)) for value in (x0, y0, x1 - x0, y1 - y0)]
        yield {
            "image_id": image["id"],
            "video_id": image["video_id"],
            "category_id": class_id,
            "instance_id": first_id + row,
            "bbox": box,
            "area": round(box[2] * box[3], 4),
            "segmentation": {"size": list(masks.size), "counts": masks.texts()[row]},
            "iscrowd": 0,
            "ignore": ignored,
            "visibility": round(float(frame.visibility[row]), 3),
            "mot_conf": float(not ignored),
            "mot_class_id": class_id,
        }
