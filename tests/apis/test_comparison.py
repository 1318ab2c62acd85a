"""compare_embeddings and compare_trackers: one set of detections, tracked in several ways, with either model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_data import shrink, write_tiny_data

from clmot_qd.apis.comparison import (
    COLUMNS,
    MOTION,
    RANDOM,
    TABLE_4,
    TRAINED,
    _build_tracker,
    _without_appearance,
    compare_embeddings,
    compare_trackers,
    comparison_table,
    write_comparison,
)
from clmot_qd.apis.running import build_runner, load_config
from clmot_qd.errors import InputError
from clmot_qd.trackers import BiSoftmaxTracker, JDETracker

CLMOT_KEYS = {
    "model.tracker.conf_thr": 0.0,
    "model.detector.test_cfg": dict(topk=5, local_maximum_kernel=3, score_thr=0.0),
}
QDTRACK_KEYS = {
    "model.tracker.init_score_thr": 0.0,
    "model.tracker.obj_score_thr": 0.0,
    "model.detector.test_cfg.rcnn.score_thr": 0.0,
    "model.detector.test_cfg.rcnn.max_per_img": 5,
}


@pytest.fixture(scope="module", params=["clmot_tiny_demo", "qdtrack_tiny_demo"])
def project(request: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A configuration on tiny pictures that tracks everything, and a checkpoint of its random weights."""
    folder = tmp_path_factory.mktemp(request.param)
    keys = CLMOT_KEYS if request.param.startswith("clmot") else QDTRACK_KEYS
    config = shrink(load_config(request.param, keys), write_tiny_data(folder, frames=6))
    config.work_dir = str(folder / "run")
    config.dump(folder / "config.py")
    runner = build_runner(config)
    torch.manual_seed(0)
    runner.model.init_weights()
    head = getattr(runner.model.detector, "bbox_head", None)
    if head is not None:  # sizes of an untrained head are about 0
        torch.nn.init.constant_(head.wh_head[-1].bias, 6.0)
    torch.save({"state_dict": runner.model.state_dict()}, folder / "model.pth")
    tracker = JDETracker if request.param.startswith("clmot") else BiSoftmaxTracker
    return dict(config=str(folder / "config.py"), checkpoint=str(folder / "model.pth"), tracker=tracker)


def quiet(line: str) -> None:
    """No progress."""


def watched(tracker: type, run: Any) -> tuple[Any, list[Any]]:
    """The result of ``run`` and what each update of the tracker was given."""
    original, calls = tracker.update, []  # type: ignore[attr-defined]

    def watch(self: Any, bboxes: Any, scores: Any, labels: Any, embeds: Any, frame_id: int) -> Any:
        calls.append((bboxes.copy(), None if embeds is None else embeds.copy(), self))
        return original(self, bboxes, scores, labels, embeds, frame_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracker, "update", watch)
        return run(), calls


def test_embeddings_are_compared_on_the_same_boxes(project: dict[str, Any], tmp_path: Path) -> None:
    scores, calls = watched(
        project["tracker"],
        lambda: compare_embeddings(project["config"], project["checkpoint"], seed=1, progress=quiet),
    )
    assert list(scores) == [TRAINED, RANDOM, MOTION]
    third = len(calls) // 3
    assert third == 12
    for (a, x, _), (b, y, _), (c, z, _) in zip(calls[:third], calls[third : 2 * third], calls[2 * third :]):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
        assert z is None
        assert not np.allclose(x, y)
    assert len(comparison_table(scores).splitlines()) == 4
    write_comparison(scores, tmp_path / "c.json")
    assert json.loads((tmp_path / "c.json").read_text())[MOTION].keys() == set(COLUMNS)


def test_trackers_are_compared_on_the_same_detections(project: dict[str, Any]) -> None:
    rows = {
        "nobody": dict(type="BiSoftmaxTracker", init_score_thr=1.0),
        "everybody": dict(type="BiSoftmaxTracker", init_score_thr=0.0, obj_score_thr=0.0, remove_duplicates=False),
    }
    scores, calls = watched(
        BiSoftmaxTracker, lambda: compare_trackers(project["config"], project["checkpoint"], rows, progress=quiet)
    )
    assert list(scores) == list(rows)
    for (a, x, _), (b, y, _) in zip(calls[:12], calls[12:]):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(x, y)
    assert scores["nobody"].overall("trackeval")["FP"] == 0
    assert scores["everybody"].overall("trackeval")["FP"] > 0


def test_a_row_without_a_type_changes_the_tracker_of_the_configuration(project: dict[str, Any]) -> None:
    if project["tracker"] is JDETracker:
        rows: dict[str, dict[str, Any]] = {"short": dict(lost_frames=3)}
    else:
        rows = TABLE_4
    _, calls = watched(
        project["tracker"], lambda: compare_trackers(project["config"], project["checkpoint"], rows, progress=quiet)
    )
    trackers = list(dict.fromkeys(call[2] for call in calls))
    if project["tracker"] is JDETracker:
        assert [(t.lost_frames, t.conf_thr) for t in trackers] == [(3, 0.0)]
        return
    settings = [(t.cues.match_metric, t.remove_duplicates, t.memo_backdrop_frames) for t in trackers]
    assert settings == [
        ("cosine", False, 0),
        ("bisoftmax", False, 0),
        ("bisoftmax", True, 0),
        ("bisoftmax", True, 1),
    ]
    assert {t.init_score_thr for t in trackers} == {0.0}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (dict(type="ByteTracker", motion=dict(type="KalmanFilter")), "mine: ByteTracker is mmdet's"),
        (dict(type="BiSoftmaxTracker", iou_weight=1.0, regression=True), "mine: regression"),
        (dict(type="JDETracker", confthr=1), "confthr"),
        (dict(type="JTracker"), "JTracker"),
    ],
)
def test_trackers_that_cannot_be_compared_are_named(project: dict[str, Any], row: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        compare_trackers(project["config"], project["checkpoint"], {"mine": row}, progress=quiet)


def test_motion_alone_of_each_tracker() -> None:
    tao = dict(type="TAOBiSoftmaxTracker", init_score_thr=0.1, match_with_cosine=True)
    assert _without_appearance(dict(type="JDETracker", conf_thr=0.2)) == dict(type="JDETracker", conf_thr=0.2)
    for tracker in (tao, dict(type="BiSoftmaxTracker", init_score_thr=0.1)):
        alone = _build_tracker(_without_appearance(tracker), "motion")
        assert (alone.init_score_thr, alone.cues.appearance_weight, alone.motion) == (0.1, 0, "kalman")


def test_classes_that_are_not_listed_are_those_that_occur(project: dict[str, Any]) -> None:
    keys = {"test_evaluator.classes": None}
    scores = compare_trackers(project["config"], project["checkpoint"], {"own": {}}, options=keys, progress=quiet)
    assert scores["own"].overall("trackeval")["FP"] > 0


def test_a_head_of_another_length_is_named(project: dict[str, Any]) -> None:
    keys = {"test_dataloader.dataset.metainfo.classes": ("pedestrian", "person")}
    with pytest.raises(InputError, match=r"metainfo\.classes: names 2"):
        compare_trackers(project["config"], project["checkpoint"], {"own": {}}, options=keys, progress=quiet)
