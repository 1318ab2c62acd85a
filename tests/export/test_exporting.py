"""Exported files against torch: boxes, scores, embeddings and ids; what cannot be exported is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from lively import moving_frames
from mmdet.structures import DetDataSample

from clmot_qd.apis.onnx_inferencer import OnnxTrackingInferencer
from clmot_qd.errors import InputError
from clmot_qd.export import exporting
from clmot_qd.export.candidates import apply_nms
from clmot_qd.export.exporting import export_onnx, graph_of, sample_frame
from clmot_qd.export.parity import compare
from clmot_qd.export.regions import RegionGraph
from clmot_qd.export.runtime import OnnxDetector

onnx = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")

DENSE = ("retinanet_r50_fpn", "fcos_r50-caffe_fpn", "yolox_s", "rtmdet_s")


@pytest.mark.parametrize("size", [(200, 120), (90, 130)])
def test_boxes_scores_and_embeddings_are_torchs(pair: Any, size: tuple[int, int]) -> None:
    tracking, path = pair
    detector = OnnxDetector(path, threads=1)
    frames = moving_frames(2, size)
    found = [(tracking._detect([frame])[0], detector.detect([frame])[0]) for frame in frames]
    parity = compare(found)
    assert parity.detections > 20
    assert parity.close, str(parity)
    assert len({int(label) for _, other in found for label in other.labels}) > 1


def test_height_and_width_are_open(pair: Any) -> None:
    """The network's own input: sizes that it was not traced at."""
    tracking, path = pair
    session = OnnxDetector(path, threads=1)._session
    graph = graph_of(tracking.model)
    names = [entry.name for entry in session.get_inputs()]
    for height, width in ((64, 96), (128, 224)):
        images = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        inputs = [images, torch.tensor([height - 9, width])][: len(names)]
        with torch.no_grad():
            expected = graph(*inputs)
        found = session.run(None, {name: value.numpy() for name, value in zip(names, inputs)})
        assert len(found[0]) == len(expected[0]) > 3
        for one, other in zip(found, expected):
            np.testing.assert_allclose(one, other.numpy(), atol=2e-4, rtol=1e-4)


def test_several_frames_at_once_give_each_its_own(pair: Any) -> None:
    tracking, path = pair
    detector = OnnxDetector(path, threads=1)
    frames = moving_frames(3)
    together = detector.detect(frames)
    assert detector.takes_batches == (type(tracking.model).__name__ == "CLMOT")
    assert compare(zip(together, [detector.detect([frame])[0] for frame in frames])).close
    assert not compare(zip(together, together[::-1])).close


def test_pictures_without_any_object(pair: Any, lively_tracking: Any, tmp_path: Path) -> None:
    tracking, _ = pair
    head = getattr(tracking.model.detector, "bbox_head", None) or tracking.model.detector.roi_head.bbox_head
    rules = head.test_cfg if "score_thr" in (getattr(head, "test_cfg", None) or {}) else None
    rules = rules if rules is not None else tracking.model.detector.roi_head.test_cfg
    before, rules["score_thr"] = rules["score_thr"], 2.0
    try:
        export_onnx(tracking, tmp_path / "nothing.onnx", verify=moving_frames(1))
    finally:
        rules["score_thr"] = before
    onnx_tracking = OnnxTrackingInferencer(tmp_path / "nothing.onnx", threads=1)
    tracks = list(onnx_tracking.stream(moving_frames(2)))
    assert [len(t) for t in tracks] == [0, 0]
    assert onnx_tracking.detections is not None
    assert onnx_tracking.detections.embeds.shape == (0, 64)


def test_ids_are_torchs_over_a_sequence(pair: Any) -> None:
    tracking, path = pair
    frames = moving_frames(8)
    expected = list(tracking.stream(frames))
    found = list(OnnxTrackingInferencer(path, batch_size=3, threads=1).stream(frames))
    assert len(found) == 8
    assert len({int(i) for t in expected for i in t.instances_id}) > 3
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one.instances_id, other.instances_id)
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_allclose(one.bboxes, other.bboxes, atol=1e-3)


