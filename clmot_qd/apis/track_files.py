"""Tracking a video into files: MOT-format text, MP4 with boxes and trails, contact sheet."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from clmot_qd.apis.inferencer import TrackingInferencer
from clmot_qd.apis.track_table import stack_tracks
from clmot_qd.apis.video_io import VideoWriter, open_source
from clmot_qd.datasets.mot_text import write_tracks
from clmot_qd.errors import InputError
from clmot_qd.trackers import Tracks
from clmot_qd.visualization import TrackDrawer, contact_sheet, save_png

SHEET_FRAMES, SHEET_COLUMNS = 12, 3
TRAIL_SECONDS = 1.5
SMALL_PICTURE = 640  # pictures narrower than this are enlarged before drawing, so that ids stay readable


def track_to_files(
    tracking: TrackingInferencer,
    source: str | PathLike[str] | int,
    out_dir: str | PathLike[str] | None = None,
    max_frames: int | None = None,
    video: bool = True,
) -> list[Path]:
    """Track ``source`` and write what was found.

    Args:
        tracking: The model.
        source: Video file, folder of pictures, glob, stream address or camera number.
        out_dir: Where the files go; ``tracked/NAME OF THE SOURCE`` by default.
        max_frames: Stop after this many frames; None goes to the end.
        video: Also write ``tracks.mp4`` and ``contact_sheet.png``.

    Returns:
        The files: ``tracks.txt`` (frame from 1, id, x, y, w, h, score, class or -1), then those of ``video``.

    Raises:
        InputError: The source cannot be read. A file stands under its name only when it is complete.
    """
    if max_frames is not None and max_frames < 1:
        raise InputError(f"max_frames = {max_frames}: must be at least 1")
    opened = open_source(source)
    folder = Path(out_dir) if out_dir else Path("tracked") / name_of(source)
    total = _known_length(opened, max_frames)
    tracks: list[Tracks] = []
    tracking.reset()
    with ExitStack() as stack:
        pictures = _Pictures(folder, opened, tracking.classes, total, stack) if video else None
        for frame in _with_progress(islice(opened, max_frames), total):
            tracks.append(tracking.update(frame))
            if pictures is not None:
                pictures.add(frame, tracks[-1])
        if not tracks:
            raise InputError(f"{opened.name}: holds no frame")
    several = len(tracking.classes) > 1
    table = stack_tracks(tracks, range(1, len(tracks) + 1), range(1, len(tracking.classes) + 1) if several else None)
    written = [folder / "tracks.txt"]
    write_tracks(written[0], table)
    return written + (pictures.finish() if pictures is not None else [])


def name_of(source: str | PathLike[str] | int) -> str:
    """A folder name for the results of a source: its own name; of a MOT image folder the sequence's."""
    path = Path(str(source))
    if path.name in ("img1", "images"):
        path = path.resolve().parent
    return re.sub(r"[^\w.-]+", "_", path.stem if path.suffix else path.name).strip("_") or "video"


class _Pictures:
    """The drawn video and a few of its frames for the contact sheet."""

    def __init__(
        self, folder: Path, source: Any, classes: tuple[str, ...], total: int | None, stack: ExitStack
    ) -> None:
        self._folder = folder
        scale = max(1.0, round(SMALL_PICTURE / source.size[0]))
        trail = max(4, round(TRAIL_SECONDS * source.fps))
        self._drawer = TrackDrawer(trail, class_names=classes if len(classes) > 1 else None, scale=scale)
        self._writer = stack.enter_context(VideoWriter(folder / "tracks.mp4", fps=source.fps))
        self._chosen = _spread(total)
        self._sheet: list[tuple[int, np.ndarray]] = []
        self._stride = 1
        self._frames = 0

    def add(self, frame: np.ndarray, tracks: Tracks) -> None:
        """Draw one frame."""
        drawn = self._drawer.draw(frame, tracks)
        self._writer.write(drawn)
        if self._frames % self._stride == 0 if self._chosen is None else self._frames in self._chosen:
            self._sheet.append((self._frames, drawn))
        if self._chosen is None and len(self._sheet) > 2 * SHEET_FRAMES:
            # The length is not known: keep every second picture and go on twice as far apart.
            self._sheet, self._stride = self._sheet[::2], 2 * self._stride
        self._frames += 1

    def finish(self) -> list[Path]:
        """Write the sheet; the video was closed by the exit stack."""
        keep = np.unique(np.linspace(0, len(self._sheet) - 1, SHEET_FRAMES).round().astype(int))
        shown = [self._sheet[i] for i in keep]
        sheet = contact_sheet([picture for _, picture in shown], SHEET_COLUMNS, [f"frame {i + 1}" for i, _ in shown])
        save_png(self._folder / "contact_sheet.png", sheet)
        return [self._folder / "tracks.mp4", self._folder / "contact_sheet.png"]


def _spread(total: int | None) -> set[int] | None:
    """Frames for the contact sheet, evenly spread; None where the length is not known."""
    return None if total is None else {round(i) for i in np.linspace(0, total - 1, SHEET_FRAMES)}


def _known_length(source: Any, max_frames: int | None) -> int | None:
    """The number of frames that will be tracked, where it is known."""
    try:
        length = len(source)
    except TypeError:
        return None
    return length if max_frames is None else min(length, max_frames)


def _with_progress(frames: Iterable[np.ndarray], total: int | None) -> Iterator[np.ndarray]:
    """Yield the frames under a progress bar with the frame rate and the time left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("tracking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[rate]:.1f} frames/s")) as bar:
        task = bar.add_task("tracking", total=total, rate=0.0)
        started = time.perf_counter()
        for done, frame in enumerate(frames, start=1):
            yield frame
            bar.update(task, completed=done, rate=done / max(time.perf_counter() - started, 1e-9))
