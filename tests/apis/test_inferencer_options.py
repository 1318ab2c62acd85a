"""TrackingInferencer: batches, half precision, filters and names of classes, with untrained tiny models."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clmot_qd.apis import TrackingInferencer
from clmot_qd.apis.precision import set_precision
from clmot_qd.errors import InputError
from clmot_qd.ops import fast_cpu_operators, mmcv_operators
from clmot_qd.trackers import Tracks

BYTE = dict(
    _delete_=True,
    type="ByteTracker",
    motion=dict(type="KalmanFilter"),
    obj_score_thrs=dict(high=0.0, low=0.0),
    init_track_thr=0.0,
    match_iou_thrs=dict(high=0.1, low=0.5, tentative=0.3),
    num_frames_retain=30,
)
REGRESSION = {"model.tracker.regression": True, "model.tracker.appearance_weight": 0.0, "model.tracker.iou_weight": 1.0}


def frames_of(count: int = 6) -> list[np.ndarray]:
    """Rectangles that move over noise."""
    rng = np.random.default_rng(0)
    frames = []
    for number in range(count):
        frame = rng.integers(0, 60, (96, 128, 3), dtype=np.uint8)
        for person in range(4):
            x, y = 10 + 25 * person + 2 * number, 8 + 10 * person + number
            frame[y : y + 36, x : x + 20] = np.random.default_rng(person).integers(80, 255, 3)
        frames.append(frame)
    return frames


FRAMES = frames_of()

# The second one, a ResNet-50 with its heads, takes a minute for what the first one does in seconds.
CLMOT, QDTRACK = "clmot_tiny_demo", pytest.param("qdtrack_tiny_demo", marks=pytest.mark.slow)
both = pytest.mark.parametrize("project", [CLMOT, QDTRACK], indirect=True)
one = pytest.mark.parametrize("project", [CLMOT], indirect=True)


def assert_same(first: list[Tracks], second: list[Tracks], atol: float) -> None:
    assert len(first) == len(second)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a.instances_id, b.instances_id)
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.detection_index, b.detection_index)
        np.testing.assert_allclose(a.bboxes, b.bboxes, atol=atol)
        np.testing.assert_allclose(a.scores, b.scores, atol=atol)


def open_project(project: dict[str, Any], options: dict | None = None, **more: Any) -> TrackingInferencer:
    return TrackingInferencer(project["config"], project["checkpoint"], "cpu", options, **more)


# -------------------------------------------------------------------------------------------------------------- batches
@both
@pytest.mark.parametrize("tracker", ["own", "stock", "regression"])
def test_a_batch_gives_what_single_frames_give(project: dict[str, Any], tracker: str) -> None:
    if tracker == "regression" and "clmot" in project["config"]:
        pytest.skip("the regression cue needs a two-stage detector")
    options = {"own": {}, "stock": {"model.tracker": BYTE}, "regression": REGRESSION}[tracker]
    session = open_project(project, options, batch_size=4)
    together = list(session.stream(FRAMES))
    session.reset()
    single = [session.update(frame) for frame in FRAMES]
    assert max(len(tracks) for tracks in single) > 1
    assert_same(together, single, atol=1e-3)


@both
@pytest.mark.parametrize("tracker", ["own", "stock"])
def test_the_detections_are_those_of_the_model_itself(project: dict[str, Any], tracker: str) -> None:
    """The way through FrameDetections against the model's own predict."""
    session = open_project(project, {} if tracker == "own" else {"model.tracker": BYTE})
    streamed = list(session.stream(FRAMES))
    session.model.tracker.reset()
    for number, (frame, tracks) in enumerate(zip(FRAMES, streamed)):
        values = dict(img=frame, img_path="", img_id=0, frame_id=number, video_id=1, video_length=6, ori_video_length=6)
        packed = session._pipeline({key: [value] for key, value in values.items()})
        data = session.model.data_preprocessor({key: [packed[key]] for key in ("inputs", "data_samples")})
        found = session.model(**data, mode="predict")[0][0]
        expected = found.pred_track_instances
        np.testing.assert_array_equal(tracks.instances_id, expected.instances_id.numpy())
        np.testing.assert_array_equal(tracks.bboxes, expected.bboxes.numpy())
        np.testing.assert_array_equal(tracks.detection_index, expected.detection_index.numpy())
    assert session.detections is not None
    np.testing.assert_array_equal(session.detections.bboxes, found.pred_instances.bboxes.numpy())
    np.testing.assert_array_equal(session.detections.embeds, found.pred_instances.embeds.numpy())


