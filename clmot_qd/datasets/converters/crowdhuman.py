"""CrowdHuman: still pictures, persons with a box of the whole body, of what is seen of it, and of the head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from clmot_qd.datasets.converters.catalogue import DataSet, Option
from clmot_qd.datasets.converters.report import Report
from clmot_qd.datasets.converters.source import Box, Counts, Frame, Source
from clmot_qd.datasets.converters.text_files import read_json_lines, require_box, require_folder, require_keys
from clmot_qd.errors import InputError

BoxKind = Literal["full", "visible", "head"]
_KEYS: Mapping[str, str] = {"full": "fbox", "visible": "vbox", "head": "hbox"}
_PUBLISHED = {
    "train": Counts(images=15000, boxes=339565, origin="CrowdHuman (arXiv:1805.00123)"),
    "val": Counts(images=4370, boxes=99481, origin="CrowdHuman (arXiv:1805.00123)"),
}


def open_crowdhuman(root: Path, report: Report, *, split: str = "train", box: BoxKind = "full") -> Source:
    """Open CrowdHuman.

    Args:
        root: Folder of the data set.
        report: Where remarks go.
        split: ``train`` or ``val``.
        box: Of each person the whole body, which may reach beyond the picture, what is seen of it, or the head.

    Raises:
        InputError: The pictures have no folder; when read, lines that are no annotation.
    """
    name = f"annotation_{split}.odgt"
    annotations = root / name if (root / name).exists() else root / "annotations" / name
    images = root / split if (root / split).is_dir() else require_folder(root / "Images", f"the pictures of {split}")
    published = _PUBLISHED[split] if box != "head" else Counts(images=_PUBLISHED[split].images)
    return Source(
        title=f"CrowdHuman {split}, {box} boxes",
        categories={"pedestrian": 1},
        frames=_frames(annotations, report, box),
        images=images,
        report=report,
        total=_PUBLISHED[split].images,
        outside="keep" if box == "full" else "clip",
        published=published,
    )


def _frames(path: Path, report: Report, box: BoxKind) -> Iterator[Frame]:
    seen: set[str] = set()
    for line, entry in read_json_lines(path):
        place = f"{path}:{line}"
        require_keys(entry, ("ID", "gtboxes"), place)
        name = f"{entry['ID']}.jpg"
        if name in seen:
            report.note("skipped", "picture that a line before has already", place, name)
            continue
        seen.add(name)
        if not isinstance(entry["gtboxes"], list):
            raise InputError(f"{place}: 'gtboxes' is no list")
        yield Frame(name, 0, 0, [_box(label, box, place) for label in entry["gtboxes"]], place=place)


def _box(label: Any, box: BoxKind, place: str) -> Box:
    """Return the box of one label; regions to be ignored are marked by their full box alone."""
    require_keys(label, ("tag",), place)
    mask = label["tag"] == "mask"
    key = "fbox" if mask else _KEYS[box]
    require_keys(label, (key,), place)
    return Box(
        bbox=require_box(label[key], f"{place}: {key}"),
        category="pedestrian" if label["tag"] in ("person", "mask") else str(label["tag"]),
        ignore=mask or _ignored(label, "extra") or (box == "head" and _ignored(label, "head_attr")),
        place=place,
    )


def _ignored(label: Mapping[str, Any], group: str) -> bool:
    """Groups of attributes may be missing, and so may each attribute."""
    attributes = label.get(group)
    return isinstance(attributes, dict) and bool(attributes.get("ignore", 0))


_LAYOUT = """
ROOT/annotation_train.odgt           or ROOT/annotations/...; annotation_val.odgt likewise
ROOT/train/273271,c9db000d5146c15.jpg ...    pictures of the split; or all of them in ROOT/Images/, as unpacked

Each line of an .odgt file is the JSON object of one picture. All persons are of the class "pedestrian". "ignore" is set
for masks (crowds, reflections, statues) and for persons marked so; with --box head also for heads marked so. Boxes of
whole bodies legally reach beyond the picture and stay as they are; the others are cut at its border. The files do not
record sizes, so the pictures have to be there. There are no identities.
""".strip()
DATA_SETS = (
    DataSet(
        name="crowdhuman",
        summary="CrowdHuman, still pictures of crowds",
        layout=_LAYOUT,
        open_source=open_crowdhuman,
        options=(
            Option("--split", {"default": "train", "choices": ("train", "val"), "help": "default: %(default)s"}),
            Option(
                "--box",
                {
                    "default": "full",
                    "choices": tuple(_KEYS),
                    "help": "whole body, what is seen of it, or head (default: %(default)s)",
                },
            ),
        ),
    ),
)
