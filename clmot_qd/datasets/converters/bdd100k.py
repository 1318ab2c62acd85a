"""BDD100K: detection (of 2020 and of the first release), box and segmentation tracking, instance segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import fill

from clmot_qd.datasets.converters.bdd100k_bitmasks import is_folder_of_bitmasks, read_bitmask_frames
from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.scalabel import Scalabel, number_in_name
from clmot_qd.datasets.converters.source import Counts, Frame, Source
from clmot_qd.datasets.converters.text_files import require_folder
from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.errors import InputError

SPLITS = ("train", "val", "test")
CLASSES = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
#: Objects that need not be found and must not be learned.
IGNORED = ("other person", "other vehicle", "trailer")
#: Objects of detection alone.
ROADSIDE = ("traffic light", "traffic sign")
#: Names of the first release, and those that BDD100K's own tools map (bdd100k/configs/det.toml).
SYNONYMS = {"person": "pedestrian", "bike": "bicycle", "motor": "motorcycle", "caravan": "car", "van": "car"}
#: Labels of the first release that are no objects.
NO_OBJECTS = frozenset(
    (
        *("lane", "drivable area", "area/drivable", "area/alternative", "area/unknown"),
        *("lane/single white", "lane/single yellow", "lane/single other", "lane/road curb", "lane/crosswalk"),
        *("lane/double white", "lane/double yellow", "lane/double other"),
    )
)
SIZE = (1280, 720)


@dataclass(frozen=True)
class Task:
    """One of BDD100K's tasks.

    Args:
        title: For the table.
        how: How its labels are read.
        labels: Where they are, below the root; the first that is there is taken.
        images: Where the pictures are.
        classes: Of which objects may be; numbered from 1.
        published: What there is of each split.
        bitmasks: Labels may be PNG files.
    """

    title: str
    how: Scalabel
    labels: Sequence[str]
    images: str
    classes: Sequence[str]
    published: Mapping[str, Counts]
    bitmasks: bool = False


def open_bdd100k(
    root: PathLike,
    report: Report,
    *,
    task: Task,
    split: str = "train",
    labels: PathLike | None = None,
    unlabelled: bool = False,
) -> Source:
    """Open one split of a task.

    Boxes stay as they stand in the file. Those of :data:`IGNORED` are ``ignore``, those with the attribute ``crowd``
    are ``iscrowd``: scoring takes both as regions in which nothing is wrong.

    Args:
        root: Folder with ``labels`` and ``images``.
        report: Where remarks go.
        task: One of the values of :data:`TASKS`.
        split: ``train``, ``val`` or ``test``.
        labels: JSON file or folder of such or of bitmasks, wherever it is; None looks at the usual places.
        unlabelled: Take all pictures, without labels, as of the test set.

    Raises:
        InputError: No labels in any place, no folder of pictures for ``unlabelled``.
    """
    images = Path(root) / task.images.format(split=split)
    if unlabelled:
        frames = _pictures(require_folder(images, "the pictures"), task.how.videos)
    else:
        place = _find(Path(root), task, split) if labels is None else _existing(Path(labels))
        frames = _read_labels(place, task, report)
    return Source(
        title=f"{task.title} {split}",
        categories={name: number for number, name in enumerate(task.classes, start=1)},
        frames=frames,
        images=images,
        report=report,
        outside="keep",
        published=task.published.get(split) if labels is None else None,
    )


def _read_labels(path: Path, task: Task, report: Report) -> Iterator[Frame]:
    if is_folder_of_bitmasks(path):
        if not task.bitmasks:
            raise InputError(f"{path}: PNG files; only bdd100k-seg-track and bdd100k-ins-seg have labels as bitmasks")
        return read_bitmask_frames(path, CLASSES, task.how.videos, report)
    return task.how.read(path, report)


def _find(root: Path, task: Task, split: str) -> Path:
    places = [root / place.format(split=split) for place in task.labels]
    for place in places:
        if place.exists():
            return place
    others = ", ".join(str(place.relative_to(root)) for place in places[1:])
    advice = "name the labels with --labels, or take pictures alone with --unlabelled"
    raise InputError(f"{places[0]}: no such file or folder, nor {others}; {advice}")


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; correct --labels")
    return path


def _pictures(folder: Path, videos: bool) -> Iterator[Frame]:
    """Give a frame for each picture, those of one video together."""
    for path in sorted(folder.glob("*/*.jpg" if videos else "*.jpg")):
        frame = Frame(path.relative_to(folder).as_posix(), *SIZE, boxes=[], place=str(path))
        if videos:
            number = number_in_name(path.name)
            if number is None:
                raise InputError(f"{path}: no number in its name, which should end in -0000001.jpg")
            frame.video, frame.number, frame.fields = path.parent.name, number, {"frame_index": number}
        yield frame


_read = partial(Scalabel, size=SIZE, synonyms=SYNONYMS, ignored=IGNORED, no_objects=NO_OBJECTS)
_PAPER = "QDTrack, section 4.1 (about {}k frames)"
TASKS: Mapping[str, Task] = {
    "bdd100k-det": Task(
        title="BDD100K detection",
        how=_read(videos=False),
        labels=(
            "labels/det_20/det_{split}.json",
            "labels/det_20/det_v2_{split}_release.json",
            "labels/bdd100k_labels_images_{split}.json",
            "labels/100k/{split}",
        ),
        images="images/100k/{split}",
        classes=(*CLASSES, *IGNORED, *ROADSIDE),
        published={
            "train": Counts(images=69_863, origin="issue 64 of https://github.com/bdd100k/bdd100k: 137 of 70,000 lack"),
            "val": Counts(images=10_000, origin="issue 64 of https://github.com/bdd100k/bdd100k"),
        },
    ),
    "bdd100k-track": Task(
        title="BDD100K box tracking",
        how=_read(videos=True),
        labels=(
            "labels/box_track_20/{split}",
            "labels/box_track_20/box_track_{split}.json",
            "labels-20/box-track/{split}",
        ),
        images="images/track/{split}",
        classes=(*CLASSES, *IGNORED),
        published={
            "train": Counts(videos=1400, origin=_PAPER.format(278)),
            "val": Counts(videos=200, origin=_PAPER.format(40)),
        },
    ),
    "bdd100k-seg-track": Task(
        title="BDD100K segmentation tracking",
        how=_read(videos=True),
        labels=tuple(f"labels/seg_track_20/{form}/{{split}}" for form in ("rles", "bitmasks", "polygons")),
        bitmasks=True,
        images="images/seg_track_20/{split}",
        classes=(*CLASSES, *IGNORED),
        published={
            "train": Counts(videos=154, origin="QDTrack, section 4.6"),
            "val": Counts(videos=32, origin="QDTrack, section 4.6"),
        },
    ),
    "bdd100k-ins-seg": Task(
        title="BDD100K instance segmentation",
        how=_read(videos=False),
        labels=(
            "labels/ins_seg/rles/ins_seg_{split}.json",
            "labels/ins_seg/bitmasks/{split}",
            "labels/ins_seg/polygons/ins_seg_{split}.json",
        ),
        bitmasks=True,
        images="images/10k/{split}",
        classes=(*CLASSES, *IGNORED),
        published={},
    ),
}

_LAYOUT = """
{labels}
ROOT/{images}

