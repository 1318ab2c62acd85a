"""Whole frames, from a video file to tracks: ours in several ways beside mmdet's ``inference_mot``.

Every way runs in a process of its own, with the same weights on the same 1080p video: ``drawn`` is what
``track_video`` does, with the setting of the process that it makes (:func:`clmot_qd.allocation.keep_freed_memory`),
which the others must not profit from. The stages run in this process; what building their model changes of it is
mmengine's default scope alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from clmot_qd.benchmark.cases import Case, Group, Options, ProcessCase
from clmot_qd.benchmark.processes import thread_variables
from clmot_qd.benchmark.whole_frames import FOUND, our_session
from clmot_qd.errors import InputError

_SIZES = ((1088, 608),)
_GROWTH = ((544, 320), (1632, 928))
_QUICK_SIZES = ((544, 320),)
_VIDEO_SIZE = (1920, 1080)
_NAMES = {
    "float32": "ours",
    "bfloat16": "ours, bfloat16",
    "float16": "ours, float16, batches",
    "batch": "ours, batches of 4",
    "half-batch": "ours, bfloat16, batches of 4",
    "drawn": "ours, drawn and encoded (track_video)",
    "plain": "ours, optimize=False, mmcv's operators",
    "mmdet": "mmdet inference_mot",
}


def groups(options: Options) -> Iterator[Group]:
    """Yield a group for each model and size of the network's input, then the stages of one frame."""
    with TemporaryDirectory(prefix="clmot_qd-") as folder:
        video = _write_video(Path(folder, "video.mp4"), _frames_for(options))
        for model in ("qdtrack", "clmot"):
            for size in _QUICK_SIZES if options.quick else (*_SIZES, *_GROWTH):
                weights = str(Path(folder, f"{model}.pth"))
                _child("weights", model, size, video, weights, options)
                title = f"{'QDTrack R50' if model == 'qdtrack' else 'CL-MOT DLA-34'}, {size[0]}x{size[1]}"
                yield Group("inference", title, "frame", _whole(model, size, video, weights, options), rounds=3)
                if size == (_QUICK_SIZES if options.quick else _SIZES)[0]:
                    yield Group("inference", f"{title}, stages", "frame", _stages(model, size, video, weights, options))


def _frames_for(options: Options) -> int:
    if options.device == "cuda":
        return 40 if options.quick else 200
    return 4 if options.quick else 8


def _whole(model: str, size: tuple[int, int], video: str, weights: str, options: Options) -> Sequence[ProcessCase]:
    ways = ["float32", "bfloat16", "batch", "drawn", "plain"]
    ways += ["half-batch", "float16"] if options.device == "cuda" else []
    ways += ["mmdet"] if model == "qdtrack" else []
    if size in _GROWTH and not options.quick:
        ways = [way for way in ways if way in ("float32", "bfloat16", "mmdet")]
    return [
        ProcessCase(_NAMES[way], _command(way, model, size, video, weights, options.device), peer=way == "mmdet")
        for way in ways
    ]


def _command(how: str, model: str, size: tuple[int, int], video: str, weights: str, device: str) -> list[str]:
    place = [how, model, *map(str, size), video, weights, device]
    return [sys.executable, "-m", "clmot_qd.benchmark.whole_frames", *place]


def _child(how: str, model: str, size: tuple[int, int], video: str, weights: str, options: Options) -> None:
    command = _command(how, model, size, video, weights, options.device)
    environment = {**os.environ, **thread_variables(options.threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    if done.returncode:
        words = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"{model}: the benchmark's weights cannot be made (exit code {done.returncode}: {words})")


def _write_video(path: Path, frames: int) -> str:
    """Rectangles that move over a blurred background. -> ``path``."""
    import cv2

    from clmot_qd.apis.video_io import VideoWriter

    rng = np.random.default_rng(0)
    width, height = _VIDEO_SIZE
    small = rng.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
    street = cv2.resize(small, _VIDEO_SIZE, interpolation=cv2.INTER_CUBIC)
    starts, colours = rng.integers(0, height // 2, (FOUND, 2)), rng.integers(0, 256, (FOUND, 3))
    with VideoWriter(path, fps=30) as writer:
        for number in range(frames):
            frame = street.copy()
            for (x, y), colour in zip(starts, colours):
                corner = (int(2 * x + 4 * number), int(y))
                cv2.rectangle(frame, corner, (corner[0] + 60, corner[1] + 180), colour.tolist(), -1)
            writer.write(frame)
    return str(path)


def _stages(model: str, size: tuple[int, int], video: str, weights: str, options: Options) -> Sequence[Case]:
    """What the time of one frame is made of, without overlap; in this process."""
    import torch

    from clmot_qd.apis.frame_sources import open_source
    from clmot_qd.visualization import TrackDrawer

    session: Any = our_session(model, size, weights, options.device, batch_size=1)
    network = session.model
    frame = next(iter(open_source(video)))
    ready = session._prepare(frame)
    with torch.no_grad():
        images, samples = session._preparation.batch([ready])
        feats = network.detector.extract_feat(images)
    found = session._detect_prepared([ready])[0]
    drawer = TrackDrawer(45)
    tracks = session._step(found)

    def in_network(run: Any) -> Any:
        def timed() -> object:
            with torch.no_grad():
                return run()

        return timed

    return [
        Case("read", lambda: sum(1 for _ in open_source(video)), units=_frames_for(options)),
        Case("prepare", lambda: session._prepare(frame)),
        Case("backbone and neck", in_network(lambda: network.detector.extract_feat(images))),
        Case("boxes and embeddings", in_network(lambda: network.detect(feats, samples))),
        Case("track", lambda: session._step(found)),
        Case("draw", lambda: drawer.draw(frame, tracks)),
    ]
