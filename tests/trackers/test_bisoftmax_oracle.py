"""BiSoftmaxTracker against the public trackers: recorded frames, a written trace, mmdet's class, real sequences."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.models.trackers import QuasiDenseTracker
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from clmot_qd.trackers import BiSoftmaxTracker, JDETracker, TAOBiSoftmaxTracker, Tracks

# --- recorded frames --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [0, 1, 2])
def test_recorded_frames(test_data: Path, case: int) -> None:
    recorded = np.load(test_data / f"qdtrack_tracker_{case}.npz")
    tracker = BiSoftmaxTracker(**json.loads(str(recorded["config"])))
    frames = sorted({key.split("/")[0] for key in recorded if "/" in key})
    assert len(frames) == 100
    for frame in frames:
        boxes, labels = recorded[f"{frame}/boxes"], recorded[f"{frame}/labels"]
        tracks = tracker.update(boxes[:, :4], boxes[:, 4], labels, recorded[f"{frame}/embeds"], int(frame))
        order = np.argsort(recorded[f"{frame}/track_ids"])
        np.testing.assert_array_equal(tracks.instances_id, recorded[f"{frame}/track_ids"][order], err_msg=frame)
        np.testing.assert_array_equal(tracks.bboxes, recorded[f"{frame}/track_boxes"][order], err_msg=frame)
        np.testing.assert_array_equal(tracks.bboxes, boxes[tracks.detection_index, :4], err_msg=frame)


# --- the written trace ------------------------------------------------------------------------------------------------

# What the authors' tracker returned for the scene below: {frame: {id: left edge}}, and how many tracks it remembered.
TRACE: dict[int, dict[int, float]] = {
    0: {0: 100, 1: 400},
    1: {0: 104, 1: 396},  # the duplicate of object 0 is gone, object 2 is a backdrop
    2: {0: 108, 2: 600},  # object 1 is suppressed at .45
    3: {0: 112, 2: 600, 3: 250},  # object 2 is now sure enough
    4: {0: 116, 2: 600, 3: 250},  # and track 1 is forgotten
    5: {0: 120, 2: 600, 3: 250, 4: 380, 5: 700},  # object 1 is back under a new id, beside a look-alike of class 1
    6: {},
    7: {0: 128, 2: 600, 3: 250, 4: 372},
}
TRACE_EMBED = [6.0, 6.187998, 6.271323, 6.156836, 5.925162, 5.750425, 5.750425, 5.954120]


def written_scene() -> Iterator[tuple[int, np.ndarray]]:
    """Rows (look, x, score, label) of each frame; object 1 is hidden in frames 3 and 4, frame 6 is empty."""
    for frame in range(8):
        rows = [(0, 100 + 4 * frame, 0.95, 0), (2, 250, 0.6 if frame <= 2 else 0.85, 0)]
        if frame not in (3, 4):
            rows.append((1, 400 - 4 * frame, 0.45 if frame == 2 else 0.9, 0))
        if frame >= 2:
            rows.append((3, 600, 0.88, 1))
        if frame == 1:
            rows.append((0, 104, 0.7, 1))
        if frame == 5:
            rows.append((1, 700, 0.85, 1))
        yield frame, np.array(rows if frame != 6 else [], dtype=float).reshape(-1, 4)


def test_written_trace() -> None:
    tracker = BiSoftmaxTracker(memo_tracklet_frames=3)
    for frame, rows in written_scene():
        boxes = np.column_stack((rows[:, 1], np.full(len(rows), 50.0), rows[:, 1] + 40, np.full(len(rows), 150.0)))
        embeds = np.eye(4, 8)[rows[:, 0].astype(int)] * (6 + 0.3 * np.sin(0.9 * frame))
        tracks = tracker.update(boxes, rows[:, 2], rows[:, 3].astype(int), embeds, frame)
        assert dict(zip(tracks.instances_id.tolist(), tracks.bboxes[:, 0].tolist())) == TRACE[frame], frame
        assert tracker._memory.embeds[0, 0] == pytest.approx(TRACE_EMBED[frame], abs=1e-5)
        assert (1 in tracker._memory.ids) == (frame < 4)
    assert tracker._next_id == 6


def test_a_configuration_can_name_it() -> None:
    tracker = MODELS.build(dict(type="BiSoftmaxTracker", init_score_thr=0.7))
    assert isinstance(tracker, BiSoftmaxTracker)
    assert isinstance(MODELS.build(dict(type="TAOBiSoftmaxTracker")), TAOBiSoftmaxTracker)


# --- mmdet's class ----------------------------------------------------------------------------------------------------


def mmdet_tracks(tracker: QuasiDenseTracker, arrays: tuple[np.ndarray, ...], frame: int) -> Tracks:
    """One frame through mmdet's tracker, whose model is a stub that hands out the given embeddings."""
    boxes, scores, labels, embeds = (torch.from_numpy(values) for values in arrays)
    sample = DetDataSample(metainfo=dict(frame_id=frame))
    sample.pred_instances = InstanceData(bboxes=boxes, scores=scores, labels=labels)
    model = SimpleNamespace(track_head=SimpleNamespace(predict=lambda feats, rois: embeds))
    found = tracker.track(model, None, [], sample, rescale=False)
    order = np.argsort(found.instances_id.numpy())
    ids, labels_found = found.instances_id.numpy()[order], found.labels.numpy()[order]
    index = np.full(len(ids), -1)
    return Tracks(ids, found.bboxes.numpy()[order], found.scores.numpy()[order], labels_found, index)


