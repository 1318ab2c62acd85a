"""One job: an upload becomes a tracked video, a table of tracks, and files to take away."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clmot_qd.apis.frame_sources import FrameSource
from clmot_qd.app.choices import ChosenTracker
from clmot_qd.app.clips import Clip, prepare_clip
from clmot_qd.app.jobs import Job, is_servers_matter
from clmot_qd.app.limits import Limits
from clmot_qd.app.models import ModelStore
from clmot_qd.app.retracking import RetrackedSession
from clmot_qd.app.workspace import Workspace
from clmot_qd.datasets.mot_text import MotTable, read_tracks
from clmot_qd.errors import InputError, one_line

TEXT, COCOVID, VIDEO, ARCHIVE = "tracks.txt", "tracks.json", "tracks.mp4", "tracks.zip"
MASKS = "tracks_mots.txt"
"""Of models that give masks alone."""


@dataclass(frozen=True)
class Request:
    """What a visitor asked for, checked.

    Attributes:
        upload: The file.
        model: Name of the choice.
        tracker: The tracker.
        keep_labels: Labels of the classes to give out; None: all.
    """

    upload: Path
    model: str
    tracker: ChosenTracker
    keep_labels: tuple[int, ...] | None = None


class TrackRow(NamedTuple):
    """One track in the table of the page.

    Attributes:
        id: Identity.
        class_name: Of most of its boxes.
        first, last: Frames, from 1.
        length: Frames in which it has a box.
        score: Mean over these.
    """

    id: int
    class_name: str
    first: int
    last: int
    length: int
    score: float


@dataclass(frozen=True)
class Outcome:
    """What a job leaves.

    Attributes:
        folder: Holds ``tracks.txt``, ``tracks.json``, ``tracks.mp4``, of a model with masks ``tracks_mots.txt``, and
            ``tracks.zip`` with all of them.
        frames: Frames that were tracked.
        rows: One per track, by first frame.
        rate: Frames per second of the tracked video.
        said_frames: Frames that the upload says it has; None: it does not.
    """

    folder: Path
    frames: int
    rows: tuple[TrackRow, ...]
    rate: float = 30.0
    said_frames: int | None = None

    @property
    def is_cut_off(self) -> bool:
        """Whether it ended long before its end; files are often wrong by a few frames."""
        return self.said_frames is not None and self.frames < 0.95 * self.said_frames - 1


class Tracking:
    """Does jobs.

    Args:
        models: The operator's models.
        workspace: Where the files go.
        limits: What the operator allows.
    """

    def __init__(self, models: ModelStore, workspace: Workspace, limits: Limits) -> None:
        self._models, self._workspace, self._limits = models, workspace, limits

    def run(self, job: Job, request: Request) -> Outcome:
        """Track a video; the folder of a job that fails or is cancelled is removed.

        Raises:
            InputError: The upload, or what was chosen, cannot be used.
            Cancelled: Somebody asked for it.
        """
        folder, done = self._workspace.begin_job(), False
        try:
            outcome = self._track(job, request, folder)
            done = True
            return outcome
        except InputError as error:
            if error.__cause__ is not None and is_servers_matter(error.__cause__):
                raise error.__cause__ from None
            refused = one_line(error)
        finally:
            self._workspace.end_job(folder, keep=done)
        # Paths of the server are no visitor's business. Not raised from the first error, which says more than this.
        raise InputError(_without_paths(refused, folder))

    def _track(self, job: Job, request: Request, folder: Path) -> Outcome:
        job.step("Reading the video")
        clip = prepare_clip(request.upload, folder, self._limits)
        job.step("Loading the model")
        with self._models.borrow(request.model) as model:
            session = RetrackedSession(model, request.tracker, request.keep_labels)
            job.step("Tracking")
            source = clip.open(self._limits)
            frames = self._write(job, session, clip, source, folder)
        job.step("Packing the results")
        table = read_tracks(folder / TEXT)
        _pack(folder)
        _remove(clip.source)
        return Outcome(folder, frames, track_rows(table, session.classes), source.fps, clip.frames)

    def _write(self, job: Job, session: RetrackedSession, clip: Clip, source: FrameSource, folder: Path) -> int:
        """Track into files; returns the number of frames. What a file said of its length is not believed."""
        done = 0

        def report(frames: int, total: int | None) -> None:
            nonlocal done
            done = frames
            self._limits.check_length(frames, frames / clip.rate if clip.rate else None)
            job.report(frames, total or clip.frames)

        texts = ("mot", "mots") if session.gives_masks else ("mot",)
        session.track(source, folder, outputs=(*texts, "cocovid", "video"), progress=report)
        return done


def track_rows(table: MotTable, classes: Sequence[str]) -> tuple[TrackRow, ...]:
    """Sum a table of boxes up by track.

    Args:
        table: Of one video; classes count from 1, -1 where there is one only.
        classes: Names by label.

    Returns:
        One row per id, by first frame, then id.
    """
    rows = []
    for identity in np.unique(table.ids):
        mine = table.ids == identity
        frames = table.frames[mine]
        name = _class_name(table.class_ids[mine], classes)
        score = round(float(table.scores[mine].mean()), 3)
        rows.append(TrackRow(int(identity), name, int(frames.min()), int(frames.max()), len(frames), score))
    return tuple(sorted(rows, key=lambda row: (row.first, row.id)))


def _class_name(class_ids: np.ndarray, classes: Sequence[str]) -> str:
    """The class of most boxes; the smallest number among equals."""
    numbers, counts = np.unique(class_ids, return_counts=True)
    number = int(numbers[counts.argmax()])
    if number < 1:
        return classes[0] if len(classes) == 1 else "object"
    return classes[number - 1] if number <= len(classes) else str(number)


def _pack(folder: Path) -> None:
    """Everything in one zip; the video does not become smaller."""
    with zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (TEXT, MASKS, COCOVID, VIDEO):
            kind = zipfile.ZIP_STORED if name == VIDEO else None
            if name != MASKS or (folder / MASKS).exists():
                archive.write(folder / name, name, compress_type=kind)


def _remove(source: Path) -> None:
    """The clip is not needed any more."""
    if source.is_dir():
        shutil.rmtree(source, ignore_errors=True)
    else:
        source.unlink(missing_ok=True)


def _without_paths(text: str, folder: Path) -> str:
    """A message without the job's folder in it."""
    return text.replace(f"{folder}/", "").replace(str(folder), "the video")
