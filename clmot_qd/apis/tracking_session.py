"""TrackingSession: frames in, tracks out, whatever finds the objects; numpy, scipy and OpenCV only."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clmot_qd.apis.arguments import whole_number
from clmot_qd.apis.class_filters import label_numbers, score_thresholds
from clmot_qd.apis.iterating import batches_of, copies_of, each_with, first_of, flattened, made_of
from clmot_qd.errors import InputError
from clmot_qd.trackers import Tracks

Frame = npt.NDArray[np.uint8]
#: Video file, folder of pictures, glob, stream address, camera number, or the frames themselves.
Source = str | os.PathLike[str] | int | Iterable[Frame]
#: Is told frames done and frames in all; None where these are not known (cameras, streams).
SessionProgress = Callable[[int, int | None], None]


@dataclass(frozen=True, eq=False)
class FrameDetections:
    """What was found in one frame, before it is tracked.

    Attributes:
        bboxes: (n, 4) float32 xyxy, in the pixels of the frame.
        scores: (n,) float32.
        labels: (n,) int64, class index.
        embeds: (n, C) float32, not normalised; None where there are none and motion decides.
    """

    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    embeds: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of detections."""
        return len(self.scores)

    def select(self, rows: np.ndarray) -> FrameDetections:
        """Return the detections that a mask or an index array picks; a subclass picks from its own fields as well."""
        parts = {field.name: getattr(self, field.name) for field in fields(FrameDetections)}
        picked: dict[str, Any] = {name: None if part is None else part[rows] for name, part in parts.items()}
        return replace(self, **picked)


