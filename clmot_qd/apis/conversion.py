"""Converting a checkpoint file of another project into one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clmot_qd.checkpoints import OURS, compare_with_model, convert_state_dict, read_checkpoint, recognise_source
from clmot_qd.errors import InputError
from clmot_qd.files import atomic_path

if TYPE_CHECKING:
    from torch import Tensor, nn


def convert_file(checkpoint: str, out: str, source: str | None = None, config: str | None = None) -> str:
    """Read ``checkpoint``, rename its tensors, write ``{'state_dict': ..., 'meta': ...}`` to ``out``.

    Training and testing recognise public files themselves; this step is for leaving tensors out, for looking at what
    fits, and for handing a file on.

    Args:
        checkpoint: The public file.
        out: The file to write; nothing stands there unless everything went well.
        source: See :func:`clmot_qd.checkpoints.convert_state_dict`; None recognises it by the keys.
        config: Path or packaged name of a configuration. Its model is compared with the result, and tensors of another
            shape (the 80-class heat map of a COCO detector, say) are dropped so that ``load_from`` takes the rest.

    Returns:
        A report for people.

    Raises:
        InputError: Anything wrong with the files, the source or the configuration.
    """
    import torch

    content = read_checkpoint(checkpoint)
    source = source or _recognise(checkpoint, content.state_dict)
    state = content.state_dict if source == OURS else convert_state_dict(content.state_dict, source)
    lines = [f"{checkpoint}: {len(state)} tensors " + ("have our names" if source == OURS else f"renamed as {source}")]
    if config:
        report = compare_with_model(state, _build_model(config))
        for key, _, _ in report.mismatched:
            del state[key]
        lines += [str(report)]
        if report.mismatched:
            lines += ["  tensors of another shape were left out: they start at random"]
    with atomic_path(out) as path:
        meta = {"source": source, "dataset_meta": {"classes": content.classes}}
        torch.save({"state_dict": state, "meta": meta}, path)
    return "\n".join([*lines, f"written to {out}"])


def _recognise(checkpoint: str, state: dict[str, Tensor]) -> str:
    source = recognise_source(state)
    if source is None:
        raise InputError(f"{checkpoint}: its keys, such as '{next(iter(state))}', are those of no project known here")
    return source


def _build_model(config: str) -> nn.Module:
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    from clmot_qd.apis.running import explain_build, load_config

    loaded = load_config(config)
    init_default_scope(loaded.get("default_scope", "mmdet"))
    return explain_build(lambda: MODELS.build(loaded.model))
