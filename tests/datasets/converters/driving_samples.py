"""What the tests of BDD100K, TAO, LVIS and Waymo share: conversion by the command's name, broken files."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from locations import REPOSITORY

from clmot_qd.datasets.converters import Conversion, Report, Source, convert, data_sets
from clmot_qd.errors import InputError


def opened(name: str, root: Path, strict: bool = False, **options: Any) -> Source:
    """Open a data set as the command does: every option has a value."""
    entry = data_sets()[name]
    flags = {option.name: option.arguments for option in entry.options}
    assert options.keys() <= flags.keys()
    empty = {flag: False if given.get("action") == "store_true" else None for flag, given in flags.items()}
    values = {flag: given.get("default", empty[flag]) for flag, given in flags.items()}
    return entry.open_source(root=root, report=Report(strict), **(values | options))


def converted(name: str, root: Path, images: str = "trust", **options: Any) -> tuple[dict[str, Any], Conversion]:
    """Convert twice, which must give the same bytes."""
    outs = [root / f"{name}-{run}.json" for run in (1, 2)]
    first, second = (convert(opened(name, root, **options), out, images=images) for out in outs)
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert first == second
    content = json.loads(outs[0].read_text())
    for out in outs:
        out.unlink()
    return content, first


def refused(name: str, root: Path, **options: Any) -> str:
    """Return the one line with which a conversion is refused; no file may be left."""
    out = root / "refused.json"
    before = sorted(root.rglob("*"))
    with pytest.raises(InputError) as caught:
        convert(opened(name, root, **options), out, images="trust")
    assert sorted(root.rglob("*")) == before
    text = str(caught.value)
    assert "\n" not in text
    return text


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def command() -> ModuleType:
    """The command, as a module."""
    spec = importlib.util.spec_from_file_location("convert_dataset", REPOSITORY / "tools" / "convert_dataset.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
