"""Tracking detections from files: order of the rows, embeddings, options, mistakes, the recorded results."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from clmot_qd.apis.detections import (
    build_tracker,
    parse_tracker_options,
    score_file,
    track_detection_file,
    track_detections,
)
from clmot_qd.datasets.detections import read_embeddings
from clmot_qd.datasets.mot_text import make_table
from clmot_qd.errors import InputError
from clmot_qd.trackers import BiSoftmaxTracker, JDETracker, Tracks


class Recorder:
    """A tracker that remembers what it was given and shows every detection as track 10 + row."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def update(self, bboxes, scores, labels, embeds, frame_id) -> Tracks:
        self.calls.append((frame_id, bboxes.tolist(), scores.tolist(), None if embeds is None else embeds.tolist()))
        rows = np.arange(len(bboxes))
        return Tracks(10 + rows, bboxes.astype(np.float32), scores.astype(np.float32), labels, rows)


DETECTIONS = make_table([4, 2, 4], [-1, -1, -1], [[1, 2, 3, 4], [10, 20, 30, 40], [5, 6, 7, 8]], [0.5, 0.25, 1.0])
EMBEDS = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 3.0]])


def test_rows_reach_their_frame_with_their_embedding() -> None:
    tracker = Recorder()
    tracks = track_detections(DETECTIONS, tracker, EMBEDS, last_frame=5)
    assert tracker.resets == 1
    assert tracker.calls == [
        (1, [], [], []),
        (2, [[10, 20, 40, 60]], [0.25], [[0, 1]]),
        (3, [], [], []),
        (4, [[1, 2, 4, 6], [5, 6, 12, 14]], [0.5, 1], [[1, 0], [3, 3]]),
        (5, [], [], []),
    ]
    assert (tracks.frames.tolist(), tracks.ids.tolist()) == ([2, 4, 4], [10, 10, 11])
    assert tracks.bboxes.tolist() == [[10, 20, 30, 40], [1, 2, 3, 4], [5, 6, 7, 8]]
    assert (tracks.scores.tolist(), tracks.class_ids.tolist()) == ([0.25, 0.5, 1], [-1, -1, -1])


def test_last_frame() -> None:
    tracker = Recorder()
    track_detections(DETECTIONS, tracker)
    assert [call[0] for call in tracker.calls] == [1, 2, 3, 4]
    assert all(call[3] is None for call in tracker.calls)
    tracker = Recorder()
    assert track_detections(DETECTIONS, tracker, EMBEDS, last_frame=3).frames.tolist() == [2]
    assert len(track_detections(DETECTIONS, tracker, last_frame=0)) == 0


def test_a_tracker_can_be_used_for_one_file_after_another() -> None:
    tracker = JDETracker()
    once, again = (track_detections(DETECTIONS, tracker) for _ in range(2))
    assert once.ids.tolist() == again.ids.tolist()


def test_build_tracker() -> None:
    assert build_tracker("JDETracker", {"conf_thr": 0.25}).conf_thr == 0.25
    assert build_tracker("BiSoftmaxTracker", {"init_score_thr": 0.7}).init_score_thr == 0.7
    assert build_tracker("TAOBiSoftmaxTracker", {"score_momentum": 0.3}).score_momentum == 0.3
    with pytest.raises(InputError, match=r"tracker 'SORT' is unknown; choose from .*JDETracker"):
        build_tracker("SORT")
    with pytest.raises(InputError, match=r"option 'conf': JDETracker has no such argument; it has conf_thr, "):
        build_tracker("JDETracker", {"conf": 0.25})


