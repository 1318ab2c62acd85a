"""Three lists of classes that must agree: the model's head, the data's ``metainfo`` and the checkpoint's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clmot_qd.errors import InputError
from clmot_qd.files import read_text

if TYPE_CHECKING:
    from torch import nn


def head_classes(model: nn.Module) -> dict[str, int]:
    """Key in the configuration -> number of classes that this head of the model's detector knows.

    A dense detector and a two-stage one have one head, a cascade one for each stage; mask heads count as well. Empty
    where there is none.
    """
    from torch import nn

    detector = getattr(model, "detector", None)
    found = {}
    for place in ("bbox_head", "roi_head.bbox_head", "roi_head.mask_head"):
        head: Any = detector
        for name in place.split("."):
            head = getattr(head, name, None)
        stages = {f"{place}.{n}": stage for n, stage in enumerate(head)} if isinstance(head, nn.ModuleList) else None
        for key, stage in (stages or {place: head}).items():
            count = getattr(stage, "num_classes", None)
            if isinstance(count, int) and not getattr(stage, "class_agnostic", False):
                found[f"model.detector.{key}.num_classes"] = count
    return found


def check_class_count(model: nn.Module, classes: Sequence[str], loader: str) -> None:
    """Refuse data whose list of classes is not as long as the model's head.

    Args:
        model: The model.
        classes: Of the data; empty where nothing is known of them.
        loader: Key of their data loader in the configuration.

    Raises:
        InputError: Naming both keys.
    """
    for key, count in head_classes(model).items():
        if classes and count != len(classes):
            raise InputError(
                f"{loader}.dataset.metainfo.classes: names {len(classes)} ({_listed(classes)}), but {key} is {count}: "
                "make them agree"
            )


def explain_class_counts(model: nn.Module, trained: Sequence[str]) -> str:
    """Half a sentence for an error about shapes, where the number of classes explains it; else nothing."""
    for key, count in head_classes(model).items():
        if trained and count != len(trained):
            return f"; it was trained on {len(trained)} classes ({_listed(trained)}), {key} is {count}"
    return ""


def require_class_order(path: str, trained: Sequence[str], wanted: Sequence[str], loader: str) -> None:
    """Refuse a checkpoint for the same classes in another order: every label would be wrong.

    Raises:
        InputError: Naming the key and the right list.
    """
    if tuple(trained) != tuple(wanted) and sorted(trained) == sorted(wanted):
        raise InputError(
            f"{loader}.dataset.metainfo.classes: has the classes of {path} in another order, so that labels would be "
            f"mixed up: write ({', '.join(trained)})"
        )


def note_class_names(trained: Sequence[str], wanted: Sequence[str]) -> str:
    """A note for the log where as many classes have other names; public checkpoints name the same thing differently.

    Lists of different length are not compared: the number of classes is in the tensors, and public checkpoints of one
    class may carry the thirteen names of MOTChallenge.
    """
    if len(trained) != len(wanted) or tuple(trained) == tuple(wanted):
        return ""
    return f"it was trained on the classes ({_listed(trained)}), which are taken for ({_listed(wanted)})"


def built_classes(dataset: Any) -> tuple[str, ...]:
    """The classes of a data set; empty where it names none."""
    return tuple(getattr(dataset, "metainfo", {}).get("classes") or ())


def configured_classes(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes that a data set's configuration names, also below wrappers; empty where it names none.

    A file with a class on each line is read, as mmdet's data sets do, if it is there.
    """
    named = (dataset.get("metainfo") or {}).get("classes")
    if isinstance(named, str):
        named = _lines_of(named)
    if named:
        return tuple(named)
    inner = [dataset["dataset"]] if "dataset" in dataset else dataset.get("datasets", [])
    return next((classes for part in inner if (classes := configured_classes(part))), ())


def _lines_of(path: str) -> list[str]:
    if not Path(path).is_file():
        return []
    return [line for line in read_text(path).splitlines() if line]


def _listed(names: Sequence[str], most: int = 5) -> str:
    """The first few names."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
