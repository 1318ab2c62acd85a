"""One case: a damaged copy of a sample is read under limits, and what came of it is named."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutators import damage

from clmot_qd.errors import InputError

SECONDS = 60  # after which a reader hangs
ADDRESS_SPACE = 1 << 30  # bytes that a case may map beyond what was mapped before
MEMORY = 96 << 20  # bytes that a case may really use, with files of some kB
LONGEST_MESSAGE = 4000
_FILE_FAULTS = ("missing", "folder", "empty", "link to itself", "link to nothing", "unreadable", "device")


@dataclass(frozen=True)
class Reader:
    """What reads files, with a sample that it reads.

    Args:
        name: Of the reader.
        build: Writes the sample into an empty folder.
        read: Reads it and uses what it has read; raises InputError for what it refuses.
        files: Glob of the files to be damaged -> their kind, see :func:`~mutators.damage`.
    """

    name: str
    build: Callable[[Path], None]
    read: Callable[[Path], Any]
    files: dict[str, str]


@dataclass
class Sample:
    """The files of a reader's sample, kept in memory."""

    reader: Reader
    folder: Path
    targets: list[tuple[Path, str]] = field(default_factory=list)
    content: dict[Path, bytes] = field(default_factory=dict)

    @classmethod
    def build(cls, reader: Reader, folder: Path) -> Sample:
        folder.mkdir(parents=True)
        reader.build(folder)
        sample = cls(reader, folder)
        for pattern, kind in reader.files.items():
            found = sorted(folder.glob(pattern))
            assert found, f"{reader.name}: no {pattern}"
            sample.targets += [(path, kind) for path in found]
        sample.content = {path: path.read_bytes() for path, _ in sample.targets}
        return sample

    def restore(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        path.write_bytes(self.content[path])


def run_case(sample: Sample, seed: int, number: int) -> tuple[str, str]:
    """Damage the sample, read it, restore it.

    Returns:
        ``("read", "")``, ``("refused", message)`` or ``("fault", what happened)``.
    """
    rng = random.Random(f"{seed}/{sample.reader.name}/{number}")
    path, kind = rng.choice(sample.targets)
    try:
        if rng.random() < 0.06:
            _break_file(path, rng.choice(_FILE_FAULTS))
        else:
            path.write_bytes(damage(sample.content[path], kind, rng))
        return guarded(lambda: sample.reader.read(sample.folder))
    finally:
        sample.restore(path)


def _break_file(path: Path, fault: str) -> None:
    path.unlink()
    if fault == "folder":
        path.mkdir()
    elif fault == "empty":
        path.touch()
    elif fault == "link to itself":
        path.symlink_to(path)
    elif fault == "link to nothing":
        path.symlink_to(path.with_name("nothing"))
    elif fault == "unreadable":
        path.touch(mode=0)
    elif fault == "device":
        path.symlink_to("/dev/null")


def guarded(read: Callable[[], Any]) -> tuple[str, str]:
    """Call a reader under limits of time and memory; see :func:`run_case`."""
    before = _reset_peak()
    try:
        with _limited(), warnings.catch_warnings(), contextlib.redirect_stdout(open(os.devnull, "w")):
            warnings.simplefilter("ignore")
            read()
        outcome = ("read", "")
    except InputError as error:
        message = str(error)
        outcome = ("refused", message)
        if len(message.splitlines()) != 1 or not message.isprintable() or len(message) > LONGEST_MESSAGE:
            outcome = ("fault", f"message of {len(message.splitlines())} lines: {message[:500]!r}")
    except BaseException as error:  # whatever it is: that is what is looked for
        if isinstance(error, KeyboardInterrupt):
            raise
        places = [f"{Path(one.filename).name}:{one.lineno}" for one in traceback.extract_tb(error.__traceback__)]
        outcome = ("fault", f"{type(error).__name__}: {str(error)[:200]!r} at {' < '.join(places[:-6:-1])}")
    used = _peak() - before
    if outcome[0] != "fault" and used > MEMORY:
        return "fault", f"{used >> 20} MB of memory ({outcome[0]} {outcome[1][:100]})"
    return outcome


class Hang(BaseException):
    """A reader takes too long; no Exception, so that nothing catches it."""


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def stop(number: int, frame: Any) -> None:
        raise Hang(f"more than {SECONDS} seconds")

    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + ADDRESS_SPACE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def _reset_peak() -> int:
    """Let the kernel count the peak of this process anew; bytes that it uses now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    return 0
