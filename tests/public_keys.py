"""Key names of public QDTrack checkpoints (ResNet-50, FPN), one list per generation, without any model behind them."""

from __future__ import annotations

from collections.abc import Iterator

GENERATIONS = ("syscv-2021", "syscv-2022", "openmmlab")


def _norm(name: str) -> list[str]:
    tensors = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return [f"{name}.{tensor}" for tensor in tensors]


def _resnet50() -> Iterator[str]:
    yield from ("conv1.weight", *_norm("bn1"))
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            for conv in (1, 2, 3):
                yield from (f"{name}.conv{conv}.weight", *_norm(f"{name}.bn{conv}"))
            if block == 0:
                yield from (f"{name}.downsample.0.weight", *_norm(f"{name}.downsample.1"))


def _with_bias(*names: str) -> list[str]:
    return [f"{name}.{tensor}" for name in names for tensor in ("weight", "bias")]


def _detector() -> list[str]:
    """Faster R-CNN, as it stands at the top of a detector's own checkpoint."""
    pyramid = [f"{kind}_convs.{level}.conv" for kind in ("lateral", "fpn") for level in range(4)]
    return [
        *(f"backbone.{name}" for name in _resnet50()),
        *(f"neck.{name}" for name in _with_bias(*pyramid)),
        *(f"rpn_head.{name}" for name in _with_bias("rpn_conv", "rpn_cls", "rpn_reg")),
        *(f"roi_head.bbox_head.{name}" for name in _with_bias("shared_fcs.0", "shared_fcs.1", "fc_cls", "fc_reg")),
    ]


def _embed_head() -> list[str]:
    convolutions = [f"convs.{n}.conv.weight" for n in range(4)]
    return [*convolutions, *_with_bias(*(f"convs.{n}.gn" for n in range(4)), "fcs.0", "fc_embed")]


def keys_of(generation: str) -> list[str]:
    """All generations list the same tensors in the same order."""
    detector = "" if generation == "syscv-2021" else "detector."
    embed_head = {"syscv-2021": "roi_head.track_head.", "syscv-2022": "track_head.track_head."}
    return [
        *(detector + name for name in _detector()),
        *(embed_head.get(generation, "track_head.embed_head.") + name for name in _embed_head()),
    ]
