"""Tracks as text that grows frame by frame: boxes in MOTChallenge's form, masks in that of MOTS."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

import numpy as np

from clmot_qd.apis.track_table import stack_tracks
from clmot_qd.apis.tracking_session import Frame
from clmot_qd.datasets.mot_text import format_tracks
from clmot_qd.datasets.mots_text import IGNORE_CLASS, format_mots
from clmot_qd.errors import InputError
from clmot_qd.trackers import Tracks

if TYPE_CHECKING:
    from clmot_qd.apis.track_outputs import Clip


class MotText:
    """``tracks.txt``: frame from 1, id, x, y, w, h, score, class (from 1; -1 where there is one class alone).

    Until it is complete it is ``tracks.partial.txt``, in which every frame so far stands; after an error, too.
    """

    file = "tracks.txt"
    needs_drawing = False

    def __init__(self, clip: Clip) -> None:
        self.path = clip.folder / self.file
        self.partial = _partial(self.path)
        self.frames = 0
        self.done = False
        self._class_ids = range(1, len(clip.classes) + 1) if len(clip.classes) > 1 else None
        self._handle: IO[bytes] | None = None

    def __enter__(self) -> MotText:
        """Begin the unfinished file."""
        self.partial.unlink(missing_ok=True)
        self._handle = open(self.partial, "x+b", buffering=0)
        return self

    def add(self, number: int, tracks: Tracks, drawn: Frame | None) -> None:
        """Write the rows of a frame; a frame whose rows do not fit on the disk is left out whole."""
        assert self._handle is not None
        whole = self._handle.tell()
        text = memoryview(self._rows(number, tracks).encode())
        try:
            while text:
                text = text[self._handle.write(text) :]
        except OSError:
            self._handle.truncate(whole)
            raise
        self.frames = number
        self._check_there()

    @property
    def note(self) -> str:
        """What was mended, for the user; empty where nothing was."""
        return ""

    def _rows(self, number: int, tracks: Tracks) -> str:
        return format_tracks(stack_tracks([tracks], [number], self._class_ids))

    def _check_there(self) -> None:
        """Notice early that somebody removed the folder: what comes now would be lost."""
        if not self._is_there():
            raise self._removed()

    def _removed(self) -> InputError:
        return InputError(f"{self.path.parent}: was removed, or emptied, while results were written to it")

    def _is_there(self) -> bool:
        """Whether the file still has its name; another run may have begun in a new folder of the same name."""
        assert self._handle is not None
        try:
            return os.path.samestat(os.fstat(self._handle.fileno()), os.stat(self.partial))
        except FileNotFoundError:
            return False

    def _put_back(self) -> None:
        """Write the file that was removed again; it can be read as long as it is open."""
        assert self._handle is not None
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        if self.partial.exists():  # another run's
            self.partial = _partial(self.path, f".{secrets.token_hex(4)}")
        self._handle.seek(0)
        with open(self.partial, "xb") as again:
            shutil.copyfileobj(self._handle, again)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the file its name if it is complete."""
        assert self._handle is not None
        with closing(self._handle):
            there = self._is_there()
            if self.frames and not there:
                self._put_back()
        if kind is None:
            if not there:
                raise self._removed()
            os.replace(self.partial, self.path)
            self.done = True
        elif there and not self.frames:
            self.partial.unlink(missing_ok=True)


class MotsText(MotText):
    """``tracks_mots.txt``: frame from 1, id, class, height, width, runs; see :mod:`clmot_qd.datasets.mots_text`.

    No pixel belongs to two tracks: of those that share one, the higher score keeps it. What has no pixel is left out.
    Labels without a name get numbers above those of all classes.
    """

    file = "tracks_mots.txt"

    def __init__(self, clip: Clip) -> None:
        from clmot_qd.evaluation.mask_tables import Repairs

        super().__init__(clip)
        self._numbers = mots_numbers(clip.classes)
        self._nameless = max([IGNORE_CLASS, *self._numbers.values()]) + 1 - len(clip.classes)
        self._repairs = Repairs()

    @property
    def note(self) -> str:
        """See :attr:`MotText.note`."""
        told = str(self._repairs)
        return f"{self.file}: {told}" if told else ""

    def _rows(self, number: int, tracks: Tracks) -> str:
        from clmot_qd.evaluation.mask_tables import ready_table

        if not len(tracks):
            return ""
        if tracks.masks is None:
            raise InputError(f"{self.file}: frame {number} has tracks without masks; leave out the output mots")
        classes = np.array([self._numbers.get(label, self._nameless + label) for label in tracks.labels.tolist()])
        table = replace(stack_tracks([tracks], [number]), class_ids=classes)
        return format_mots(ready_table(table, True, self._repairs))


def mots_numbers(classes: Sequence[str]) -> dict[int, int]:
    """Label -> class number in MOTS files: car 1, pedestrian 2, the others as export files number them."""
    from clmot_qd.evaluation.formats.numbering import mots_classes

    numbers = mots_classes({name: label + 1 for label, name in enumerate(classes)})
    return {counted - 1: number for counted, number in numbers.items()}


def _partial(path: Path, mark: str = "") -> Path:
    """The name of a text until it is complete."""
    return path.with_name(f"{path.stem}.partial{mark}{path.suffix}")
