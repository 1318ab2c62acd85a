"""Inference made fast against the plain way: equal detections, ids and boxes; what each step changes, and what not."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmcv.cnn import ConvModule
from mmcv.ops import ModulatedDeformConv2dPack, RoIAlign, RoIPool
from mmdet.models.backbones import ResNet
from mmdet.models.data_preprocessors import TrackDataPreprocessor
from mmengine.structures import InstanceData
from test_inferencer_options import BYTE, FRAMES, REGRESSION, assert_same, both, one, open_project
from torch import nn

from clmot_qd.apis import acceleration, inferencer
from clmot_qd.apis.acceleration import use_channels_last
from clmot_qd.apis.frame_preparation import FramePreparation, as_results
from clmot_qd.apis.fusion import fold_batch_norms
from clmot_qd.apis.inferencer import detections_on_host
from clmot_qd.geometry import boxes_to_original
from clmot_qd.ops import fast_cpu_operators, mmcv_operators


def write_clip(folder: Path) -> Path:
    folder.mkdir()
    for number, frame in enumerate(FRAMES):
        cv2.imwrite(str(folder / f"{number}.png"), frame)
    return folder


# ------------------------------------------------------------------------------------------------- the whole, both ways
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("tracker", ["own", "stock", "regression"])
@both
def test_files_are_tracked_as_by_the_plain_way(
    project: dict[str, Any], tmp_path: Path, tracker: str, size: int
) -> None:
    """Folded norms, channels last, own preparation, threads, one copy: against none of it, with mmcv's operators."""
    if tracker == "regression" and "clmot" in project["config"]:
        pytest.skip("the regression cue needs a two-stage detector")
    options = {"own": {}, "stock": {"model.tracker": BYTE}, "regression": REGRESSION}[tracker]
    clip = write_clip(tmp_path / "clip")
    plain, fast = open_project(project, options, optimize=False), open_project(project, options, batch_size=size)
    assert fast._detects_ahead is (tracker == "own")
    assert not plain._detects_ahead
    with mmcv_operators():
        expected = [plain.update(frame) for frame in FRAMES]
    found = list(fast.stream(clip))
    assert max(len(tracks) for tracks in expected) > 1
    assert_same(found, expected, atol=1e-3)
    np.testing.assert_allclose(fast.detections.embeds, plain.detections.embeds, atol=1e-3)


@one
@pytest.mark.slow
def test_compiled_layers_give_the_same_tracks(project: dict[str, Any]) -> None:
    plain, compiled = open_project(project), open_project(project, compile=True)
    assert_same([compiled.update(f) for f in FRAMES], [plain.update(f) for f in FRAMES], atol=1e-3)


@pytest.mark.gpu
@both
@pytest.mark.parametrize("compile", [False, True])
def test_a_gpu_tracks_as_the_plain_way_there(project: dict[str, Any], tmp_path: Path, compile: bool) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    clip = write_clip(tmp_path / "clip")
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        plain, fast = (
            inferencer.TrackingInferencer(project["config"], project["checkpoint"], "cuda", **arguments)
            for arguments in (dict(optimize=False, batch_size=1), dict(compile=compile))
        )
        assert (plain.batch_size, fast.batch_size) == (1, inferencer.GPU_BATCH)
        assert_same(list(fast.stream(clip)), list(plain.stream(clip)), atol=1e-2)


@one
def test_boxes_move_if_the_folded_weights_are_wrong(project: dict[str, Any]) -> None:
    """That the comparison above can fail."""
    plain, fast = open_project(project, optimize=False), open_project(project)
    with torch.no_grad():
        next(fast.model.detector.backbone.parameters()).mul_(1.05)
    plain.update(FRAMES[0]), fast.update(FRAMES[0])
    assert np.abs(plain.detections.embeds - fast.detections.embeds).max() > 1e-3


