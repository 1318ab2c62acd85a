"""ETHZ: walks through Zürich, recorded by a stereo camera on a cart; boxes in ``.idl`` files, no identities."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box, Counts, Frame, Source
from clmot_qd.datasets.converters.text_files import read_text, require_folder
from clmot_qd.errors import InputError

# Each is one that takes no more than linear time, whatever the line.
_NUMBER = r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*"
_BOX = re.compile(rf"\(({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})\)\s*(?:[:~]{_NUMBER})?")
_BETWEEN = re.compile(r"[, ]*")
_LINE = re.compile(r'"(?P<name>[^"]+)"\s*(?::(?P<boxes>.*))?')  # without the ; or . at its end
_FRAME = re.compile(r"\D*(\d+)")
_PICTURES = (".png", ".jpg")
# JDE's list, without the sequences that MOT16 has too: number of the folder there -> frames.
_JDE = {"eth01": 999, "eth02": 446, "eth03": 354, "eth05": 56, "eth07": 201}
_ORIGIN = "list eth.train of JDE and CL-MOT"


def open_eth(root: Path, report: Report, *, sequences: Sequence[str] | None = None) -> Source:
    """Open sequences of ETHZ.

    Args:
        root: Folder with a folder for each sequence, which holds one ``.idl`` file and the pictures.
        report: Where remarks go.
        sequences: Names of the folders to take; None takes all that have an ``.idl`` file.

    Raises:
        InputError: No sequence, an unknown one, or one with several ``.idl`` files; when read, lines that cannot be
            understood.
    """
    files = [_annotation_file(folder) for folder in _folders(root, sequences)]
    names = sorted(path.parent.name for path in files)
    return Source(
        title=f"ETHZ {' '.join(names)}",
        categories={"pedestrian": 1},
        frames=_frames(root, files, report),
        images=root,
        report=report,
        published=Counts(images=sum(_JDE.values()), videos=len(_JDE), origin=_ORIGIN) if names == [*_JDE] else None,
    )


def _folders(root: Path, sequences: Sequence[str] | None) -> list[Path]:
    require_folder(root, "a folder for each sequence")
    if sequences is not None:
        return [require_folder(root / name, "an .idl file and pictures") for name in sequences]
    found = sorted(path for path in root.iterdir() if path.is_dir() and any(path.glob("*.idl")))
    if not found:
        raise InputError(f"{root}: no folder with an .idl file in it; see the layout that --help shows")
    return found


def _annotation_file(folder: Path) -> Path:
    files = sorted(folder.glob("*.idl"))
    if not files:
        raise InputError(f"{folder}: no .idl file; put the annotations of the sequence there")
    if len(files) > 1:
        names = ", ".join(path.name for path in files)
        raise InputError(f"{folder}: several .idl files ({names}); keep the one to be converted there")
    return files[0]


def _frames(root: Path, files: Sequence[Path], report: Report) -> Iterator[Frame]:
    for path in files:
        pictures = _pictures(path.parent)
        for line, content in enumerate(read_text(path).splitlines(), start=1):
            if not content.strip():
                continue
            place = f"{path}:{line}"
            name, boxes = _read_line(content.strip(), place, report)
            number = _FRAME.match(Path(name).name)
            if number is None:
                raise InputError(f"{place}: picture {name!r} has no number")
            file = _find_picture(name, pictures, path.parent, place)
            file_name = file.relative_to(root).as_posix()
            yield Frame(file_name, 0, 0, boxes, video=path.parent.name, number=int(number[1]), place=place)


def _read_line(content: str, place: str, report: Report) -> tuple[str, list[Box]]:
    """Read ``"left/image_00000001_0.png": (212, 204, 232, 261):-1, (223, 181, 259, 285):-1;``.

    Numbers are two corners in any order, then, perhaps, a score, which means nothing here. The last line ends in a dot.
    """
    match = _LINE.fullmatch(content[:-1].rstrip())
    if match is None or content[-1] not in ";.":
        raise InputError(f'{place}: not of the form "PICTURE": (x1, y1, x2, y2), ...; but {content[:60]!r}')
    boxes = []
    rest, at = (match["boxes"] or "").strip(), 0
    while at < len(rest):
        box = _BOX.match(rest, at)
        if box is None:
            raise InputError(f"{place}: no box (x1, y1, x2, y2) at {rest[at : at + 40]!r}")
        boxes.append(_box([float(value) for value in box.groups()], place, report))
        between = _BETWEEN.match(rest, box.end())
        at = between.end() if between else box.end()
    return match["name"], boxes


def _box(corners: Sequence[float], place: str, report: Report) -> Box:
    (left, right), (top, bottom) = sorted(corners[0::2]), sorted(corners[1::2])
    if [left, top, right, bottom] != list(corners):
        report.note("kept", "box whose corners stand in another order, put in order", place, str(tuple(corners)))
    return Box((left, top, right - left, bottom - top), "pedestrian", place=place)


def _pictures(folder: Path) -> dict[str, list[Path]]:
    """Return name -> pictures of a sequence, in whatever folder they lie."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in _PICTURES:
            found.setdefault(path.name, []).append(path)
    return found


def _find_picture(name: str, pictures: dict[str, list[Path]], folder: Path, place: str) -> Path:
    """Return the picture: where the file says, else in any folder. Some files leave out ``_0``, the left camera."""
    for wanted in (Path(name), Path(name).with_stem(f"{Path(name).stem}_0")):
        places = pictures.get(wanted.name, [])
        if folder / wanted in places:
            return folder / wanted
        if len(places) > 1:
            both = " and ".join(path.relative_to(folder).as_posix() for path in places[:2])
            raise InputError(f"{place}: picture {name!r} may be {both}; keep the one that is meant")
        if places:
            return places[0]
    return folder / name


_LAYOUT = """
ROOT/SEQUENCE/NAME.idl               one for each sequence: bahnhof-annot.idl, or refined.idl, ...
ROOT/SEQUENCE/left/image_00000001_0.png ...    pictures, in any folder of the sequence

Each line of an .idl file is a frame: "left/image_00000001_0.png": (212, 204, 232, 261):-1, ...; two corners in any
order, and a score that is not used. Frames that it names without boxes have none; frames that it does not name are left
out. Boxes are cut at the border of the picture. There are no identities. Sizes are not recorded, so the pictures have
to be there.
The 2056 pictures of JDE and CL-MOT are the annotated frames of five sequences, without those that are in MOT16:
eth01 = BAHNHOF (999), eth02 = JELMOLI (446), eth03 = SUNNY DAY (354) and, to judge by their numbers, eth05 = CROSSING
(56) and eth07 = LOEWENPLATZ (201). With folders called eth01 ... the counts are compared. BAHNHOF and SUNNY DAY are
training sequences of MOT15, too.
""".strip()
DATA_SETS = (
    DataSet(
        name="eth",
        summary="ETHZ, sequences from a cart in Zürich",
        layout=_LAYOUT,
        open_source=open_eth,
        options=(Option("--sequences", {"nargs": "+", "metavar": "NAME", "help": "take these sequences only"}),),
    ),
)
