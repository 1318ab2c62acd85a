"""The files that tracking a video makes; each is written as the frames come, and memory does not grow with them.

Nothing unfinished stands under its final name. An output is used as a context manager: left well, its file is complete
and gets its name; left by an exception, all but the texts are removed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

import cv2
import numpy as np

from clmot_qd.apis.sheet_output import Sheet
from clmot_qd.apis.text_outputs import MotsText, MotText
from clmot_qd.apis.tracking_session import Frame
from clmot_qd.errors import InputError
from clmot_qd.files import atomic_path, remove_leftovers
from clmot_qd.geometry import with_area, xyxy_to_xywh
from clmot_qd.trackers import Tracks

JPEG_QUALITY = 92
UNFINISHED_FRAMES = "frames.partial"


@dataclass(frozen=True)
class Clip:
    """What the outputs need to know of a video.

    Attributes:
        folder: Where the files go.
        name: Of the video.
        fps: Frames per second.
        size: (width, height).
        classes: Names by label.
        length: Number of frames; None where it is not known.
        file_names: Of the pictures that it consists of; empty where it is no pictures.
    """

    folder: Path
    name: str
    fps: float
    size: tuple[int, int]
    classes: tuple[str, ...]
    length: int | None
    file_names: Sequence[str] = ()


class Output(AbstractContextManager, Protocol):
    """One file, or folder of files."""

    file: str
    """Its final name in the folder."""
    path: Path
    """The same with the folder."""
    needs_drawing: bool
    partial: Path
    """Its name until it is complete."""

    def add(self, number: int, tracks: Tracks, drawn: Frame | None) -> None:
        """Append a frame; ``number`` counts from 1."""


class CocoVid:
    """``tracks.json``: one video in CocoVID with ``instance_id`` and ``score``; ``frame_id`` counts from 0.

    Tracks with masks have them under ``segmentation``, as compressed runs, and their ``area`` is that of the mask.

    ``file_name`` is the picture's own; of a video, where there is none, the one that the output ``frames`` gives.
    """

    file = "tracks.json"
    needs_drawing = False

    def __init__(self, clip: Clip) -> None:
        self.path = self.partial = clip.folder / self.file
        self._clip = clip
        self._stack = ExitStack()
        self._frames = self._boxes = 0
        self._labels: set[int] = set(range(len(clip.classes)))

    def __enter__(self) -> CocoVid:
        """Begin the file; what is only known at the end (images, categories) comes last in it."""
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self.path))
            self._handle: IO[str] = stack.enter_context(open(temporary, "w", encoding="utf-8"))
            self._handle.write('{"annotations": [')
            self._stack = stack.pop_all()
        return self

    def add(self, number: int, tracks: Tracks, drawn: Frame | None) -> None:
        """Write the boxes and masks of a frame, one in a line."""
        boxes = np.round(with_area(xyxy_to_xywh(tracks.bboxes.astype(np.float64))), 5).tolist()
        masks = None if tracks.masks is None else list(zip(tracks.masks.texts(), tracks.masks.areas().tolist()))
        for row, box in enumerate(boxes):
            entry: dict[str, Any] = dict(id=self._boxes + 1, image_id=number, video_id=1)
            entry |= dict(category_id=int(tracks.labels[row]) + 1, instance_id=int(tracks.instances_id[row]))
            entry |= dict(bbox=box, area=round(box[2] * box[3], 5), iscrowd=0)
            entry["score"] = round(float(tracks.scores[row]), 6)
            if masks is not None and tracks.masks is not None:
                runs, entry["area"] = masks[row]
                entry["segmentation"] = dict(size=list(tracks.masks.size), counts=runs)
            self._handle.write(("," if self._boxes else "") + "\n" + json.dumps(entry))
            self._boxes += 1
        self._labels.update(tracks.labels.tolist())
        self._frames = number

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file and give it its name; after an exception remove it."""
        from clmot_qd.trackers.tracks import class_name

        with self._stack:
            if kind is not None:
                self._stack.__exit__(kind, error, trace)
                return
            clip = self._clip
            size = dict(width=clip.size[0], height=clip.size[1])
            video = dict(id=1, name=clip.name, fps=clip.fps, length=self._frames, **size)
            categories = [dict(id=label + 1, name=class_name(clip.classes, label)) for label in sorted(self._labels)]
            self._handle.write(f'\n],\n"videos": [{json.dumps(video)}],\n"categories": {json.dumps(categories)},\n')
            self._handle.write('"images": [')
            for index in range(self._frames):
                image: dict[str, Any] = dict(id=index + 1, video_id=1, frame_id=index, mot_frame_id=index + 1, **size)
                known = index < len(clip.file_names)
                entry = json.dumps(image | dict(file_name=clip.file_names[index] if known else f"{index + 1:06d}.jpg"))
                self._handle.write(("," if index else "") + "\n" + entry)
            self._handle.write("\n]}\n")


