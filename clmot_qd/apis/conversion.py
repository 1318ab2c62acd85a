"""Converting a checkpoint file of another project into one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clmot_qd.checkpoints import compare_with_model, convert_state_dict, read_state_dict
from clmot_qd.files import atomic_path

if TYPE_CHECKING:
    from torch import nn


def convert_file(checkpoint: str, out: str, source: str, config: str | None = None) -> str:
    """Read ``checkpoint``, rename its tensors, write ``{'state_dict': ..., 'meta': ...}`` to ``out``.

    Args:
        checkpoint: The public file.
        out: The file to write; nothing stands there unless everything went well.
        source: See :func:`clmot_qd.checkpoints.convert_state_dict`.
        config: Path or packaged name of a configuration. Its model is compared with the result, and tensors of another
            shape (the 80-class heat map of a COCO detector, say) are dropped so that ``load_from`` takes the rest.

    Returns:
        A report for people.

    Raises:
        InputError: Anything wrong with the files, the source or the configuration.
    """
    import torch

    state = convert_state_dict(read_state_dict(checkpoint), source)
    lines = [f"{checkpoint}: {len(state)} tensors renamed as {source}"]
    if config:
        report = compare_with_model(state, _build_model(config))
        for key, _, _ in report.mismatched:
            del state[key]
        lines += [str(report)]
        if report.mismatched:
            lines += ["  tensors of another shape were left out: they start at random"]
    with atomic_path(out) as path:
        torch.save({"state_dict": state, "meta": {"source": source}}, path)
    return "\n".join([*lines, f"written to {out}"])


def _build_model(config: str) -> nn.Module:
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    from clmot_qd.apis.running import explain_build, load_config

    loaded = load_config(config)
    init_default_scope(loaded.get("default_scope", "mmdet"))
    return explain_build(lambda: MODELS.build(loaded.model))