@one
def test_an_error_in_the_network_comes_after_the_frames_before_it(
    project: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_project(project)
    detect, calls = session._detect_prepared, []

    def failing(prepared: Any) -> Any:
        calls.append(len(prepared))
        if len(calls) == 4:
            raise ZeroDivisionError
        return detect(prepared)

    monkeypatch.setattr(session, "_detect_prepared", failing)
    tracked: list[Any] = []
    with pytest.raises(ZeroDivisionError):
        tracked.extend(session.stream(write_clip(tmp_path / "clip")))
    assert len(tracked) == 3


@one
def test_only_files_are_batched_unasked(project: dict[str, Any], tmp_path: Path, monkeypatch: Any) -> None:
    """A batch of a camera delays its tracks; here as if there were a GPU."""
    session = open_project(project)
    assert session.batch_size == 1
    session.batch_size = inferencer.GPU_BATCH
    sizes: list[int] = []
    detect = session._detect_prepared
    monkeypatch.setattr(session, "_detect_prepared", lambda p: (sizes.append(len(p)), detect(p))[1])
    list(session.stream(write_clip(tmp_path / "clip")))
    assert sizes == [4, 2]
    sizes.clear()
    list(session.stream(FRAMES))
    assert sizes == [1] * 6


# ------------------------------------------------------------------------------------------------------------- folding
def lively(module: nn.Module) -> nn.Module:
    """The module in evaluation mode with norms that do something."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1, 0.3)
            nn.init.normal_(part.bias)
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2)
    module.eval()  # mmdet's ResNet returns nothing
    return module


def norms_in(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


@pytest.mark.parametrize("depth", [18, 50])
def test_a_resnet_is_folded_whole(depth: int) -> None:
    plain = lively(ResNet(depth, base_channels=8, stem_channels=8))
    folded = copy.deepcopy(plain)
    assert fold_batch_norms(folded) == norms_in(plain) > 15
    assert norms_in(folded) == 0
    picture = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        for a, b in zip(plain(picture), folded(picture)):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [None, "DCNv2"])
def test_a_conv_module_is_folded(kind: str | None, bias: bool) -> None:
    plain = lively(ConvModule(6, 8, 3, conv_cfg=kind and dict(type=kind), norm_cfg=dict(type="BN"), bias=bias))
    if kind:
        assert isinstance(plain.conv, ModulatedDeformConv2dPack)
        nn.init.normal_(plain.conv.conv_offset.weight, std=0.1)
    folded = copy.deepcopy(plain)
    assert fold_batch_norms(folded) == 1
    picture = torch.rand(1, 6, 12, 10)
    with torch.no_grad():
        torch.testing.assert_close(plain(picture), folded(picture), rtol=1e-4, atol=1e-5)


def test_a_convolution_that_two_norms_share_is_folded_for_each() -> None:
    """RTMDet's heads: one convolution for all levels, a norm for each."""
    levels = nn.ModuleList(ConvModule(4, 4, 3, norm_cfg=dict(type="BN")) for _ in range(2))
    levels[1].conv = levels[0].conv
    plain = lively(levels)
    folded = copy.deepcopy(plain)
    assert fold_batch_norms(folded) == 2
    picture = torch.rand(1, 4, 8, 8)
    with torch.no_grad():
        for a, b in zip(plain, folded):
            torch.testing.assert_close(a(picture), b(picture), rtol=1e-4, atol=1e-5)


class Standardised(nn.Conv2d):
    """A convolution that uses other weights than it has."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x, self.weight / self.weight.std(), self.bias)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(Standardised(4, 4, 3), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
        nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)),
        ConvModule(4, 4, 3, norm_cfg=dict(type="BN"), order=("norm", "conv", "act")),
        ConvModule(4, 4, 3, norm_cfg=dict(type="GN", num_groups=2)),
    ],
)
def test_what_cannot_be_folded_stays(module: nn.Module) -> None:
    plain = lively(module)
    folded = copy.deepcopy(plain)
    assert fold_batch_norms(folded) == 0
    picture = torch.rand(1, 4, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(plain(picture), folded(picture), rtol=0, atol=0)


class Foreign(RoIAlign):
    """Somebody's own operator on mmcv's kernel."""


@pytest.mark.parametrize("foreign", [None, Foreign(7), RoIPool(7), ModulatedDeformConv2dPack(8, 8, 3)])
def test_weights_are_laid_out_unless_an_operator_cannot_read_that(foreign: nn.Module | None) -> None:
    """mmcv's kernels read a map with channels last as if it were contiguous; our subclasses bring it into order."""
    model = nn.Sequential(nn.Conv2d(4, 8, 3), ModulatedDeformConv2dPack(8, 8, 3), RoIAlign(7))
    fast_cpu_operators(model)
    if foreign is not None:
        model.append(foreign)
    assert use_channels_last(model) is (foreign is None)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last) is (foreign is None)
    assert model[1].weight.is_contiguous()


