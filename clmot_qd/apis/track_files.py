"""Tracking a video into files: MOT text, CocoVID JSON, MP4, pictures, contact sheet."""

from __future__ import annotations

import logging
import re
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

from clmot_qd.apis.frame_sources import DEFAULT_FPS, open_source
from clmot_qd.apis.progress import frame_bar
from clmot_qd.apis.running import make_folder
from clmot_qd.apis.track_outputs import OUTPUTS, Clip, MotText, Output
from clmot_qd.apis.tracking_session import Frame, SessionProgress, Source, TrackingSession
from clmot_qd.apis.video_capture import public_name
from clmot_qd.errors import InputError

TRAIL_SECONDS = 1.5
SMALL_PICTURE = 640  # pictures narrower than this are enlarged before drawing, so that ids stay readable

logger = logging.getLogger(__name__)


def track_to_files(
    session: TrackingSession,
    source: Source,
    out_dir: str | PathLike[str] | None = None,
    *,
    outputs: Sequence[str] = ("mot", "video", "sheet"),
    max_frames: int | None = None,
    progress: SessionProgress | None = None,
    fps: float | None = None,
) -> list[Path]:
    """Track ``source`` from its beginning and write what was found, as the frames come.

    Ctrl-C (or SIGTERM) ends a camera or a stream as its own end would, with complete files; of anything else it leaves
    what an error leaves: ``tracks.partial.txt`` with all frames so far, and nothing else.

    Args:
        session: Detector and tracker.
        source: Video file, folder of pictures, glob, stream's address, camera's number, an iterable of BGR frames, or
            what :func:`~clmot_qd.apis.frame_sources.open_source` returned.
        out_dir: Where the files go; ``tracked/NAME OF THE SOURCE`` by default.
        outputs: Of ``'mot'`` (tracks.txt), ``'cocovid'`` (tracks.json), ``'video'`` (tracks.mp4), ``'frames'``
            (frames/000001.jpg ...), ``'sheet'`` (contact_sheet.png).
        max_frames: Stop after this many frames; None goes to the end.
        progress: Is told frames done and frames in all (None where not known); by default a bar on standard error.
        fps: Frame rate of the video file; the source's own by default.

    Returns:
        The files, in the order of ``outputs``.

    Raises:
        InputError: The source cannot be read or the files cannot be written; the message says where what was tracked
            until then can be found.
    """
    _check_arguments(outputs, max_frames)
    opened = open_source(source, fps) if isinstance(source, (str, PathLike, int)) else source
    folder = Path(out_dir) if out_dir is not None else Path("tracked") / name_of(source)
    make_folder(folder)
    frames, clip = _describe(opened, source, folder, session.classes, max_frames, fps)
    writers: list[Output] = [OUTPUTS[name](clip) for name in outputs]
    try:
        with ExitStack() as stack:
            show = progress or stack.enter_context(frame_bar())
            stopped = stack.enter_context(_ends_on_signal(opened))
            # The text is finished first, so that it is there even if the others do not fit on the disk.
            for writer in sorted(writers, key=lambda entry: isinstance(entry, MotText)):
                stack.enter_context(writer)
            _run(session, frames, clip, writers, max_frames, show, stopped)
    except (InputError, OSError) as error:
        raise InputError(f"{_reason(error, folder)}; {_what_is_left(writers)}") from error
    except BaseException:
        logger.warning("stopped; %s", _what_is_left(writers))
        raise
    return [writer.path for writer in writers]


def name_of(source: Any) -> str:
    """A folder name for the results of a source: its own name; of a MOT image folder the sequence's."""
    named = source if isinstance(source, (str, PathLike)) else getattr(source, "name", source)
    if isinstance(named, int):
        return f"camera_{named}"
    path = Path(public_name(str(named) if isinstance(named, (str, PathLike)) else "frames"))
    if path.name in ("img1", "images"):
        path = path.resolve().parent
    return re.sub(r"[^\w.-]+", "_", path.stem if path.suffix else path.name).strip("_") or "video"


