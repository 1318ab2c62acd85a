"""The sections about start-up and training data measure what their titles say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from clmot_qd.benchmark import loading, setup
from clmot_qd.benchmark.cases import Case, Missing, Options, ProcessCase
from clmot_qd.benchmark.processes import run_process

QUICK = Options(quick=True, rounds=1)


class TestSetup:
    def test_every_command_is_asked_for_its_help(self) -> None:
        cases = setup._commands(quick=False)
        ours = [case.name for case in cases if not getattr(case, "peer", False)]
        assert {"train", "test", "track_video", "benchmark"} <= set(ours)
        assert len(ours) == len(list(setup.TOOLS.glob("*.py")))
        for case in cases:
            assert isinstance(case, Missing) or case.argv[-1] == "--help"

    def test_imports_of_ours_and_of_others(self) -> None:
        imports, commands = setup.groups(QUICK)
        assert [case.name for case in imports.cases][:2] == ["import clmot_qd", "clmot_qd.trackers"]
        package, trackers = (run_process(case, QUICK) for case in imports.cases[:2])
        assert 1 < package[1] < trackers[1]  # numpy, which the second imports, takes memory
        assert all(isinstance(case, ProcessCase) for case in commands.cases)

    def test_somebody_else_s_package_may_be_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(setup, "find_spec", lambda name: None)
        missing = [case for case in setup._imports(quick=False) if isinstance(case, Missing)]
        assert [case.reason for case in missing] == ["pip install mmdet", "pip install trackers", "pip install norfair"]
        assert isinstance(setup._mmdet_command(), Missing)

    def test_the_code_of_the_children_compiles(self) -> None:
        for case in setup._first_tracks("cpu"):
            assert isinstance(case, ProcessCase)
            compile(case.argv[-1], "child", "exec")
            assert "'cpu'" in case.argv[-1]
            assert "DEVICE" not in case.argv[-1]


class TestLoading:
    def test_all_groups_run(self) -> None:
        threads = cv2.getNumThreads()
        titles = []
        for group in loading.groups(QUICK):
            titles.append(group.title)
            assert cv2.getNumThreads() in (0, 1)
            for case in group.cases:
                assert isinstance(case, Case)
                if case.before is not None:
                    case.before()
                case.run()
        assert [title.split(",")[0] for title in titles] == ["two views", "pairs of frames", "file of 4"]
        assert cv2.getNumThreads() == threads

    def test_ours_and_mmdet_s_samples_are_of_the_same_kind(self, tmp_path) -> None:
        size = (480, 270)
        loading.write_pictures(tmp_path, size)
        loading.write_video(tmp_path / "video.json", 20, size)
        np.random.seed(0)  # noqa: NPY002 (mmdet's)
        ours = loading.frame_pairs(str(tmp_path))[1]
        theirs = loading._mmdet_pairs(str(tmp_path))
        two_views = loading.two_views(str(tmp_path))[1]
        assert isinstance(theirs, Case)
        assert theirs.peer
        assert ours["inputs"].shape[:2] == two_views["inputs"].shape[:2] == (2, 3)
        assert two_views["inputs"].shape[2:] == (608, 1088)
        assert max(ours["inputs"].shape[2:]) <= 1088
        objects = ours["data_samples"].video_data_samples[0].gt_instances
        assert 10 < len(objects.instances_ids) <= 40