@one
def test_a_model_with_an_operator_of_others_gets_contiguous_maps(
    project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = open_project(project, optimize=False)
    monkeypatch.setattr(acceleration, "_is_mmcvs_operator", lambda module: isinstance(module, nn.Conv2d))
    session = open_project(project)
    seen: list[torch.Tensor] = []
    for module in session.model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    assert_same([session.update(f) for f in FRAMES], [plain.update(f) for f in FRAMES], atol=1e-3)
    assert len(seen) > 20
    assert all(x.is_contiguous() for x in seen)


@one
def test_freed_memory_is_the_programs_matter(project: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A library does not change malloc of whoever imports it."""
    called: list[bool] = []
    monkeypatch.setattr("clmot_qd.allocation.keep_freed_memory", lambda: called.append(True))
    open_project(project).update(FRAMES[0])
    assert not called


@one
def test_the_network_runs_on_the_device_that_was_chosen(
    project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current GPU is a thread's own; the thread that detects asks for the one of the model."""
    session = open_project(project)
    prepared = [session._prepare(FRAMES[0])]
    chosen: list[str] = []
    monkeypatch.setattr(torch.cuda, "device", lambda device: chosen.append(device) or nullcontext())
    session._detect_prepared(prepared)
    assert chosen == []
    session.device = "cuda:1"
    session._detect_prepared(prepared)
    assert chosen == ["cuda:1"]


# -------------------------------------------------------------------------------------------------------- preparation
PREPROCESSORS = [
    dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False, pad_size_divisor=32),
    dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True, pad_size_divisor=32),
    dict(mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0], rgb_to_bgr=True, pad_value=7, pad_size_divisor=32),
    dict(pad_size_divisor=16),
]


def pipeline_of(size: tuple[int, int], **more: Any) -> Any:
    from mmdet.registry import TRANSFORMS
    from mmengine.dataset import Compose
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    steps = [dict(type="mmdet.LoadImageFromNDArray", **more), dict(type="Resize", scale=size, keep_ratio=True)]
    packs = [dict(type="TransformBroadcaster", transforms=steps), dict(type="PackTrackInputs")]
    return Compose([TRANSFORMS.build(step) for step in packs])


@pytest.mark.parametrize("rules", PREPROCESSORS)
@pytest.mark.parametrize("device", ["frame", "batch"])
def test_preparation_gives_what_the_preprocessor_gives(rules: dict[str, Any], device: str) -> None:
    """Bit by bit; ``batch`` takes the way of GPUs, where bytes travel and the device does the rest."""
    preprocessor = TrackDataPreprocessor(**rules)
    pipeline = pipeline_of((90, 70))
    preparation = FramePreparation(pipeline, preprocessor, "cpu")
    if device == "batch":
        preparation._prepares_frames = False
    images, samples = preparation.batch([preparation.prepare(frame) for frame in FRAMES[:2]])
    packed = [pipeline(as_results(frame)) for frame in FRAMES[:2]]
    expected = preprocessor({key: [one[key] for one in packed] for key in ("inputs", "data_samples")})
    torch.testing.assert_close(images, expected["inputs"][:, 0], rtol=0, atol=0)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert [s.metainfo for s in samples] == [s[0].metainfo for s in expected["data_samples"]]


class Doubling(TrackDataPreprocessor):
    """A preprocessor of a user's own."""

    def forward(self, data: dict, training: bool = False) -> dict:
        given = super().forward(data, training)
        return {**given, "inputs": 2 * given["inputs"]}


def test_another_preprocessor_or_other_pictures_take_the_plain_way() -> None:
    rules = PREPROCESSORS[0]
    base, doubling = (kind(**rules) for kind in (TrackDataPreprocessor, Doubling))
    frames = FRAMES[:2]

    def images(preprocessor: Any, pipeline: Any) -> torch.Tensor:
        preparation = FramePreparation(pipeline, preprocessor, "cpu")
        return preparation.batch([preparation.prepare(frame) for frame in frames])[0]

    torch.testing.assert_close(images(doubling, pipeline_of((90, 70))), 2 * images(base, pipeline_of((90, 70))))
    floats = images(base, pipeline_of((90, 70), to_float32=True))
    assert floats.shape == (2, 3, 96, 96)
    assert (floats - images(base, pipeline_of((90, 70)))).abs().max() < 1  # not rounded after scaling


# ------------------------------------------------------------------------------------------------------- one host copy
def test_detections_come_to_the_host_as_they_are() -> None:
    torch.manual_seed(0)
    found, scalings = [], []
    for count in (3, 0, 5):
        fields = dict(bboxes=100 * torch.rand(count, 4), scores=torch.rand(count), embeds=torch.randn(count, 7))
        found.append(InstanceData(**fields, labels=torch.randint(0, 1200, (count,))))
        scalings.append(((0.5 + count, 0.75), (1, 2, 3, 4)))
    for detected, scaling, arrays in zip(found, scalings, detections_on_host(found, scalings)):
        expected = boxes_to_original(detected.bboxes, *scaling).numpy()
        np.testing.assert_array_equal(arrays["bboxes"], expected)
        for name in ("scores", "labels", "embeds"):
            np.testing.assert_array_equal(arrays[name], detected[name].numpy())
            assert arrays[name].dtype == detected[name].numpy().dtype