Scalabel JSON: a list of frames, or an object with "frames", in one file or in a folder of files{many}.
Frames may come in any order. Where no size is recorded, it is 1280 x 720.
{classes}
Older names of them are understood: person, bike, motor.
"other person", "other vehicle" and "trailer" get "ignore", labels with the attribute crowd "iscrowd".
{more}
""".strip()
_IDS = 'The ids of labels become "instance_id"; frames without labels are kept. Boxes: x1, y1, x2 - x1, y2 - y1.'
_OUTLINES = (
    'Outlines become "segmentation": masks as they stand, polygons with 8 straight pieces for each Bezier curve.\n'
    "Without box2d the box is that of the outline.{parts}\n"
    "Bitmasks are PNG files, bitmasks/SPLIT/{name}: R is the class, G the attributes, 256 * B + A\n"
    'the id. In them "other person" is a pedestrian with the bit "ignore", "other vehicle" a car, "trailer" a truck.\n'
    "Masks are of the size of the picture. BDD100K's tools score with bitmasks or rles."
)
_NO_IDS = 'Ids mean nothing here: no "instance_id".'
_MORE = {
    "bdd100k-det": f"{_NO_IDS} Lanes and drivable areas are passed over. Boxes: x1, y1, x2 - x1, y2 - y1.",
    "bdd100k-track": _IDS,
    "bdd100k-seg-track": f"{_IDS}\n"
    + _OUTLINES.format(name="VIDEO/VIDEO-0000001.png", parts=" Polygons of one id in a frame are parts of one object."),
    "bdd100k-ins-seg": f"{_NO_IDS}\n" + _OUTLINES.format(name="NAME.png", parts=""),
}


def _data_set(name: str, task: Task) -> DataSet:
    videos = task.how.videos
    picture = "VIDEO/VIDEO-0000001.jpg ..." if videos else "NAME.jpg ..."
    places = "\n".join(f"{'   or ' if row else ''}ROOT/{place}" for row, place in enumerate(task.labels))
    layout = _LAYOUT.format(
        labels=places.format(split="SPLIT"),
        images=f"{task.images.format(split='SPLIT')}/{picture}",
        many=" that hold whole videos" if videos else "",
        classes=fill(f"Classes, numbered from 1: {', '.join(task.classes)}.", 110),
        more=_MORE[name],
    )
    return DataSet(
        name=name,
        summary=task.title,
        layout=layout,
        open_source=partial(open_bdd100k, task=task),
        options=(
            Option("--split", {"default": "train", "choices": SPLITS, "help": "default: %(default)s"}),
            Option("--labels", {"metavar": "PATH", "help": "JSON file or folder of labels, if they are elsewhere"}),
            Option("--unlabelled", {"action": "store_true", "help": "all pictures, without labels: for the test set"}),
        ),
    )


DATA_SETS = tuple(_data_set(name, task) for name, task in TASKS.items())
