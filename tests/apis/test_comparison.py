"""compare_embeddings and compare_trackers: one set of detections, tracked in several ways, with either model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
from clmot_qd.apis.detection_cache import ConfiguredVideos
from clmot_qd.datasets.detections import CacheFolder
from clmot_qd.errors import InputError
from clmot_qd.trackers import BiSoftmaxTracker, JDETracker


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


def test_a_cache_gives_the_same_numbers_without_the_network(project: dict[str, Any], tmp_path: Path) -> None:
    def compare(cache: Path | None, seed: int = 1) -> dict[str, Any]:
        scores = compare_embeddings(project["config"], project["checkpoint"], None, seed, quiet, cache)
        return {name: score.overall("trackeval") for name, score in scores.items()}

    expected = compare(None)
    assert compare(tmp_path / "cache") == expected
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["clip-1.npz", "clip-2.npz"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(ConfiguredVideos, "load_model")
        assert compare(tmp_path / "cache") == expected
        changed = compare_trackers(
            project["config"], project["checkpoint"], {"own": {}}, progress=quiet, cache=tmp_path / "cache"
        )
        assert changed["own"].overall("trackeval") == expected[TRAINED]
        with pytest.raises(AttributeError):  # other random weights are not there
            compare(tmp_path / "cache", seed=2)
    compare(tmp_path / "cache", seed=2)
    assert CacheFolder(tmp_path / "cache", "random2")["clip-1"].embeds is not None


def test_classes_that_are_not_listed_are_those_that_occur(project: dict[str, Any]) -> None:
    keys = {"test_evaluator.classes": None}
    scores = compare_trackers(project["config"], project["checkpoint"], {"own": {}}, options=keys, progress=quiet)
    assert scores["own"].overall("trackeval")["FP"] > 0


def test_a_head_of_another_length_is_named(project: dict[str, Any]) -> None:
    keys = {"test_dataloader.dataset.metainfo.classes": ("pedestrian", "person")}
    with pytest.raises(InputError, match=r"metainfo\.classes: names 2"):
        compare_trackers(project["config"], project["checkpoint"], {"own": {}}, options=keys, progress=quiet)
