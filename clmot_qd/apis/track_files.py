"""Tracking a video into files: MOT and MOTS text, CocoVID JSON, MP4, pictures, contact sheet."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from clmot_qd.apis.addresses import is_address, public_name
from clmot_qd.apis.arguments import check_rate, whole_number
from clmot_qd.apis.ending_signal import ends_on_signal
from clmot_qd.apis.frame_sources import DEFAULT_FPS, gives_new_frames, opened_source
from clmot_qd.apis.progress import frame_bar
from clmot_qd.apis.result_folder import check_not_source, only_run_in
from clmot_qd.apis.running import make_folder
from clmot_qd.apis.text_outputs import MotText
from clmot_qd.apis.track_outputs import (
    MASK_OUTPUTS,
    OUTPUTS,
    UNFINISHED_FRAMES,
    Clip,
    Output,
    default_outputs,
    remove_unfinished,
)
from clmot_qd.apis.tracking_session import Frame, SessionProgress, Source, TrackingSession, check_frame
from clmot_qd.apis.write_behind import WriteBehind
from clmot_qd.errors import InputError
from clmot_qd.trackers import Tracks
from clmot_qd.trackers.online_tracker import rejected_note

WORDS = ("id", "class", "score")
SHAPES = ("box", "mask")
SHOWN = (*WORDS, *SHAPES)
TRAIL_SECONDS = 1.5
DRAWN_LATER = 8  # frames that may wait for being drawn
SMALL_PICTURE = 640  # pictures narrower than this are enlarged before drawing, so that ids stay readable

logger = logging.getLogger(__name__)


def track_to_files(
    session: TrackingSession,
    source: Source,
    out_dir: str | PathLike[str] | None = None,
    *,
    outputs: Sequence[str] | None = None,
    max_frames: int | None = None,
    progress: SessionProgress | None = None,
    fps: float | None = None,
    show: Sequence[str] | None = None,
    pictures: bool = True,
) -> list[Path]:
    """Track ``source`` from its beginning and write what was found, as the frames come.

    Ctrl-C (or SIGTERM) ends a camera or a stream as its own end would, with complete files; of anything else it leaves
    what an error leaves: ``tracks.partial.txt`` with all frames so far, and nothing else. SIGTERM then leaves the
    program by SystemExit, unless the caller handles it; in threads other than the main one it works as always.

    Args:
        session: Detector and tracker.
        source: Video file, folder of pictures, glob, stream's address, camera's number, an iterable of BGR frames, or
            what :func:`~clmot_qd.apis.frame_sources.open_source` returned.
        out_dir: Where the files go; ``tracked/NAME OF THE SOURCE`` by default.
        outputs: Of ``'mot'`` (tracks.txt), ``'mots'`` (tracks_mots.txt, of models with masks alone), ``'cocovid'``
            (tracks.json), ``'video'`` (tracks.mp4), ``'frames'`` (frames/000001.jpg ...), ``'sheet'``
            (contact_sheet.png); by default the texts that the model gives, the video and the sheet.
        max_frames: Stop after this many frames; None goes to the end.
        progress: Is told frames done and frames in all (None where not known); by default a bar on standard error.
        fps: Frame rate of the video file; the source's own by default.
        show: What the pictures show of each track, of ``'id'``, ``'class'``, ``'score'`` and ``'box'``, ``'mask'``; by
            default all, the class only where there are several. Where neither shape is named, both are drawn.
        pictures: Whether the video and the sheet are among the outputs where none is named.

    Returns:
        The files, in the order of ``outputs``.

    Raises:
        InputError: Masks are asked for of a model without, or ``show`` where no output is a picture; the source cannot
            be read or the files cannot be written, and the message says where what was tracked until then can be found;
            the files would replace the source; another run writes to the folder.
    """
    outputs = default_outputs(session.gives_masks, pictures) if outputs is None else outputs
    check_arguments(outputs, max_frames, fps, show)
    if not session.gives_masks:
        refuse_masks(outputs, show)
    opened = opened_source(source, fps)
    folder = Path(out_dir) if out_dir is not None else Path("tracked") / name_of(source)
    frames, clip = _describe(opened, source, folder, session.classes, max_frames, fps)
    writers: list[Output] = [OUTPUTS[name](clip) for name in outputs]
    places = [place for writer in writers for place in (writer.path, writer.partial)]
    check_not_source([*places, folder / UNFINISHED_FRAMES], _files_of(opened))
    make_folder(folder)
    with only_run_in(folder) as alone:
        if alone:
            remove_unfinished(folder)
        _write(session, opened, frames, clip, writers, max_frames, progress, show)
    if session.num_rejected:
        logger.warning("%s: %s", clip.name, rejected_note(session.num_rejected))
    for writer in writers:
        if isinstance(writer, MotText) and writer.note:
            logger.warning("%s: %s", clip.name, writer.note)
    return [writer.path for writer in writers]


def _write(
    session: TrackingSession,
    opened: Any,
    frames: Iterable[Frame],
    clip: Clip,
    writers: Sequence[Output],
    max_frames: int | None,
    progress: SessionProgress | None,
    show: Sequence[str] | None,
) -> None:
    """Track into the opened outputs; an error says what is left of it."""
    try:
        drawer = _drawer(clip, show) if any(writer.needs_drawing for writer in writers) else None
        with ExitStack() as stack:
            told = progress or stack.enter_context(frame_bar())
            stopped = stack.enter_context(ends_on_signal(opened))
            # The texts are finished first, so that they are there even if the others do not fit on the disk.
            for writer in sorted(writers, key=lambda entry: isinstance(entry, MotText)):
                stack.enter_context(writer)
            _run(session, frames, clip, writers, max_frames, told, stopped, drawer)
    except (InputError, OSError) as error:
        raise InputError(f"{_reason(error, clip.folder)}; {_what_is_left(writers)}") from error
    except BaseException:
        logger.warning("stopped; %s", _what_is_left(writers))
        raise


def _files_of(opened: Any) -> Sequence[str | PathLike[str]]:
    """The files that a source reads; an iterable of frames does not say."""
    return getattr(opened, "files", ()) if hasattr(opened, "fps") else ()


def name_of(source: Any) -> str:
    """A folder name for the results of a source: its own name; of a MOT image folder the sequence's."""
    named = source if isinstance(source, (str, PathLike)) else getattr(source, "name", source)
    if isinstance(named, Integral):
        return f"camera_{named}"
    text = str(named) if isinstance(named, (str, PathLike)) else "frames"
    path = Path(public_name(text))
    if not is_address(text) and (not path.name.strip(".") or path.name in ("img1", "images")):
        path = path.resolve()  # what ".." is called
        path = path.parent if path.name in ("img1", "images") else path
    # A folder's name is whole with its dots, and so is a host's: only files have suffixes.
    whole = path.is_dir() or (is_address(text) and len(path.parts) == 2)
    return re.sub(r"[^\w.-]+", "_", path.name if whole else path.stem).strip("_.") or "video"


