"""Foreign checkpoints without a separate step: recognised by their keys and renamed on the way into a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clmot_qd.checkpoints.fitting import of_other_classes
from clmot_qd.checkpoints.sources import OURS, convert_state_dict, is_detector_alone, recognise_source

if TYPE_CHECKING:
    from torch import Tensor, nn

    StateDict = dict[str, Tensor]


def rename_foreign(state_dict: StateDict) -> tuple[StateDict, str]:
    """Rename the tensors of another project.

    Returns:
        The tensors by our names, and one sentence for the log. What is ours, or nobody's known, comes back as the very
        same object with an empty sentence.

    Raises:
        InputError: Some keys are of a known project and some are not.
    """
    source = recognise_source(state_dict)
    if source is None or source == OURS:
        return state_dict, ""
    kind = "a detector of " if is_detector_alone(state_dict) else ""
    return convert_state_dict(state_dict, source), f"keys of {kind}{source} renamed"


def adapt_to_model(state_dict: StateDict, model: nn.Module) -> tuple[StateDict, str]:
    """Like :func:`rename_foreign`, for training that starts from the checkpoint.

    Of another project's detector, head tensors for another number of classes are left out and named in the sentence.
    """
    renamed, note = rename_foreign(state_dict)
    if not note or not is_detector_alone(state_dict):
        return renamed, note
    other = of_other_classes(renamed, model)
    if other:
        note += f"; for another number of classes, so left out and started at random: {', '.join(other)}"
    return {key: value for key, value in renamed.items() if key not in set(other)}, note


def install_foreign_keys_hook(model: nn.Module) -> None:
    """Make ``model`` understand foreign checkpoints, whoever loads them.

    ``load_from`` and ``--checkpoint`` of the stock runners, ``init_cfg`` with ``Pretrained`` and
    ``model.load_state_dict`` all pass a model's pre-hooks before keys are matched, so that missing, unexpected and
    misshapen tensors are reported by our names. Checkpoints of this package pass untouched.
    """
    model.register_load_state_dict_pre_hook(_rename_in_place)


def _rename_in_place(model: nn.Module, state_dict: dict[str, Any], prefix: str, *_: object) -> None:
    """A pre-hook of ``load_state_dict``; all keys begin with ``prefix``, this model's place in the one that loads."""
    from mmengine.logging import print_log

    inner = {key[len(prefix) :]: value for key, value in state_dict.items()}
    adapted, note = adapt_to_model(inner, model)
    if not note:
        return
    state_dict.clear()
    state_dict.update({prefix + key: value for key, value in adapted.items()})
    print_log(f"checkpoint: {note}", logger="current")
