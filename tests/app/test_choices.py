"""From what a visitor chooses to a tracker."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sessions import WalkingSession

from clmot_qd.app import choices
from clmot_qd.app.choices import (
    APPEARANCE,
    BISOFTMAX,
    BOTH,
    BYTE,
    COSINE,
    JDE,
    MOTION,
    OCSORT,
    OWN,
    ChosenTracker,
    Settings,
    choose_tracker,
    default_settings,
    least_frames,
    offered_cues,
    offered_trackers,
    score_meaning,
)
from clmot_qd.app.retracking import RetrackedSession, build_tracker
from clmot_qd.errors import InputError

JDE_OWN = dict(type="JDETracker", conf_thr=0.4, lost_frames=30, gate_thr=50.0)
QD_OWN = dict(type="BiSoftmaxTracker", init_score_thr=0.7, obj_score_thr=0.3, memo_tracklet_frames=10)
OTHER = dict(type="StrangeTracker", knob=1)


def chosen(own: dict[str, Any], kind: str, **settings: Any) -> dict[str, Any]:
    return choose_tracker(own, kind, Settings(**settings)).config


@pytest.mark.parametrize("own", [JDE_OWN, QD_OWN, OTHER])
def test_the_own_tracker_with_its_own_settings_stays_as_it_is(own: dict[str, Any]) -> None:
    begun = default_settings(own, OWN)
    for settings in (Settings(), begun):
        assert choose_tracker(own, OWN, settings) == ChosenTracker(own, True, True)


def test_hidden_settings_change_nothing() -> None:
    assert choose_tracker(OTHER, OWN, Settings(0.0, 0)) == ChosenTracker(OTHER, True, True)


def test_what_the_page_shows_of_each_tracker() -> None:
    assert default_settings(JDE_OWN, OWN) == Settings(0.4, 30, BOTH)
    assert default_settings(QD_OWN, OWN) == Settings(0.7, 10, APPEARANCE)
    assert default_settings(dict(type="JDETracker"), OWN) == Settings(0.4, 30, BOTH)
    assert default_settings(dict(type="BiSoftmaxTracker"), OWN) == Settings(0.8, 10, APPEARANCE)
    assert default_settings({**QD_OWN, "iou_weight": 1.0}, OWN).cues == BOTH
    assert default_settings({**QD_OWN, "iou_weight": 1.0, "appearance_weight": 0.0}, OWN).cues == MOTION
    assert default_settings(OTHER, OWN) == Settings()
    assert default_settings(JDE_OWN, BYTE) == Settings(0.4, 30, None)
    assert default_settings(QD_OWN, OCSORT) == Settings(0.7, 10, None)
    assert offered_cues(JDE_OWN, OWN) == (BOTH, MOTION)
    assert offered_cues(JDE_OWN, BISOFTMAX) == (APPEARANCE, BOTH, MOTION)
    assert offered_cues(OTHER, OWN) == offered_cues(JDE_OWN, BYTE) == ()


def test_other_trackers_take_thresholds_and_memory_of_the_configuration() -> None:
    assert chosen(QD_OWN, JDE) == dict(type="JDETracker", conf_thr=0.7, lost_frames=10)
    assert chosen(JDE_OWN, JDE) == JDE_OWN
    assert chosen(QD_OWN, BISOFTMAX) == {**QD_OWN, "match_metric": "bisoftmax"}
    assert chosen({**QD_OWN, "temperature": 0.2}, COSINE) == {**QD_OWN, "match_metric": "cosine"}
    assert chosen({**QD_OWN, "temperature": 0.2}, BISOFTMAX)["temperature"] == 0.2
    bisoftmax = choose_tracker(JDE_OWN, BISOFTMAX, Settings(), temperature=0.1).config
    assert bisoftmax == dict(
        type="BiSoftmaxTracker",
        match_metric="bisoftmax",
        init_score_thr=0.5,
        obj_score_thr=0.4,
        memo_tracklet_frames=30,
        temperature=0.1,
    )
    assert "temperature" not in choose_tracker(JDE_OWN, COSINE, Settings(), temperature=0.1).config
    assert chosen({**JDE_OWN, "lost_frames": 0}, COSINE)["memo_tracklet_frames"] == 1
    assert chosen({**JDE_OWN, "conf_thr": 0.95}, BYTE)["init_track_thr"] == 1.0


def test_thresholds_that_must_lie_above_or_below_go_along() -> None:
    assert chosen({**JDE_OWN, "init_thr": 0.5, "low_conf_thr": 0.2}, OWN, score_thr=0.6)["init_thr"] == 0.6
    low = chosen({**JDE_OWN, "init_thr": 0.5, "low_conf_thr": 0.2}, OWN, score_thr=0.1)
    assert (low["conf_thr"], low["init_thr"], low["low_conf_thr"]) == (0.1, 0.5, 0.1)
    assert "init_thr" not in chosen(JDE_OWN, OWN, score_thr=0.6)
    assert chosen(QD_OWN, OWN, score_thr=0.2)["obj_score_thr"] == 0.2
    assert chosen(QD_OWN, OWN, score_thr=0.9)["obj_score_thr"] == 0.3
    byte = chosen(JDE_OWN, BYTE, score_thr=0.05)
    assert byte["obj_score_thrs"] == dict(high=0.05, low=0.05)
    assert chosen(JDE_OWN, OCSORT, score_thr=0.8)["init_track_thr"] == 0.8


def test_memory_and_cues_become_arguments() -> None:
    assert chosen(JDE_OWN, OWN, lost_frames=7)["lost_frames"] == 7
    assert chosen(QD_OWN, OWN, lost_frames=7)["memo_tracklet_frames"] == 7
    assert chosen(JDE_OWN, BYTE, lost_frames=7)["num_frames_retain"] == 7
    motion = chosen(QD_OWN, OWN, cues=MOTION)
    assert (motion["appearance_weight"], motion["iou_weight"], motion["motion"]) == (0.0, 1.0, "kalman")
    assert chosen(QD_OWN, OWN, cues=BOTH)["appearance_weight"] == 1.0
    by_position = choose_tracker(JDE_OWN, OWN, Settings(cues=MOTION))
    assert by_position == ChosenTracker(JDE_OWN, with_embeds=False, unchanged=False)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("own; import os", Settings(), "not offered"),
        (OWN, Settings(score_thr=1.1), r"score threshold is 1\.1"),
        (OWN, Settings(score_thr=float("nan")), "score threshold is nan"),
        (OWN, Settings(lost_frames=-1), "kept for -1 frames"),
        (OWN, Settings(lost_frames=10**9), "must be 0 to 1000"),
        (COSINE, Settings(lost_frames=0), "must be 1 to 1000"),
        (JDE, Settings(cues=APPEARANCE), "does not compare in that way"),
        (BYTE, Settings(cues=MOTION), "does not compare in that way"),
    ],
)
def test_what_is_not_offered_is_refused(kind: str, settings: Settings, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_tracker(JDE_OWN, kind, settings)


def test_the_least_memory_that_is_offered_can_be_built() -> None:
    for kind in offered_trackers():
        least = least_frames(JDE_OWN, kind)
        assert least == (kind in (BISOFTMAX, COSINE))
        build_tracker(chosen(JDE_OWN, kind, lost_frames=least))


def test_each_tracker_says_what_its_score_does() -> None:
    said = {kind: score_meaning(QD_OWN, kind) for kind in (OWN, JDE, BYTE, OCSORT)}
    assert "begins a track" in said[OWN]
    assert said[JDE] == said[OCSORT] == "Least score of a detection that is used."
    assert "first round" in said[BYTE]
    assert score_meaning(OTHER, OWN) == ""


def test_trackers_of_mmdet_are_offered_only_with_lap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "find_spec", lambda name: None)
    assert offered_trackers() == (OWN, JDE, BISOFTMAX, COSINE)
    with pytest.raises(InputError, match="not offered"):
        choose_tracker(JDE_OWN, BYTE, Settings())


# ---- and to tracks -----------------------------------------------------------------------------------------------


def tracked(own: dict[str, Any], kind: str, keep: tuple[int, ...] | None = None, **settings: Any) -> list[Any]:
    tracker = choose_tracker(own, kind, Settings(**settings))
    session = RetrackedSession(WalkingSession(), tracker, keep)
    return list(session.stream(np.zeros((6, 48, 96, 3), np.uint8)))


@pytest.mark.parametrize("own", [JDE_OWN, QD_OWN])
@pytest.mark.parametrize("kind", offered_trackers())
def test_every_choice_follows_three_objects(own: dict[str, Any], kind: str) -> None:
    frames = tracked(own, kind, score_thr=0.5)
    assert len(frames) == 6
    last = frames[-1]
    assert len(last) == 3
    assert set(last.instances_id) == set(frames[-2].instances_id)
    assert sorted(last.detection_index) == [0, 1, 2]
    assert list(last.labels[np.argsort(last.detection_index)]) == [0, 1, 0]


def test_the_own_tracker_is_the_models_and_is_reset_for_each_video() -> None:
    model = WalkingSession()
    session = RetrackedSession(model, choose_tracker(OTHER, OWN, Settings()))
    frames = list(session.stream(np.zeros((2, 48, 96, 3), np.uint8)))
    assert list(frames[0].instances_id) == [100, 101, 102]
    list(session.stream(np.zeros((2, 48, 96, 3), np.uint8)))
    assert model.resets == 2


@pytest.mark.parametrize("kind", [JDE, BISOFTMAX, BYTE])
def test_another_video_begins_afresh(kind: str) -> None:
    session = RetrackedSession(WalkingSession(), choose_tracker(QD_OWN, kind, Settings(0.5)))
    first, second = (list(session.stream(np.zeros((4, 48, 96, 3), np.uint8))) for _ in range(2))
    assert [list(tracks.instances_id) for tracks in first] == [list(tracks.instances_id) for tracks in second]


def test_the_score_threshold_and_the_classes_are_kept_to() -> None:
    assert [len(tracks) for tracks in tracked(QD_OWN, OWN, score_thr=0.85)] == 6 * [1]
    kept = tracked(QD_OWN, OWN, keep=(1,), score_thr=0.5)
    assert [list(tracks.labels) for tracks in kept] == 6 * [[1]]


def test_by_position_alone_embeddings_are_not_looked_at() -> None:
    seen: list[Any] = []
    session = RetrackedSession(WalkingSession(), choose_tracker(JDE_OWN, JDE, Settings(cues=MOTION)))
    update = session._tracker.update
    session._tracker.update = lambda *arguments: seen.append(arguments[3]) or update(*arguments)
    assert len(list(session.stream(np.zeros((3, 48, 96, 3), np.uint8)))[-1]) == 3
    assert seen == [None, None, None]


def test_a_tracker_that_needs_its_model_keeps_its_settings() -> None:
    with pytest.raises(InputError, match="leave its settings as they are"):
        build_tracker({**QD_OWN, "regression": True})


@pytest.mark.parametrize(
    ("config", "message"), [({**QD_OWN, "knob": 1}, "knob"), (dict(type="NoSuchTracker"), "NoSuchTracker")]
)
def test_a_mistake_of_the_operator_is_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_tracker(config)


def test_detection_is_the_models_own_way(tmp_path: Path) -> None:
    """Frames are prepared and detected as the model does it, ahead if it does so, in batches that it chooses."""

    class Ahead(WalkingSession):
        def __init__(self) -> None:
            super().__init__()
            self._detects_ahead, self._preparing_threads = True, 3
            self.threads: set[str] = set()

        def _prepare(self, frame: Any) -> Any:
            return frame, "prepared"

        def _detect_prepared(self, prepared: Any) -> Any:
            assert {word for _, word in prepared} == {"prepared"}
            self.threads.add(threading.current_thread().name)
            return self._detect([frame for frame, _ in prepared])

        def _batch_size_of(self, source: Any) -> int:
            return 2

    model = Ahead()
    session = RetrackedSession(model, choose_tracker(OTHER, OWN, Settings()))
    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((48, 96, 3), np.uint8))
    assert len(list(session.stream(tmp_path))) == 5
    assert model.threads == {"read_ahead"}
    assert session._preparing_threads == 3
    assert session._batch_size_of(None) == 2
