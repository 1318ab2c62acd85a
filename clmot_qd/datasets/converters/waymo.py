"""Waymo Open Dataset, perception, v2: boxes in the pictures of five cameras, each camera a video of its own.

Columns and numbers are those of src/waymo_open_dataset/v2/perception in
https://github.com/waymo-research/waymo-open-dataset (box.py, camera_image.py, base.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box, Counts, Frame, Source
from clmot_qd.datasets.converters.text_files import require_folder
from clmot_qd.datasets.converters.waymo_images import (
    CAMERA,
    CAMERAS,
    SEGMENT,
    TIME,
    Picture,
    pyarrow_parquet,
    read_pictures,
    read_rows,
)
from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError

#: Classes with their numbers in our files.
CLASSES = {"vehicle": 1, "pedestrian": 2, "cyclist": 3}
FRAMES_PER_SECOND = 10.0

_TYPES = {1: "vehicle", 2: "pedestrian", 3: "sign", 4: "cyclist"}  # of ``type``; signs have no boxes in pictures
_BOX = "[CameraBoxComponent]"
_BOX_COLUMNS = (
    *(SEGMENT, TIME, CAMERA, "key.camera_object_id", f"{_BOX}.type", f"{_BOX}.difficulty_level.tracking"),
    *(f"{_BOX}.box.center.x", f"{_BOX}.box.center.y", f"{_BOX}.box.size.x", f"{_BOX}.box.size.y"),
)
_PUBLISHED = {
    "training": Counts(videos=3990, origin="QDTrack, section 4.1 (about 790k pictures)"),
    "validation": Counts(videos=1010, origin="QDTrack, section 4.1 (about 200k pictures)"),
    "testing": Counts(videos=750, origin="QDTrack, section 4.1 (about 148k pictures)"),
}
_Key = tuple[str, int]  # camera and time


def open_waymo(
    root: PathLike, report: Report, *, extract_images: PathLike | None = None, unlabelled: bool = False
) -> Source:
    """Open a folder of Waymo's v2 files.

    Identities are those of one camera: Waymo labels the cameras independently of each other. A video is called
    ``SEGMENT_CAMERA``. Boxes are not rounded. ``difficulty`` is that for tracking, 1 or 2; what is not graded is 1.

    Args:
        root: Folder of a split, with ``camera_image`` and ``camera_box``, a file in each for each segment.
        report: Where remarks go.
        extract_images: Write the pictures below this folder. None looks for none.
        unlabelled: Take the pictures alone, as of the test set; ``camera_box`` is not needed.

    Raises:
        InputError: No pyarrow; a folder or a file is missing. While reading: a file that is broken or of another kind.
    """
    pyarrow_parquet()
    root = Path(root)
    files = _files(require_folder(root / "camera_image", "a file for each segment"))
    boxes = {} if unlabelled else _files(require_folder(root / "camera_box", "a file for each segment"))
    if not unlabelled and (odd := sorted(files.keys() ^ boxes.keys())):
        missing = root / ("camera_box" if odd[0] in files else "camera_image") / f"{odd[0]}.parquet"
        raise InputError(f"{missing}: no such file, though the other folder has it; download it")
    names = [f"{segment}_{camera}" for segment in files for camera in CAMERAS.values()]
    folder = None if extract_images is None else Path(extract_images)
    return Source(
        title=f"Waymo {root.name}",
        categories=CLASSES,
        frames=(
            frame for segment, path in files.items() for frame in _segment(path, boxes.get(segment), folder, report)
        ),
        images=folder,
        report=report,
        videos={name: {"fps": FRAMES_PER_SECOND} for name in names},
        published=_PUBLISHED.get(root.name),
    )


def _files(folder: Path) -> dict[str, Path]:
    """Return segment -> file."""
    files = {path.stem: path for path in sorted(folder.glob("*.parquet"))}
    if not files:
        raise InputError(f"{folder}: no .parquet file in here; see the layout that --help shows")
    return files


def _segment(path: Path, box_path: Path | None, folder: Path | None, report: Report) -> Iterator[Frame]:
    """Give the frames of one segment, camera by camera."""
    boxes = {} if box_path is None else _read_boxes(box_path)
    pictures: dict[str, list[Picture]] = {camera: [] for camera in CAMERAS.values()}
    for picture in read_pictures(path, folder):
        pictures[picture.camera].append(picture)
    for found in pictures.values():
        for picture in found:
            yield _frame(picture, path, boxes.pop((picture.camera, picture.time), []))
    for lost in boxes.values():
        for box in lost:
            report.note("skipped", "box of a moment without a picture", box.place)


def _frame(picture: Picture, path: Path, boxes: list[Box]) -> Frame:
    return Frame(
        file_name=picture.file_name,
        width=picture.size[0],
        height=picture.size[1],
        boxes=boxes,
        video=f"{picture.segment}_{picture.camera}",
        number=picture.time,
        place=f"{path}: {picture.camera} at {picture.time}",
        fields={"timestamp": picture.time},
    )


def _read_boxes(path: Path) -> dict[_Key, list[Box]]:
    """Read the boxes of one segment."""
    result: dict[_Key, list[Box]] = defaultdict(list)
    for row, values in enumerate(read_rows(path, _BOX_COLUMNS)):
        _, time, camera, identity, kind, level, *box = values
        place = f"{path}: row {row}"
        if camera not in CAMERAS:
            raise InputError(f"{place}: {CAMERA} is {camera!r}, not 1 to {len(CAMERAS)}")
        result[CAMERAS[camera], time].append(_box(place, identity, kind, level, box))
    return result


def _box(place: str, identity: Any, kind: Any, level: Any, box: list[Any]) -> Box:
    x, y, width, height = (float("nan") if value is None else value for value in box)
    return Box(
        bbox=[x - width / 2, y - height / 2, width, height],
        category=_TYPES.get(kind, f"number {kind}"),
        identity=identity,
        place=place,
        fields={"difficulty": 2 if level == 2 else 1},
    )


_LAYOUT = """
ROOT/camera_image/SEGMENT.parquet
ROOT/camera_box/SEGMENT.parquet

ROOT is the folder of one split, data/waymo/v2/training, say, as gs://waymo_open_dataset_v_2_0_1 has it. Needs pyarrow:
pip install 'clmot_qd[waymo]'.
Each of the five cameras (FRONT, FRONT_LEFT, FRONT_RIGHT, SIDE_LEFT, SIDE_RIGHT) gives a video SEGMENT_CAMERA of 10
frames a second. Identities hold within a camera: Waymo labels the cameras independently. Frames without boxes are kept.
Classes: 1 vehicle, 2 pedestrian, 3 cyclist. "difficulty" of an annotation: 2 for LEVEL_2 of tracking, else 1.

--extract-images FOLDER writes the pictures to FOLDER/SEGMENT/CAMERA/TIMESTAMP.jpg; one that is there already is not
written again, so that a run which was stopped goes on. Without it pictures are not looked at; file names are the same.
For the configurations: --extract-images data/waymo/train --out data/waymo/annotations/train.json
""".strip()

DATA_SETS = (
    DataSet(
        name="waymo",
        summary="Waymo Open Dataset, perception v2 (parquet): boxes in camera pictures",
        layout=_LAYOUT,
        open_source=open_waymo,
        options=(
            Option("--extract-images", {"metavar": "FOLDER", "help": "write the pictures there"}, writes=True),
            Option("--unlabelled", {"action": "store_true", "help": "there are no boxes, as in the test set"}),
        ),
    ),
)