def test_parse_tracker_options() -> None:
    pairs = ["conf_thr=0.4", "lost_frames=30", "per_class=False", "match_metric=bisoftmax", "range=(1,2)"]
    expected = {"conf_thr": 0.4, "lost_frames": 30, "per_class": False, "match_metric": "bisoftmax", "range": (1, 2)}
    assert parse_tracker_options(pairs) == expected
    for pair in ("conf_thr", "=3"):
        with pytest.raises(InputError, match=rf"option '{pair}' must be of the form key=value"):
            parse_tracker_options([pair])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((2, 4)), "shape (2, 4) of float64; it must be (3, C)"),
        (np.ones(3), "shape (3,) of float64; it must be (3, C)"),
        (np.array([[1.0], [np.nan], [2.0]]), "row 1 (from 0) has a value that is not finite"),
        (np.array([{}], dtype=object), "cannot be read as .npy"),
        (b"no array", "cannot be read as .npy"),
    ],
)
def test_wrong_embeddings(tmp_path: Path, values: np.ndarray | bytes, message: str) -> None:
    path = tmp_path / "emb.npy"
    if isinstance(values, bytes):
        path.write_bytes(values)
    else:
        np.save(path, values)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_embeddings(path, 3)
    assert str(caught.value).startswith(f"{path}: ")


def test_missing_embeddings(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"emb\.npy: cannot be read"):
        read_embeddings(tmp_path / "emb.npy", 3)


def test_half_precision_embeddings(tmp_path: Path) -> None:
    np.save(tmp_path / "emb.npy", EMBEDS.astype(np.float16))
    assert read_embeddings(tmp_path / "emb.npy", 3).dtype == np.float32


class TestEmbedScale:
    @pytest.fixture
    def files(self, tmp_path: Path) -> tuple[Path, Path]:
        (tmp_path / "det.txt").write_text(
            "1,-1,0,0,9,9,0.9\n1,-1,50,0,9,9,0.95\n2,-1,0,0,9,9,0.9\n2,-1,50,0,9,9,0.85\n"
        )
        np.save(tmp_path / "emb.npy", EMBEDS[[0, 1, 0, 1]].astype(np.float16))
        return tmp_path / "det.txt", tmp_path / "emb.npy"

    def test_embeddings_are_multiplied(self, files: tuple[Path, Path]) -> None:
        tracker = Recorder()
        track_detection_file(files[0], tracker, files[1], embed_scale=8)
        assert [call[3] for call in tracker.calls] == [[[8, 0], [0, 8]]] * 2

    def test_unit_vectors_need_it(self, files: tuple[Path, Path]) -> None:
        """Of two dot products 1 and 0, the softmax gives 0.73 to the first; of 64 and 0, all."""
        for scale, expected in ((1, [1, 0, 2, 3]), (8, [1, 0, 1, 0])):
            tracks = track_detection_file(files[0], BiSoftmaxTracker(match_score_thr=0.8), files[1], embed_scale=scale)
            assert tracks.ids[np.lexsort((tracks.bboxes[:, 0], tracks.frames))].tolist() == expected

    @pytest.mark.parametrize("scale", [0, -8, float("nan"), float("inf")])
    def test_a_positive_number(self, files: tuple[Path, Path], scale: float) -> None:
        with pytest.raises(InputError, match=r"^embed_scale: expected a positive number, got "):
            track_detection_file(files[0], Recorder(), files[1], embed_scale=scale)

    def test_nothing_to_multiply(self, files: tuple[Path, Path]) -> None:
        with pytest.raises(InputError, match=r"^embed_scale: 8 given without embeddings"):
            track_detection_file(files[0], Recorder(), embed_scale=8)

    def test_bisoftmax_without_embeddings(self, files: tuple[Path, Path]) -> None:
        with pytest.raises(InputError, match=r"^embeds: BiSoftmaxTracker compares appearance"):
            track_detection_file(files[0], BiSoftmaxTracker())
        position = BiSoftmaxTracker(appearance_weight=0, iou_weight=1)
        assert sorted(track_detection_file(files[0], position).ids.tolist()) == [0, 0, 1, 1]


