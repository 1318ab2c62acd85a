"""Videos from a CocoVID file."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

from mmdet.datasets import BaseVideoDataset
from mmdet.registry import DATASETS
from mmengine.fileio import get_local_path

from clmot_qd.errors import InputError

from .coco_checks import VIDEO_KEYS, CheckedAnnotations, CheckedCoco, UsedKeys
from .frame_store import FrameStore

UNKNOWN_IDENTITY = -1
"""``instance_id`` of an annotation without one. Two objects with it are not the same object."""


@DATASETS.register_module()
class CocoVideoDataset(CheckedAnnotations, BaseVideoDataset):
    """mmdet's ``BaseVideoDataset`` for files as they are found; the element is a video, a sample one frame of it.

    What differs from the parent, and why:

    * frames are in the order of ``frame_id`` and videos in the order of their id, whatever the order in the file; the
      parent takes the file's order, and a tracker that sees frames out of order loses its tracks;
    * identity 0 stays 0 and a missing identity is :data:`UNKNOWN_IDENTITY`; the parent replaces both by the position
      in the frame, which collides with true identities;
    * ``visibility`` and ``mot_conf`` are optional (default 1) and ``category_id`` is kept (mmdet's MOT metrics);
    * frames without objects stay in test mode, and an empty annotation list is fine. In training ``filter_cfg``
      (``filter_empty_gt``, default True, and ``min_size``, default 32 pixels) works as in the parent, but a video that
      loses all its frames goes too, where the parent keeps all of them with length 0;
    * fetching a frame does not unpickle its whole video (:class:`FrameStore`); ``serialize_data`` has no effect;
    * mistakes are named (:class:`CheckedAnnotations`).

    An image without ``video_id`` is a video of one frame. Each frame carries ``video_name``: the ``name`` in 'videos',
    or the id. ``frame_id`` is the file's, so it may start anywhere and have gaps; ``ori_video_length`` is the number of
    frames listed. Fetch single frames with ``VideoSampler`` (or mmdet's ``TrackImgSampler``): in test mode they come
    video by video and in order.

    Args:
        check_files: see :class:`CheckedAnnotations`. Everything else is the parent's.

    Raises:
        InputError: a mistake in ``ann_file``, ``metainfo.classes`` or ``data_prefix``, when the data set is built; also
            a frame of a video without ``frame_id``, or two with the same.
    """

    also_read: ClassVar[UsedKeys] = VIDEO_KEYS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """All arguments are the parent's."""
        super().__init__(*args, **{**kwargs, "serialize_data": False})

    def load_data_list(self) -> list[dict]:
        """One dict per video: ``video_id``, ``images`` (its parsed frames in order), ``video_length``."""
        with get_local_path(self.ann_file, backend_args=self.backend_args) as path:
            coco = self.COCOAPI(path)
        self.cat_ids = coco.get_cat_ids(cat_names=self._metainfo["classes"])
        self.cat2label = {category: label for label, category in enumerate(self.cat_ids)}
        names = {video["id"]: video.get("name") for video in coco.dataset["videos"]}
        videos = [self._parse_video(coco, names, *video) for video in self._ordered_videos(coco)]
        self._check_files(frame["img_path"] for video in videos for frame in video["images"])
        return videos

    def _ordered_videos(self, coco: CheckedCoco) -> list[tuple[int, list[dict]]]:
        """(video id, its image entries by frame_id), by video id; images without a video come last, one video each."""
        videos: dict[int, list[dict]] = {}
        stills = []
        for image in coco.dataset["images"]:
            if "video_id" not in image:
                stills.append([{"frame_id": 0, **image}])
                continue
            if "frame_id" not in image:
                raise InputError(f"{self.ann_file}: image {image['id']} of video {image['video_id']} has no frame_id")
            videos.setdefault(image["video_id"], []).append(image)
        first_free = max(videos, default=0) + 1
        ordered = [(video_id, self._ordered_frames(video_id, videos[video_id])) for video_id in sorted(videos)]
        return ordered + list(enumerate(stills, start=first_free))

    def _ordered_frames(self, video_id: int, frames: list[dict]) -> list[dict]:
        frames = sorted(frames, key=lambda frame: frame["frame_id"])
        for one, two in pairwise(frames):
            if one["frame_id"] == two["frame_id"]:
                raise InputError(
                    f"{self.ann_file}: images {one['id']} and {two['id']} of video {video_id} "
                    f"have the same frame_id {one['frame_id']}"
                )
        return frames

    def _parse_video(self, coco: CheckedCoco, names: dict[int, str | None], video_id: int, frames: list[dict]) -> dict:
        known = {"video_id": video_id, "video_name": str(names.get(video_id) or video_id)}
        parsed = [
            self.parse_data_info(
                {
                    "raw_img_info": {**frame, **known, "img_id": frame["id"]},
                    "raw_ann_info": coco.imgToAnns.get(frame["id"], []),
                }
            )
            for frame in frames
        ]
        return {"video_id": video_id, "images": parsed, "video_length": len(parsed)}

    def parse_data_info(self, raw_data_info: dict) -> dict:
        """Parse one frame; its instances carry identity, category, visibility and mark of their annotation."""
        annotations = raw_data_info["raw_ann_info"]
        # The parent drops annotations and mends ids it takes for missing, so it gets positions (from 1) for ids.
        numbered = [{**annotation, "instance_id": n} for n, annotation in enumerate(annotations, start=1)]
        parsed = super().parse_data_info({**raw_data_info, "raw_ann_info": numbered})
        for instance in parsed["instances"]:
            instance.update(_tracking_fields(annotations[instance["instance_id"] - 1]))
        return parsed

    def filter_data(self) -> list[dict]:
        """Drop frames as ``filter_cfg`` says (never in test mode), then videos without frames; store the rest."""
        for video in self.data_list:
            frames = video["images"] if self.test_mode else [f for f in video["images"] if self._is_used(f)]
            video.update(images=FrameStore(frames), video_length=len(frames))
        return self._require_samples([video for video in self.data_list if video["video_length"]])

    def _is_used(self, frame: dict) -> bool:
        rules = self.filter_cfg or {}
        large = min(frame["width"], frame["height"]) >= rules.get("min_size", 32)
        return large and (bool(frame["instances"]) or not rules.get("filter_empty_gt", True))


def _tracking_fields(annotation: dict) -> dict[str, Any]:
    identity = annotation.get("instance_id")
    return {
        "instance_id": UNKNOWN_IDENTITY if identity is None else identity,
        "category_id": annotation["category_id"],
        "visibility": annotation.get("visibility", 1.0),
        "mot_conf": annotation.get("mot_conf", 1.0),
    }