def random_stream(seed: int, frames: int = 40, objects: int = 8) -> Iterator[tuple[np.ndarray, ...]]:
    """Objects of three classes in a crowd, with doubtful scores, duplicates, look-alikes and changing looks."""
    rng = np.random.default_rng(seed)
    looks, labels = rng.standard_normal((objects, 16)) * 1.5, rng.integers(0, 3, objects)
    looks[1] = looks[0] + rng.normal(0, 0.3, 16)
    corners = rng.uniform(0, 150, (objects, 2))
    for _ in range(frames):
        corners += rng.normal(0, 3, corners.shape)
        seen = np.flatnonzero(rng.random(objects) > 0.2)
        rows = np.concatenate((seen, rng.choice(objects, 2)))  # two duplicates, or returns from hiding
        shift = rng.normal(0, 4, (len(rows), 2))
        boxes = np.hstack((corners[rows] + shift, corners[rows] + shift + [40, 90]))
        doubt = rng.random(len(rows)) < 0.1
        yield (
            boxes.astype(np.float32),
            rng.uniform(0.2, 1, len(rows)).astype(np.float32),
            np.where(doubt, rng.integers(0, 3, len(rows)), labels[rows]),
            (looks[rows] + rng.normal(0, 0.4, (len(rows), 16))).astype(np.float32),
        )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"init_score_thr": 0.6, "obj_score_thr": 0.3, "memo_tracklet_frames": 3},
        {"memo_backdrop_frames": 0, "memo_momentum": 0.3},
        {"memo_backdrop_frames": 3, "nms_conf_thr": 0.8, "match_score_thr": 0.3},
        {"with_cats": False, "nms_backdrop_iou_thr": 0.6, "nms_class_iou_thr": 0.4},
        {"match_metric": "softmax"},
        {"match_metric": "cosine", "match_score_thr": 0.6},
    ],
)
def test_equals_mmdet_on_random_streams(seed: int, arguments: dict[str, Any]) -> None:
    ours, theirs, most = BiSoftmaxTracker(**arguments), QuasiDenseTracker(**arguments), 0
    for frame, arrays in enumerate(random_stream(seed)):
        found, expected = ours.update(*arrays, frame), mmdet_tracks(theirs, arrays, frame)
        np.testing.assert_array_equal(found.instances_id, expected.instances_id, err_msg=str(frame))
        np.testing.assert_array_equal(found.bboxes, expected.bboxes)
        np.testing.assert_array_equal(found.scores, expected.scores)
        np.testing.assert_array_equal(found.labels, expected.labels)
        most = max(most, len(found))
    assert ours._next_id == theirs.num_tracks > most > 3


def test_equals_mmdet_in_a_crowd() -> None:
    """Enough boxes that those which touch are found by sorting."""
    arguments = {"init_score_thr": 0.6, "obj_score_thr": 0.3, "nms_class_iou_thr": 0.9}
    ours, theirs, most = BiSoftmaxTracker(**arguments), QuasiDenseTracker(**arguments), 0
    for frame, arrays in enumerate(random_stream(7, frames=10, objects=120)):
        found, expected = ours.update(*arrays, frame), mmdet_tracks(theirs, arrays, frame)
        np.testing.assert_array_equal(found.instances_id, expected.instances_id, err_msg=str(frame))
        np.testing.assert_array_equal(found.bboxes, expected.bboxes)
        most = max(most, len(found))
    assert most > 40


