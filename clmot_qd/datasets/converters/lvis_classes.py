"""The classes of LVIS, and how those of COCO and TAO are found among them: by synset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clmot_qd.datasets.annotation_entries import merged_classes
from clmot_qd.datasets.converters.json_stream import stream_json
from clmot_qd.datasets.converters.text_files import read_json, read_text, require_keys
from clmot_qd.errors import InputError

Entry = dict[str, Any]
Class = tuple[str, int]  # name and number, as they are written


def read_short_lists(path: Path) -> tuple[dict[int, Entry], list[Entry]]:
    """Read the pictures, by number, and the classes."""
    images: dict[int, Entry] = {}
    categories: list[Entry] = []
    for key, entry in stream_json(path):
        if key == "images":
            require_keys(entry, ("id", "width", "height"), f"{path}: images[{len(images)}]")
            images[entry["id"]] = entry
        elif key == "categories":
            _require_class(entry, f"{path}: categories[{len(categories)}]")
            categories.append(entry)
    if not images or not categories:
        raise InputError(f"{path}: no 'images' or no 'categories'; it is to be an annotation file of LVIS")
    return images, categories


def _require_class(entry: Any, place: str) -> None:
    require_keys(entry, ("id", "name", "synset"), place)
    if type(entry["id"]) is not int or not all(isinstance(entry[key], str) for key in ("name", "synset")):
        raise InputError(f"{place}: id {entry['id']!r}, name {entry['name']!r}: no number, no text; mend the file")


def choose_classes(categories: Sequence[Entry], tao: Path | None) -> dict[int, Class]:
    """Return LVIS's number of each class -> its name and number, which are TAO's if there is a file of TAO."""
    if tao is None:
        return {category["id"]: (category["name"], category["id"]) for category in categories}
    by_synset = _tao_classes(tao)
    return {category["id"]: by_synset[category["synset"]] for category in categories if category["synset"] in by_synset}


def _tao_classes(path: Path) -> dict[str, Class]:
    """Return the synset of each class of TAO -> name and number, of the class it is merged into."""
    data = read_json(path)
    require_keys(data, ("categories",), str(path))
    for position, category in enumerate(data["categories"]):
        _require_class(category, f"{path}: categories[{position}]")
    merged = merged_classes(data["categories"])
    names = {category["id"]: category["name"] for category in data["categories"]}
    final = {number: merged.get(number, number) for number in names}
    return {
        category["synset"]: (names[final[category["id"]]], final[category["id"]]) for category in data["categories"]
    }


def keep_listed(classes: Mapping[int, Class], path: Path) -> dict[int, Class]:
    """Keep the classes whose names stand in a file, one on a line.

    Raises:
        InputError: A name that no class has.
    """
    known = {name for name, _ in classes.values()}
    wanted = set()
    for line, name in enumerate(map(str.strip, read_text(path).splitlines()), start=1):
        if name and name not in known:
            advice = "give TAO's train.json with --tao, so that classes are found by their synsets"
            raise InputError(f"{path}:{line}: {name!r} is no class of LVIS; {advice}")
        wanted.add(name)
    return {number: entry for number, entry in classes.items() if entry[0] in wanted}


def read_synsets(path: Path) -> dict[str, Entry]:
    """Read the table of synsets: COCO's name of a class -> ``coco_cat_id`` and ``synset``."""
    table = read_json(path)
    require_keys(table, (), str(path))
    for name, entry in table.items():
        require_keys(entry, ("coco_cat_id", "synset"), f"{path}: {name!r}")
    return table
