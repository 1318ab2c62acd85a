"""What a visitor sees: the one module that draws with gradio."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import Any

import gradio as gr

from clmot_qd.app.choices import (
    OWN,
    TITLES,
    Settings,
    default_settings,
    least_frames,
    offered_cues,
    offered_trackers,
    score_meaning,
)
from clmot_qd.app.clips import SUFFIXES
from clmot_qd.app.jobs import Job, State
from clmot_qd.app.models import ModelFacts
from clmot_qd.app.service import Busy, Service
from clmot_qd.app.status import EMPTY, message, status_of, table_of
from clmot_qd.app.tracking import ARCHIVE, COCOVID, MASKS, TEXT, VIDEO, Outcome
from clmot_qd.errors import InputError

TITLE = "Track objects in a video"
COLUMNS = ("id", "class", "first", "last", "from s", "to s", "seen", "score")
DOWNLOADS = {
    VIDEO: "Video (MP4)",
    TEXT: "Table of boxes (MOT text)",
    MASKS: "Table of masks (MOTS text)",
    COCOVID: "For programs (CocoVID JSON)",
    ARCHIVE: "All (zip)",
}
SCORE_INFO = "A score says how sure the model is, 0 to 1. Higher threshold: fewer false tracks, more missed objects."
# Seconds between two looks at a job.
LOOK_EVERY = 0.3
# End of the slider for lost tracks, unless a configuration remembers them longer.
SHOWN_FRAMES = 200
# The visitor's own fonts: gradio's themes would fetch theirs from elsewhere.
FONTS = ("system-ui", "Segoe UI", "Roboto", "Helvetica", "Arial", "sans-serif")
MONO_FONTS = ("ui-monospace", "Consolas", "Liberation Mono", "monospace")


def style() -> dict[str, Any]:
    """Theme and style sheet, for ``launch``."""
    theme = gr.themes.Default(primary_hue="blue", neutral_hue="slate", font=FONTS, font_mono=MONO_FONTS)
    theme.set(body_text_color_subdued="*neutral_500")  # a shade darker, to be read on white
    return dict(theme=theme, css=files("clmot_qd.app").joinpath("page.css").read_text(encoding="utf-8"))


def build_page(service: Service) -> gr.Blocks:
    """The page on top of a service."""
    with gr.Blocks(title=TITLE, analytics_enabled=False) as blocks:
        gr.HTML(f"<h1>{TITLE}</h1><p>Boxes and identities, frame by frame.</p>", elem_id="cq-head", padding=False)
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=320):
                inputs = _Inputs(service)
            with gr.Column(scale=3, min_width=320):
                outputs = _Outputs()
        inputs.connect(outputs)
        blocks.unload(inputs.leave)
    return blocks


class _Inputs:
    """The left side: what to track, and how."""

    def __init__(self, service: Service) -> None:
        self._service = service
        limits = service.limits
        self.upload = gr.File(label="Video", file_types=list(SUFFIXES), height=150, elem_id="cq-upload")
        gr.HTML(
            f"mp4, mov, avi, mkv, webm, or a zip of pictures; at most {limits.max_mb:g} MB, "
            f"{limits.max_seconds:g} s and {limits.max_frames} frames.",
            elem_id="cq-facts",
            padding=False,
        )
        self.example = gr.Button("Use an example video", size="sm", elem_id="cq-example")
        names = list(service.facts)
        self.model = gr.Dropdown(names, value=names[0], label="Model", visible=len(names) > 1, elem_id="cq-model")
        facts = service.facts[names[0]]
        self.finds = gr.HTML(_found_classes(facts), elem_id="cq-finds", padding=False)
        self.tracker = gr.Dropdown(_tracker_choices(facts), value=OWN, label="Tracker", elem_id="cq-tracker")
        with gr.Accordion("Settings", open=False, elem_id="cq-settings"):
            self._draw_settings(facts)
        with gr.Row():
            self.start = gr.Button("Track", variant="primary", scale=2, min_width=120, elem_id="cq-start")
            self.cancel = gr.Button("Cancel", scale=1, min_width=100, interactive=False, elem_id="cq-cancel")

    def _draw_settings(self, facts: ModelFacts) -> None:
        score, frames, cues, classes = _settings_shown(facts, OWN)
        self.score = gr.Slider(
            step=0.01,
            label="Score threshold",
            elem_id="cq-score",
            **score,
        )
        self.frames = gr.Slider(
            step=1,
            label="Frames to remember lost tracks",
            info="More: ids survive longer absence, and are more often given to somebody else.",
            elem_id="cq-frames",
            **frames,
        )
        self.cues = gr.Radio(label="Compare by", elem_id="cq-cues", **cues)
        self.classes = gr.Dropdown(multiselect=True, label="Classes to keep", elem_id="cq-classes", **classes)

    def connect(self, outputs: _Outputs) -> None:
        """Say what happens when something is pressed or chosen."""
        quiet: dict[str, Any] = dict(api_visibility="private", show_progress="hidden")
        settings = [self.score, self.frames, self.cues, self.classes]
        self.model.change(self._model_chosen, self.model, [self.finds, self.tracker, *settings], queue=True, **quiet)
        self.tracker.input(self._tracker_chosen, [self.model, self.tracker], settings, **quiet)
        self.example.click(lambda: str(self._service.example()), None, self.upload, api_visibility="private")
        choices = [self.upload, self.model, self.tracker, *settings]
        changing = [*outputs.all, self.start, self.cancel]
        runner = _Runner(self._service, outputs, self.start, self.cancel)
        # Jobs have a queue of their own; gradio's would hide how it stands.
        self.start.click(runner.run, choices, changing, concurrency_limit=None, **quiet)
        self.cancel.click(self.leave, None, None, concurrency_limit=None, **quiet)

    def leave(self, request: gr.Request) -> None:
        """The visitor cancels, or closes the page."""
        self._service.cancel(str(request.session_hash))

    def _model_chosen(self, model: str) -> list[Any]:
        facts = self._service.facts[model]
        tracker = gr.Dropdown(choices=_tracker_choices(facts), value=OWN)
        return [_found_classes(facts), tracker, *self._updates(facts, OWN)]

    def _tracker_chosen(self, model: str, kind: str) -> list[Any]:
        return self._updates(self._service.facts[model], kind)

    def _updates(self, facts: ModelFacts, kind: str) -> list[Any]:
        score, frames, cues, classes = _settings_shown(facts, kind)
        return [gr.Slider(**score), gr.Slider(**frames), gr.Radio(**cues), gr.Dropdown(**classes)]


def _found_classes(facts: ModelFacts) -> str:
    return f"Finds: {escape(', '.join(facts.classes))}."


def _tracker_choices(facts: ModelFacts) -> list[tuple[str, str]]:
    """(what the page shows, what it sends) of each tracker."""
    own = {OWN: f"{TITLES[OWN]} (the model's own: {facts.tracker['type']})"}
    return [(own.get(kind, TITLES[kind]), kind) for kind in offered_trackers()]


def _settings_shown(
    facts: ModelFacts, kind: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Arguments of the widgets for score, frames, cues and classes."""
    begun = default_settings(facts.tracker, kind, facts.temperature)
    cues = offered_cues(facts.tracker, kind, facts.temperature)
    least = least_frames(facts.tracker, kind, facts.temperature)
    floor = min(facts.score_floor, begun.score_thr or 0.0)
    return (
        dict(
            minimum=floor,
            maximum=1.0,
            value=floor if begun.score_thr is None else begun.score_thr,  # gradio takes no empty slider
            visible=begun.score_thr is not None,
            info=f"{score_meaning(facts.tracker, kind, facts.temperature)} {SCORE_INFO}",
        ),
        dict(
            minimum=least,
            value=least if begun.lost_frames is None else begun.lost_frames,
            maximum=max(SHOWN_FRAMES, begun.lost_frames or 0),
            visible=begun.lost_frames is not None,
        ),
        dict(choices=list(cues), value=begun.cues, visible=bool(cues)),
        dict(choices=list(facts.classes), value=[], visible=len(facts.classes) > 1),
    )


