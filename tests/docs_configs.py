"""What commands of the documentation change in configurations: whether keys, types and arguments exist."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from docs_pages import all_blocks
from mmdet import registry
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

import clmot_qd  # noqa: F401  (registers what the configurations name)
from clmot_qd.apis.comparison import _build_tracker, _changed
from clmot_qd.apis.detections import parse_tracker_options
from clmot_qd.apis.running import load_config, parse_options
from clmot_qd.errors import InputError

REGISTRIES = [entry for entry in vars(registry).values() if isinstance(entry, Registry)]
# What a key of a data loader's dict may be beside the arguments of torch's class.
LOADER = {"dataset", "sampler", "batch_sampler", "num_batch_per_epoch", *inspect.signature(DataLoader).parameters}


@functools.cache
def class_of(name: str) -> type | None:
    """The class that a configuration means by ``type=name``; None: no registry of MMDetection has it."""
    init_default_scope("mmdet")
    found = (entry.get(name) for entry in REGISTRIES)
    return next((entry for entry in found if entry is not None), None)


def arguments_of(made: type) -> set[str]:
    """Names of the arguments of a class; where it hands ``**kwargs`` on, those of its parents as well."""
    names: set[str] = set()
    for entry in inspect.getmro(made):
        if "__init__" not in vars(entry) or entry is object:
            continue
        parameters = inspect.signature(entry.__init__).parameters.values()
        names |= {one.name for one in parameters if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
        if not any(one.kind == one.VAR_KEYWORD for one in parameters):
            break
    return names - {"self"}


@functools.cache
def accepts(kind: str, argument: str) -> bool:
    """Whether the class of this name has this argument."""
    made = class_of(kind)
    assert made is not None, f"no registry has {kind}"
    return argument in arguments_of(made)


@functools.cache
def plain(name: str) -> Config:
    """A packaged configuration as it is."""
    return load_config(name)


def check_options(name: str, options: Sequence[str]) -> None:
    """Each key of ``--cfg-options`` is one of the configuration, or an argument of the class named there.

    Raises:
        InputError: One is neither; the configuration cannot be loaded with them.
    """
    changed = load_config(name, parse_options(list(options)))
    for option in options:
        key = option.partition("=")[0]
        if not _fits(plain(name)._cfg_dict, changed._cfg_dict, key.split(".")):
            raise InputError(f"{name} has no key {key}, and no class there has such an argument")


def _fits(before: Any, after: Any, parts: list[str]) -> bool:
    """Follow a key: through what the file has, by what the class of each dict takes, or into a new hook."""
    inside = ""
    for part in parts:
        if isinstance(after, (list, tuple)):
            if not (part.isdigit() and int(part) < len(after)):
                return False
            before, after = _child(before, int(part)), after[int(part)]
            continue
        if not isinstance(after, Mapping) or not _may_hold(before, after, part, inside):
            return False
        before, after, inside = _child(before, part), after[part], part
    return True


def _child(node: Any, key: Any) -> Any:
    """What a node of the unchanged file holds; None: nothing."""
    if isinstance(node, (list, tuple)):
        return node[key] if key < len(node) else None
    return node.get(key) if isinstance(node, Mapping) else None


def _may_hold(before: Any, after: Mapping[str, Any], part: str, inside: str) -> bool:
    """Whether a dict may have a key, by its class; without one by what the file has."""
    if part == "type":
        return class_of(after["type"]) is not None
    if "type" in after and class_of(after["type"]) is not None:
        return accepts(after["type"], part)
    if isinstance(before, Mapping) and part in before:
        return True
    if inside == "":
        return part in inspect.signature(Runner.__init__).parameters
    if inside.endswith("_dataloader"):
        return part in LOADER
    return inside == "default_hooks"  # hooks are called as their user likes; their types and arguments are checked


@functools.cache
def classes_of_pages() -> frozenset[str]:
    """Classes that the recipes tell their reader to write."""
    text = "\n".join(block.text for block in all_blocks("python"))
    return frozenset(re.findall(r"^class (\w+)", text, flags=re.M))


def check_rows(config: str | None, rows: Sequence[Sequence[str]]) -> None:
    """Each tracker of ``--row NAME KEY=VALUE ...`` can be built.

    Args:
        config: The configuration whose tracker they change; None: any.
        rows: Of the command line.

    Raises:
        InputError: One cannot.
    """
    base = plain(config or "qdtrack_faster-rcnn_r50_fpn_12e_mot17").model.tracker
    init_default_scope("mmdet")
    for name, *pairs in rows:
        tracker = _changed(base, parse_tracker_options(pairs))
        if tracker["type"] not in classes_of_pages():
            _build_tracker(tracker, name)


def wrong_types(text: str) -> list[str]:
    """What ``dict(type="Name", argument=...)`` of lines of Python names and is not there."""
    wrong = []
    for node in ast.walk(ast.parse(text)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict"):
            continue
        named = {one.arg: one.value for one in node.keywords if one.arg}
        kind = getattr(named.pop("type", None), "value", None)
        if not isinstance(kind, str) or kind in classes_of_pages():
            continue
        if class_of(kind) is None:
            wrong.append(kind)
            continue
        wrong += [f"{kind}({key}=)" for key in named if key != "_delete_" and not accepts(kind, key)]
    return wrong
