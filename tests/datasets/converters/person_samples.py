"""What the tests of the data sets of persons share: tiny pictures, MATLAB arrays, conversion with its invariants."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clmot_qd.datasets.converters import Conversion, Report, convert, data_sets
from clmot_qd.errors import InputError


def picture(path: Path, width: int, height: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)
    return path


def cell(values: Sequence[Any], column: bool = False) -> np.ndarray:
    """A cell array, 1 x n or n x 1."""
    array = np.empty((len(values), 1) if column else (1, len(values)), dtype=object)
    for index, value in enumerate(values):
        array.ravel()[index] = value
    return array


def structs(rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """A 1 x n struct array; an empty matrix for none, as MATLAB files have it."""
    if not rows:
        return np.empty((0, 0))
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]])
    for index, row in enumerate(rows):
        array[0, index] = tuple(row.values())
    return array


def open_data_set(name: str, root: Path, strict: bool = False, **options: Any):
    entry = data_sets()[name]
    defaults = {option.name: option.arguments.get("default", _absent(option.arguments)) for option in entry.options}
    assert options.keys() <= defaults.keys()
    return entry.open_source(root=root, report=Report(strict), **(defaults | options))


def _absent(arguments: dict[str, Any]) -> Any:
    return False if arguments.get("action") == "store_true" else None


def converted(name: str, root: Path, images: str = "check", **options: Any) -> tuple[dict[str, Any], Conversion]:
    """Convert twice and once without writing; return the file and what was said about it."""
    outs = [root.parent / f"{name}-{run}.json" for run in (1, 2)]
    results = [convert(open_data_set(name, root, **options), out, images=images) for out in (*outs, None)]
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert results[0] == results[1] == results[2]
    return json.loads(outs[0].read_text()), results[0]


def boxes(data: dict[str, Any], *keys: str) -> dict[str, list[tuple[Any, ...]]]:
    """File name -> the annotations, each as (bbox, keys...)."""
    names = {image["id"]: image["file_name"] for image in data["images"]}
    result: dict[str, list[tuple[Any, ...]]] = {name: [] for name in names.values()}
    for entry in data["annotations"]:
        result[names[entry["image_id"]]].append((entry["bbox"], *(entry.get(key) for key in keys)))
    return result


def refused(name: str, root: Path, match: str, images: str = "check", **options: Any) -> None:
    """The conversion ends in one line, and no file is left."""
    out = root.parent / "out" / "refused.json"
    with pytest.raises(InputError, match=match) as caught:
        convert(open_data_set(name, root, **options), out, images=images)
    assert "\n" not in str(caught.value)
    assert not out.parent.exists() or not list(out.parent.iterdir())


def cut_off(path: Path, fraction: float = 0.5) -> None:
    """Let a file end too early."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
