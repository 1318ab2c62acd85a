"""Many videos, each tracked whole by one of the processes that share them, with a folder of results each.

The processes are torch.distributed's, on one machine or several, see :mod:`clmot_qd.apis.processes`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clmot_qd.apis.addresses import is_address, is_live_address, public_name
from clmot_qd.apis.frame_sources import IMAGE_SUFFIXES, VIDEO_SUFFIXES, natural_key, open_source
from clmot_qd.apis.track_files import name_of, refuse_masks
from clmot_qd.apis.track_outputs import OUTPUTS, Clip, default_outputs
from clmot_qd.apis.tracking_session import TrackingSession
from clmot_qd.errors import InputError, one_line
from clmot_qd.files import read_text

logger = logging.getLogger(__name__)

PICTURE_FOLDERS = ("", "img1", "images")
"""Where the pictures of a sequence may lie in its folder."""


@dataclass(frozen=True)
class Job:
    """One video.

    Attributes:
        source: See :func:`~clmot_qd.apis.frame_sources.open_source`; no camera and no live stream.
        folder: Where its results go.
        error: Why it failed; None where it did not.
    """

    source: str
    folder: Path
    error: str | None = None


def expand_sources(given: Sequence[str]) -> list[str]:
    """The videos that a user means.

    Args:
        given: Videos, folders of pictures, addresses of recordings, as :func:`open_source` takes them; folders of such
            (their hidden files and other files are left alone); text files ``*.txt`` that list any of these, one in a
            line, seen from the list's folder, ``#`` before a remark.

    Raises:
        InputError: A list cannot be read or is empty, something listed is not there, or a folder holds both videos and
            the pictures of a sequence (in img1 or images).
    """
    try:
        return list(dict.fromkeys(source for entry in given for source in _expanded(entry)))
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); check the path") from error


def _expanded(entry: str) -> list[str]:
    if entry.isdecimal() or is_address(entry):  # a camera, whatever is called so here
        return [entry]
    path = Path(entry)
    if path.suffix.lower() == ".txt" and path.is_file():
        return _listed(path)
    if path.is_dir():
        inside = sorted(path.iterdir(), key=natural_key)
        if not _has_pictures(path):
            return [os.fspath(item) for item in inside if _is_video(item)] or [entry]
        if not any(_is_picture(item) for item in inside) and any(_is_video(item) and item.is_file() for item in inside):
            raise InputError(f"{entry}: holds videos, and a folder of pictures beside them; name those that are meant")
    return [entry]


def _listed(path: Path) -> list[str]:
    found = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        place = entry if is_address(entry) else os.path.join(path.parent, entry)
        if not is_address(place) and not os.path.exists(place):
            raise InputError(f"{path}: line {number}: {place}: no such file or folder")
        found += [place] if place.lower().endswith(".txt") else _expanded(place)
    if not found:
        raise InputError(f"{path}: lists no video; write one in a line")
    return found


def _is_video(item: Path) -> bool:
    if item.name.startswith("."):
        return False
    if item.is_dir():
        return _has_pictures(item)
    return item.suffix.lower() in VIDEO_SUFFIXES


def _has_pictures(folder: Path) -> bool:
    places = [folder / name for name in PICTURE_FOLDERS]
    return any(_is_picture(item) for place in places if place.is_dir() for item in place.iterdir())


def _is_picture(item: Path) -> bool:
    return item.suffix.lower() in IMAGE_SUFFIXES and not item.name.startswith(".")


def plan_jobs(sources: Sequence[str], out_dir: str | os.PathLike[str]) -> list[Job]:
    """A folder of results for each video: its name, with that of its own folder before it where two are called alike.

    Raises:
        InputError: A camera or a live stream, which has no end; a picture among others, as a shell makes of a pattern;
            two videos that still have one name.
    """
    for source in sources:
        if source.isdecimal() or (is_address(source) and is_live_address(source)):
            raise InputError(f"{public_name(source)}: a camera or a stream does not end; track it by itself")
        if len(sources) > 1 and not is_address(source) and os.path.isfile(source) and _is_picture(Path(source)):
            pattern = os.path.join(os.path.dirname(source), f"*{Path(source).suffix}")
            raise InputError(f"{source}: one picture is no video; give its folder, or quote the pattern: '{pattern}'")
    sources = list(dict.fromkeys(_pictures_of(source) for source in sources))
    names = [name_of(source) for source in sources]
    alike = {name for name in names if names.count(name) > 1}
    names = [_longer_name(source, name) if name in alike else name for source, name in zip(sources, names)]
    taken: dict[str, int] = {}
    for number, (source, name) in enumerate(zip(sources, names)):
        other = taken.setdefault(name.lower(), number)  # some disks do not tell Clip from clip
        if other != number:
            both = f"{public_name(sources[other])} and {public_name(source)}"
            raise InputError(f"{both}: their results would have one folder, {name}; rename one, or track it by itself")
    return [Job(source, Path(out_dir) / name) for source, name in zip(sources, names)]


def _pictures_of(source: str) -> str:
    """The folder that holds the pictures of a sequence; anything else as it is."""
    if not is_address(source) and os.path.isdir(source):
        for name in PICTURE_FOLDERS:
            place = Path(source) / name
            if place.is_dir() and any(_is_picture(item) for item in place.iterdir()):
                return os.fspath(place)
    return source


def _longer_name(source: str, name: str) -> str:
    if is_address(source):
        return name
    own = Path(source).resolve()
    own = own.parent if own.name in PICTURE_FOLDERS else own
    return f"{name_of(own.parent)}_{name}"


def is_finished(job: Job, outputs: Sequence[str] | None, pictures: bool = True) -> bool:
    """Whether all these outputs of a video are there, and no later run stopped on the way to them.

    None: those that every model writes, with or without ``pictures``; with its masks, a model that gives some wrote
    them before the last of these.
    """
    clip = Clip(job.folder, job.folder.name, 30.0, (1, 1), (), None)
    files = [OUTPUTS[name](clip) for name in outputs or default_outputs(False, pictures)]
    stopped = any(file.partial != file.path and file.partial.exists() for file in files)
    return not stopped and all(file.path.exists() for file in files)


def share_out(jobs: Sequence[Job], processes: int) -> list[list[Job]]:
    """The jobs of each process: as even as their numbers of frames allow."""
    from clmot_qd.datasets.samplers.video_sampler import deal_out

    if processes == 1:
        return [list(jobs)]  # for nothing else the videos would have to be opened
    lengths = [_length(job.source) for job in jobs]
    return [[jobs[index] for index in hand] for hand in deal_out(lengths, processes)]


def _length(source: str) -> int:
    """The number of frames; 0 of what cannot be opened, which its own turn will tell."""
    try:
        return len(open_source(source))
    except (InputError, TypeError):
        return 0


def track_each(
    session: TrackingSession, jobs: Iterable[Job], told: Callable[[Job], None] = lambda job: None, **options: Any
) -> list[Job]:
    """Track videos one after the other; one that fails does not stop the next.

    Args:
        session: Detector and tracker; it starts afresh with each video.
        jobs: The videos.
        told: Is called with each job when it is done.
        options: See :meth:`TrackingSession.track`.

    Returns:
        The jobs, with what went wrong.

    Raises:
        InputError: Masks are asked for of a session without; nothing is tracked then.
    """
    if not session.gives_masks:
        refuse_masks(options.get("outputs"), options.get("show"))
    done = []
    for job in jobs:
        done.append(replace(job, error=_track(session, job, options)))
        told(done[-1])
    return done


def _track(session: TrackingSession, job: Job, options: dict[str, Any]) -> str | None:
    try:
        session.track(job.source, job.folder, **options)
    except InputError as error:
        return one_line(error)
    except Exception as error:  # whatever is wrong with one video, the others are wanted
        logger.exception("%s", public_name(job.source))
        return f"{public_name(job.source)}: {type(error).__name__}: {(str(error).splitlines() or ['no details'])[0]}"
    return None


def track_shared(
    open_session: Callable[[], TrackingSession],
    sources: Sequence[str],
    out_dir: str | os.PathLike[str],
    *,
    outputs: Sequence[str] | None = None,
    skip_finished: bool = False,
    **options: Any,
) -> bool:
    """Track this process's share of the videos and print what comes of them; the first process sums up.

    Args:
        open_session: Makes detector and tracker; not called where there is nothing to track.
        sources: See :func:`plan_jobs`; the first process's count.
        out_dir: Folder of the folders of results.
        outputs: See :meth:`TrackingSession.track`.
        skip_finished: Leave out videos whose outputs are there, see :func:`is_finished`.
        options: More arguments of :meth:`TrackingSession.track`.

    Returns:
        Whether all videos were tracked, by whichever process.

    Raises:
        InputError: See :func:`plan_jobs` and :func:`track_each`; or the session cannot be made.
    """
    from mmengine.dist import all_gather_object, broadcast_object_list, get_dist_info

    rank, processes = get_dist_info()
    plan: list[Any] = [None, None]
    if rank == 0:
        jobs = plan_jobs(sources, out_dir)
        pictures = options.get("pictures", True)
        left = [job for job in jobs if not (skip_finished and is_finished(job, outputs, pictures))]
        plan = [share_out(left, processes), len(jobs) - len(left)]
    broadcast_object_list(plan)
    (mine, *_), finished = (plan[0][rank:], plan[1])
    if processes > 1:
        options.setdefault("progress", lambda done, total: None)  # bars would overwrite each other
    done = track_each(open_session(), mine, _tell, outputs=outputs, **options) if mine else []
    everybody = [job for part in all_gather_object(done) for job in part]
    if rank == 0:
        _sum_up(everybody, finished)
    return all(job.error is None for job in everybody)


def _tell(job: Job) -> None:
    print(f"wrote {job.folder}" if job.error is None else f"failed: {job.error}", flush=True)


def _sum_up(done: Sequence[Job], finished: int) -> None:
    failed = [job for job in done if job.error is not None]
    before = f", {finished} finished before" if finished else ""
    print(f"{len(done) - len(failed)} videos tracked{before}, {len(failed)} failed", flush=True)
    for job in failed:
        print(f"failed: {job.error}", file=sys.stderr, flush=True)
