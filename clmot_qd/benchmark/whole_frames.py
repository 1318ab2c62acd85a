"""Track a video file with one of several programs, in a process of its own.

``-m clmot_qd.benchmark.whole_frames HOW MODEL WIDTH HEIGHT VIDEO WEIGHTS DEVICE``; HOW is ``weights`` to make the file
of weights, or a key of ``WAYS``. The weights are random; the limits are such that ``FOUND`` boxes come out of a frame.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from clmot_qd.allocation import keep_freed_memory
from clmot_qd.benchmark.cases import report_figures

FOUND = 25  # boxes in a frame
CONFIGS = {"qdtrack": "qdtrack_faster-rcnn_r50_fpn_12e_mot17", "clmot": "clmot_dla34_40e_mot17"}
MMDET = "mmdet::qdtrack/qdtrack_faster-rcnn_r50_fpn_8xb2-4e_mot17halftrain_test-mot17halfval.py"
LIMITS: dict[str, dict[str, Any]] = {
    "qdtrack": {
        "model.detector.test_cfg.rcnn.score_thr": 0.0,
        "model.detector.test_cfg.rcnn.max_per_img": FOUND,
        "model.tracker.init_score_thr": 0.0,
        "model.tracker.obj_score_thr": 0.0,
    },
    "clmot": {
        "model.detector.bbox_head.test_cfg": dict(topk=FOUND, local_maximum_kernel=3, score_thr=0.0),
        "model.tracker.conf_thr": 0.0,
    },
}
#: HOW -> arguments of the inferencer; None: mmdet's ``inference_mot``.
WAYS: dict[str, dict[str, Any] | None] = {
    "mmdet": None,
    "plain": dict(optimize=False, prefetch=0, batch_size=1),
    "float32": dict(batch_size=1),
    "bfloat16": dict(precision="bfloat16", batch_size=1),
    "float16": dict(precision="float16"),
    "batch": dict(batch_size=4),
    "half-batch": dict(precision="bfloat16", batch_size=4),
    "drawn": dict(batch_size=1),
}


def options_for(model: str, size: tuple[int, int]) -> dict[str, Any]:
    """Keys of the configuration: no downloads, pictures of this size (width, height), the limits."""
    from clmot_qd.apis.running import load_config

    pipeline = load_config(CONFIGS[model]).test_dataloader.dataset.pipeline
    for step in pipeline[0].transforms:
        if "scale" in step:
            step["scale"] = size
    offline = {"model.detector.init_cfg": None, "model.detector.backbone.init_cfg": None}
    return {**offline, **LIMITS[model], "test_dataloader.dataset.pipeline": pipeline}


def our_session(model: str, size: tuple[int, int], weights: str | None, device: str, **arguments: Any) -> Any:
    """A :class:`TrackingInferencer` with these weights."""
    from clmot_qd.apis.inferencer import TrackingInferencer

    return TrackingInferencer(CONFIGS[model], weights, device, options_for(model, size), **arguments)


def save_weights(model: str, size: tuple[int, int], path: str) -> None:
    """Write random weights; sizes of an untrained centre head are about 0."""
    import torch

    torch.manual_seed(0)
    made = our_session(model, size, None, "cpu", optimize=False).model
    if model == "clmot":
        torch.nn.init.constant_(made.detector.bbox_head.wh_head[-1].bias, 10.0)
    torch.save({"state_dict": made.state_dict()}, path)


def mmdet_tracks(size: tuple[int, int], video: str, weights: str, device: str) -> Callable[[], Iterator[Any]]:
    """mmdet's own way through a video, with the same weights."""
    import cv2
    import torch
    from mmdet.apis import inference_mot, init_track_model
    from mmengine.config import Config

    ours = our_session("qdtrack", size, weights, "cpu", optimize=False).config
    config = Config.fromfile(f"{_mmdet_configs()}/{MMDET.removeprefix('mmdet::')}")
    config.model.detector, config.model.data_preprocessor = ours.model.detector, ours.model.data_preprocessor
    config.model.tracker.update(init_score_thr=0.0, obj_score_thr=0.0)
    config.test_dataloader.dataset.pipeline = ours.test_dataloader.dataset.pipeline
    config.test_dataloader.dataset.pipeline[0].transforms[0] = dict(type="LoadImageFromNDArray")
    model: Any = init_track_model(config, device=device)
    model.load_state_dict(torch.load(weights, weights_only=True)["state_dict"], strict=False)

    def frames() -> Iterator[Any]:
        capture, number = cv2.VideoCapture(video), 0
        while (read := capture.read())[0]:
            yield inference_mot(model, read[1], number, 100)
            number += 1

    return frames


def _mmdet_configs() -> Path:
    import mmdet

    return Path(mmdet.__file__).parent / ".mim" / "configs"


def our_tracks(session: Any, how: str, video: str) -> Callable[[], Any]:
    """Our way through a video; ``drawn`` writes text and the video with boxes."""
    if how != "drawn":
        return lambda: session.stream(video)

    def files() -> Iterator[int]:
        done: list[int] = []
        with TemporaryDirectory(prefix="clmot_qd-") as folder:
            session.track(video, folder, outputs=("mot", "video"), progress=lambda number, total: done.append(number))
        yield from done

    return files


def main() -> None:
    """Report the seconds of one frame, and the peak memory."""
    how, model, width, height, video, weights, device = sys.argv[1:]
    size = int(width), int(height)
    if how == "weights":
        save_weights(model, size, weights)
        return
    if how == "drawn" and device == "cpu":  # as track_video does
        keep_freed_memory()
    arguments = WAYS[how]
    if arguments is None:
        frames = mmdet_tracks(size, video, weights, device)
    else:
        frames = our_tracks(our_session(model, size, weights, device, **arguments), how, video)
    with _plain_operators() if how == "plain" else nullcontext():
        next(iter(frames()))  # the first one is not counted
        started = time.perf_counter()
        count = sum(1 for _ in frames())
        report_figures((time.perf_counter() - started) / count)


def _plain_operators() -> Any:
    from clmot_qd.ops import mmcv_operators

    return mmcv_operators()


if __name__ == "__main__":
    main()