class _Outputs:
    """The right side: how it goes, and what came out."""

    def __init__(self) -> None:
        self.status = gr.HTML(message(EMPTY, "empty"), elem_id="cq-status", padding=False)
        with gr.Column(visible=False, elem_id="cq-results") as self.results:
            self.video = gr.Video(
                label="Tracked video", interactive=False, autoplay=True, loop=True, elem_id="cq-video"
            )
            with gr.Row():
                self.downloads = [
                    gr.DownloadButton(
                        title, size="sm", min_width=120, visible=name != MASKS, elem_id=f"cq-get-{_dashed(name)}"
                    )
                    for name, title in DOWNLOADS.items()
                ]
            self.table = gr.Dataframe(
                headers=list(COLUMNS),
                datatype=["number", "str", "number", "number", "number", "number", "number", "number"],
                interactive=False,
                label="Tracks: first and last frame, the same in seconds, frames with a box, mean score (⋮ sorts)",
                elem_id="cq-table",
                max_height=420,
            )
        self.all = [self.status, self.results, self.video, self.table, *self.downloads]

    def filled(self, outcome: Outcome) -> dict[Any, Any]:
        """The results of a job."""
        shown: dict[Any, Any] = {
            self.results: gr.Column(visible=True),
            self.video: str(outcome.folder / VIDEO),
            self.table: table_of(outcome),
        }
        for name, button in zip(DOWNLOADS, self.downloads):
            path = outcome.folder / name
            shown[button] = gr.update(value=str(path) if path.exists() else None, visible=path.exists())
        return shown


