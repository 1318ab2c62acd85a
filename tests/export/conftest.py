"""Small trackers with lively random weights, their files, and a few frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lively import enliven, moving_frames

CLASSES = ("person", "car", "bus")
CLMOT_KEYS = {
    "model.detector.neck.use_dcn": True,
    "model.detector.bbox_head.num_classes": len(CLASSES),
    "model.tracker.conf_thr": 0.85,
    "model.detector.test_cfg": dict(topk=500, local_maximum_kernel=3, score_thr=0.8),
    "test_dataloader.dataset.metainfo.classes": CLASSES,
}
QDTRACK_KEYS = {
    "model.detector.test_cfg.rcnn.max_per_img": 15,
    "model.detector.roi_head.bbox_head.num_classes": len(CLASSES),
    "model.tracker.init_score_thr": 0.3,
    "model.tracker.obj_score_thr": 0.2,
    "test_dataloader.dataset.metainfo.classes": CLASSES,
}


@pytest.fixture(scope="session")
def lively_tracking() -> Callable[..., Any]:
    """Make a TrackingInferencer from a configuration's name and changed keys."""
    from clmot_qd.export.exporting import load_tracking

    def make(config: str, options: dict[str, Any], size: tuple[int, int] | None = None) -> Any:
        offline = {"model.detector.init_cfg": None, "model.detector.backbone.init_cfg": None}
        torch.manual_seed(0)  # the biases that enliven leaves as they were drawn
        tracking = load_tracking(config, None, {**offline, **options}, size)
        enliven(tracking.model, lambda: tracking._detect(moving_frames(1)))
        return tracking

    return make


@pytest.fixture(scope="session", params=["clmot", "qdtrack"])
def pair(request: Any, lively_tracking: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tracker of three classes in torch, and its file."""
    from clmot_qd.export.exporting import export_onnx

    keys = CLMOT_KEYS if request.param == "clmot" else QDTRACK_KEYS
    tracking = lively_tracking(f"{request.param}_tiny_demo", keys, (160, 96))
    path: Path = tmp_path_factory.mktemp("onnx") / f"{request.param}.onnx"
    export_onnx(tracking, path)
    return tracking, path