def check_arguments(
    outputs: Sequence[str] | None, max_frames: int | None, fps: float | None = None, show: Sequence[str] | None = None
) -> None:
    """Check what can be checked before anything is opened.

    Raises:
        InputError: See :func:`track_to_files`.
    """
    check_rate(fps)
    if max_frames is not None:
        whole_number("max_frames", max_frames, 1)
    if show is not None and (isinstance(show, str) or not {*show} <= {*SHOWN}):
        raise InputError(f"show = {show!r}: give a list of {', '.join(SHOWN)}")
    if outputs is None:
        return
    if not outputs or isinstance(outputs, str) or len({*outputs}) < len(outputs):
        raise InputError(f"outputs = {outputs!r}: give a list of different names of {', '.join(OUTPUTS)}")
    for name in outputs:
        if name not in OUTPUTS:
            raise InputError(f"output {name!r} is unknown; choose from {', '.join(OUTPUTS)}")
    if show and not any(OUTPUTS[name].needs_drawing for name in outputs):
        what = f"show (--show) is about pictures, and no output ({', '.join(outputs)}) is one"
        raise InputError(f"{what}; leave it out, or add video, frames or sheet to the outputs")


def refuse_masks(outputs: Sequence[str] | None, show: Sequence[str] | None) -> None:
    """Check that a model that gives boxes alone is asked for no masks.

    Raises:
        InputError: It is.
    """
    asked = [f"output {name!r}" for name in outputs or () if name in MASK_OUTPUTS]
    asked += ["show (--show) 'mask'"] if "mask" in (show or ()) else []
    if asked:
        raise InputError(f"{asked[0]}: this model gives boxes alone; leave it out, or take a model with a mask head")