class TestScoreFile:
    @pytest.fixture
    def gt(self, tmp_path: Path) -> Path:
        path = tmp_path / "seq" / "gt" / "gt.txt"
        path.parent.mkdir(parents=True)
        path.write_text("1,1,10,10,20,20,1,1,1\n2,1,10,10,20,20,1,1,1\n2,2,90,90,20,20,0,7,1\n")
        return path

    def test_named_by_the_folder(self, gt: Path) -> None:
        tracks = make_table([1, 2], [1, 1], [[10, 10, 20, 20]] * 2)
        assert list(score_file(tracks, gt).by_backend["trackeval"]["pedestrian"]) == ["seq", "OVERALL"]
        assert score_file(tracks, gt).flat()["MOTA"] == 100

    def test_tracks_after_the_end_of_the_ground_truth(self, gt: Path) -> None:
        tracks = make_table([1, 2, 3], [1, 1, 1], [[10, 10, 20, 20]] * 3)
        notes = []
        assert score_file(tracks, gt, note=notes.append).flat()["FP"] == 1
        assert notes == ["tracks go on to frame 3, ground truth ends at 2: all that is later counts as false"]
        assert score_file(tracks, gt, last_frame=2, note=notes.append).flat()["FP"] == 0
        assert len(notes) == 1

    def test_distractors(self, gt: Path) -> None:
        tracks = make_table([1, 2, 2], [1, 1, 2], [[10, 10, 20, 20]] * 2 + [[90, 90, 20, 20]])
        assert score_file(tracks, gt).flat()["FP"] == 0
        assert score_file(tracks, gt, distractors=[]).flat()["FP"] == 1


SEQUENCES = {
    "TUD-Campus": "MOT15/TUD-Campus",
    "PETS09": "MOT15/PETS09-S2L1-first200",
    "MOT17-09": "MOT17/MOT17-09-FRCNN-first150",
}


def real_scores(folder: Path, tracker: str, options: dict, appearance: bool = True, scale: float = 1) -> dict:
    """Track the real detections of one sequence and score them by py-motmetrics, without distractors."""
    embeds = folder / "det" / "emb_osnet_x025_market1501_generated.npy" if appearance else None
    detections = folder / "det" / "det_yolox_nano_generated.txt"
    tracks = track_detection_file(detections, build_tracker(tracker, options), embeds, embed_scale=scale)
    backend = "motmetrics-plain"  # as the numbers were recorded
    return score_file(tracks, folder / "gt" / "gt.txt", distractors=[], backends=[backend]).overall(backend)


@pytest.mark.parametrize(
    ("sequence", "appearance", "mota", "idf1", "switches", "false_positives", "misses"),
    [
        ("TUD-Campus", True, 44.0, 69.6, 13, 104, 84),
        ("TUD-Campus", False, 40.4, 61.3, 27, 103, 84),
        ("PETS09", True, 43.5, 61.1, 15, 432, 187),
        ("PETS09", False, 42.2, 58.1, 29, 431, 188),
        ("MOT17-09", True, 46.5, 68.4, 1, 127, 466),
        ("MOT17-09", False, 46.2, 64.4, 5, 128, 464),
    ],
)
def test_recorded_results_of_the_released_tracker(
    shared_data: Path,
    sequence: str,
    appearance: bool,
    mota: float,
    idf1: float,
    switches: int,
    false_positives: int,
    misses: int,
) -> None:
    """CL-MOT's released tracker on real detections and embeddings, scored by py-motmetrics without distractors.

    Without appearance, the release was run with equal embeddings: an appearance distance of 0 for every pair, which is
    what our tracker's motion alone is.
    """
    scores = real_scores(shared_data / SEQUENCES[sequence], "JDETracker", {"conf_thr": 0.4}, appearance)
    assert [scores[key] for key in ("IDSW", "FP", "FN")] == [switches, false_positives, misses]
    assert scores["MOTA"] == pytest.approx(mota, abs=0.06)
    assert scores["IDF1"] == pytest.approx(idf1, abs=0.06)