@both
def test_feature_maps_are_kept_only_for_trackers_that_look_at_them(project: dict[str, Any]) -> None:
    own, stock = open_project(project), open_project(project, {"model.tracker": BYTE})
    for session, kept in ((own, False), (stock, True)):
        session.update(FRAMES[0])
        assert (session.detections.feats is not None) is kept
        assert (session.detections.image is not None) is kept


# -------------------------------------------------------------------------------------------------------------- filters
@both
@pytest.mark.parametrize("tracker", ["own", "stock"])
def test_a_threshold_takes_detections_away_before_they_are_tracked(project: dict[str, Any], tracker: str) -> None:
    options = {} if tracker == "own" else {"model.tracker": BYTE}
    every = open_project(project, options)
    every.update(FRAMES[0])
    scores = np.sort(every.detections.scores)
    limit = float(scores[-2] + scores[-1]) / 2
    strict = open_project(project, options, score_thr=limit)
    for frame in FRAMES[:2]:
        tracks = strict.update(frame)
        assert len(strict.detections) == len(strict.detections.found)
        assert (strict.detections.scores >= limit).all()
        assert len(tracks) <= len(strict.detections) + 1
    strict.reset()
    assert len(strict.update(FRAMES[0])) == 1
    np.testing.assert_array_equal(strict.detections.found.scores.numpy(), strict.detections.scores)


@one
def test_a_class_that_is_not_kept_is_left_out(project: dict[str, Any]) -> None:
    name = open_project(project).classes[0]
    assert len(open_project(project, keep_classes=[name]).update(FRAMES[0])) > 0
    with pytest.raises(InputError, match=r"keep_classes \(--classes\): 'bus' is none of the classes"):
        open_project(project, keep_classes=["bus"])


# ------------------------------------------------------------------------------------------------------- half precision
def kinds_of(session: TrackingInferencer, name: str) -> set[torch.dtype]:
    """Types of what the modules of a class, and of its subclasses, give while a frame is tracked."""
    kinds: set[torch.dtype] = set()
    for module in session.model.modules():
        if name in {entry.__name__ for entry in type(module).__mro__}:
            module.register_forward_hook(lambda module, args, out: kinds.add(out.dtype))
    session.update(FRAMES[0])
    return kinds


@both
def test_bfloat16_is_used_by_the_layers_and_leaves_the_rest_alone(project: dict[str, Any]) -> None:
    session = open_project(project, precision="bfloat16")
    assert torch.bfloat16 in kinds_of(session, "Conv2d")
    assert {session.detections.found[name].dtype for name in ("bboxes", "scores", "embeds")} == {torch.float32}
    assert {parameter.dtype for parameter in session.model.parameters()} == {torch.float32}
    exact = open_project(project)
    assert kinds_of(exact, "Conv2d") == {torch.float32}
    inputs = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        half, full = (model.detector.extract_feat(inputs)[0] for model in (session.model, exact.model))
    assert half.dtype == torch.float32
    assert 0 < (half - full).norm() / full.norm() < 0.05


@both
def test_bfloat16_follows_the_same_objects(project: dict[str, Any]) -> None:
    tracked = list(open_project(project, precision="bfloat16", batch_size=3).stream(FRAMES))
    assert [len(tracks) > 0 for tracks in tracked] == [True] * 6
    assert tracked[0].bboxes.dtype == np.float32


