"""The sections about growth and evaluation measure what their titles say."""

from __future__ import annotations

import contextlib
from itertools import islice

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from clmot_qd.benchmark import evaluation, growth, long_video
from clmot_qd.benchmark.cases import Case, Group, Options, ProcessCase
from clmot_qd.benchmark.growth import _held_memory, _lost, _tracker
from clmot_qd.benchmark.measuring import measure_group
from clmot_qd.benchmark.moving_objects import moving_objects

QUICK = Options(quick=True, rounds=1)


class TestMovingObjects:
    def test_boxes_that_move_and_miss_and_keep_their_looks(self) -> None:
        frames = list(islice(moving_objects(200, 32), 20))
        assert [frame.frame_id for frame in frames] == list(range(20))
        counts = [len(frame.bboxes) for frame in frames]
        assert 180 < np.mean(counts) < 198
        first = frames[0]
        assert first.bboxes.dtype == first.embeds.dtype == np.float32
        assert (first.bboxes[:, 2:] > first.bboxes[:, :2]).all()
        assert first.embeds.shape == (counts[0], 32)
        units = [frame.embeds / np.linalg.norm(frame.embeds, axis=1, keepdims=True) for frame in frames[:2]]
        best = (units[0] @ units[1].T).max(axis=1)
        assert np.mean(best > 0.9) > 0.85

    def test_the_same_again(self) -> None:
        one, two = (list(islice(moving_objects(5, 4), 3)) for _ in range(2))
        np.testing.assert_array_equal(one[2].bboxes, two[2].bboxes)

    def test_objects_leave_and_new_ones_come(self) -> None:
        def same(rate: float) -> float:
            first, last = (next(islice(moving_objects(50, 64, miss_rate=0, leave_rate=rate), n, None)) for n in (0, 60))
            return np.mean((first.embeds @ last.embeds.T).max(axis=1) > 20)

        assert same(0.0) == 1
        assert same(0.05) < 0.3

    def test_a_tracker_follows_them(self) -> None:
        """Otherwise growth would be that of a tracker that starts a new track for every box."""
        for name in ("JDETracker", "BiSoftmaxTracker"):
            tracker = _tracker(name)
            ids = [tracker.update(*frame).instances_id for frame in islice(moving_objects(30, 64), 40)]
            assert len(np.unique(np.concatenate(ids))) < 36, name


class TestGrowth:
    def test_the_groups_of_a_quick_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(growth, "_sized", lambda config, size, device: Case(f"{size[0]}", lambda: None))
        groups = list(growth.groups(QUICK))
        assert [group.title for group in groups] == [
            "JDETracker, objects in a frame",
            "BiSoftmaxTracker, objects in a frame",
            "JDETracker, lost tracks beside 100 objects",
            "BiSoftmaxTracker, lost tracks beside 100 objects",
            "CL-MOT DLA-34, size of the network input",
            "QDTrack Faster R-CNN R50, size of the network input",
            "JDETracker, length of the video",
            "BiSoftmaxTracker, length of the video",
        ]
        assert all(group.section == "growth" and group.grows for group in groups)
        for group in groups[:4]:
            assert_runs(group)
        for group in groups[-2:]:
            assert all(isinstance(case, ProcessCase) for case in group.cases)

    def test_the_full_run_covers_what_it_promises(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for maker in ("_crowd", "_lost", "_long"):
            monkeypatch.setattr(growth, maker, lambda name, size: Case(str(size), lambda: None))
        monkeypatch.setattr(growth, "_sized", lambda config, size, device: Case(str(size), lambda: None))
        groups = list(growth.groups(Options()))
        sizes = {group.title.split(", ")[1]: [case.name for case in group.cases] for group in groups}
        assert sizes["objects in a frame"] == ["10", "30", "100", "300", "1000"]
        assert sizes["lost tracks beside 100 objects"] == ["0", "100", "1000", "10000"]
        assert sizes["length of the video"] == ["1000", "10000", "100000"]
        assert "(1088, 608)" in sizes["size of the network input"]

    @pytest.mark.parametrize("name", ["JDETracker", "BiSoftmaxTracker"])
    def test_lost_tracks_are_remembered(self, name: str) -> None:
        """Their embeddings alone take what the memory has grown by."""
        held = [_lost(name, count).memory() for count in (0, 2000)]
        channels = growth._WIDTHS[name]
        assert held[1] - held[0] > 0.9 * 2000 * channels * 4 / 2**20

    def test_a_run_leaves_the_tracker_as_it_is(self) -> None:
        case = growth._crowd("JDETracker", 5)
        held = case.memory()
        for _ in range(3):
            case.before()
            case.run()
        assert case.memory() == pytest.approx(held, rel=0.2)

    def test_held_memory_is_that_of_the_arrays(self) -> None:
        assert _held_memory(dict(a=np.zeros(2**17))) == pytest.approx(1, rel=0.01)

    @pytest.mark.parametrize("name", ["JDETracker", "BiSoftmaxTracker"])
    def test_a_long_video_holds_no_more_than_a_short_one(self, name: str) -> None:
        tracker = _tracker(name)
        held = []
        for frame in islice(moving_objects(5, 16, leave_rate=0.05), 1200):
            tracker.update(*frame)
            if frame.frame_id % 10 == 0 and frame.frame_id >= 200:
                held.append(_held_memory(tracker))
        half = len(held) // 2
        assert max(held[half:]) < 1.25 * max(held[:half])

    def test_the_long_video_reports_its_figures(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.argv", ["long_video", "JDETracker", "50"])
        long_video.main()
        assert capsys.readouterr().out.startswith('{"seconds": ')

    def test_a_frame_of_the_asked_size_reaches_the_network(self) -> None:
        case, shapes = growth._sized("clmot_tiny_demo", (160, 96), "cpu"), []
        handle = register_module_forward_pre_hook(
            lambda module, args: shapes.append(tuple(args[0].shape)) if isinstance(module, torch.nn.Conv2d) else None
        )
        case.before()
        case.run()
        handle.remove()
        assert shapes[0] == (1, 3, 96, 160)


def assert_runs(group: Group) -> None:
    for entry in measure_group(group, QUICK).measurements:
        assert entry.problem is None
        assert entry.seconds[0] > 0


def test_evaluation_compares_equal_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both read the same files and come to the same HOTA."""
    import trackeval

    results = []
    evaluate = trackeval.Evaluator.evaluate
    monkeypatch.setattr(
        trackeval.Evaluator, "evaluate", lambda self, *args: results.append(evaluate(self, *args)) or results[-1]
    )
    with contextlib.closing(evaluation.groups(QUICK)) as groups:
        for group in groups:
            ours, _, theirs = group.cases
            scores = ours.run()
            theirs.run()
            assert_runs(group)
    found = results[0][0]["MotChallenge2DBox"]["peer"]["COMBINED_SEQ"]["pedestrian"]
    assert scores.flat()["HOTA"] == pytest.approx(100 * np.mean(found["HOTA"]["HOTA"]))
    assert scores.flat()["IDSW"] == found["CLEAR"]["IDSW"] > 0
    assert theirs.peer
