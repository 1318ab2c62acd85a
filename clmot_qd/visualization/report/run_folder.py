"""What a run's folder (the work_dir of mim train) holds: configuration, checkpoint, logs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clmot_qd.datasets.mot_layout import natural_key
from clmot_qd.errors import InputError

_TIMESTAMP = "%Y%m%d_%H%M%S"
_COUNTED = re.compile(r"(epoch|iter)_(\d+)\.pth")


@dataclass(frozen=True)
class RunFolder:
    """A run's folder.

    Args:
        path: The folder.
        config: The newest configuration in it; None: there is none.
        checkpoint: The last one; None: there is none.
        logs: ``vis_data/scalars.json`` of every start, oldest first.
    """

    path: Path
    config: Path | None
    checkpoint: Path | None
    logs: tuple[Path, ...]

    @property
    def name(self) -> str:
        """The last part of the folder's name."""
        return self.path.name or self.path.resolve().name

    def started(self) -> str:
        """Return when training was started first, as mmengine's folders say; empty if they do not."""
        for log in self.logs:
            try:
                return datetime.strptime(log.parents[1].name, _TIMESTAMP).strftime("%Y-%m-%d %H:%M")
            except ValueError:
                continue
        return ""


def find_run(path: str | Path) -> RunFolder:
    """Look at a run's folder.

    Raises:
        InputError: No such folder, or nothing of a run in it.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{path}: no such folder; give the work_dir of a training")
    logs = sorted(folder.glob("*/vis_data/scalars.json"), key=lambda log: log.parents[1].name)
    run = RunFolder(folder, _find_config(folder), _find_checkpoint(folder), tuple(logs))
    if run.config is None and run.checkpoint is None and not logs:
        raise InputError(
            f"{path}: no run: no configuration (*.py), checkpoint (*.pth) or log (*/vis_data/scalars.json) in here; "
            "give the work_dir of a training"
        )
    return run


def _find_config(folder: Path) -> Path | None:
    """The newest one that mmengine has written into the folder, else the copy beside the newest log."""
    copies = sorted(folder.glob("*/vis_data/config.py"), key=lambda path: path.parents[1].name)
    return _newest(folder.glob("*.py")) or (copies[-1] if copies else None)


def _find_checkpoint(folder: Path) -> Path | None:
    """The one that ``last_checkpoint`` names, also if the folder has moved since; else the one counted highest."""
    pointer = folder / "last_checkpoint"
    if pointer.is_file():
        named = Path(pointer.read_text(encoding="utf-8", errors="replace").strip())
        for path in (folder / named.name, named):
            if path.is_file():
                return path
    counted = [path for path in folder.glob("*.pth") if _COUNTED.fullmatch(path.name)]
    return max(counted, key=lambda path: natural_key(path.name)) if counted else _newest(folder.glob("*.pth"))


def _newest(paths: Iterable[Path]) -> Path | None:
    return max((path for path in paths if path.is_file()), key=lambda path: path.stat().st_mtime, default=None)
