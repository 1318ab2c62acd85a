"""What a run was made of, in words: its configuration along the four axes, and the versions of packages."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from typing import Any

PACKAGES = ("clmot_qd", "torch", "mmengine", "mmcv", "mmdet", "numpy", "trackeval")
_PAIRS = {
    "WithinFrameTwoView": "two views of one frame (no identity labels)",
    "ReferenceFrame": "reference frames of the video (identity labels)",
}
_FEW = 60  # characters of an argument


def config_facts(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the key settings of a configuration, as (name, value)."""
    model = config.get("model") or {}
    detector = model.get("detector") or {}
    facts = {
        "Pair source": _pair_source(config.get("train_dataloader") or {}),
        "Detector": " + ".join(_types(detector, detector.get("backbone"), detector.get("neck"))),
        "Embedding loss": _described(model.get("loss_embed")),
        "Tracker": _described(model.get("tracker")),
        "Training": _training(config),
        "Test annotations": str((_first(config.get("test_evaluator")) or {}).get("ann_file", "")),
    }
    return [("Model", str(model.get("type", "")))] + [(name, text or "none") for name, text in facts.items()]


def _pair_source(loader: Mapping[str, Any]) -> str:
    """Where pairs come from: which of the steps that make them occur in the training data."""
    kinds = dict.fromkeys(_all_types(loader.get("dataset")))
    found = [text for kind, text in _PAIRS.items() if kind in kinds]
    if "SingleView" in kinds:
        found.append("single pictures")
    return ", ".join(found)


def _all_types(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("type"), str):
            yield node["type"]
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from _all_types(child)


def _types(*parts: Any) -> list[str]:
    return [str(part["type"]) for part in parts if isinstance(part, Mapping) and "type" in part]


def _described(part: Any) -> str:
    """A part's type with its simple arguments: ``NTXentPairLoss(temperature=0.1)``."""
    if isinstance(part, list | tuple):
        return ", ".join(filter(None, map(_described, part)))
    if not isinstance(part, Mapping) or "type" not in part:
        return ""
    simple = {key: value for key, value in part.items() if key != "type" and not isinstance(value, Mapping | list)}
    return f"{part['type']}({', '.join(f'{key}={value!r}'[:_FEW] for key, value in simple.items())})"


def _training(config: Mapping[str, Any]) -> str:
    loop, wrapper = config.get("train_cfg") or {}, config.get("optim_wrapper") or {}
    optimizer = wrapper.get("optimizer") or {}
    parts = {
        "epochs": loop.get("max_epochs"),
        "iterations": loop.get("max_iters"),
        "batch": (config.get("train_dataloader") or {}).get("batch_size"),
        "optimizer": optimizer.get("type"),
        "lr": optimizer.get("lr"),
        "seed": (config.get("randomness") or {}).get("seed"),
    }
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value is not None)


def _first(evaluator: Any) -> Mapping[str, Any] | None:
    """The metric of tracks, if there are several."""
    entries = evaluator if isinstance(evaluator, list | tuple) else [evaluator]
    known = [entry for entry in entries if isinstance(entry, Mapping)]
    return next((entry for entry in known if str(entry.get("type")).startswith("Track")), None)


def package_versions() -> str:
    """Return the versions of the packages at work: of modules that are loaded, since forks have other names."""
    found = {name: getattr(sys.modules.get(name), "__version__", None) or _installed(name) for name in PACKAGES}
    return ", ".join(f"{name} {version}" for name, version in found.items() if version)


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
