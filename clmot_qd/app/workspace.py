"""The one folder that the app writes to: private to the user who runs it, swept, and gone at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

PREFIX = "clmot_qd-app-"


class Workspace:
    """A temporary folder with a folder for each job and one for uploads, as a context manager.

    Args:
        keep_seconds: Age at which uploads and the results of jobs are removed.

    Attributes:
        root: The folder.
        files: Where uploads and results lie.
        temporary: For what libraries write.
    """

    def __init__(self, keep_seconds: float = 3600.0) -> None:
        self._keep_seconds = keep_seconds
        self.root = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        self.files, self.temporary = self.root / "files", self.root / "tmp"
        self._jobs = self.files / "jobs"  # within, since gradio gives out what lies there and nothing else
        for folder in (self.files, self._jobs, self.temporary):
            folder.mkdir()
        self._busy: set[Path] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove everything."""
        shutil.rmtree(self.root, ignore_errors=True)

    def begin_job(self) -> Path:
        """Make a folder that is kept until :meth:`end_job`, and a while longer."""
        with self._lock:
            folder = Path(tempfile.mkdtemp(dir=self._jobs))
            self._busy.add(folder)
        return folder

    def end_job(self, folder: Path, keep: bool) -> None:
        """Let a job's folder go: at once, or when it is old. From now on its age counts."""
        with self._lock:
            self._busy.discard(folder)
        if keep:
            now = time.time()
            for path in (folder, *folder.iterdir()):
                os.utime(path, (now, now))
        else:
            shutil.rmtree(folder, ignore_errors=True)

    def holds(self, path: Path) -> bool:
        """Whether this is a file in the workspace, links followed."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError, ValueError):
            return False
        return real.is_relative_to(self.root) and real.is_file()

    def used_bytes(self) -> int:
        """What uploads and results take up on the disk; a file with two names counts once."""
        seen = {}
        for path in self.root.rglob("*"):
            try:
                status = path.lstat()
            except OSError:  # removed in the meantime
                continue
            seen[status.st_ino] = status.st_size
        return sum(seen.values())

    def sweep(self, now: float | None = None) -> None:
        """Remove what is older than ``keep_seconds`` and belongs to no running job."""
        limit = (time.time() if now is None else now) - self._keep_seconds
        with self._lock:
            old = [
                folder for folder in self._jobs.iterdir() if folder not in self._busy and _changed_at(folder) < limit
            ]
            for folder in old:
                shutil.rmtree(folder, ignore_errors=True)
        for path in sorted(self.files.rglob("*"), reverse=True):  # files before the folders that hold them
            if not path.is_relative_to(self._jobs) and _changed_at(path) < limit:
                _remove(path)


def _changed_at(path: Path) -> float:
    """When it was last changed; one that is gone is as new as can be."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return float("inf")


def _remove(path: Path) -> None:
    """Remove a file, or a folder that is empty."""
    with suppress(OSError):
        path.rmdir() if path.is_dir() else path.unlink()
