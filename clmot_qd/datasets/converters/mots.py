"""MOTS20 and KITTI-MOTS: masks with identities, as text files or as PNG files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.mot import SPLITS, Split, half_of
from clmot_qd.datasets.converters.mots_labels import VideoLabels, read_labels
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Counts, Frame, Source
from clmot_qd.datasets.converters.text_files import require_folder
from clmot_qd.datasets.mot_layout import Frame as Picture
from clmot_qd.datasets.mot_layout import find_sequences, list_frames
from clmot_qd.datasets.mot_text import PathLike
from clmot_qd.datasets.mots_text import IGNORE_CLASS, IGNORE_NAME, MOTS_CLASSES
from clmot_qd.errors import InputError

KittiSplit = Literal["all", "train", "val"]
_CLASSES = {**MOTS_CLASSES, IGNORE_CLASS: IGNORE_NAME}
_PAPER = "MOTS (CVPR 2019), Table 1"
_MOTS20_FRAMES = {"MOTS20-02": 600, "MOTS20-05": 837, "MOTS20-09": 525, "MOTS20-11": 900}
MOTS20 = Counts(2862, 26_894, 228, 4, ("pedestrian",), _PAPER)
#: Sequences of KITTI's training set -> their frames; the published split is that of TrackR-CNN.
_KITTI_FRAMES: Mapping[str, Mapping[str, int]] = {
    "train": {
        **{"0000": 154, "0001": 447, "0003": 144, "0004": 314, "0005": 297, "0009": 803},
        **{"0011": 373, "0012": 78, "0015": 376, "0017": 145, "0019": 1059, "0020": 837},
    },
    "val": {
        **{"0002": 233, "0006": 270, "0007": 800, "0008": 390, "0010": 294},
        **{"0013": 340, "0014": 106, "0016": 209, "0018": 339},
    },
}
KITTI_MOTS = {
    "train": Counts(5027, 8073 + 18_831, 99 + 431, 12, ("car", "pedestrian"), _PAPER),
    "val": Counts(2981, 3347 + 8068, 68 + 151, 9, ("car", "pedestrian"), _PAPER),
}
_KITTI_FPS = 10.0


@dataclass(frozen=True)
class _Video:
    """A sequence: its pictures, its label file or folder, and what is known of it (height, width; lowest frame)."""

    name: str
    folder: Path
    pictures: list[Picture]
    labels: Path
    size: tuple[int, int] | None
    first_frame: int


def open_mots20(
    root: PathLike,
    report: Report,
    *,
    sequences: Sequence[str] | None = None,
    split: Split = "all",
    labels: PathLike | None = None,
) -> Source:
    """Open a folder of MOTS20 sequences, which has the layout of MOTChallenge.

    Masks keep every bit. Where two of a frame share pixels, which the format forbids, the earlier one in the file keeps
    them, and objects before regions in which nothing is wrong.

    Args:
        root: Folder of the sequence folders (``MOTS20/train``); file names are relative to it.
        report: Where remarks go.
        sequences: Names of the sequences to take; None takes all.
        split: Frames of each sequence to take, see :func:`~clmot_qd.datasets.converters.mot.open_mot`.
        labels: Folder with ``SEQUENCE.txt`` or a folder ``SEQUENCE`` of PNG files; None takes ``gt/gt.txt``.

    Raises:
        InputError: Unknown sequence or split; a folder that holds none; frames that cannot be listed; ``labels`` of
            none of the sequences.
    """
    if split not in SPLITS:
        raise InputError(f"split {split!r} must be all, first-half or second-half")
    root = Path(root)
    videos = []
    for one in find_sequences(root, sequences):
        place = one.ground_truth if labels is None else _labels_of(one.name, [Path(labels)])
        size = (one.info.height, one.info.width) if one.info.height and one.info.width else None
        videos.append((_Video(one.name, one.folder, list_frames(one), place, size, 1), one.info.frame_rate))
    names = [video.name for video, _ in videos]
    _require_labels([video for video, _ in videos], labels)
    whole = split == "all" and root.name == "train"
    return Source(
        title=f"MOTS20 {root.name}" if root.name in ("train", "test") else "MOTS20",
        categories={name: number for number, name in _CLASSES.items() if name != "car"},
        frames=_frames(root, [video for video, _ in videos], split, (2,), report),
        images=root,
        report=report,
        total=sum(len(video.pictures) for video, _ in videos),
        videos={video.name: {"fps": rate} for video, rate in videos},
        published=MOTS20 if whole and set(names) == set(_MOTS20_FRAMES) else None,
        published_videos=_lengths(_MOTS20_FRAMES, names) if whole else {},
    )


def open_kitti_mots(
    root: PathLike,
    report: Report,
    *,
    split: KittiSplit = "all",
    sequences: Sequence[str] | None = None,
    labels: PathLike | None = None,
) -> Source:
    """Open KITTI's tracking pictures with the masks of KITTI-MOTS; see :func:`open_mots20`.

    Args:
        root: Folder with ``image_02`` (``training``); file names are relative to that one.
        report: Where remarks go.
        split: ``train`` or ``val``, as published; ``all`` takes what is there.
        sequences: Names of the sequences to take, of those of the split; None takes all.
        labels: Folder with ``SEQUENCE.txt`` or a folder ``SEQUENCE`` of PNG files; None takes ``instances_txt``, and
            ``instances`` for sequences without text, in ``root``.

    Raises:
        InputError: No such folder; an unknown sequence; a sequence without pictures and labels; ``labels`` of none of
            the sequences.
    """
    root = Path(root)
    places = [root / name for name in ("instances_txt", "instances")] if labels is None else [Path(labels)]
    if labels is not None:
        require_folder(places[0], "the labels")
    frames = {name: count for part in _KITTI_FRAMES.values() for name, count in part.items()}
    names = _kitti_names(root, places, split, sequences)
    videos = [_kitti_video(root, places, name, 0 if split == "all" else frames[name]) for name in names]
    _require_labels(videos, labels)
    published = split != "all" and len(names) == len(_KITTI_FRAMES[split])
    return Source(
        title="KITTI-MOTS" if split == "all" else f"KITTI-MOTS {split}",
        categories={name: number for number, name in _CLASSES.items()},
        frames=_frames(root / "image_02", videos, "all", tuple(MOTS_CLASSES), report),
        images=root / "image_02",
        report=report,
        total=sum(len(video.pictures) for video in videos),
        videos={name: {"fps": _KITTI_FPS} for name in names},
        published=KITTI_MOTS[split] if published else None,
        published_videos={} if split == "all" else _lengths(frames, names),
    )


def _labels_of(name: str, folders: Sequence[Path]) -> Path:
    """Return the text file of a sequence, or else its folder of PNG files."""
    texts = [folder / f"{name}.txt" for folder in folders]
    return next((one for one in (*texts, *(folder / name for folder in folders)) if one.exists()), texts[0])


def _require_labels(videos: Sequence[_Video], labels: PathLike | None) -> None:
    if labels is not None and not any(video.labels.exists() for video in videos):
        name = videos[0].name
        raise InputError(
            f"{labels}: neither {name}.txt nor a folder {name} of PNG files, nor those of another sequence"
        )


def _lengths(frames: Mapping[str, int], names: Sequence[str]) -> dict[str, Counts]:
    return {name: Counts(images=frames[name], videos=1, origin=_PAPER) for name in names if name in frames}


def _kitti_names(root: Path, labels: Sequence[Path], split: KittiSplit, sequences: Sequence[str] | None) -> list[str]:
    """Return the sequences to take: those of pictures; without pictures those of label files."""
    folder = root / "image_02"
    folders = [folder] if folder.is_dir() else [one for one in labels if one.is_dir()]
    if not folders:
        require_folder(folder, "the pictures of each sequence")
    entries = (entry for one in folders for entry in one.iterdir())
    found = sorted({entry.stem for entry in entries if entry.is_dir() or entry.suffix == ".txt"})
    there = [name for name in found if split == "all" or name in _KITTI_FRAMES[split]]
    for name in sequences or ():
        if name not in there:
            raise InputError(f"{folder}: no sequence {name!r} of {split}; there are {', '.join(there)}")
    if not there:
        raise InputError(f"{folder}: no sequence of {split}; it needs folders such as 0000")
    return [name for name in there if sequences is None or name in sequences]


def _kitti_video(root: Path, labels: Sequence[Path], name: str, length: int) -> _Video:
    """Return a sequence; without a folder of pictures its frames are those that are published."""
    folder = root / "image_02" / name
    if folder.is_dir():
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".png" and path.name[0] != ".")
    else:
        paths = [folder / f"{number:06d}.png" for number in range(length)]
    for path in paths:
        if not (path.stem.isascii() and path.stem.isdecimal()):
            raise InputError(f"{path}: no frame of KITTI, whose names are numbers such as 000000.png; remove it")
    if not paths:
        raise InputError(f"{folder}: no picture; without pictures, take --split train or val and --images trust")
    pictures = [Picture(int(path.stem), path) for path in paths]
    return _Video(name, folder, pictures, _labels_of(name, labels), None, 0)


def _frames(
    root: Path, videos: Sequence[_Video], split: Split, classes: Sequence[int], report: Report
) -> Iterator[Frame]:
    for video in videos:
        labels: VideoLabels = read_labels(video.labels, video.pictures, video.size, video.first_frame, classes, report)
        pictures = labels.pictures
        first, last = half_of(video.folder, len(pictures), split)
        height, width = labels.size or video.size or (0, 0)
        for index, picture in enumerate(pictures):
            yield Frame(
                file_name=picture.path.relative_to(root).as_posix(),
                width=width,
                height=height,
                boxes=labels.boxes(picture, _CLASSES),
                video=video.name,
                number=picture.number,
                place=labels.place(picture),
                selected=first <= index < last,
                fields={"mot_frame_id": picture.number},
            )


_ROWS = """
Rows of a label file: frame id class height width runs, separated by blanks; class 2 is a pedestrian,{cars} 10 a
region in which nothing is wrong. PNG files: 16 bits, 1000 * class + number of the object, 10000 for such regions.
Masks become "segmentation" as they stand, the box is the smallest around a mask. Regions become annotations of the
class "ignore region" (id 10) with "ignore" and "iscrowd". Masks without a pixel are left out. Where two of a frame
share pixels, the earlier row keeps them, objects before regions and regions before other classes; that is counted.
Masks of another size than the video are refused.
""".strip()
_MOTS20_LAYOUT = f"""
ROOT/SEQUENCE/img1/000001.jpg ...    pictures (or in the folder that seqinfo.ini calls imDir)
ROOT/SEQUENCE/gt/gt.txt              absent in test sets; or elsewhere:
LABELS/SEQUENCE.txt                  or PNG files, LABELS/SEQUENCE/000001.png ...
ROOT/SEQUENCE/seqinfo.ini            optional: frame rate, size, length