@pytest.mark.parametrize(
    ("sequence", "metric", "mota", "idf1", "switches", "false_positives", "misses"),
    [
        ("TUD-Campus", "bisoftmax", 44.3, 54.6, 11, 113, 76),
        ("TUD-Campus", "cosine", 41.5, 51.4, 9, 125, 76),
        ("PETS09", "bisoftmax", 43.9, 54.6, 22, 451, 157),
        ("PETS09", "cosine", 42.6, 58.8, 21, 464, 159),
        ("MOT17-09", "bisoftmax", 44.9, 64.7, 6, 151, 455),
        ("MOT17-09", "cosine", 45.0, 62.9, 6, 153, 452),
    ],
)
def test_recorded_results_of_the_released_bisoftmax_tracker(
    shared_data: Path,
    sequence: str,
    metric: str,
    mota: float,
    idf1: float,
    switches: int,
    false_positives: int,
    misses: int,
) -> None:
    """SysCV's released tracker on the same detections and embeddings, times 8, scored in the same way."""
    options = {"init_score_thr": 0.5, "obj_score_thr": 0.3, "memo_tracklet_frames": 30, "match_metric": metric}
    scores = real_scores(shared_data / SEQUENCES[sequence], "BiSoftmaxTracker", options, scale=8)
    assert [scores[key] for key in ("IDSW", "FP", "FN")] == [switches, false_positives, misses]
    assert scores["MOTA"] == pytest.approx(mota, abs=0.06)
    assert scores["IDF1"] == pytest.approx(idf1, abs=0.06)


# One setting of each tracker for all three sequences, with the optional stages on.
CHOSEN = {
    "JDETracker": (
        1,
        {
            "conf_thr": 0.3,
            "init_thr": 0.62,
            "low_conf_thr": 0.1,
            "confirm_frames": 3,
            "match_thr": 0.4,
            "gate_thr": 30,
            "smooth_boxes": False,
        },
    ),
    "BiSoftmaxTracker": (
        8,
        {
            "init_score_thr": 0.62,
            "obj_score_thr": 0.2,
            "memo_tracklet_frames": 30,
            "memo_momentum": 0.2,
            "nms_class_iou_thr": 0.5,
            "iou_weight": 0.25,
            "motion": "kalman",
            "low_score_thr": 0.1,
            "confirm_frames": 4,
        },
    ),
}


@pytest.mark.parametrize(
    ("sequence", "tracker", "mota", "idf1", "best_mota", "best_idf1"),
    [
        ("TUD-Campus", "JDETracker", 67.7, 77.7, 63.8, 75.2),
        ("PETS09", "JDETracker", 64.4, 65.9, 63.4, 62.1),
        ("MOT17-09", "JDETracker", 47.3, 65.3, 45.4, 64.0),
        ("TUD-Campus", "BiSoftmaxTracker", 67.1, 80.5, 63.8, 75.2),
        ("PETS09", "BiSoftmaxTracker", 66.1, 81.3, 63.4, 62.1),
        ("MOT17-09", "BiSoftmaxTracker", 47.5, 65.3, 45.4, 64.0),
    ],
)
def test_optional_stages_beat_the_best_motion_only_trackers(
    shared_data: Path, sequence: str, tracker: str, mota: float, idf1: float, best_mota: float, best_idf1: float
) -> None:
    """Best of SORT, ByteTrack, OC-SORT, BoT-SORT and C-BIoU of ``trackers`` 2.6.1 on the same detections.

    Those had no embeddings. Our settings were chosen on these very sequences, theirs are their defaults.
    """
    scale, options = CHOSEN[tracker]
    scores = real_scores(shared_data / SEQUENCES[sequence], tracker, options, scale=scale)
    assert scores["MOTA"] == pytest.approx(mota, abs=0.06)
    assert scores["IDF1"] == pytest.approx(idf1, abs=0.06)
    assert scores["MOTA"] > best_mota
    assert scores["IDF1"] > best_idf1