def _describe(
    opened: Any, source: Any, folder: Path, classes: tuple[str, ...], max_frames: int | None, fps: float | None
) -> tuple[Iterable[Frame], Clip]:
    """The frames, and what is known of them before they are read."""
    name = name_of(source)
    if hasattr(opened, "fps"):
        known = (_length(opened, max_frames), getattr(opened, "file_names", ()))
        return opened, Clip(folder, name, fps or opened.fps, opened.size, classes, *known)
    readable = _readable(opened)
    for first in readable:
        check_frame(first, 0)
        size = (first.shape[1], first.shape[0])
        clip = Clip(folder, name, fps or DEFAULT_FPS, size, classes, _length(opened, max_frames))
        return chain([first], readable), clip
    raise InputError("the source holds no frame")


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
    told: SessionProgress,
    stopped: threading.Event,
    drawer: Any,
) -> None:
    """Track and write until the frames end or somebody stops them; pictures are drawn and encoded in a thread."""
    drawn = [writer for writer in writers if writer.needs_drawing]

    def draw(number: int, frame: Frame, tracks: Tracks) -> None:
        picture = drawer.draw(frame, tracks)
        for writer in drawn:
            writer.add(number, tracks, picture)

    # A maker may fill one array again and again, which the thread must not notice.
    keep = np.asarray if gives_new_frames(frames) else np.copy
    number = 0
    with closing(session.stream_frames(frames, max_frames)) as pairs, WriteBehind(draw, DRAWN_LATER) as behind:
        for number, (frame, tracks) in enumerate(pairs, start=1):
            for writer in writers:
                if not writer.needs_drawing:
                    writer.add(number, tracks, None)
            if drawn:
                behind.put(number, keep(frame), tracks)
            told(number, clip.length)
            if stopped.is_set():
                break
    if not number:
        raise InputError(f"{clip.name}: holds no frame")


def _drawer(clip: Clip, show: Sequence[str] | None) -> Any:
    from clmot_qd.visualization import TrackDrawer

    scale = max(1.0, round(SMALL_PICTURE / clip.size[0]))
    trail = max(4, round(TRAIL_SECONDS * clip.fps))
    wanted = {*show} if show is not None else {*WORDS} - ({"class"} if len(clip.classes) < 2 else set())
    shapes = wanted & {*SHAPES} or {*SHAPES}
    return TrackDrawer(
        trail,
        clip.classes if "class" in wanted else None,
        show_scores="score" in wanted,
        scale=scale,
        show_ids="id" in wanted,
        show_boxes="box" in shapes,
        show_masks="mask" in shapes,
    )


def _reason(error: InputError | OSError, folder: Path) -> str:
    if isinstance(error, InputError):
        return str(error)
    return f"{folder}: cannot be written ({error.strerror or error}); make room or choose another folder"


def _what_is_left(writers: Sequence[Output]) -> str:
    """Where the user finds what was tracked until now."""
    texts = [writer for writer in writers if isinstance(writer, MotText)]
    begun = [text for text in texts if text.frames]
    if begun:
        places = " and ".join(str(text.path if text.done else text.partial) for text in begun)
        count = "all" if all(text.done for text in begun) else f"the {min(text.frames for text in begun)}"
        return f"{count} frames tracked so far are in {places}"
    return "nothing was tracked until then" if texts else "no file was written"
