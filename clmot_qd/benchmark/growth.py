"""How cost grows: with objects in a frame, lost tracks, image size, and the length of the video.

The cases of a group are one thing at several sizes, so that a table is read downwards; association.py and inference.py
compare with others.
"""

from __future__ import annotations

import copy
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from clmot_qd.benchmark.cases import Case, Group, Missing, Options, ProcessCase
from clmot_qd.benchmark.long_video import OBJECTS
from clmot_qd.benchmark.moving_objects import FrameInput, moving_objects
from clmot_qd.trackers import BiSoftmaxTracker, JDETracker

_WIDTHS = {"JDETracker": 128, "BiSoftmaxTracker": 256}  # channels of the embeddings in the papers
_FRAMES = 20  # in a timed run
_SETTLING = 10  # frames before it
_VISIBLE = 100  # objects beside the lost tracks
_CHUNK = 500  # objects that get lost at a time
_LONG = 10**7  # frames: nothing is forgotten meanwhile
_MODELS = {
    "CL-MOT DLA-34": "clmot_dla34_40e_mot17-half",
    "QDTrack Faster R-CNN R50": "qdtrack_faster-rcnn_r50_fpn_12e_mot17-half",
}
_SCALE = "test_dataloader.dataset.pipeline.0.transforms.1.scale"  # of both, the size of the network input


def groups(options: Options) -> Iterator[Group]:
    """Yield a group for each kind of growth and tracker or model."""
    quick = options.quick
    crowds = [10, 100] if quick else [10, 30, 100, 300, 1000]
    memories = [0, 500] if quick else [0, 100, 1000, 10_000]
    lengths = [500, 2_000] if quick else [1_000, 10_000, 100_000]
    for name in _WIDTHS:
        yield Group("growth", f"{name}, objects in a frame", "frame", [_crowd(name, n) for n in crowds], grows=True)
    for name in _WIDTHS:
        title = f"{name}, lost tracks beside {_VISIBLE} objects"
        yield Group("growth", title, "frame", [_lost(name, n) for n in memories], grows=True)
    yield from _image_sizes(options)
    for name in _WIDTHS:
        title = f"{name}, length of the video"
        yield Group("growth", title, "frame", [_long(name, n) for n in lengths], rounds=2, grows=True)


# ----------------------------------------------------------------------------------------------------------- trackers
def _crowd(name: str, objects: int) -> Case:
    """A tracker that follows so many objects."""
    return _following(f"{objects:,} objects", _tracker(name), objects, 0)


def _lost(name: str, lost: int) -> Case:
    """A tracker that remembers about so many lost tracks (a few look alike) while it follows other objects."""
    tracker = _tracker(name, forgets=False)
    for moment, start in enumerate(range(0, lost, _CHUNK)):
        count = min(_CHUNK, lost - start)
        seen = next(moving_objects(count, _WIDTHS[name], seed=1 + moment, miss_rate=0))
        tracker.update(*seen._replace(frame_id=moment))
    return _following(f"{lost:,} lost tracks", tracker, _VISIBLE, lost)


def _tracker(name: str, forgets: bool = True) -> Any:
    if name == "JDETracker":
        return JDETracker() if forgets else JDETracker(lost_frames=_LONG, confirm_frames=1)
    return BiSoftmaxTracker() if forgets else BiSoftmaxTracker(memo_tracklet_frames=_LONG)


def _following(case: str, tracker: Any, objects: int, start: int) -> Case:
    """Time a tracker on frames from ``start`` on, as it stands after the first of them; each run takes a copy."""
    channels = _WIDTHS[type(tracker).__name__]
    frames = [
        frame._replace(frame_id=frame.frame_id + start)
        for frame in islice(moving_objects(objects, channels), _SETTLING + _FRAMES)
    ]
    for frame in frames[:_SETTLING]:
        tracker.update(*frame)
    fresh: list[Any] = []
    return Case(
        case,
        lambda: _track(fresh[0], frames[_SETTLING:]),
        units=_FRAMES,
        before=lambda: fresh.__setitem__(slice(None), [copy.deepcopy(tracker)]),
        memory=lambda: _held_memory(tracker),
    )


def _track(tracker: Any, frames: Sequence[FrameInput]) -> None:
    for frame in frames:
        tracker.update(*frame)


def _held_memory(thing: Any) -> float:
    """Memory that an object holds, MiB: what a copy of it takes."""
    tracemalloc.start()
    kept = copy.deepcopy(thing)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return held / 2**20


def _long(name: str, frames: int) -> ProcessCase:
    """A video of so many frames in a process of its own: its peak shows whether memory grows."""
    command = [sys.executable, "-m", "clmot_qd.benchmark.long_video", name, str(frames)]
    return ProcessCase(f"{frames:,} frames of {OBJECTS} objects", command)


# ------------------------------------------------------------------------------------------------------------- models
def _image_sizes(options: Options) -> Iterator[Group]:
    """Frames in memory to tracks, weights random, at several sizes of the network input."""
    sizes = [(544, 320)] if options.quick else [(544, 320), (800, 448), (1088, 608), (1632, 928)]
    for name, config in _MODELS.items():
        cases: Sequence[Case | Missing]
        try:
            cases = [_sized(config, size, options.device) for size in sizes]
        except ModuleNotFoundError as error:
            cases = [Missing(name, f"needs {error.name}: pip install clmot_qd[openmmlab]")]
        yield Group("growth", f"{name}, size of the network input", "frame", cases, grows=True)


def _sized(config: str, size: tuple[int, int], device: str) -> Case:
    """A model whose pipeline scales to this size (width, height), on a frame of that size."""
    from clmot_qd.apis.inferencer import TrackingInferencer

    session = TrackingInferencer(config, None, device, {_SCALE: size})
    frame = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Case(f"{size[0]}x{size[1]}", lambda: session.update(frame), before=session.reset)
