"""A few frames of a few videos with what the tracker found, collected while a model is validated or tested."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import mmcv
import mmengine.fileio as fileio
import numpy as np
import numpy.typing as npt
from mmdet.structures import DetDataSample, TrackDataSample

from clmot_qd.masks import RleMasks, read_segmentation
from clmot_qd.trackers import Tracks
from clmot_qd.visualization import TrackDrawer, contact_sheet

Image = npt.NDArray[np.uint8]


class TrackedFrames:
    """Draws chosen frames as they come by, and lays them out: one sheet per video, the truth below the tracks.

    Frames are counted per video in the order in which they come, so that 0 is its first frame whatever its number.

    Args:
        videos: Names of videos, or how many (the first ones that come).
        frames: Positions in a video.
        width: Every frame is scaled to this width, pixels.
        ground_truth: Draw the annotated objects below, where the samples carry them.
    """

    def __init__(self, videos: int | Collection[str], frames: Collection[int], width: int, ground_truth: bool) -> None:
        self.videos = videos
        self.frames = frozenset(frames)
        self.width = width
        self.ground_truth = ground_truth
        self._seen: dict[str, int] = {}
        self._sheets: dict[str, _Sheet] = {}

    def take(self, samples: Sequence[TrackDataSample], classes: Sequence[str]) -> None:
        """Look at the results of a batch: frames with ``pred_track_instances`` in original-image pixels.

        Where these have masks, the annotated ones are drawn, too.
        """
        for sample in samples:
            for frame in sample.video_data_samples:
                self._take_frame(frame, classes)

    def missing(self) -> tuple[list[str], list[str]]:
        """(videos that were asked for by name and did not come, those that came) since the last :meth:`sheets`."""
        wanted = [] if isinstance(self.videos, int) else [name for name in self.videos if name not in self._seen]
        return wanted, list(self._seen)

    def sheets(self) -> Iterator[tuple[str, Image]]:
        """(video, RGB sheet) of all videos seen since the last call, which are forgotten."""
        collected, self._sheets, self._seen = self._sheets, {}, {}
        for name, sheet in collected.items():
            yield name, np.ascontiguousarray(sheet.lay_out()[..., ::-1])

    def _take_frame(self, frame: DetDataSample, classes: Sequence[str]) -> None:
        video = str(frame.metainfo.get("video_name") or frame.metainfo.get("video_id"))
        position = self._seen.get(video, 0)
        self._seen[video] = position + 1
        if position not in self.frames or not self._wants(video) or "pred_track_instances" not in frame:
            return
        picture = mmcv.imfrombytes(fileio.get(frame.metainfo["img_path"]))
        drawer = TrackDrawer(
            trail_frames=0,
            class_names=classes if len(classes) > 1 else None,
            scale=self.width / picture.shape[1],
        )
        sheet = self._sheets.setdefault(video, _Sheet())
        sheet.add("tracks", position, drawer.draw(picture, _tracks_of(frame)))
        if self.ground_truth and "instances" in frame.metainfo:
            truth = _truth_of(frame.metainfo, "masks" in frame.pred_track_instances, picture.shape[:2])
            sheet.add("truth", position, drawer.draw(picture, truth))

    def _wants(self, video: str) -> bool:
        if isinstance(self.videos, int):
            return video in list(self._seen)[: self.videos]
        return video in self.videos


class _Sheet:
    """The frames of one video in rows of a kind."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[int, Image]] = {}

    def add(self, kind: str, position: int, picture: Image) -> None:
        self.rows.setdefault(kind, {})[position] = picture

    def lay_out(self) -> Image:
        cells = [(kind, position, picture) for kind, row in self.rows.items() for position, picture in row.items()]
        columns = max(len(row) for row in self.rows.values())
        captions = [f"frame {position}: {kind}" for kind, position, _ in cells]
        return np.asarray(contact_sheet([picture for *_, picture in cells], columns, captions), dtype=np.uint8)


def _tracks_of(frame: DetDataSample) -> Tracks:
    found = frame.pred_track_instances.cpu().numpy()
    return Tracks(
        instances_id=found.instances_id,
        bboxes=found.bboxes,
        scores=found.scores,
        labels=found.labels,
        detection_index=np.full(len(found.scores), -1),
        masks=found.get("masks"),
    )


def _truth_of(metainfo: Mapping[str, Any], with_masks: bool, size: Sequence[int]) -> Tracks:
    """The annotated objects that count, as tracks; ``size`` (height, width) of the picture."""
    objects = [entry for entry in metainfo["instances"] if not entry["ignore_flag"]]
    count = len(objects)
    return Tracks(
        instances_id=np.array([entry["instance_id"] for entry in objects], dtype=np.int64),
        bboxes=np.array([entry["bbox"] for entry in objects], dtype=np.float32).reshape(-1, 4),
        scores=np.ones(count, dtype=np.float32),
        labels=np.array([entry["bbox_label"] for entry in objects], dtype=np.int64),
        detection_index=np.full(count, -1),
        masks=_true_masks(metainfo["img_path"], objects, size) if with_masks else None,
    )


def _true_masks(picture: str, objects: Sequence[Mapping[str, Any]], size: Sequence[int]) -> RleMasks:
    """The annotated masks; an empty one of an object that has none."""
    shapes = [entry.get("mask", []) for entry in objects]
    return RleMasks.of([read_segmentation(shape, size, f"an object of {picture}") for shape in shapes], size)
