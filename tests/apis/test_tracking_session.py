"""TrackingSession: batches, filters, order of errors, what is read when; with a detector that needs no network."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import supervision
from stub_session import SquareSession, scene

from clmot_qd.apis import prefetch
from clmot_qd.apis.tracking_session import FrameDetections
from clmot_qd.errors import InputError
from clmot_qd.trackers import Tracks

FRAMES = [scene(number) for number in range(11)]


def write_clip(folder: Path, frames: list[np.ndarray]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames):
        assert cv2.imwrite(str(folder / f"{number:03d}.png"), frame)
    return folder


def same(first: list[Tracks], second: list[Tracks]) -> bool:
    return len(first) == len(second) and all(
        np.array_equal(a.instances_id, b.instances_id) and np.array_equal(a.bboxes, b.bboxes)
        for a, b in zip(first, second)
    )


# ----------------------------------------------------------------------------------------------- batches and filters
@pytest.mark.parametrize(("size", "calls"), [(1, [1] * 11), (4, [4, 4, 3]), (16, [11])])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_batches_change_how_often_the_detector_runs_and_nothing_else(
    tmp_path: Path, size: int, calls: list[int], prefetch: int
) -> None:
    session = SquareSession(batch_size=size, prefetch=prefetch)
    tracked = list(session.stream(write_clip(tmp_path, FRAMES)))
    assert session.batches == calls
    one_by_one = SquareSession()
    assert same(tracked, [one_by_one.update(frame) for frame in FRAMES])
    assert tracked[-1].instances_id.tolist() == [1, 2]


def test_each_stream_begins_afresh() -> None:
    session = SquareSession()
    first = list(session.stream(FRAMES))
    assert same(first, list(session.stream(FRAMES)))


def test_frames_that_are_overwritten_do_not_disturb_a_batch() -> None:
    def reusing() -> Iterator[np.ndarray]:
        buffer = np.empty_like(FRAMES[0])
        for frame in FRAMES:
            buffer[:] = frame
            yield buffer

    for size in (1, 4):
        assert same(list(SquareSession(batch_size=size).stream(reusing())), list(SquareSession().stream(FRAMES)))


def test_detections_below_the_threshold_are_not_tracked() -> None:
    session = SquareSession(score_thr=0.7)
    assert [tracks.labels.tolist() for tracks in session.stream(FRAMES[:3])] == [[0]] * 3
    assert session.detections is not None
    assert session.detections.labels.tolist() == [0]
    session = SquareSession(score_thr={"left": 0.95})
    assert [tracks.labels.tolist() for tracks in session.stream(FRAMES[:3])] == [[1]] * 3
    at_the_limit = SquareSession(score_thr={"right": float(np.float32(0.6))})
    assert [tracks.labels.tolist() for tracks in at_the_limit.stream(FRAMES[:3])] == [[0, 1]] * 3


def test_classes_that_are_not_kept_are_tracked_but_not_given_out() -> None:
    session = SquareSession(keep_classes=["right"])
    tracked = list(session.stream(FRAMES[:3]))
    assert [(tracks.labels.tolist(), tracks.instances_id.tolist()) for tracks in tracked] == [([1], [2])] * 3
    assert session.detections is not None
    assert session.detections.labels[tracked[-1].detection_index].tolist() == [1]
    assert len(session.detections) == 2


def test_a_threshold_needs_no_class_names() -> None:
    assert [len(tracks) for tracks in SquareSession((), score_thr=0.7).stream(FRAMES[:2])] == [1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(batch_size=0), "batch_size = 0: must be at least 1"),
        (dict(prefetch=-1), "prefetch = -1: must be at least 0"),
        (dict(score_thr=1.5), "score_thr = 1.5: must lie between 0 and 1"),
        (dict(score_thr={"left": -0.1}), "score_thr of 'left' = -0.1"),
        (dict(score_thr={"bus": 0.1}), r"score_thr: 'bus' is none of the classes \(left, right\)"),
        (dict(keep_classes=["bus"]), r"keep_classes \(--classes\): 'bus' is none of the classes \(left, right\)"),
        (dict(keep_classes=[]), "keep_classes: names no class"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SquareSession(**options)


def test_names_without_known_classes_are_refused() -> None:
    with pytest.raises(InputError, match="the model names none"):
        SquareSession((), keep_classes=["left"])


# ------------------------------------------------------------------------------------------------------ order of errors
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("prefetch", [0, 3])
def test_frames_before_an_unreadable_one_are_tracked_first(tmp_path: Path, size: int, prefetch: int) -> None:
    clip = write_clip(tmp_path, FRAMES[:6])
    (clip / "006.png").write_bytes(b"broken")
    session = SquareSession(batch_size=size, prefetch=prefetch)
    tracked: list[Tracks] = []
    with pytest.raises(InputError, match=r"006\.png: cannot be read"):
        tracked.extend(session.stream(clip))
    assert len(tracked) == 6


@pytest.mark.parametrize("size", [1, 4])
def test_any_error_of_ones_own_iterator_comes_in_order(size: int) -> None:
    def failing() -> Iterator[np.ndarray]:
        yield from FRAMES[:6]
        raise ZeroDivisionError

    tracked: list[Tracks] = []
    with pytest.raises(ZeroDivisionError):
        tracked.extend(SquareSession(batch_size=size).stream(failing()))
    assert len(tracked) == 6


@pytest.mark.parametrize(
    "frame", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_a_frame_of_another_kind_is_refused(frame: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"frame 0: needs \(H, W, 3\) uint8"):
        SquareSession().update(frame)
    with pytest.raises(InputError, match=r"frame 1: needs"):
        list(SquareSession(batch_size=3).stream([FRAMES[0], frame]))


def test_another_size_is_refused_until_reset() -> None:
    session = SquareSession(batch_size=2)
    tracked: list[Tracks] = []
    with pytest.raises(InputError, match=r"frame 3: is 48x32, the frames before it are 96x64; call reset\(\)"):
        tracked.extend(session.stream([*FRAMES[:3], scene(0, 48, 32)]))
    assert len(tracked) == 3
    session.reset()
    session.update(scene(0, 48, 32))


def test_a_stream_that_goes_on_reading_does_not_disturb_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera's reader may get its last frame when another video, of another size, has begun."""
    monkeypatch.setattr(prefetch, "JOIN_SECONDS", 0.05)
    more, gone = threading.Event(), threading.Event()

    class Camera(OwnSource):
        def __iter__(self) -> Iterator[np.ndarray]:
            try:
                yield from FRAMES[:2]
                assert more.wait(60)
                yield FRAMES[2]
            finally:
                gone.set()

    session = SquareSession()
    first = session.stream(Camera())
    next(first)
    first.close()
    session.reset()
    session.update(scene(0, 48, 32))
    more.set()
    assert gone.wait(60)
    session.update(scene(1, 48, 32))


