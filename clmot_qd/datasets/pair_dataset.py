"""Frames of videos as training samples that can look at their neighbours: the source of key/reference pairs."""

from __future__ import annotations

from typing import Any, ClassVar

from mmdet.registry import DATASETS

from clmot_qd.errors import InputError

from .coco_checks import IDENTITY_KEYS, VIDEO_KEYS, UsedKeys
from .video_dataset import UNKNOWN_IDENTITY, CocoVideoDataset


@DATASETS.register_module()
class CocoPairDataset(CocoVideoDataset):
    """:class:`CocoVideoDataset` whose element is a frame: the key of a pair, with its video around it.

    The pipeline begins with ``ReferenceFrame`` (or mmdet's ``UniformRefFrameSample``), which picks the reference. Since
    an element is one frame, stock samplers and wrappers work: ``DefaultSampler``, ``ConcatDataset`` with still images,
    ``ClassBalancedDataset``, where mmdet's video data sets need ``TrackImgSampler`` and cannot be concatenated
    (``TrackImgSampler`` is for those and is refused here).

    Identities are renumbered 1 ... :attr:`num_ids` over all videos, so that they may serve as class indices (id - 1);
    one number in two videos counts as two identities.

    Args:
        first_id: number of the first identity, as for :class:`CocoIdentityDataset`. Everything else is the parent's.
        require_ids: False takes objects without ``instance_id``: they teach the detector, are the same object in no
            other frame, and count as identities of their own in ``num_ids``.

    Raises:
        InputError: ``require_ids``, and an object in use has no ``instance_id`` (or a negative one); and all of the
            parent's.
    """

    also_read: ClassVar[UsedKeys] = {**VIDEO_KEYS, **IDENTITY_KEYS}

    def __init__(self, *args: Any, first_id: int = 1, require_ids: bool = True, **kwargs: Any) -> None:
        """Take ``first_id`` and ``require_ids``; the rest is the parent's."""
        self.first_id = first_id
        self.require_ids = require_ids
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Load all videos, check and renumber the identities."""
        videos = super().load_data_list()
        numbers: dict[tuple[int, int], int] = {}
        for video in videos:
            free = 1 + max((i["instance_id"] for frame in video["images"] for i in frame["instances"]), default=0)
            for frame in video["images"]:
                if video["video_length"] == 1 or not self.require_ids:  # a still image is its own reference
                    free = _number_missing(frame, max(free, 1))
                self._require_identities(frame)
                for instance in frame["instances"]:
                    if not instance["ignore_flag"]:
                        identity = (video["video_id"], instance["instance_id"])
                        instance["instance_id"] = numbers.setdefault(identity, self.first_id + len(numbers))
        self.num_ids = len(numbers)
        return videos

    def _require_identities(self, frame: dict) -> None:
        for instance in frame["instances"]:
            if instance["instance_id"] < 0 and not instance["ignore_flag"]:
                lacks = "no instance_id" if instance["instance_id"] == UNKNOWN_IDENTITY else "a negative instance_id"
                raise InputError(
                    f"{self.ann_file}: image {frame['img_id']} ({frame['file_name']}): an object has {lacks}, which "
                    "pairs of frames need: add identities, set require_ids=False, or train without them "
                    "(CocoDetectionDataset with WithinFrameTwoView)"
                )

    def get_len_per_video(self, idx: int) -> int:
        """What ``TrackImgSampler`` asks for first."""
        raise InputError(
            "CocoPairDataset: its elements are frames already: take sampler=dict(type='DefaultSampler', shuffle=True) "
            "instead of TrackImgSampler"
        )

    def full_init(self) -> None:
        """Load as the parent does, then number the frames of all videos."""
        if self._fully_initialized:
            return
        super().full_init()
        self._number_frames()

    def get_subset_(self, indices: Any) -> None:
        """Keep these videos, or the first so many."""
        super().get_subset_(indices)
        self._number_frames()

    def _number_frames(self) -> None:
        self._elements = [(v, f) for v, video in enumerate(self.data_list) for f in range(video["video_length"])]

    def __len__(self) -> int:
        """Number of frames that can be a key."""
        self.full_init()
        return len(self._elements)

    def __getitem__(self, idx: Any) -> Any:
        """The pipeline's result for a key frame, or for another where that one has no partner.

        Raises:
            InputError: No pair was found in ``max_refetch`` tries.
        """
        try:
            return super().__getitem__(idx)
        except Exception as error:
            if "Cannot find valid image" not in str(error):
                raise
            raise InputError(
                f"{self.ann_file}: no pair of frames with a common object in {self.max_refetch} tries: check "
                "instance_id in the file, frame_range of ReferenceFrame, and the crops"
            ) from error

    def prepare_data(self, idx: int | tuple[int, int]) -> Any:
        """The pipeline's result for key frame number ``idx``, or for (video, frame)."""
        return super().prepare_data(idx if isinstance(idx, tuple) else self._elements[idx])

    def get_cat_ids(self, index: int | tuple[int, int]) -> list[int]:
        """Labels of the objects in key frame number ``index`` (for ``ClassBalancedDataset``)."""
        self.full_init()
        return super().get_cat_ids(index if isinstance(index, tuple) else self._elements[index])


def _number_missing(frame: dict, free: int) -> int:
    """Give the objects without identities one each, from ``free`` on; return the next free one."""
    for instance in frame["instances"]:
        if instance["instance_id"] == UNKNOWN_IDENTITY:
            instance["instance_id"] = free
            free += 1
    return free
