"""A trained model into one ONNX file that tracks without torch."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import clmot_qd
from clmot_qd.apis.inferencer import TrackingInferencer
from clmot_qd.apis.onnx_inferencer import TRACKERS, build_tracker
from clmot_qd.apis.running import load_config, require_keys
from clmot_qd.errors import InputError
from clmot_qd.export.centers import CenterGraph
from clmot_qd.export.metadata import OUTPUTS, FileSettings
from clmot_qd.export.operators import standard_operators
from clmot_qd.export.parity import Parity, compare
from clmot_qd.export.pipeline import PIPELINE, preprocess_of, with_size
from clmot_qd.export.regions import RegionGraph
from clmot_qd.export.runtime import OnnxDetector
from clmot_qd.files import atomic_path, check_writable
from clmot_qd.models import CLMOT

OPSETS = (19, 20)  # DeformConv came with 19; torch's tracing exporter knows no later one than 20
TRACED_SIZE = (256, 320)  # height, width; the file takes any size, this one is quick

logger = logging.getLogger(__name__)


def export_onnx(
    tracking: TrackingInferencer,
    out: str | os.PathLike[str],
    opset: int = OPSETS[0],
    verify: Sequence[np.ndarray] = (),
) -> Parity | None:
    """Write the model of ``tracking`` as an ONNX file.

    Of a model with a mask head boxes and embeddings are written, which is told.

    Args:
        tracking: Model, classes and pipeline, on the CPU.
        out: The file; it stands under its name only when it is complete and, with ``verify``, agrees.
        opset: 19 or 20.
        verify: Frames (H, W, 3) uint8 BGR of one size on which torch and ONNX Runtime must agree.

    Returns:
        How far apart the two were; None without ``verify``.

    Raises:
        InputError: Something of the model or its pipeline cannot be exported, the file cannot be written, or the two
            runtimes disagree.
    """
    if opset not in OPSETS:
        raise InputError(f"--opset {opset}: must be one of {', '.join(map(str, OPSETS))}")
    if Path(out).suffix != ".onnx":
        raise InputError(f"{out}: the name must end in .onnx")
    check_writable(out)
    onnx = require_onnx()
    settings = settings_of(tracking)
    graph = graph_of(tracking.model)
    if tracking.gives_masks:
        logger.warning("%s: ONNX files track boxes: the model's masks are left out", out)
    with _boxes_alone(tracking.model), atomic_path(out) as path:
        _trace(graph, str(path), opset)
        model = onnx.load(str(path))
        _fill_in(model, settings)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(path))
        if not len(verify):
            return None
        return verified(tracking, OnnxDetector(path, ["CPUExecutionProvider"], torch.get_num_threads()), verify)


def load_tracking(
    config: str, checkpoint: str | None, options: dict[str, Any], size: Sequence[int] | None = None
) -> TrackingInferencer:
    """The tracker that shall be exported, on the CPU.

    Args:
        config: Path or packaged name of a configuration.
        checkpoint: Its trained weights; None: random ones.
        options: Keys of the configuration to change.
        size: (width, height) to scale pictures to, in the place of what the test pipeline says.

    Raises:
        InputError: See :class:`TrackingInferencer`.
    """
    if size is not None:
        if min(size) < 1:
            raise InputError(f"--size {size[0]} {size[1]}: must be positive")
        loaded = load_config(config, options)
        require_keys(loaded, "test_dataloader")
        options = options | {PIPELINE: with_size(loaded.test_dataloader.dataset.pipeline, size)}
    # As it was trained: the file has the norms where the network has them, and torch is what it is compared with.
    return TrackingInferencer(config, checkpoint, "cpu", options, optimize=False)


def sample_frame(path: str | None) -> np.ndarray:
    """The picture of a file, or noise of 640x360. -> (H, W, 3) uint8 BGR.

    Raises:
        InputError: The file is no picture.
    """
    if path is None:
        noise = np.random.default_rng(0).integers(0, 256, (23, 40, 3), dtype=np.uint8)
        return np.asarray(cv2.resize(noise, (640, 360), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    frame = cv2.imread(path, cv2.IMREAD_COLOR)
    if frame is None:
        raise InputError(f"{path}: cannot be read as a picture")
    return np.asarray(frame, dtype=np.uint8)


def require_onnx() -> Any:
    """The package onnx.

    Raises:
        InputError: It is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise InputError(
            f"writing ONNX files needs the package onnx: pip install 'clmot_qd[onnx]' ({error})"
        ) from error
    return onnx