class TrackingSession(ABC):
    """Tracks the frames of one video after the other.

    A subclass says how objects are found (:meth:`_detect`, some frames at once, without memory) and how they are
    tracked (:meth:`_associate`, frame by frame); sources, batches, filters and files are here::

        source -> frames, read ahead by a thread -> _detect, batch_size frames at once
               -> score_thr -> _associate, one frame after the other -> keep_classes -> _with_masks -> Tracks

    Args:
        classes: Names by label; empty where they are not known.
        batch_size: Frames that are detected at once. More is faster on GPUs, and a camera's tracks come as many frames
            later.
        score_thr: Least score of a detection to be tracked, one for all classes or {class name: score}; a class that is
            not named keeps all. It can only leave out more than the detector's and the tracker's own limits.
        keep_classes: Names of the classes whose tracks are wanted; the others are tracked, too, but not given out.
        prefetch: Frames that are read ahead, in a thread; 0 reads each frame when it is needed. An iterable of one's
            own is always read in the caller's thread.

    Attributes:
        classes: Names by label.
        detections: The detections of the last frame, to which ``Tracks.detection_index`` points; None before the first.

    Raises:
        InputError: A number is out of its range, or a class name is unknown.
    """

    def __init__(
        self,
        classes: Sequence[str] = (),
        *,
        batch_size: int = 1,
        score_thr: float | Mapping[str, float] | None = None,
        keep_classes: Sequence[str] | None = None,
        prefetch: int = 8,
    ) -> None:
        self.classes: tuple[str, ...] = tuple(classes)
        self.batch_size = whole_number("batch_size", batch_size, 1)
        self.prefetch = whole_number("prefetch", prefetch, 0)
        self._thresholds = score_thresholds(score_thr, self.classes)
        self._kept_labels = label_numbers(keep_classes, self.classes)
        self.detections: FrameDetections | None = None
        self._frame_id = 0
        self._size: tuple[int, int] | None = None
        # For subclasses: whether files are detected in a thread while the frames before are tracked, and how many
        # threads prepare frames for that.
        self._detects_ahead = False
        self._preparing_threads = 1

    # ---------------------------------------------------------------------------------------- what a subclass provides
    @abstractmethod
    def _detect(self, frames: Sequence[Frame]) -> list[FrameDetections]:
        """Find the objects of some frames of one size, (H, W, 3) uint8 BGR each; keeps nothing in mind."""

    def _prepare(self, frame: Frame) -> Any:
        """What :meth:`_detect_prepared` wants of a frame; of files it is made in threads that run ahead."""
        return frame

    def _detect_prepared(self, prepared: Sequence[Any]) -> list[FrameDetections]:
        """As :meth:`_detect`, of what :meth:`_prepare` made."""
        return self._detect(prepared)

    @abstractmethod
    def _associate(self, detections: FrameDetections, frame_id: int) -> Tracks:
        """Track the next frame; ``frame_id`` counts from 0 and grows by one."""

    def _with_masks(self, tracks: Tracks, detections: FrameDetections) -> Tracks:
        """The same tracks with their masks, of a model that gives masks."""
        return tracks

    @abstractmethod
    def _reset_tracker(self) -> None:
        """Forget all tracks."""

    @property
    def num_rejected(self) -> int:
        """Detections of the current video that its tracker could not use (not finite, no area)."""
        return 0

    @property
    def gives_masks(self) -> bool:
        """Whether the tracks have masks; it decides which files :meth:`track` can write."""
        return False

    # ------------------------------------------------------------------------------------------------ what a user calls
    def reset(self) -> None:
        """Forget all tracks: call it before each video. :meth:`stream` and :meth:`track` do so themselves."""
        self._frame_id = 0
        self._size = None
        self.detections = None
        self._reset_tracker()

    def update(self, frame: Frame) -> Tracks:
        """Track the next frame of the current video.

        Args:
            frame: (H, W, 3) uint8, BGR as OpenCV reads it.

        Returns:
            The tracks of this frame, boxes in its pixels.

        Raises:
            InputError: Not such an array, or of another size than the frames before it.
        """
        self._size = checked_size(frame, self._frame_id, self._size)
        return self._step(self._detect([frame])[0])

    def stream(self, source: Source) -> Generator[Tracks]:
        """Track one video from its beginning.

        Args:
            source: A video file, a folder of pictures, a glob, a stream's address, a camera's number, or any iterable
                of BGR frames.

        Yields:
            One :class:`Tracks` per frame.

        Raises:
            InputError: The source cannot be opened or a frame cannot be read; the frames before it have been given out.
        """
        with closing(self.stream_frames(source)) as pairs:
            for _, tracks in pairs:
                yield tracks

    def stream_frames(self, source: Source, max_frames: int | None = None) -> Generator[tuple[Frame, Tracks]]:
        """Track one video as :meth:`stream` does, and give out each frame beside its tracks.

        Args:
            source: See :meth:`stream`; also what :func:`~clmot_qd.apis.frame_sources.open_source` returned.
            max_frames: Stop after this many frames.

        Yields:
            (H, W, 3) frame, its :class:`Tracks`.
        """
        self.reset()
        with closing(self._detected(source, max_frames)) as pairs:
            for frame, detections in pairs:
                self._size = frame.shape[:2]
                yield frame, self._step(detections)

    def track(
        self,
        source: Source,
        out_dir: str | os.PathLike[str] | None = None,
        *,
        outputs: Sequence[str] | None = None,
        max_frames: int | None = None,
        progress: SessionProgress | None = None,
        fps: float | None = None,
        show: Sequence[str] | None = None,
        pictures: bool = True,
    ) -> list[Path]:
        """Track ``source`` and write what was found; see :func:`clmot_qd.apis.track_files.track_to_files`."""
        from clmot_qd.apis.track_files import track_to_files

        options: dict[str, Any] = dict(outputs=outputs, max_frames=max_frames, progress=progress, fps=fps)
        return track_to_files(self, source, out_dir, show=show, pictures=pictures, **options)

    # --------------------------------------------------------------------------------------------------------- insides
    def _detected(self, source: Source, max_frames: int | None) -> Generator[tuple[Frame, FrameDetections]]:
        """The frames of any source with what was found in them; of files, the next batch is at work meanwhile."""
        from clmot_qd.apis.frame_sources import gives_new_frames, opened_source
        from clmot_qd.apis.prefetch import map_ahead, work_ahead

        opened = opened_source(source)
        frames = _checked(first_of(opened, None if max_frames is None else whole_number("max_frames", max_frames, 1)))
        size = self._batch_size_of(opened)
        ahead = hasattr(opened, "fps") and self.prefetch > 0
        # A maker may fill one array again and again, which neither a batch nor a thread must notice.
        if (ahead or size > 1) and not gives_new_frames(opened):
            frames = copies_of(frames)
        if not ahead:
            return flattened(made_of(self._found_in, batches_of(each_with(self._prepare, frames), size)))
        batches = batches_of(map_ahead(frames, self._prepare, self.prefetch, self._preparing_threads), size)
        if not self._detects_ahead or getattr(opened, "is_live", False):
            return flattened(made_of(self._found_in, batches))
        return flattened(work_ahead(batches, self._found_in, 1))

    def _found_in(self, batch: Sequence[tuple[Frame, Any]]) -> list[tuple[Frame, FrameDetections]]:
        """Frames of a batch, each beside its detections."""
        found = self._detect_prepared([ready for _, ready in batch])
        return [(frame, detections) for (frame, _), detections in zip(batch, found)]

    def _batch_size_of(self, source: Any) -> int:
        """Frames that are detected at once, of an opened source or an iterable."""
        return self.batch_size

    def _step(self, detections: FrameDetections) -> Tracks:
        """Track the detections of the next frame."""
        if self._thresholds is not None:
            detections = detections.select(detections.scores >= self._thresholds[detections.labels])
        self.detections = detections
        tracks = self._associate(detections, self._frame_id)
        self._frame_id += 1
        if self._kept_labels is not None:
            tracks = tracks.select(np.isin(tracks.labels, self._kept_labels))
        return self._with_masks(tracks, detections)


def _checked(frames: Generator[Frame]) -> Generator[Frame]:
    """The frames of one video; keeps its size to itself, since a thread may read here while another video begins."""
    size: tuple[int, int] | None = None
    with closing(frames):
        for number, frame in enumerate(frames):
            size = checked_size(frame, number, size)
            yield frame


def checked_size(frame: Any, number: int, size: tuple[int, int] | None) -> tuple[int, int]:
    """(H, W) of a frame that must have the ``size`` of those before it; None: any.

    Raises:
        InputError: No frame, see :func:`check_frame`, or of another size.
    """
    check_frame(frame, number)
    height, width = frame.shape[:2]
    if size is not None and size != (height, width):
        raise InputError(
            f"frame {number}: is {width}x{height}, the frames before it are {size[1]}x{size[0]}; "
            "call reset() before another video"
        )
    return height, width


def check_frame(frame: Any, number: int) -> None:
    """Refuse what is no frame.

    Raises:
        InputError: Not a (H, W, 3) array of uint8 with some pixels.
    """
    if not isinstance(frame, np.ndarray):
        raise InputError(f"frame {number}: needs (H, W, 3) uint8, got {type(frame).__name__}")
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
        raise InputError(f"frame {number}: needs (H, W, 3) uint8, got {frame.shape} {frame.dtype}")
