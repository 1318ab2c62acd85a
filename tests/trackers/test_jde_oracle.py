"""JDETracker against what the authors' tracker returned: recorded frames, a written trace, scores on real sequences."""

from pathlib import Path

import numpy as np
import pytest

from clmot_qd.trackers import JDETracker, Tracks
from clmot_qd.trackers.similarity import pairwise_iou


@pytest.mark.parametrize("case", [0, 1])
def test_recorded_frames(test_data: Path, case: int) -> None:
    recorded = np.load(test_data / f"jde_tracker_{case}.npz")
    tracker = JDETracker(conf_thr=float(recorded["conf_thr"]), lost_frames=int(recorded["track_buffer"]))
    frames = sorted({key.split("/")[0] for key in recorded if "/" in key})
    assert len(frames) == 100
    for frame in frames:
        boxes = recorded[f"{frame}/boxes"]
        labels = np.zeros(len(boxes), dtype=int)
        tracks = tracker.update(boxes[:, :4], boxes[:, 4], labels, recorded[f"{frame}/embeds"], int(frame))
        order = np.argsort(recorded[f"{frame}/track_ids"])
        np.testing.assert_array_equal(tracks.instances_id, recorded[f"{frame}/track_ids"][order], err_msg=frame)
        np.testing.assert_allclose(tracks.bboxes, recorded[f"{frame}/track_boxes"][order], atol=1e-3, err_msg=frame)


# The trace of the authors' code on the scene below: the ids of each frame, and where some of the boxes are.
TRACE_IDS = {
    **{frame: [1, 2] for frame in (1, 2, 3, 4)},
    **{frame: [1, 2, 3] for frame in (5, 6, 7)},
    8: [1, 3],
    9: [1],
    **{frame: [1, 3] for frame in (10, 11, 12)},
    **{frame: [1, 2, 3] for frame in (13, 14, 15, 16)},
}
TRACE_X = {  # (frame, id) -> left edge
    (1, 1): 84,
    (1, 2): 374,
    (2, 1): 87.471,
    (2, 2): 370.529,
    (4, 1): 95.338,
    (4, 2): 362.662,
    (5, 1): 99.502,
    (5, 2): 358.498,
    (5, 3): 232,
    (9, 1): 115.796,
    (12, 1): 127.875,
    (13, 2): 326.170,
    (16, 1): 143.928,
    (16, 2): 314.071,
}
TRACE_Y = {(5, 3): 169.4, (10, 3): 184.755, (12, 3): 190.868, (16, 3): 202.932}  # (frame, id) -> upper edge


def written_scene(tracker: JDETracker) -> dict[int, Tracks]:
    """Object 1 goes right, 2 goes left and hides in frames 8-12, 3 enters in frame 4 and goes down; a false alarm."""
    embeds, result = np.eye(4, 8), {}
    for frame in range(1, 17):
        rows = [(0, 80 + 4 * frame, 50, 40, 100, 0.9)]
        if not 8 <= frame <= 12:
            rows.append((1, 378 - 4 * frame, 65, 44, 110, 0.9))
        if frame >= 4:
            rows.append((2, 232, 155 + 3 * frame, 36, 90, 0.55 if frame == 9 else 0.9))
        if frame == 6:
            rows.append((3, 500, 300, 30, 60, 0.9))
        table = np.array(rows, dtype=float)
        boxes = np.hstack((table[:, 1:3], table[:, 1:3] + table[:, 3:5]))
        labels = np.zeros(len(rows), dtype=int)
        result[frame] = tracker.update(boxes, table[:, 5], labels, embeds[table[:, 0].astype(int)], frame)
    return result


def test_written_trace() -> None:
    shown = written_scene(JDETracker(conf_thr=0.6))
    assert {frame: tracks.instances_id.tolist() for frame, tracks in shown.items()} == TRACE_IDS
    for column, trace in enumerate((TRACE_X, TRACE_Y)):
        for (frame, identity), edge in trace.items():
            found = shown[frame].bboxes[shown[frame].instances_id == identity, column]
            assert found == pytest.approx(edge, abs=1e-3), (frame, identity)


SCORES = [  # MOTA, IDF1, switches, false positives, misses of the authors' tracker
    ("MOT15/TUD-Campus", "appearance", (44.0, 69.6, 13, 104, 84)),
    ("MOT15/TUD-Campus", "motion", (40.4, 61.3, 27, 103, 84)),
    ("MOT15/PETS09-S2L1-first200", "appearance", (43.5, 61.1, 15, 432, 187)),
    ("MOT15/PETS09-S2L1-first200", "motion", (42.2, 58.1, 29, 431, 188)),
    ("MOT17/MOT17-09-FRCNN-first150", "appearance", (46.5, 68.4, 1, 127, 466)),
    ("MOT17/MOT17-09-FRCNN-first150", "motion", (46.2, 64.4, 5, 128, 464)),
]


@pytest.mark.parametrize(("sequence", "cue", "expected"), SCORES)
def test_scores_on_real_sequences(shared_data: Path, sequence: str, cue: str, expected: tuple[float, ...]) -> None:
    """The authors' numbers on the same detections; "motion" was recorded with all embeddings equal."""
    import motmetrics

    folder = shared_data / sequence
    truth = np.loadtxt(folder / "gt/gt.txt", delimiter=",")
    truth = truth[(truth[:, 6] != 0) & ((truth[:, 7] == 1) | sequence.startswith("MOT15"))]
    detections = np.loadtxt(folder / "det/det_yolox_nano_generated.txt", delimiter=",")
    embeds = np.load(folder / "det/emb_osnet_x025_market1501_generated.npy")
    tracker, accumulator = JDETracker(), motmetrics.MOTAccumulator(auto_id=True)
    for frame in range(1, int(max(truth[:, 0].max(), detections[:, 0].max())) + 1):
        now = detections[:, 0] == frame
        boxes, labels = corners(detections[now, 2:6]), np.zeros(now.sum(), dtype=int)
        given = embeds[now] if cue == "appearance" else None
        tracks = tracker.update(boxes, detections[now, 6], labels, given, frame)
        real = truth[truth[:, 0] == frame]
        distance = 1 - pairwise_iou(corners(real[:, 2:6]), tracks.bboxes.astype(float))
        distance[distance > 0.5] = np.nan
        accumulator.update(real[:, 1].astype(int), tracks.instances_id, distance)
    names = ["mota", "idf1", "num_switches", "num_false_positives", "num_misses"]
    mota, idf1, *counts = motmetrics.metrics.create().compute(accumulator, metrics=names).iloc[0]
    assert (round(100 * mota, 1), round(100 * idf1, 1), *counts) == expected


def corners(boxes: np.ndarray) -> np.ndarray:
    """(n, 4) x y w h -> xyxy."""
    return np.hstack((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]))
