"""Training steps of QDTrack and CL-MOT: time and peak memory beside mmdet's QDTrack with the same network and settings.

Every variant runs in a process of its own: peak memory is a process's. On GPUs it is what torch's tensors took.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from clmot_qd.benchmark.cases import Group, Options, ProcessCase

_SIZE, _QUICK_SIZE = (1088, 608), (544, 320)  # width, height
_QDTRACK = "qdtrack_faster-rcnn_r50_fpn_12e_mot17"
_CLMOT = "clmot_dla34_40e_mot17"


@dataclass(frozen=True)
class _Variant:
    """A model and how it is trained.

    Attributes:
        name: In the table.
        config: Name of a packaged configuration; ``"mmdet"``: mmdet's QDTrack.
        changes: Keys of the model's configuration in dotted form.
        bfloat16: Mixed precision.
    """

    name: str
    config: str
    changes: dict[str, Any] = field(default_factory=dict)
    bfloat16: bool = False


_CHECKPOINTED = {"detector.backbone.with_cp": True}
_QDTRACK_VARIANTS = (
    _Variant("QuasiDenseMOT", _QDTRACK),
    _Variant("... view_batching='joint'", _QDTRACK, {"view_batching": "joint"}),
    _Variant("... with_cp=True", _QDTRACK, _CHECKPOINTED),
    _Variant("... bfloat16", _QDTRACK, bfloat16=True),
    _Variant("mmdet QDTrack", "mmdet"),
)
_CLMOT_VARIANTS = (
    _Variant("CLMOT, DLA-34", _CLMOT),
    _Variant("... with_cp=True", _CLMOT, {**_CHECKPOINTED, "detector.neck.with_cp": True}),
    _Variant("... bfloat16", _CLMOT, bfloat16=True),
)


def groups(options: Options) -> Iterator[Group]:
    """Yield QDTrack with one and two pairs in a step, and CL-MOT with one."""
    width, height = _QUICK_SIZE if options.quick else _SIZE
    for pairs in (1,) if options.quick else (1, 2):
        title = f"QDTrack, ResNet-50, {pairs} x 2 views of {width}x{height}"
        yield _group(title, _QDTRACK_VARIANTS, (width, height, pairs), options)
    yield _group(f"CL-MOT, 1 x 2 views of {width}x{height}", _CLMOT_VARIANTS, (width, height, 1), options)


def _group(title: str, variants: Sequence[_Variant], size: tuple[int, int, int], options: Options) -> Group:
    cases = []
    for variant in variants:
        code = (
            f"from {__name__.rpartition('.')[0]}.training_step import measure; measure{_call(variant, size, options)}"
        )
        cases.append(ProcessCase(variant.name, [sys.executable, "-W", "ignore", "-c", code], variant.config == "mmdet"))
    return Group("training", title, "iteration", cases, rounds=2)


def _call(variant: _Variant, size: tuple[int, int, int], options: Options) -> str:
    """The arguments of :func:`~clmot_qd.benchmark.training_step.measure`, as source."""
    steps = 2 if options.quick else 3
    return repr((variant.config, variant.changes, variant.bfloat16, size, options.device, steps))
