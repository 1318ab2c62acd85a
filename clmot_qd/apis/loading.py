"""Checkpoints into models: a file that does not belong to the model is told in one line before the work starts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from clmot_qd.apis.addresses import public_name
from clmot_qd.apis.class_lists import explain_class_counts, note_class_names, require_class_order
from clmot_qd.checkpoints import FitReport, adapt_to_model, compare_with_model, read_checkpoint, rename_foreign
from clmot_qd.errors import InputError

if TYPE_CHECKING:
    from torch import nn

# Parts that only training needs: they may be missing in the file or in the model.
TRAINING_ONLY = ("projector.", "id_head.", "task_weighting.", "loss_embed.", "data_preprocessor.")
# Where embeddings come from: of QuasiDenseMOT and of CLMOT. A detector's checkpoint has neither.
EMBEDDING_PARTS = ("track_head.", "detector.bbox_head.embed_head.")


def check_load_from(model: nn.Module, path: str, classes: Sequence[str] = ()) -> str:
    """Compare the checkpoint that training shall start from with the model, before data are read.

    Another project's checkpoint is judged by what the model will make of it (:func:`adapt_to_model`): a detector alone
    is fine, on other classes as well.

    Args:
        model: The model to train.
        path: ``load_from``: a file or an address. mmengine's own schemes (``open-mmlab://``) are left to mmengine.
        classes: Names of the training data's classes, for a note where the checkpoint names them differently.

    Returns:
        A report for the log, which names all that the file does not give.

    Raises:
        InputError: The file is not there, unreadable, has no tensor that fits, or some of another shape.
    """
    if "://" in path and not path.startswith(("http://", "https://")):
        return f"load_from: {path}"
    if "://" not in path and not os.path.isfile(path):
        raise InputError(
            f"load_from: no checkpoint file '{path}': train or convert it first, or start without it "
            "(--cfg-options load_from=None)"
        )
    checkpoint = read_checkpoint(path)
    path = public_name(path)
    with _naming(path):
        state, note = adapt_to_model(checkpoint.state_dict, model)
    report = compare_with_model(state, model)
    if not report.matched:
        raise InputError(
            f"load_from: {path} is a checkpoint of another model: no tensor fits ({report.counts}; its first key: "
            f"{next(iter(checkpoint.state_dict))})"
        )
    if report.mismatched:
        key, ours, theirs = report.mismatched[0]
        raise InputError(
            f"load_from: {path}: '{key}' has shape {list(ours)}, the model wants {list(theirs)} "
            f"({len(report.mismatched)} tensors in all{explain_class_counts(model, checkpoint.classes)}): "
            "tools/convert_checkpoint.py --config leaves such tensors out"
        )
    return _sentence(f"load_from: {path}", note, note_class_names(checkpoint.classes, classes), str(report))


def require_training_state(path: str) -> None:
    """Refuse a checkpoint that training cannot go on from, before anything is built.

    Raises:
        InputError: The file is not there or unreadable, or holds weights alone.
    """
    if not read_checkpoint(path).resumable:
        raise InputError(
            f"{path}: holds weights without the state of a training run (optimizer, counters), so training cannot go "
            f"on from it; start from its weights instead: --cfg-options load_from={path}"
        )


class LoadedWeights(NamedTuple):
    """What :func:`load_checkpoint` did.

    Attributes:
        note: A line for the log.
        classes: Names of the classes that the checkpoint was trained on; empty where it does not say.
    """

    note: str
    classes: tuple[str, ...]


def load_weights(
    model: nn.Module, path: str | os.PathLike[str], classes: Sequence[str] = (), loader: str = "test_dataloader"
) -> str:
    """Load a checkpoint into ``model``, all of it or not at all; see :func:`load_checkpoint`.

    Returns:
        A line for the log, which says where the checkpoint's classes have other names than ``classes``.
    """
    loaded = load_checkpoint(model, path, classes, loader)
    return _sentence(loaded.note, note_class_names(loaded.classes, classes))


def load_checkpoint(
    model: nn.Module, path: str | os.PathLike[str], classes: Sequence[str] = (), loader: str = "test_dataloader"
) -> LoadedWeights:
    """Load a checkpoint into ``model``, all of it or not at all.

    Args:
        model: The model; training-only parts (projector, identity classifier, loss weights) may be missing in the file
            or in the model.
        path: A checkpoint of this package, or a public one whose keys are recognised; a file or an address.
        classes: Names of the classes that the model's labels shall stand for; empty: not compared.
        loader: The data loader of the configuration that has them, for messages.

    Raises:
        InputError: The file is unreadable, belongs to another model, holds a detector alone, or has the same classes
            in another order; the message counts and names what does not fit.
    """
    path = os.fspath(path)
    checkpoint = read_checkpoint(path)
    path = public_name(path)
    with _naming(path):
        state, note = rename_foreign(checkpoint.state_dict)
    report = compare_with_model(state, model)
    _require_embeddings(path, report, model)
    missing = [name for name in report.missing if not name.startswith(TRAINING_ONLY)]
    unexpected = [name for name in report.unexpected if not name.startswith(TRAINING_ONLY)]
    wrong = [*missing, *unexpected, *(name for name, _, _ in report.mismatched)]
    if wrong:
        told = explain_class_counts(model, checkpoint.classes) if report.mismatched else ""
        raise InputError(
            f"{path}: not a checkpoint of this model ({report.counts}; the first: {wrong[0]}{told}); give the "
            "configuration it was trained with"
        )
    require_class_order(path, checkpoint.classes, classes, loader)
    model.load_state_dict({name: value for name, value in state.items() if name not in report.unexpected}, strict=False)
    return LoadedWeights(_sentence(f"{path}: {report.matched} tensors loaded", note), checkpoint.classes)


def _sentence(*parts: str) -> str:
    """What there is to say, in one."""
    return "; ".join(part for part in parts if part)


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Put the file's name before what is said of its keys."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _require_embeddings(path: str, report: FitReport, model: nn.Module) -> None:
    """Refuse a file that is the detector and has nothing of what makes embeddings."""
    missing = [key for key in report.missing if key.startswith(EMBEDDING_PARTS)]
    wanted = [key for key in model.state_dict() if key.startswith(EMBEDDING_PARTS)]
    # A whole tracker of another kind may share a backbone with the model; that is another mistake.
    others = [key for key in report.missing + report.unexpected if not key.startswith(EMBEDDING_PARTS + TRAINING_ONLY)]
    if report.matched and not others and wanted and {*wanted} <= {*missing}:
        raise InputError(
            f"{path}: holds a detector alone: all {len(missing)} tensors of the embeddings are missing (the first: "
            f"{missing[0]}); give the checkpoint of a whole tracker, or train one from this file (load_from)"
        )
