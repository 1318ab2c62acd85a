"""Caltech Pedestrian: videos from a car, annotated with identities in ``.vbb`` files, which are MATLAB files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clmot_qd.datasets.converters.caltech_video import extract as extract_pictures
from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.mat_files import cells, load_variable, numbers, records, text
from clmot_qd.datasets.converters.picture_lists import ONLY_OPTION, PictureList
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box, Counts, Frame, Source
from clmot_qd.datasets.converters.text_files import require_folder
from clmot_qd.errors import InputError

_SPLITS = {
    "train": [f"set{number:02}" for number in range(6)],
    "test": [f"set{number:02}" for number in range(6, 11)],
    "all": [f"set{number:02}" for number in range(11)],
}
_SIZE = (640, 480)
_VIDEOS = {"train": 71, "test": 66, "all": 137}
_ORIGIN = "Dollár et al., CVPR 2009: in all about 250000 frames, 350000 boxes and 2300 persons in 137 videos"
_IGNORED = frozenset({"people", "person?", "person-fa"})  # groups, "is it one?", and what only looks like one
_FIELDS = ("id", "pos", "occl", "posv")
NATIVE_NAMES = "images/{set}/{video}/I{frame:05}.jpg"


@dataclass(frozen=True)
class _Selection:
    """Which frames are taken, counted from 0, and what their pictures are called."""

    every: int
    start: int
    names: str

    def picture(self, annotations: Path, number: int) -> str:
        return self.names.format(set=annotations.parent.name, video=annotations.stem, frame=number)


def open_caltech(
    root: Path,
    report: Report,
    *,
    split: str = "train",
    sets: Sequence[str] | None = None,
    every: int = 1,
    start: int | None = None,
    names: str = NATIVE_NAMES,
    only: Path | None = None,
    extract: bool = False,
) -> Source:
    """Open Caltech Pedestrian.

    ``pos`` counts pixels from 1, as MATLAB does (the authors' toolbox crops a box at 1 from the first pixel on), and is
    shifted. It is the whole person, the hidden part included.

    Args:
        root: Folder of the data set.
        report: Where remarks go.
        split: ``train`` (set00 to set05), ``test`` (set06 to set10) or ``all``.
        sets: Names of the sets to take instead: ``["set00"]``.
        every: Take each n-th frame: 3 for what is called the 10x training set, 30 for the older one and for testing.
        start: The first frame, from 0; default ``every - 1``, as the authors do.
        names: Pictures, relative to ``root``; ``{set}``, ``{video}`` and ``{frame}`` (from 0) are filled in.
        only: Take the pictures named in this file only, written as ``set00_V000_12``.
        extract: Write the pictures that are not there yet, from ``ROOT/set00/V000.seq``.

    Raises:
        InputError: No annotations, or options that make no sense; when read, damaged files.
    """
    selection = _Selection(every, every - 1 if start is None else start, _checked_names(names))
    if every < 1 or selection.start < 0:
        raise InputError("--every must be at least 1 and --start at least 0")
    chosen = sets or _SPLITS[split]
    files = _annotation_files(root, chosen, required=sets is not None)
    whole = sets is None and only is None
    return Source(
        title=f"Caltech Pedestrian {' '.join(sets) if sets else split}",
        categories={"pedestrian": 1},
        frames=_frames(root, files, selection, PictureList(only), report, extract),
        images=root,
        report=report,
        outside="keep",
        published=Counts(videos=_VIDEOS[split], origin=_ORIGIN) if whole else None,
    )


def _checked_names(names: str) -> str:
    try:
        one, other = (names.format(set="set00", video="V000", frame=number) for number in (1, 2))
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"--names {names!r}: only {{set}}, {{video}} and {{frame}} can be filled in") from error
    if one == other:
        raise InputError(f"--names {names!r}: {{frame}} is missing")
    return names


def _annotation_files(root: Path, sets: Sequence[str], required: bool) -> list[Path]:
    folder = require_folder(root / "annotations", "the folders set00, set01, ... with .vbb files")
    files: list[Path] = []
    for name in sets:
        if required:
            require_folder(folder / name, "the .vbb files of the set")
        files += sorted((folder / name).glob("*.vbb"))
    if not files:
        raise InputError(f"{folder}: no file {sets[0]}/V000.vbb or the like in it; unpack annotations.zip there")
    return files


def _frames(
    root: Path, files: Sequence[Path], selection: _Selection, listed: PictureList, report: Report, extracting: bool
) -> Iterator[Frame]:
    for path in files:
        lists, labels = _read_annotations(path)
        video = f"{path.parent.name}_{path.stem}"
        candidates = range(selection.start, len(lists), selection.every)
        taken = [number for number in candidates if listed.takes(f"{video}_{number}")]
        if extracting:
            pictures = {number: root / selection.picture(path, number) for number in taken}
            extract_pictures(root / path.parent.name / f"{path.stem}.seq", pictures)
        for number in taken:
            place = f"{path}: frame {number}"
            yield Frame(
                file_name=selection.picture(path, number),
                width=_SIZE[0],
                height=_SIZE[1],
                boxes=[_box(entry, labels, place) for entry in records(lists[number], _FIELDS, place)],
                video=video,
                number=number,
                place=place,
            )
    listed.finish(report)


def _read_annotations(path: Path) -> tuple[list[Any], list[str]]:
    """Return the objects of each frame, and the label of each identity."""
    entries = records(load_variable(path, "A"), ("nFrame", "objLists", "objLbl"), str(path))
    if len(entries) != 1:
        raise InputError(f"{path}: no annotation of a video")
    lists = cells(entries[0]["objLists"], f"{path}: objLists")
    frames = int(numbers(entries[0]["nFrame"], 1, f"{path}: nFrame").sum())
    if frames != len(lists):
        raise InputError(f"{path}: nFrame is {frames}, but objLists has {len(lists)} frames; download it again")
    labels = [text(label, f"{path}: objLbl") for label in cells(entries[0]["objLbl"], str(path))]
    return lists, labels


def _box(entry: Any, labels: Sequence[str], place: str) -> Box:
    number = int(numbers(entry["id"], 1, f"{place}: id").sum())
    place = f"{place}, object {number}"
    if not 1 <= number <= len(labels):
        raise InputError(f"{place}: objLbl has {len(labels)} labels")
    label = labels[number - 1]
    x, y, width, height = _row(entry["pos"], f"{place}: pos")
    return Box(
        bbox=(x - 1, y - 1, width, height),
        category="pedestrian" if label == "person" or label in _IGNORED else label,
        identity=number,
        ignore=label in _IGNORED,
        place=place,
        fields={"visibility": _visibility(entry, width * height, place)},
    )


def _row(value: Any, place: str) -> list[float]:
    rows = numbers(value, 4, place)
    if len(rows) != 1:
        raise InputError(f"{place} must be l, t, w, h")
    return rows[0].tolist()


def _visibility(entry: Any, area: float, place: str) -> float:
    """Return the visible part; of what is hidden ``posv`` is the visible box, zero where nobody drew one."""
    hidden = numbers(entry["occl"], 1, f"{place}: occl").any()
    if not hidden or not entry["posv"].any():
        return 1.0
    _, _, width, height = _row(entry["posv"], f"{place}: posv")
    return min(width * height / area, 1.0) if area > 0 else 1.0


_LAYOUT = """
ROOT/annotations/set00/V000.vbb ...          annotations.zip
ROOT/images/set00/V000/I00000.jpg ...        pictures; frames count from 0
ROOT/set00/V000.seq ...                      videos; only for --extract, which writes the pictures

Frames of a video are numbered from 0. --extract takes the JPEG pictures out of the videos, unchanged, of those frames
that are converted (with --dry-run too); it goes on where it was stopped. Pictures made elsewhere: --names, for instance
--names 'images/{set}_{video}_{frame}.png'.
"person" becomes "pedestrian". "people" (groups), "person?" and "person-fa" get "ignore". Positions count from 1 and are
shifted; they are whole persons, what is hidden included, and stay as they are at the border. Identities are those of
the video.
The public 10x training set is --every 3, the test set --split test --every 30. The 26729 pictures of JDE and CL-MOT
are those of its list: --only caltech.train.
""".strip()
DATA_SETS = (
    DataSet(
        name="caltech",
        summary="Caltech Pedestrian, videos from a car",
        layout=_LAYOUT,
        open_source=open_caltech,
        options=(
            Option(
                "--split",
                {"default": "train", "choices": tuple(_SPLITS), "help": "set00-05, set06-10, or all (default: train)"},
            ),
            Option("--sets", {"nargs": "+", "metavar": "NAME", "help": "take these sets instead: set00 ..."}),
            Option("--every", {"type": int, "default": 1, "metavar": "N", "help": "take each N-th frame (default: 1)"}),
            Option("--start", {"type": int, "metavar": "N", "help": "first frame, from 0 (default: every - 1)"}),
            Option(
                "--names",
                {"default": NATIVE_NAMES, "metavar": "PATTERN", "help": "pictures below ROOT (default: %(default)s)"},
            ),
            ONLY_OPTION,
            Option("--extract", {"action": "store_true", "help": "write missing pictures, from the .seq videos"}),
        ),
    ),
)