def test_the_file_says_what_it_is(pair: Any) -> None:
    tracking, path = pair
    model = onnx.load(path)
    said = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert said["clmot_qd.classes"] == ["person", "car", "bus"]
    assert said["clmot_qd.tracker"]["type"] == type(tracking.model.tracker).__name__
    assert said["clmot_qd.preprocess"]["scale"] == [160, 96]
    assert said["clmot_qd.model"]["type"] == type(tracking.model).__name__
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 19)]
    assert {node.domain for node in model.graph.node} == {""}
    operators = {node.op_type for node in model.graph.node}
    assert ("DeformConv" if said["clmot_qd.model"]["type"] == "CLMOT" else "RoiAlign") in operators


def test_opset_20_runs_as_well(pair: Any, tmp_path: Path) -> None:
    tracking, _ = pair
    parity = export_onnx(tracking, tmp_path / "m.onnx", opset=20, verify=moving_frames(1))
    assert parity is not None
    assert parity.close


# ------------------------------------------------------------------------------------------------- QDTrack's detectors
def detections_of_mmdet(model: Any, images: torch.Tensor, shape: tuple[int, int]) -> Any:
    meta = dict(img_shape=shape, batch_input_shape=tuple(images.shape[-2:]), scale_factor=(1, 1), ori_shape=shape)
    return model.detect(model.detector.extract_feat(images), [DetDataSample(metainfo=meta)])[0]


def assert_graph_is_mmdets(model: Any) -> None:
    graph = RegionGraph(model).eval()
    for height, width in ((96, 160), (128, 96)):
        # Stronger pictures saturate the sigmoid, and scores that tie exactly have no order.
        images = 0.3 * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(width))
        with torch.no_grad():
            expected = detections_of_mmdet(model, images, (height - 5, width))
            found = graph(images, torch.tensor([height - 5, width]))
        assert len(expected) > 3
        for name, value in zip(("bboxes", "scores", "labels", "embeds"), found):
            torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=1e-5)


def test_the_two_stage_graph_is_mmdets_post_processing(lively_tracking: Callable[..., Any]) -> None:
    options = {"model.detector.test_cfg.rcnn.score_thr": 0.0, "model.detector.test_cfg.rpn.nms_pre": 90}
    assert_graph_is_mmdets(lively_tracking("qdtrack_tiny_demo", options, (160, 96)).model)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cascade-rcnn_r50_fpn", *DENSE, "faster-rcnn_r50_fpn"])
def test_every_detector_of_the_configurations(name: str, lively_tracking: Callable[..., Any], tmp_path: Path) -> None:
    key = "model.detector.test_cfg.rcnn.score_thr" if "rcnn" in name else "model.detector.test_cfg.score_thr"
    threshold = {"yolox_s": 0.05, "rtmdet_s": 0.05, "faster-rcnn_r50_fpn": 0.0, "cascade-rcnn_r50_fpn": 0.0}.get(
        name, 0.3
    )
    tracking = lively_tracking(f"qdtrack_{name}_12e_mot17-half", {key: threshold}, (160, 160))
    assert_graph_is_mmdets(tracking.model)
    parity = export_onnx(tracking, tmp_path / "m.onnx", verify=moving_frames(1))
    assert parity is not None
    assert parity.detections > 3
    assert parity.close, str(parity)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["clmot_dla34_40e_mot17", "clmot_r18-dcn_40e_mot17-half", "qdtrack_faster-rcnn_r101-dcn_fpn_12e_waymo"]
)
def test_full_size_models_with_deformable_convolutions(
    name: str, lively_tracking: Callable[..., Any], tmp_path: Path
) -> None:
    tracking = lively_tracking(name, {}, (160, 96))
    parity = export_onnx(tracking, tmp_path / "m.onnx", verify=moving_frames(1))
    assert parity is not None
    assert parity.detections > 3
    assert parity.close, str(parity)