def _check_arguments(outputs: Sequence[str], max_frames: int | None) -> None:
    if max_frames is not None and max_frames < 1:
        raise InputError(f"max_frames = {max_frames}: must be at least 1")
    if not outputs or isinstance(outputs, str) or len({*outputs}) < len(outputs):
        raise InputError(f"outputs = {outputs!r}: give a list of different names of {', '.join(OUTPUTS)}")
    for name in outputs:
        if name not in OUTPUTS:
            raise InputError(f"output {name!r} is unknown; choose from {', '.join(OUTPUTS)}")


def _describe(
    opened: Any, source: Any, folder: Path, classes: tuple[str, ...], max_frames: int | None, fps: float | None
) -> tuple[Iterable[Frame], Clip]:
    """The frames, and what is known of them before they are read."""
    name = name_of(source)
    if hasattr(opened, "fps"):
        return opened, Clip(folder, name, fps or opened.fps, opened.size, classes, _length(opened, max_frames))
    iterator = iter(opened)
    first = next(iterator, None)
    if first is None:
        raise InputError("the source holds no frame")
    size = (first.shape[1], first.shape[0])
    return _readable(chain([first], iterator)), Clip(
        folder, name, fps or DEFAULT_FPS, size, classes, _length(opened, max_frames)
    )


def _readable(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The frames of an iterable from elsewhere, whose OSErrors are about reading, not about the files written here."""
    try:
        yield from frames
    except OSError as error:
        raise InputError(f"the source cannot be read any more ({error})") from error


def _length(opened: Any, max_frames: int | None) -> int | None:
    """The number of frames that will be tracked, where it is known."""
    try:
        length = len(opened)
    except TypeError:
        return None
    return length if max_frames is None else min(length, max_frames)


def _run(
    session: TrackingSession,
    frames: Any,
    clip: Clip,
    writers: Sequence[Output],
    max_frames: int | None,
    show: SessionProgress,
    stopped: threading.Event,
) -> None:
    """Track, draw and write until the frames end or somebody stops them."""
    drawer = _drawer(clip) if any(writer.needs_drawing for writer in writers) else None
    number = 0
    with closing(session.stream_frames(frames, max_frames)) as pairs:
        for number, (frame, tracks) in enumerate(pairs, start=1):
            drawn = None if drawer is None else drawer.draw(frame, tracks)
            for writer in writers:
                writer.add(number, tracks, drawn)
            show(number, clip.length)
            if stopped.is_set():
                break
    if not number:
        raise InputError(f"{clip.name}: holds no frame")


def _drawer(clip: Clip) -> Any:
    from clmot_qd.visualization import TrackDrawer

    scale = max(1.0, round(SMALL_PICTURE / clip.size[0]))
    trail = max(4, round(TRAIL_SECONDS * clip.fps))
    names = clip.classes if len(clip.classes) > 1 else None
    return TrackDrawer(trail, class_names=names, scale=scale)


@contextmanager
def _ends_on_signal(opened: Any) -> Iterator[threading.Event]:
    """Let the first Ctrl-C or SIGTERM end a live source; the second one works as always."""
    stopped = threading.Event()
    if not getattr(opened, "is_live", False) or threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def end(number: int, frame: Any) -> None:
        restore()
        stopped.set()
        opened.stop()

    for number in before:
        signal.signal(number, end)
    try:
        yield stopped
    finally:
        restore()


def _reason(error: InputError | OSError, folder: Path) -> str:
    if isinstance(error, InputError):
        return str(error)
    return f"{folder}: cannot be written ({error.strerror or error}); make room or choose another folder"


def _what_is_left(writers: Sequence[Output]) -> str:
    """Where the user finds what was tracked until now."""
    for writer in writers:
        if isinstance(writer, MotText) and writer.frames:
            done = "all" if writer.path.exists() and not writer.partial.exists() else f"the {writer.frames}"
            place = writer.path if done == "all" else writer.partial
            return f"{done} frames tracked so far are in {place}"
    return "nothing was tracked until then" if any(isinstance(w, MotText) for w in writers) else "no file was written"