def settings_of(tracking: TrackingInferencer) -> FileSettings:
    """What the file has to know beside the network.

    Raises:
        InputError: The tracker or a step of the test pipeline works in torch alone.
    """
    config, model = tracking.config, tracking.model
    tracker = _plain(config.model.tracker)
    if tracker.get("type") not in TRACKERS:
        raise InputError(
            f"model.tracker: {tracker.get('type')} works with torch alone; set model.tracker to one of "
            f"{', '.join(TRACKERS)} (JDETracker with low_conf_thr has ByteTrack's second round)"
        )
    build_tracker(tracker)
    described = dict(type=type(model).__name__, config=Path(config.filename or "").stem)
    return FileSettings(
        tuple(tracking.classes),
        preprocess_of(config.test_dataloader.dataset.pipeline, model.data_preprocessor),
        tracker,
        described,
        clmot_qd.__version__,
    )


def graph_of(model: Any) -> torch.nn.Module:
    """The network with its decoding as a function of tensors.

    Raises:
        InputError: A part of the model has no ONNX form here.
    """
    if not isinstance(model, CLMOT):
        return RegionGraph(model).eval()
    images = torch.zeros(1, 3, *TRACED_SIZE)
    with torch.no_grad():
        cells = model.detector.extract_feat(images)[0].shape[-1]
    return CenterGraph(model, TRACED_SIZE[1] // cells).eval()


def _trace(graph: torch.nn.Module, path: str, opset: int) -> None:
    """Write the graph by tracing; height and width stay open, and the number of pictures for CL-MOT."""
    images, several = torch.rand(1, 3, *TRACED_SIZE), isinstance(graph, CenterGraph)
    axes = {"images": {2: "height", 3: "width"} | ({0: "batch"} if several else {})}
    inputs = (images,) if several else (images, torch.tensor(TRACED_SIZE))
    with torch.no_grad(), standard_operators(), _quiet():
        torch.onnx.export(
            graph,
            inputs,
            path,
            dynamo=False,
            opset_version=opset,
            input_names=["images", "image_shape"][: len(inputs)],
            output_names=list(OUTPUTS),
            dynamic_axes=axes | {name: {0: "detections"} for name in OUTPUTS},
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's remarks on tracing: what they warn of is what the check afterwards would find."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


@contextmanager
def _boxes_alone(model: Any) -> Iterator[None]:
    """Of a model that gives masks: without them for a while."""
    before, model.predict_masks = model.predict_masks, False
    try:
        yield
    finally:
        model.predict_masks = before


def _fill_in(model: Any, settings: FileSettings) -> None:
    """Who wrote the file, and the settings."""
    model.producer_name, model.producer_version = "clmot_qd", clmot_qd.__version__
    for key, value in settings.as_properties().items():
        model.metadata_props.add(key=key, value=value)


def verified(tracking: TrackingInferencer, detector: OnnxDetector, frames: Sequence[np.ndarray]) -> Parity:
    """Compare the two runtimes on frames, from pixels to embeddings.

    Raises:
        InputError: They disagree.
    """
    parity = compare((tracking._detect([frame])[0], detector.detect([frame])[0]) for frame in frames)
    if parity.wrong:
        raise InputError(f"torch and ONNX Runtime disagree, so nothing was written ({parity})")
    return parity


def _plain(value: Any) -> Any:
    """Configuration nodes as plain dictionaries, lists and values."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value
