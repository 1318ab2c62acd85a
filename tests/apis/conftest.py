"""Tiny models with random weights that find and track everything, for the parts that run a model over a test set."""

from __future__ import annotations

from typing import Any

import pytest

CLMOT_KEYS = {
    "model.tracker.conf_thr": 0.0,
    "model.detector.test_cfg": dict(topk=5, local_maximum_kernel=3, score_thr=0.0),
}
QDTRACK_KEYS = {
    "model.tracker.init_score_thr": 0.0,
    "model.tracker.obj_score_thr": 0.0,
    "model.detector.test_cfg.rcnn.score_thr": 0.0,
    "model.detector.test_cfg.rcnn.max_per_img": 5,
}


@pytest.fixture(scope="session", params=["clmot_tiny_demo", "qdtrack_tiny_demo"])
def project(request: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A configuration on tiny pictures that tracks everything, and a checkpoint of its random weights."""
    import torch
    from tiny_data import shrink, write_tiny_data

    from clmot_qd.apis.running import build_runner, load_config
    from clmot_qd.trackers import BiSoftmaxTracker, JDETracker

    folder = tmp_path_factory.mktemp(request.param)
    keys = CLMOT_KEYS if request.param.startswith("clmot") else QDTRACK_KEYS
    config = shrink(load_config(request.param, keys), write_tiny_data(folder, frames=6))
    config.work_dir = str(folder / "run")
    config.dump(folder / "config.py")
    runner = build_runner(config)
    torch.manual_seed(0)
    runner.model.init_weights()
    head = getattr(runner.model.detector, "bbox_head", None)
    if head is not None:  # sizes of an untrained head are about 0
        torch.nn.init.constant_(head.wh_head[-1].bias, 6.0)
    torch.save({"state_dict": runner.model.state_dict()}, folder / "model.pth")
    tracker = JDETracker if request.param.startswith("clmot") else BiSoftmaxTracker
    return dict(config=str(folder / "config.py"), checkpoint=str(folder / "model.pth"), tracker=tracker)
