"""Trackers on given detections: ours, mmdet's, and those of the packages `trackers` and `norfair`.

All follow the same scene, from 10 to 1000 objects in a picture of 1920 x 1080, of which 5 % are missed in each frame.
Everybody gets the detections in the form of his own library, made before the clock starts; what is timed is one
``update`` per frame, after a few frames in which tracks are born and confirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from types import SimpleNamespace
from typing import Any

from clmot_qd.benchmark.cases import Case, Group, Missing, Options
from clmot_qd.benchmark.moving_objects import FrameInput, moving_objects
from clmot_qd.trackers import BiSoftmaxTracker, JDETracker

# Objects -> frames timed in one turn; few where peers take a second for one.
_FRAMES = {10: 60, 100: 20, 500: 6, 1000: 4}
_SETTLING = 6  # frames before them
_JDE_WIDTH, _BISOFTMAX_WIDTH = 128, 256  # channels of the embeddings in the papers

# One frame after the other; made anew for each turn.
Steps = Callable[[Any], object]
Start = Callable[[], Steps]
Prepare = Callable[[FrameInput], Any]


def groups(options: Options) -> Iterator[Group]:
    """Yield a group for each number of objects."""
    for objects, frames in _FRAMES.items():
        if not options.quick or objects <= 100:
            yield Group("association", f"{objects} objects", "frame", list(_cases(objects, frames)))


def _cases(objects: int, frames: int) -> Iterator[Case | Missing]:
    narrow, wide = (
        list(islice(moving_objects(objects, width), _SETTLING + frames)) for width in (_JDE_WIDTH, _BISOFTMAX_WIDTH)
    )
    yield _case("JDETracker, 128-d", narrow, _ours(JDETracker))
    yield _case("JDETracker, motion only", narrow, _ours(JDETracker), lambda frame: frame._replace(embeds=None))
    yield _case("BiSoftmaxTracker, 256-d", wide, _ours(BiSoftmaxTracker))
    yield _mmdet_quasi_dense(wide)
    yield _mmdet_byte(narrow)
    for name in ("ByteTrackTracker", "OCSORTTracker", "SORTTracker"):
        yield _trackers(name, narrow)
    yield _norfair(narrow)


def _case(name: str, frames: Sequence[FrameInput], start: Start, prepare: Prepare | None = None, **rest: Any) -> Case:
    """Time what comes after the settling frames; tracker and input are new in every turn."""
    ready: list[Any] = []

    def before() -> None:
        given = [prepare(frame) if prepare else frame for frame in frames]
        step = start()
        for frame in given[:_SETTLING]:
            step(frame)
        ready[:] = [step, given[_SETTLING:]]

    def run() -> None:
        step, given = ready
        for frame in given:
            step(frame)

    return Case(name, run, units=len(frames) - _SETTLING, before=before, **rest)


def _ours(tracker: type[JDETracker] | type[BiSoftmaxTracker]) -> Start:
    def start() -> Steps:
        update = tracker().update
        return lambda frame: update(*frame)

    return start


# -------------------------------------------------------------------------------------------------------------- peers
def _mmdet_quasi_dense(frames: Sequence[FrameInput]) -> Case | Missing:
    name = "mmdet QuasiDenseTracker, 256-d"
    try:
        from mmdet.models.trackers import QuasiDenseTracker
    except ImportError:
        return _without_mmdet(name)

    def start() -> Steps:
        track = QuasiDenseTracker().track

        def step(frame: tuple[Any, Any]) -> object:
            sample, embeds = frame
            # Its embeddings come from a network, which is none of its work here.
            head = SimpleNamespace(predict=lambda feats, rois: embeds)
            return track(SimpleNamespace(track_head=head), None, [], sample, rescale=False)

        return step

    return _case(name, frames, start, _with_embeds, peer=True)


def _mmdet_byte(frames: Sequence[FrameInput]) -> Case | Missing:
    name = "mmdet ByteTracker"
    try:
        import lap  # noqa: F401  (it is asked for only when boxes are matched)
        from mmdet.models.trackers import ByteTracker
    except ImportError as error:
        return Missing(name, "pip install clmot_qd[stock-trackers]") if error.name == "lap" else _without_mmdet(name)
    return _case(name, frames, lambda: ByteTracker(motion=dict(type="KalmanFilter")).track, _sample, peer=True)


def _without_mmdet(name: str) -> Missing:
    return Missing(name, "pip install clmot_qd[openmmlab]")


def _with_embeds(frame: FrameInput) -> tuple[Any, Any]:
    import torch

    return _sample(frame), torch.from_numpy(frame.embeds)


def _sample(frame: FrameInput) -> Any:
    import torch
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    boxes, scores, labels = (torch.from_numpy(values) for values in frame[:3])
    sample = DetDataSample(metainfo=dict(frame_id=frame.frame_id))
    sample.pred_instances = InstanceData(bboxes=boxes, scores=scores, labels=labels)
    return sample


def _trackers(name: str, frames: Sequence[FrameInput]) -> Case | Missing:
    shown = f"trackers {name}"
    try:
        import trackers
        from supervision import Detections
    except ImportError:
        return Missing(shown, "pip install clmot_qd[benchmark]")

    def prepare(frame: FrameInput) -> Detections:
        return Detections(xyxy=frame.bboxes.copy(), confidence=frame.scores.copy(), class_id=frame.labels.copy())

    return _case(shown, frames, lambda: getattr(trackers, name)().update, prepare, peer=True)


def _norfair(frames: Sequence[FrameInput]) -> Case | Missing:
    try:
        import norfair
    except ImportError:
        return Missing("norfair", "pip install --no-deps norfair filterpy")

    def prepare(frame: FrameInput) -> list[Any]:
        corners = frame.bboxes.reshape(-1, 2, 2)
        return [norfair.Detection(box, label=label) for box, label in zip(corners, frame.labels.tolist())]

    tracker = partial(norfair.Tracker, distance_function="iou", distance_threshold=0.5)
    return _case("norfair", frames, lambda: tracker().update, prepare, peer=True)