class DrawnVideo:
    """``tracks.mp4``: the drawn frames, H.264."""

    file = "tracks.mp4"
    needs_drawing = True

    def __init__(self, clip: Clip) -> None:
        try:
            from clmot_qd.apis.video_io import VideoWriter
        except ImportError as error:
            raise InputError(f"tracks.mp4: needs PyAV ({error}): pip install av, or choose other outputs") from error

        self.path = self.partial = clip.folder / self.file
        self._writer: Any = VideoWriter(self.path, fps=clip.fps)

    def __enter__(self) -> DrawnVideo:
        """See :class:`~clmot_qd.apis.video_io.VideoWriter`."""
        self._writer.__enter__()
        return self

    def add(self, number: int, tracks: Tracks, drawn: Frame | None) -> None:
        """Append the picture."""
        self._writer.write(drawn)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See :class:`~clmot_qd.apis.video_io.VideoWriter`."""
        self._writer.__exit__(kind, error, trace)


class DrawnFrames:
    """``frames/000001.jpg`` and so on; until it is complete the folder is called ``frames.partial``."""

    file = "frames"
    needs_drawing = True

    def __init__(self, clip: Clip) -> None:
        self.path = clip.folder / self.file
        self.partial = clip.folder / UNFINISHED_FRAMES

    def __enter__(self) -> DrawnFrames:
        """Begin with an empty folder."""
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir()
        return self

    def add(self, number: int, tracks: Tracks, drawn: Frame | None) -> None:
        """Write the picture."""
        assert drawn is not None
        done, data = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        assert done
        (self.partial / f"{number:06d}.jpg").write_bytes(data.tobytes())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the folder its name; pictures of an earlier run in it are replaced, other files stay."""
        if kind is None:
            if self.path.is_dir():
                for old in self.path.iterdir():
                    if re.fullmatch(r"\d{6,}\.jpg", old.name):
                        old.unlink()
            if self.path.is_symlink() or (self.path.is_dir() and any(self.path.iterdir())):
                for picture in self.partial.iterdir():
                    os.replace(picture, self.path / picture.name)
            else:
                if self.path.is_dir():
                    self.path.rmdir()
                self.partial.rename(self.path)  # all at once: never a folder with a part of them
        shutil.rmtree(self.partial, ignore_errors=True)


#: Name for users -> class.
OUTPUTS: dict[str, Any] = dict(
    mot=MotText, mots=MotsText, cocovid=CocoVid, video=DrawnVideo, frames=DrawnFrames, sheet=Sheet
)
#: Of models that give masks alone.
MASK_OUTPUTS = ("mots",)


def default_outputs(with_masks: bool, pictures: bool = True) -> tuple[str, ...]:
    """What a user gets who names no output: what the model finds as text, and ``pictures`` of it."""
    texts = ("mot", "mots") if with_masks else ("mot",)
    return (*texts, "video", "sheet") if pictures else texts


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed run left there, but for what it tracked; nobody may be writing to the folder now."""
    for output in OUTPUTS.values():
        remove_leftovers(folder / output.file)
    shutil.rmtree(folder / UNFINISHED_FRAMES, ignore_errors=True)
