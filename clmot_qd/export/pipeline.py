"""A configuration's test pipeline and data preprocessor as settings of :class:`Preprocess`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clmot_qd.errors import InputError
from clmot_qd.export.preprocess import INTERPOLATIONS, Preprocess

PIPELINE = "test_dataloader.dataset.pipeline"
# Steps that leave the picture as it is.
LOADERS = ("LoadFrame", "LoadImageFromFile", "LoadTrackAnnotations", "PackTrackInputs")


def preprocess_of(pipeline: Sequence[Mapping[str, Any]], preprocessor: Any) -> Preprocess:
    """The settings of a test pipeline.

    Args:
        pipeline: Steps of the configuration.
        preprocessor: The model's ``TrackDataPreprocessor``.

    Raises:
        InputError: A step that the runtime does not know.
    """
    steps = [step for step in flat_steps(pipeline) if kind_of(step) not in LOADERS]
    if len(steps) > 1:
        raise InputError(f"{PIPELINE}: one step may change the picture, not {', '.join(map(kind_of, steps))}")
    resize = _resize_of(steps[0]) if steps else dict(resize="none", scale=(0, 0))
    normalise = preprocessor._enable_normalize
    return Preprocess(
        **resize,
        mean=tuple(preprocessor.mean.flatten().tolist()) if normalise else None,
        std=tuple(preprocessor.std.flatten().tolist()) if normalise else None,
        to_rgb=bool(preprocessor._channel_conversion),
        pad_divisor=int(preprocessor.pad_size_divisor),
        pad_value=float(preprocessor.pad_value),
    )


def flat_steps(pipeline: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The steps of a pipeline, those inside of others too."""
    for step in pipeline:
        if "transforms" in step:
            yield from flat_steps(step["transforms"])
        else:
            yield step


def kind_of(step: Mapping[str, Any]) -> str:
    """A step's type without its registry's name."""
    return str(step["type"]).removeprefix("mmdet.")


def _resize_of(step: Mapping[str, Any]) -> dict[str, Any]:
    kind, given = kind_of(step), {key: value for key, value in step.items() if key != "type"}
    if kind == "Letterbox":
        width, height = given.get("scale", (1088, 608))
        return dict(resize="letterbox", scale=(int(width), int(height)), letterbox_value=given.get("pad_value", 128))
    scale, method = given.get("scale"), given.get("interpolation", "bilinear")
    if kind != "Resize" or scale is None or given.get("backend", "cv2") != "cv2" or method not in INTERPOLATIONS:
        raise InputError(f"{PIPELINE}: {kind}({_listed(given)}) cannot be exported; Letterbox and Resize(scale) can")
    scale = (scale, scale) if isinstance(scale, int) else tuple(scale)
    return dict(
        resize="keep_ratio" if given.get("keep_ratio") else "stretch",
        scale=(int(scale[0]), int(scale[1])),
        interpolation=method,
    )


def with_size(pipeline: Sequence[Mapping[str, Any]], size: Sequence[int]) -> list[dict[str, Any]]:
    """The same pipeline with another ``scale`` (width, height) for its Letterbox or Resize."""
    changed = []
    for step in pipeline:
        made = dict(step)
        if "transforms" in step:
            made["transforms"] = with_size(step["transforms"], size)
        elif kind_of(step) in ("Letterbox", "Resize"):
            made["scale"] = tuple(size)
        changed.append(made)
    return changed


def _listed(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