def _dashed(name: str) -> str:
    """A file's name as a part of an element's."""
    return name.translate(str.maketrans("._", "--"))


class _Runner:
    """Starts a job and tells the page about it until it ends."""

    def __init__(self, service: Service, outputs: _Outputs, start: gr.Button, cancel: gr.Button) -> None:
        self._service, self._outputs, self._start, self._cancel = service, outputs, start, cancel

    def run(
        self,
        upload: str | None,
        model: str,
        kind: str,
        score: float | None,
        frames: float | None,
        cues: str | None,
        classes: list[str] | None,
        request: gr.Request,
    ) -> Iterator[dict[Any, Any]]:
        """What changes on the page, again and again."""
        status = self._outputs.status
        try:
            settings = Settings(score, None if frames is None else round(frames), cues)
            job = self._service.start(str(request.session_hash), upload, model, kind, settings, classes or ())
        except Busy as error:
            gr.Warning(str(error))  # what the page says of the running job stays
            yield {status: gr.skip()}
            return
        except InputError as error:
            yield {status: message(str(error), "error")}
            return
        except (TypeError, ValueError, OverflowError):
            yield {status: message("these inputs are not what the page sends", "error")}
            return
        try:
            yield {self._outputs.results: gr.Column(visible=False), **self._buttons(running=True)}
            yield from self._watched(job)
            result = self._outputs.filled(job.result) if job.state is State.DONE else {}
            yield {status: status_of(job, 0), **result, **self._buttons(running=False)}
        finally:
            job.cancel()  # does nothing to one that has ended; else the visitor is gone

    def _watched(self, job: Job) -> Iterator[dict[Any, Any]]:
        shown = ""
        while not job.wait(LOOK_EVERY if shown else 0.0):
            now = status_of(job, self._service.queue.ahead(job))
            if now != shown:
                yield {self._outputs.status: now}
            shown = now

    def _buttons(self, running: bool) -> dict[Any, Any]:
        return {self._start: gr.Button(interactive=not running), self._cancel: gr.Button(interactive=running)}
