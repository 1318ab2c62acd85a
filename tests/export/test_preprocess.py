"""Frames become the very input that the configuration's own pipeline makes of them, and its settings survive a file."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import pytest
from mmdet.registry import MODELS
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from clmot_qd.apis.frame_preparation import as_results, for_arrays
from clmot_qd.errors import InputError
from clmot_qd.export.pipeline import preprocess_of, with_size
from clmot_qd.export.preprocess import Preprocess
from clmot_qd.geometry import scaling_of

PACK = dict(type="PackTrackInputs", meta_keys=("pad_param",))


def pipeline_of(*steps: dict) -> list[dict]:
    return [dict(type="TransformBroadcaster", transforms=[dict(type="LoadFrame"), *steps]), PACK]


PLAIN = dict(pad_size_divisor=1)
CAFFE = dict(mean=[103.5, 116.3, 123.7], std=[1.0, 57.0, 57.4], bgr_to_rgb=True, pad_size_divisor=32, pad_value=7)
CASES = {
    "letterbox": (dict(type="Letterbox", scale=(160, 96)), CAFFE),
    "letterbox, other grey": (dict(type="Letterbox", scale=(100, 90), pad_value=3), PLAIN),
    "keep ratio": (dict(type="Resize", scale=(150, 150), keep_ratio=True), CAFFE),
    "keep ratio, two sides": (dict(type="mmdet.Resize", scale=(130, 60), keep_ratio=True, interpolation="area"), PLAIN),
    "stretch": (dict(type="Resize", scale=(96, 64)), CAFFE),
    "number": (dict(type="Resize", scale=77), CAFFE),
}


@pytest.mark.parametrize("size", [(121, 67), (60, 90), (150, 150)])
@pytest.mark.parametrize("name", CASES)
def test_input_equals_the_test_pipelines(name: str, size: tuple[int, int]) -> None:
    init_default_scope("mmdet")
    step, normalise = CASES[name]
    pipeline = pipeline_of(step)
    preprocessor = MODELS.build(dict(type="TrackDataPreprocessor", **normalise))
    frame = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    packed = Compose(for_arrays(pipeline))(as_results(frame))
    data = preprocessor({"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]})
    meta = data["data_samples"][0][0].metainfo

    settings = preprocess_of(pipeline, preprocessor)
    prepared = Preprocess.from_json(json.loads(json.dumps(settings.as_json())))(frame)
    assert prepared.image.dtype == np.float32
    np.testing.assert_array_equal(prepared.image, data["inputs"][0, 0].numpy())
    assert prepared.image_shape == tuple(meta["img_shape"])
    assert (prepared.scale_factor, prepared.pad_param) == scaling_of(meta)


def test_pictures_that_are_not_resized() -> None:
    preprocessor = MODELS.build(dict(type="mmdet.TrackDataPreprocessor", pad_size_divisor=32))
    frame = np.random.default_rng(0).integers(0, 256, (33, 64, 3), dtype=np.uint8)
    prepared = preprocess_of(pipeline_of(), preprocessor)(frame)
    assert prepared.image.shape == (3, 64, 64)
    np.testing.assert_array_equal(prepared.image[:, :33], frame.transpose(2, 0, 1))
    assert not prepared.image[:, 33:].any()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([dict(type="RandomFlip", prob=0.5)], r"RandomFlip\(prob=0.5\) cannot be exported"),
        ([dict(type="Resize", scale_factor=0.5)], "Resize"),
        ([dict(type="Resize", scale=(9, 9), backend="pillow")], "pillow"),
        ([dict(type="Letterbox"), dict(type="Resize", scale=9)], "not Letterbox, Resize"),
    ],
)
def test_steps_the_runtime_does_not_know_are_refused(steps: list[dict], said: str) -> None:
    preprocessor = MODELS.build(dict(type="mmdet.TrackDataPreprocessor"))
    with pytest.raises(InputError, match=f"^test_dataloader.dataset.pipeline: .*{said}") as told:
        preprocess_of(pipeline_of(*steps), preprocessor)
    assert "\n" not in str(told.value)


def test_another_size_goes_into_the_step_that_scales() -> None:
    changed: Any = with_size(pipeline_of(dict(type="Letterbox", scale=(160, 96))), (64, 32))
    assert changed[0]["transforms"][1] == dict(type="Letterbox", scale=(64, 32))
    assert changed[0]["transforms"][0] == dict(type="LoadFrame")
    assert changed[1] == PACK


@pytest.mark.parametrize("values", [dict(resize="fold", scale=[1, 1]), dict(scale=[1, 1]), dict(resize="none", x=1)])
def test_damaged_settings_are_an_error(values: dict) -> None:
    with pytest.raises((TypeError, ValueError)):
        Preprocess.from_json(values)


def test_resizing_to_the_own_size_changes_nothing() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    same = cv2.resize(frame, (60, 40), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(same, frame)
