"""What the page can ask for; the page itself only shows it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clmot_qd.app.choices import Settings, choose_tracker
from clmot_qd.app.jobs import Job, JobQueue
from clmot_qd.app.limits import Limits
from clmot_qd.app.models import ModelFacts
from clmot_qd.app.tracking import Request, Tracking
from clmot_qd.app.workspace import Workspace
from clmot_qd.errors import InputError

# The example: long enough for people to cross, short enough to draw while somebody waits.
EXAMPLE_FRAMES, EXAMPLE_SPEED = 60, 0.5
# The disk that uploads and results may take, in uploads of the largest size.
ROOM = 20
# A tracked video is about as large as the upload, and lies in the zip once more.
ROOM_OF_RESULTS = 2


class Busy(InputError):
    """The page has a job that has not ended."""


@dataclass
class Service:
    """The operator's models and limits, a queue, and a job for each open page.

    Attributes:
        facts: What is known of each model, by its name.
        tracking: Does the jobs.
        queue: Runs them.
        workspace: Where the files are.
        limits: What a visitor may ask for.
    """

    facts: Mapping[str, ModelFacts]
    tracking: Tracking
    queue: JobQueue
    workspace: Workspace
    limits: Limits

    def __post_init__(self) -> None:
        """Start without jobs."""
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(
        self,
        page: str,
        upload: str | None,
        model: str,
        kind: str,
        settings: Settings,
        classes: Sequence[str] = (),
    ) -> Job:
        """Put a video into the queue.

        Args:
            page: Key of the open page; it has one job at a time.
            upload: Path that the upload was put under; None: nothing was chosen.
            model: Name of the choice.
            kind: The tracker, see :mod:`clmot_qd.app.choices`.
            settings: Of the tracker.
            classes: Names of the classes to give out; none: all.

        Raises:
            Busy: The page has a job already.
            InputError: Something that was chosen is not offered, or too much is going on.
        """
        request = self._request(upload, model, kind, settings, tuple(classes))
        with self._lock:
            running = self._jobs.get(page)
            if running is not None and not running.ended:
                raise Busy("this page is tracking a video already: wait for it, or cancel it first")
            job = self.queue.submit(lambda job: self.tracking.run(job, request))
            self._jobs = {key: other for key, other in self._jobs.items() if not other.ended}
            self._jobs[page] = job
        return job

    def _request(
        self, upload: str | None, model: str, kind: str, settings: Settings, classes: tuple[str, ...]
    ) -> Request:
        if not upload:
            raise InputError("choose a video first, or take the example")
        if model not in self.facts:
            raise InputError("this model is not offered here: choose one of the list")
        path = Path(upload)
        if path.exists() and not self.workspace.holds(path):
            raise InputError("this file was not uploaded here: choose it again")
        if path.exists() and not self.has_room(ROOM_OF_RESULTS * path.stat().st_size):
            raise InputError("the server has no room left for the results: try again later")
        facts = self.facts[model]
        if not set(classes) <= set(facts.classes):
            raise InputError(f"a class that this model does not know: it knows {', '.join(facts.classes)}")
        tracker = choose_tracker(facts.tracker, kind, settings, facts.temperature)
        labels = tuple(label for label, name in enumerate(facts.classes) if name in classes)
        return Request(path, model, tracker, labels or None)

    def has_room(self, count: int) -> bool:
        """Whether so many bytes more may be kept."""
        return self.workspace.used_bytes() + count <= ROOM * self.limits.max_bytes

    def cancel(self, page: str) -> None:
        """Cancel the job of a page, if there is one."""
        with self._lock:
            job = self._jobs.get(page)
        if job is not None:
            job.cancel()

    def example(self) -> Path:
        """The example video: people on a drawn street; drawn when first asked for."""
        path = self.workspace.files / "example" / "example.mp4"
        with self._lock:
            if not path.exists():
                draw_example(path)
        return path


def draw_example(path: Path) -> None:
    """Write a short video of the demo data's kind."""
    from clmot_qd.apis.video_io import VideoWriter
    from clmot_qd.datasets.demo_scenes import DemoSettings, build_scene

    settings = DemoSettings(test_frames=EXAMPLE_FRAMES, speed=EXAMPLE_SPEED)
    with VideoWriter(path, fps=settings.fps) as writer:
        for frame in build_scene(settings, "test", 0):
            writer.write(frame.image)
