"""What a start does to the page, without a browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from clip_files import write_clip
from sessions import MaskedWalkingSession, WalkingSession

from clmot_qd.app.jobs import JobQueue
from clmot_qd.app.limits import Limits
from clmot_qd.app.models import Model, ModelFacts, ModelStore
from clmot_qd.app.service import Service
from clmot_qd.app.tracking import Tracking
from clmot_qd.app.workspace import Workspace

gr = pytest.importorskip("gradio", reason="gradio is not installed")
GOOD: dict[str, Any] = dict(model="walk", kind="own", score=0.4, frames=30, cues=None, classes=[])


@pytest.fixture
def service() -> Iterator[Service]:
    facts = {"walk": ModelFacts(("person", "<b>car</b>"), dict(type="JDETracker"))}
    with Workspace() as workspace:
        tracking = Tracking(ModelStore([Model("walk", "", "")], lambda _: WalkingSession()), workspace, Limits())
        service = Service(facts, tracking, JobQueue(), workspace, Limits())
        yield service
        service.queue.close()


def started(service: Service, **inputs: Any) -> Iterator[dict[str, Any]]:
    """What each step of a start shows, by the element's id."""
    from clmot_qd.app.page import _Outputs, _Runner

    with gr.Blocks(analytics_enabled=False):
        outputs, start, cancel = _Outputs(), gr.Button(elem_id="start"), gr.Button(elem_id="cancel")
    upload = inputs.pop("upload", None) or str(write_clip(service.workspace.files / "a.mp4"))
    given = {**GOOD, **inputs}
    runner = _Runner(service, outputs, start, cancel)
    for shown in runner.run(upload, **given, request=SimpleNamespace(session_hash="page")):
        yield {element.elem_id: value for element, value in shown.items()}


def test_a_start_ends_with_the_results(service: Service) -> None:
    last = list(started(service))[-1]
    assert "Done: 3 tracks in 6 frames." in last["cq-status"]
    assert [row[:6] for row in last["cq-table"]] == [
        [i, "person" if i != 101 else "car", 1, 6, 0.0, 0.5] for i in (100, 101, 102)
    ]
    assert Path(last["cq-video"]).is_file()
    for name in ("mp4", "txt", "json", "zip"):
        button = last[f"cq-get-tracks-{name}"]
        assert button["visible"]
        assert Path(button["value"]).name == f"tracks.{name}"
    assert not last["cq-get-tracks-mots-txt"]["visible"]


def test_a_model_with_masks_offers_them(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.tracking._models, "_load", lambda _: MaskedWalkingSession())
    last = list(started(service))[-1]
    button = last["cq-get-tracks-mots-txt"]
    assert button["visible"]
    assert Path(button["value"]).name == "tracks_mots.txt"
    assert Path(button["value"]).is_file()


@pytest.mark.parametrize(
    "inputs",
    [
        *(dict(frames=value) for value in (float("nan"), float("inf"), "x", [1])),
        *(dict(score=value) for value in ("x", [0.5], {})),
        *(dict(model=["walk"]), dict(kind=["own"]), dict(classes=[["a"]]), dict(classes=5), dict(upload=7)),
    ],
)
def test_inputs_of_another_kind_are_told_in_one_line(service: Service, inputs: dict[str, Any]) -> None:
    shown = list(started(service, **inputs))
    assert len(shown) == 1
    assert "Error: " in shown[0]["cq-status"]
    assert "not what the page sends" in shown[0]["cq-status"] or "not offered" in shown[0]["cq-status"]


def test_what_is_said_of_a_running_job_stays(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    gate, run = threading.Event(), Tracking.run
    monkeypatch.setattr(Tracking, "run", lambda *arguments: gate.wait(60) and run(*arguments))
    monkeypatch.setattr(gr, "Warning", warned.append)
    first = started(service)
    next(first)
    assert "data-state" not in str(list(started(service)))
    assert "tracking a video already" in warned[0]
    gate.set()
    assert "Done" in list(first)[-1]["cq-status"]


def test_sliders_that_are_hidden_hold_a_number() -> None:
    from clmot_qd.app.page import _settings_shown

    score, frames, _, _ = _settings_shown(ModelFacts(("person",), dict(type="Strange")), "own")
    assert (score["visible"], score["value"], frames["visible"], frames["value"]) == (False, 0.0, False, 0)


def test_the_page_tells_what_a_model_finds_and_escapes_it(service: Service) -> None:
    from clmot_qd.app.page import build_page

    drawn = str(build_page(service).get_config_file())
    assert "Finds: person, &lt;b&gt;car&lt;/b&gt;." in drawn
    assert "Recommended (the model's own: JDETracker)" in drawn
