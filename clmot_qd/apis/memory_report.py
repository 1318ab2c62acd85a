"""A memory estimate as text and as figures for JSON."""

from __future__ import annotations

from typing import Any

from clmot_qd.apis.memory_estimate import CARDS, FRAGMENTATION, GIB, OVERHEAD, MemoryEstimate, on_card

BLIND_SPOTS = f"""\
"on a card" adds {FRAGMENTATION:.0%} for cuDNN's workspaces and gaps between blocks and {OVERHEAD / GIB:.0f} GiB for \
CUDA's context.
Both are allowances: a CPU cannot see them. Pictures of other shapes in later batches and frames with many more objects
take more; torch.backends.cudnn.benchmark (env_cfg.cudnn_benchmark) can take much more for a moment."""
HALF_NOTE = """\
Mixed precision: deformable convolutions and RoI pooling are counted in float32, the only precision that they have on a
CPU; a GPU needs less there."""


def report(estimate: MemoryEstimate, batch_size: int, name: str) -> str:
    """Tables for people: where the memory goes, what it means for common cards, and what the estimate cannot see."""
    width, height = estimate.size
    precision = "mixed precision" if estimate.amp else "float32"
    lines = [f"{name}: {batch_size} pairs of {width}x{height} in a step, {precision}", ""]
    lines += [f"  {label:<46}{_amount(value):>10}" for label, value in _rows(estimate, batch_size)]
    lines += ["", f"  {'card':<12}{'training fits':>15}{'largest batch':>16}{'inference fits':>17}"]
    lines += [_card_line(estimate, batch_size, card) for card in CARDS]
    lines += ["", BLIND_SPOTS]
    return "\n".join([*lines, HALF_NOTE] if estimate.amp else lines)


def figures(estimate: MemoryEstimate, batch_size: int) -> dict[str, Any]:
    """All numbers, in bytes."""
    return {
        **estimate.as_dict(),
        "batch_size": batch_size,
        "training": estimate.training(batch_size),
        "training_on_card": on_card(estimate.training(batch_size)),
        "inference": estimate.inference(),
        "inference_on_card": on_card(estimate.inference()),
        "largest_batch": {f"{card} GiB": estimate.largest_batch(card) for card in CARDS},
    }


def _rows(estimate: MemoryEstimate, batch_size: int) -> list[tuple[str, int]]:
    training = estimate.training(batch_size)
    return [
        ("parameters and buffers", estimate.parameters),
        ("gradients", estimate.gradients),
        ("optimizer state", estimate.optimizer),
        ("activations saved for the backward pass", batch_size * estimate.activations),
        ("passing results at the worst moment", batch_size * (estimate.step - estimate.activations)),
        ("training, all tensors", training),
        ("training, on a card", on_card(training)),
        ("inference, one frame at a time, all tensors", estimate.inference()),
        ("inference, on a card", on_card(estimate.inference())),
    ]


def _card_line(estimate: MemoryEstimate, batch_size: int, card: int) -> str:
    training = _verdict(estimate.training(batch_size), card)
    inference = _verdict(estimate.inference(), card)
    return f"  {f'{card} GiB':<12}{training:>15}{estimate.largest_batch(card):>16}{inference:>17}"


def _verdict(tensors: int, card: int) -> str:
    """Whether the tensors fit with all allowances, with the context alone, or not."""
    if on_card(tensors) <= card * GIB:
        return "yes"
    return "tight" if tensors + OVERHEAD <= card * GIB else "no"


def _amount(size: int) -> str:
    return f"{size / GIB:.2f} GiB" if size >= GIB else f"{size / 2**20:.0f} MiB"
