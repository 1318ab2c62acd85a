"""Frames of videos in order, each video on one process: the sampler of test loaders."""

from __future__ import annotations

from collections.abc import Iterator

from mmdet.datasets import BaseVideoDataset
from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from clmot_qd.errors import InputError


@DATA_SAMPLERS.register_module()
class VideoSampler(Sampler):
    """What mmdet's ``TrackImgSampler`` does in test mode, for any number of processes.

    What differs from it:

    * fewer videos than processes: those left over get no frame and wait for the others, where the stock sampler raises;
    * videos are dealt out by length, the longest first, each to the process with the fewest frames so far; the stock
      sampler deals by number, so that one process may get all the long ones.

    Args:
        dataset: A video data set; its videos are not split.
        seed: Not used; mmengine gives one to every sampler.

    Raises:
        InputError: Another kind of data set, or one for training.
    """

    def __init__(self, dataset: BaseVideoDataset, seed: int | None = None) -> None:
        """Deal the videos out."""
        if not (isinstance(dataset, BaseVideoDataset) and dataset.test_mode):
            raise InputError(
                "VideoSampler: takes a data set of whole videos in test mode (CocoVideoDataset with test_mode=True), "
                f"not this {type(dataset).__name__}; "
                "for training take sampler=dict(type='DefaultSampler', shuffle=True)"
            )
        rank, world_size = get_dist_info()
        lengths = [dataset.get_len_per_video(video) for video in range(len(dataset))]
        videos = deal_out(lengths, world_size)[rank]
        self.indices = [(video, frame) for video in videos for frame in range(lengths[video])]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(video, frame) of this process, video by video."""
        return iter(self.indices)

    def __len__(self) -> int:
        """Number of frames of this process."""
        return len(self.indices)


def deal_out(lengths: list[int], parts: int) -> list[list[int]]:
    """Distribute videos: indices for each of ``parts`` processes, ascending; lists may be empty."""
    hands: list[list[int]] = [[] for _ in range(parts)]
    loads = [0] * parts
    for video in sorted(range(len(lengths)), key=lambda video: -lengths[video]):
        least = loads.index(min(loads))
        hands[least].append(video)
        loads[least] += lengths[video]
    return [sorted(hand) for hand in hands]