ROOT is the folder of one split, MOTS20/train. Frames count from 1.
{_ROWS.format(cars="")}
Without pictures: --images trust takes names, number and size of the frames from seqinfo.ini.
""".strip()
_KITTI_LAYOUT = f"""
ROOT/image_02/0000/000000.png ...    pictures of the tracking benchmark
ROOT/instances_txt/0000.txt          labels as text; where there is none,
ROOT/instances/0000/000000.png ...   as PNG files; or either in the folder LABELS

ROOT is KITTI's folder "training"; file names are relative to image_02 in it. Frames count from 0. --split train takes
12 sequences, val 9, as published.
{_ROWS.format(cars=" 1 a car,")}
Without pictures: --split train or val with --images trust.
""".strip()
_SEQUENCES = Option("--sequences", {"nargs": "+", "metavar": "NAME", "help": "take these sequences only"})
_LABELS = Option("--labels", {"metavar": "FOLDER", "help": "folder of SEQUENCE.txt, or of folders of PNG files"})

DATA_SETS = (
    DataSet(
        name="mots20",
        summary="MOTS20, or sequences in its form: pedestrians with masks",
        layout=_MOTS20_LAYOUT,
        open_source=open_mots20,
        options=(
            _SEQUENCES,
            Option(
                "--split",
                {
                    "default": "all",
                    "choices": SPLITS,
                    "help": "frames of each sequence to take: of n, the first half is n//2+1",
                },
            ),
            _LABELS,
        ),
    ),
    DataSet(
        name="kitti-mots",
        summary="KITTI-MOTS, cars and pedestrians with masks",
        layout=_KITTI_LAYOUT,
        open_source=open_kitti_mots,
        options=(
            Option(
                "--split",
                {"default": "all", "choices": ("all", *_KITTI_FRAMES), "help": "sequences to take (default: all)"},
            ),
            _SEQUENCES,
            _LABELS,
        ),
    ),
)