def test_deformable_convolutions_compute_in_bfloat16_too() -> None:
    options = {
        "model.detector.neck.use_dcn": True,
        "model.tracker.conf_thr": 0.0,
        "model.detector.test_cfg": dict(topk=5, local_maximum_kernel=3, score_thr=0.0),
    }
    session = TrackingInferencer("clmot_tiny_demo", options=options, device="cpu", precision="bfloat16")
    assert kinds_of(session, "FastModulatedDeformConv2dPack") == {torch.bfloat16}


@pytest.mark.parametrize("operators", [nullcontext, mmcv_operators])
def test_a_deformable_convolution_behind_a_layer_in_half_precision_runs(operators: Any) -> None:
    """mmcv's own knows no bfloat16."""
    from mmcv.ops import ModulatedDeformConv2dPack
    from torch import nn

    torch.manual_seed(0)
    model = nn.Module()
    model.detector = nn.Module()
    model.detector.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), ModulatedDeformConv2dPack(4, 4, 3, padding=1))
    fast_cpu_operators(model)
    picture = torch.rand(1, 3, 16, 16)
    with torch.no_grad(), operators():
        full = model.detector.backbone(picture)
        set_precision(model, "bfloat16", "cpu")
        half = model.detector.backbone(picture)
    assert half.dtype == torch.float32
    assert 0 < (half - full).norm() / full.norm() < 0.05


@one
def test_precisions_that_do_not_work_are_named(project: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="precision 'float16': needs a GPU"):
        open_project(project, precision="float16")
    with pytest.raises(InputError, match="precision 'half': choose from float32, float16, bfloat16"):
        open_project(project, precision="half")


@pytest.mark.gpu
@both
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_on_a_gpu(project: dict[str, Any], precision: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    session = TrackingInferencer(project["config"], project["checkpoint"], "cuda", precision=precision, batch_size=3)
    assert getattr(torch, precision) in kinds_of(session, "Conv2d")
    assert len(list(session.stream(FRAMES))) == 6


# ----------------------------------------------------------------------------------------------------- names of classes
def renamed(project: dict[str, Any], path: Path, classes: tuple[str, ...]) -> Path:
    content = torch.load(project["checkpoint"], weights_only=True)
    torch.save({**content, "meta": {"dataset_meta": {"classes": classes}}}, path)
    return path


@one
def test_names_come_from_the_checkpoint_and_a_difference_is_told(
    project: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = renamed(project, tmp_path / "named.pth", ("walker",))
    with caplog.at_level(logging.INFO):
        session = TrackingInferencer(project["config"], path, "cpu")
    assert session.classes == ("walker",)
    assert f"{path}: calls the classes walker; the configuration says" in caplog.text
    assert "tensors loaded" in session.checkpoint_note
    assert session.checkpoint_note in caplog.text


@one
def test_a_checkpoint_that_names_other_counts_or_nothing_leaves_the_names_of_the_configuration(
    project: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configured = open_project(project).classes
    assert len(configured) == 1
    for number, names in enumerate([(), ("a", "b", "c")]):
        path = renamed(project, tmp_path / f"{number}.pth", names)
        assert TrackingInferencer(project["config"], path, "cpu").classes == configured
    assert "calls the classes" not in caplog.text
    assert TrackingInferencer(project["config"], device="cpu").checkpoint_note == ""


@one
def test_names_of_the_checkpoint_stand_where_the_configuration_has_none(
    project: dict[str, Any], tmp_path: Path
) -> None:
    path = renamed(project, tmp_path / "named.pth", ("walker",))
    options = {"test_dataloader.dataset.metainfo": {"classes": ()}}
    assert TrackingInferencer(project["config"], path, "cpu", options).classes == ("walker",)