class OwnSource:
    """A source of a user's own, which fills one array again and again."""

    fps, size, name, is_live = 30.0, (96, 64), "mine", False

    def __iter__(self) -> Iterator[np.ndarray]:
        buffer = np.empty_like(FRAMES[0])
        for frame in FRAMES:
            buffer[:] = frame
            yield buffer


@pytest.mark.parametrize("prefetch", [0, 4])
@pytest.mark.parametrize("size", [1, 4])
def test_a_source_of_ones_own_may_fill_one_array_again(size: int, prefetch: int) -> None:
    found = list(SquareSession(batch_size=size, prefetch=prefetch).stream(OwnSource()))
    assert same(found, list(SquareSession().stream(FRAMES)))


def test_frames_of_ones_own_are_fetched_in_ones_own_thread() -> None:
    threads = set()

    def asking() -> Iterator[np.ndarray]:
        for frame in FRAMES:
            threads.add(threading.current_thread())
            yield frame

    list(SquareSession().stream(asking()))
    assert threads == {threading.main_thread()}


def test_an_iterator_is_closed_when_the_stream_is() -> None:
    closed = []

    def noting() -> Iterator[np.ndarray]:
        try:
            yield from FRAMES
        finally:
            closed.append(True)

    source = noting()  # held, or it would be closed when nobody knows it any more
    stream = SquareSession(batch_size=2).stream(source)
    next(stream)
    stream.close()
    assert closed == [True]


def test_at_most_so_many_frames_are_taken() -> None:
    frames = iter(FRAMES)
    assert len(list(SquareSession(batch_size=4).stream_frames(frames, max_frames=6))) == 6
    assert len(list(frames)) == 5, "none is taken in vain"


# -------------------------------------------------------------------------------------------------------------- pieces
def test_detections_are_picked_with_all_their_parts() -> None:
    found = FrameDetections(np.arange(12.0).reshape(3, 4), np.arange(3.0), np.arange(3), np.arange(6.0).reshape(3, 2))
    picked = found.select(np.array([True, False, True]))
    assert (len(picked), picked.labels.tolist(), picked.scores.tolist()) == (2, [0, 2], [0.0, 2.0])
    assert (picked.bboxes[1].tolist(), picked.embeds[1].tolist()) == ([8, 9, 10, 11], [4, 5])


def test_to_supervision() -> None:
    tracks = SquareSession().update(FRAMES[0])
    found = tracks.to_supervision(["left"])
    assert isinstance(found, supervision.Detections)
    np.testing.assert_array_equal(found.xyxy, tracks.bboxes)
    np.testing.assert_allclose(found.confidence, [0.9, 0.6])
    assert found.class_id.tolist() == [0, 1]
    assert found.tracker_id.tolist() == [1, 2]
    assert found.data["class_name"].tolist() == ["left", "class 1"]
    found.xyxy[:] = 0
    assert tracks.bboxes.any(), "a copy"
    assert "class_name" not in tracks.to_supervision().data
    nothing = Tracks.empty().to_supervision(["left"])
    assert (len(nothing), nothing.tracker_id.tolist()) == (0, [])
    assert len(supervision.Detections.merge([found, nothing])) == 2


def test_nothing_heavy_is_loaded() -> None:
    lines = [
        "import sys",
        "sys.modules['mmdet'] = None",
        "from clmot_qd.apis import TrackingInferencer",
        "from clmot_qd.apis.tracking_session import TrackingSession",
        "import clmot_qd.apis.frame_sources, clmot_qd.apis.prefetch",
        "heavy = {'torch', 'mmengine', 'mmcv', 'av', 'rich', 'matplotlib', 'supervision', 'onnxruntime'}",
        "print(sorted(heavy & set(sys.modules)))",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
