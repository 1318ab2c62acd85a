"""What an exported file carries: pictures of any size become the pipeline's own input, and settings come back."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from mmdet.registry import MODELS
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from clmot_qd.apis.frame_preparation import as_results, for_arrays
from clmot_qd.export.metadata import FileSettings
from clmot_qd.export.pipeline import preprocess_of
from clmot_qd.export.preprocess import RESIZES, Preprocess
from clmot_qd.geometry import scaling_of


@pytest.fixture(scope="module", autouse=True)
def _mmdet_scope() -> None:
    init_default_scope("mmdet")


scales = st.tuples(st.integers(16, 200), st.integers(16, 200))
resizes = st.one_of(
    st.builds(dict, type=st.just("Letterbox"), scale=scales, pad_value=st.integers(0, 255)),
    st.builds(dict, type=st.just("Resize"), scale=scales, keep_ratio=st.booleans()),
)
normalisations = st.sampled_from(
    [
        dict(pad_size_divisor=1),
        dict(mean=[103.5, 116.3, 123.7], std=[1.0, 57.0, 57.4], bgr_to_rgb=True, pad_size_divisor=32, pad_value=7),
    ]
)


@given(
    size=st.tuples(st.integers(8, 220), st.integers(8, 220)),
    step=resizes,
    normalise=normalisations,
    seed=st.integers(0, 2**32 - 1),
)
def test_frames_become_what_the_pipeline_makes_of_them(
    size: tuple[int, int], step: dict[str, Any], normalise: dict[str, Any], seed: int
) -> None:
    steps = [dict(type="LoadFrame"), step]
    pipeline = [
        dict(type="TransformBroadcaster", transforms=steps),
        dict(type="PackTrackInputs", meta_keys=("pad_param",)),
    ]
    preprocessor = MODELS.build(dict(type="TrackDataPreprocessor", **normalise))
    frame = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    packed = Compose(for_arrays(pipeline))(as_results(frame))
    data = preprocessor({"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]})
    meta = data["data_samples"][0][0].metainfo
    prepared = Preprocess.from_json(json.loads(json.dumps(preprocess_of(pipeline, preprocessor).as_json())))(frame)
    np.testing.assert_array_equal(prepared.image, data["inputs"][0, 0].numpy())
    assert prepared.image_shape == tuple(meta["img_shape"])
    assert (prepared.scale_factor, prepared.pad_param) == scaling_of(meta)


numbers = st.one_of(st.none(), st.tuples(*[st.floats(-300, 300)] * 3))
preprocesses = st.builds(
    Preprocess,
    resize=st.sampled_from(RESIZES),
    scale=scales,
    letterbox_value=st.integers(0, 255),
    mean=numbers,
    std=numbers,
    to_rgb=st.booleans(),
    pad_divisor=st.integers(1, 64),
    pad_value=st.floats(-10, 300),
)
plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
settings = st.builds(
    FileSettings,
    classes=st.lists(st.text(), max_size=5).map(tuple),
    preprocess=preprocesses,
    tracker=st.dictionaries(st.text(), plain),
    model=st.dictionaries(st.text(), plain),
    version=st.text(),
)


@given(expected=settings)
def test_settings_come_back_from_the_file(expected: FileSettings) -> None:
    assert FileSettings.from_properties("x.onnx", expected.as_properties()) == expected