# ------------------------------------------------------------------------------------------------------------ mistakes
@pytest.mark.parametrize(
    ("tracker", "said"),
    [
        (dict(type="ByteTracker"), "model.tracker: ByteTracker works with torch alone"),
        (dict(type="BiSoftmaxTracker", regression=True), "regression"),
    ],
)
def test_trackers_that_need_torch_are_refused(pair: Any, tmp_path: Path, tracker: dict, said: str) -> None:
    tracking, _ = pair
    config = tracking.config.copy()
    config.model = {**config.model, "tracker": tracker}
    other = SimpleNamespace(model=tracking.model, config=config, classes=())
    with pytest.raises(InputError, match=said):
        export_onnx(other, tmp_path / "m.onnx")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("out", "opset", "said"), [("m.onnx", 18, "--opset 18: must be one of 19, 20"), ("m.pt", 19, "must end in .onnx")]
)
def test_wrong_arguments(pair: Any, tmp_path: Path, out: str, opset: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        export_onnx(pair[0], tmp_path / out, opset)
    assert not list(tmp_path.iterdir())


def test_masks_are_left_out_which_is_told(
    lively_tracking: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"model.detector.test_cfg.rcnn.max_per_img": 15, "model.detector.test_cfg.rcnn.score_thr": 0.1}
    tracking = lively_tracking("qdtrack_mask-rcnn_tiny_demo", options, (160, 96))
    assert tracking.update(moving_frames(1)[0]).masks is not None
    path = tmp_path / "masks.onnx"
    with caplog.at_level("WARNING", logger="clmot_qd"):
        parity = export_onnx(tracking, path, verify=moving_frames(1))
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: ONNX files track boxes: the model's masks are left out"
    ]
    assert parity is not None
    assert parity.detections > 3
    assert tracking.gives_masks, "the file has none, the model still does"
    assert tracking.update(moving_frames(2)[1]).masks is not None


def test_other_detectors_are_refused_by_name() -> None:
    detector = SimpleNamespace(bbox_head=torch.nn.Identity())
    model = SimpleNamespace(public_detections=False, detector=detector, track_head=None)
    with pytest.raises(InputError, match=r"bbox_head: Identity cannot be exported; RetinaHead, FCOSHead"):
        RegionGraph(model)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="public_detections"):
        RegionGraph(SimpleNamespace(public_detections=True))  # type: ignore[arg-type]


def test_other_nms_is_refused() -> None:
    with pytest.raises(InputError, match="soft_nms"):
        apply_nms(*[torch.zeros(1, 4)] * 3, nms=dict(type="soft_nms", iou_threshold=0.5), most=1)


def test_a_file_that_computes_something_else_gets_no_name(
    pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking, _ = pair
    trace = exporting._trace

    def broken(graph: Any, target: str, opset: int) -> None:
        trace(graph, target, opset)
        model = onnx.load(target)
        bias = next(entry for entry in model.graph.initializer if entry.name.endswith("bias"))
        bias.raw_data = np.full(bias.dims, 3, dtype=np.float32).tobytes()
        onnx.save(model, target)

    monkeypatch.setattr(exporting, "_trace", broken)
    with pytest.raises(InputError, match="torch and ONNX Runtime disagree, so nothing was written"):
        export_onnx(tracking, tmp_path / "m.onnx", verify=moving_frames(1))
    assert not list(tmp_path.iterdir())


def test_pictures_to_verify_on(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "p.png"), moving_frames(1)[0])
    np.testing.assert_array_equal(sample_frame(str(tmp_path / "p.png")), moving_frames(1)[0])
    assert sample_frame(None).std() > 20
    with pytest.raises(InputError, match=r"q.png: cannot be read"):
        sample_frame(str(tmp_path / "q.png"))