@pytest.mark.parametrize("precisions", [["float64"], ["float32", "float64"], ["float64", "float32"]])
@pytest.mark.parametrize("tracker", [BiSoftmaxTracker, TAOBiSoftmaxTracker, JDETracker])
def test_the_precision_of_embeddings_changes_no_id(tracker: type, precisions: list[str]) -> None:
    """Single precision throughout, as networks have it, against others, changing in between as well."""
    single, other = tracker(), tracker()
    for frame, (boxes, scores, labels, embeds) in enumerate(random_stream(3)):
        precision = precisions[frame // 15 % len(precisions)]
        expected = single.update(boxes, scores, labels, embeds, frame)
        found = other.update(boxes, scores, labels, embeds.astype(precision), frame)
        np.testing.assert_array_equal(found.instances_id, expected.instances_id)
        np.testing.assert_array_equal(found.detection_index, expected.detection_index)
    state = single._state if tracker is JDETracker else single._memory
    assert state.embeds.dtype == np.float32


@pytest.mark.filterwarnings("error")
def test_embeddings_beyond_single_precision_are_still_compared() -> None:
    """Squares of 1e25 overflow in single precision, and 1e60 does itself; the look-alikes are found all the same."""
    boxes, scores, labels, embeds = frame_of((0, 0.9), (1, 0.95))
    for huge in (embeds * np.float32(1e25), embeds.astype(float) * 1e60):
        tracker = BiSoftmaxTracker(match_metric="cosine")
        for frame, looks in enumerate((embeds, huge, embeds)):
            assert tracker.update(boxes, scores, labels, looks, frame).instances_id.tolist() == [0, 1]
        assert np.isfinite(tracker._memory.embeds).all()


def frame_of(*objects: tuple[int, float]) -> tuple[np.ndarray, ...]:
    """A frame with an object for each (look, score), all far apart."""
    looks, scores = [entry[0] for entry in objects], [entry[1] for entry in objects]
    left = 100.0 * np.arange(len(objects), dtype=np.float32)
    boxes = np.column_stack((left, np.full_like(left, 50), left + 40, np.full_like(left, 150)))
    embeds = np.eye(8, dtype=np.float32)[np.array(looks, dtype=int)] * 6
    return boxes, np.array(scores, dtype=np.float32), np.zeros(len(objects), dtype=int), embeds


def test_memory_ages_on_empty_frames_which_mmdets_does_not() -> None:
    """A backdrop attracts in the frame after its own, and no later: that the frame was empty does not matter."""
    ours, theirs = BiSoftmaxTracker(), QuasiDenseTracker()
    found, expected = Tracks.empty(), Tracks.empty()
    # The second object is too doubtful to start a track. In the end it is alone with track 0, for want of a backdrop.
    for frame, objects in enumerate([[(0, 0.9)], [(0, 0.9), (1, 0.6)], [], [(1, 0.75)]]):
        arrays = frame_of(*objects)
        found, expected = ours.update(*arrays, frame), mmdet_tracks(theirs, arrays, frame)
    assert (found.instances_id.tolist(), expected.instances_id.tolist()) == ([0], [])


def test_a_tiny_share_does_not_lift_the_similarity_above_the_threshold() -> None:
    """One track, and a stranger of higher score: its row is 1 for want of another choice, its column exp(-36)."""
    ours, theirs = BiSoftmaxTracker(), QuasiDenseTracker()
    for frame, objects in enumerate([[(0, 0.9)], [(1, 0.95), (0, 0.9)]]):
        arrays = frame_of(*objects)
        found, expected = ours.update(*arrays, frame), mmdet_tracks(theirs, arrays, frame)
    np.testing.assert_array_equal(found.bboxes, expected.bboxes)
    assert (found.instances_id.tolist(), found.detection_index.tolist()) == ([0, 1], [1, 0])


# --- real sequences ---------------------------------------------------------------------------------------------------

SETTINGS = {"init_score_thr": 0.5, "obj_score_thr": 0.3, "match_score_thr": 0.5, "memo_tracklet_frames": 30}


@pytest.mark.parametrize("metric", ["bisoftmax", "cosine"])
@pytest.mark.parametrize(
    ("sequence", "boxes"),
    [("MOT15/TUD-Campus", 396), ("MOT15/PETS09-S2L1-first200", 1416), ("MOT17/MOT17-09-FRCNN-first150", 806)],
)
def test_equals_mmdet_on_real_sequences(shared_data: Path, sequence: str, boxes: int, metric: str) -> None:
    """Real detections and embeddings, through both classes."""
    folder = shared_data / sequence / "det"
    rows = np.loadtxt(folder / "det_yolox_nano_generated.txt", delimiter=",", dtype=np.float32)
    embeds = np.load(folder / "emb_osnet_x025_market1501_generated.npy").astype(np.float32) * 8
    ours = BiSoftmaxTracker(**SETTINGS, match_metric=metric)
    theirs, shown = QuasiDenseTracker(**SETTINGS, match_metric=metric), 0
    for frame in range(1, int(rows[:, 0].max()) + 1):
        now = rows[:, 0] == frame
        corners = np.hstack((rows[now, 2:4], rows[now, 2:4] + rows[now, 4:6]))
        arrays = (corners, rows[now, 6], np.zeros(now.sum(), dtype=int), embeds[now])
        found, expected = ours.update(*arrays, frame), mmdet_tracks(theirs, arrays, frame)
        np.testing.assert_array_equal(found.instances_id, expected.instances_id, err_msg=str(frame))
        np.testing.assert_array_equal(found.bboxes, expected.bboxes)
        shown += len(found)
    assert shown == pytest.approx(boxes, abs=20)
